#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <string>

#include "app/lock.h"
#include "app/state_file.h"
#include "backup/holders.h"
#include "backup/names.h"
#include "backup/restore.h"
#include "backup/run_lock.h"
#include "cli/backup_setup.h"
#include "cli/commands.h"
#include "cli/restore_plan.h"
#include "cli/terminal.h"
#include "http/client.h"
#include "net/epoll_loop.h"
#include "storage/files.h"

namespace nines::cli {
namespace {

namespace json = boost::json;

constexpr Duration kBetweenLooks = 50ms;
constexpr Duration kSlack = 30s;  // beyond what the configuration gives replicas to stop and to start

// What came of it, as far as it came.
struct Restored {
  std::string archive;
  WallTime created{};
  WallTime stopped{};  // from then on nothing was written to the old database
  std::vector<backup::Swapped> swapped;
  backup::Staging staging;
  std::map<std::string, backup::RowCounts> before, after;  // by path, where they could be read
  std::vector<std::string> still_held;                     // replicas that an interrupted restore stopped
  bool running = false;
  Duration away{0};  // the service
  Duration took{0};
};

class Restorer {
 public:
  Restorer(const Protected& service, const RestoreOptions& options)
      : service_(service), options_(options), clock_(clock_here()), began_(clock_.boot()) {}

  Answered<Restored> run() {
    auto lock = backup::RunLock::take(service_.paths.state);
    if (!lock) return refuse(kNo, lock.error().text());
    auto archive = choose();
    if (!archive) return std::unexpected(archive.error());
    done_.archive = archive->storage->where(archive->object.name);
    const auto contents = prove(*archive);
    if (!contents) return std::unexpected(contents.error());
    done_.created = contents->manifest.created;
    if (auto agreed = ask_person(); !agreed) return std::unexpected(agreed.error());
    auto staging = backup::stage(*archive->storage, archive->object.name, contents->sha256, wanted());
    if (!staging) return refuse(kNo, "nothing was changed: " + staging.error().text());
    done_.staging = std::move(*staging);
    auto swapped = put_in_place();
    if (!swapped) {
      backup::discard(done_.staging);
      return std::unexpected(swapped.error());
    }
    count_rows_before();
    done_.took = clock_.boot() - began_;
    return std::move(done_);
  }

 private:
  backup::Wanted wanted() const {
    return {service_.databases, options_.files ? service_.files : std::vector<backup::Source>{}};
  }

  // ---- before anything is touched ----

  Answered<Located> choose() {
    if (!options_.from.empty()) return locate(service_, options_.from);
    if (service_.destinations.empty())
      return refuse(kWrong, "name the archive with --from FILE: the configuration has no backups");
    const auto catalogue = backup::Catalogue::load(backup::catalogue_file(service_.paths.state));
    const WallTime now = clock_.wall();
    std::optional<Located> newest;
    std::optional<WallTime> time;
    bool any = false;
    for (const Destination& destination : service_.destinations) {
      const auto archives = backup::list(*destination.storage, catalogue);
      if (!archives) return refuse(kNo, archives.error().text());
      any = any || !archives->empty();
      for (const backup::Archive& archive : *archives) {
        if (!archive.from_the_future(now)) continue;
        std::fprintf(stderr, "nines: %s is from the future, made while a clock was wrong: left out; --from takes it\n",
                     destination.storage->where(archive.object.name).c_str());
      }
      const backup::Archive* const best = backup::newest_of(*archives, *service_.config.service, now);
      if (best == nullptr || (time && best->time <= *time)) continue;
      time = best->time;
      newest = Located{destination.storage, best->object};
    }
    if (newest) return *newest;
    return refuse(kNo,
                  any ? "none of the archives is verified: `nines backup verify` reads them, or name one with --from"
                      : "there are no archives; name one with --from FILE");
  }

  Answered<backup::Contents> prove(const Located& archive) {
    const std::string file = backup::catalogue_file(service_.paths.state);
    auto catalogue = backup::Catalogue::load(file);
    auto contents = backup::prove(*archive.storage, archive.object, service_.paths.state, catalogue, clock_.wall());
    (void)catalogue.save(file);  // without it, the archive is verified again the next time
    if (contents) return std::move(*contents);
    return refuse(kNo, done_.archive + " cannot be restored, and nothing was changed: " + contents.error().text());
  }

  Answered<bool> ask_person() {
    if (options_.yes) return true;
    if (::isatty(STDIN_FILENO) != 1)
      return refuse(kWrong, "this replaces the database; without a terminal to ask at, say --yes");
    std::fprintf(
        stderr,
        "Replace the database by that of %s, from %s? What was written since is kept in a file of its own. [y/N] ",
        done_.archive.c_str(), ago(done_.created, clock_.wall()).c_str());
    std::string answer;
    std::getline(std::cin, answer);
    if (answer == "y" || answer == "yes") return true;
    return refuse(kNo, "nothing was changed");
  }

  // ---- the swap ----

  Answered<bool> put_in_place() {
    if (done_.staging.items.empty()) {
      return refuse(kNo, "nothing to restore: " + done_.archive + " has " +
                             (done_.staging.not_wanted.empty() ? "no database" : done_.staging.not_wanted.front()) +
                             ", and the configuration names other files, or model files that are as in the archive");
    }
    for (const backup::Staged& item : done_.staging.items) {
      if (item.kind != backup::Kind::kSqlite) continue;
      if (auto rows = backup::count_rows(item.staged)) done_.after[item.path] = std::move(*rows);
    }
    done_.running = app::holder_of(service_.paths.lock_file()).has_value();
    return done_.running ? swap_under_service() : swap_alone();
  }

  Answered<bool> swap_alone() {
    // Nobody starts it meanwhile.
    auto lock = app::StateLock::take(service_.paths.lock_file());
    if (!lock) return refuse(kNo, "nothing was changed: the service is " + lock.error().text());
    done_.stopped = clock_.wall();
    if (auto swapped = swap(backup::stamp_of(done_.stopped)); !swapped) return swapped;
    // Of a run that was interrupted and whose service has ended since. What it stopped stays stopped, also when the
    // service is started: until a restore under it, or a person, says otherwise.
    auto earlier = backup::load_unfinished(service_.paths.state);
    if (!earlier) return true;
    if (const auto wishes = app::load_wishes(service_.paths.wishes_file())) {
      std::erase_if(earlier->stopped, [&](const std::string& name) {
        const auto wish = wishes->find(name);
        return wish == wishes->end() || !wish->second.stopped_by.starts_with(kRestorer);
      });
    }
    done_.still_held = earlier->stopped;
    if (earlier->stopped.empty()) {
      backup::clear_unfinished(service_.paths.state);
      return true;
    }
    earlier->stamp.clear();  // the swap itself is finished: the next restore keeps files under a name of its own
    if (auto saved = backup::save_unfinished(service_.paths.state, *earlier); !saved)
      std::fprintf(stderr, "nines: %s\n", saved.error().text().c_str());
    return true;
  }

  Answered<bool> swap(const std::string& stamp) {
    const std::string mark = service_.paths.trust_mark();
    // The guard of model files must not put the old ones back.
    if (options_.files) (void)storage::write_file_atomically(mark, "a restore is at work", 0640);
    auto swapped = backup::swap(done_.staging.items, stamp);
    if (options_.files) (void)storage::write_file_atomically(mark, "", 0640);
    if (!swapped) {
      const bool untouched = swapped.error().code() == Code::kRefused;
      return refuse(kNo, (untouched ? "nothing was changed: " : "the restore is not complete; repeat it: ") +
                             swapped.error().text());
    }
    done_.swapped = std::move(*swapped);
    return true;
  }

  Answered<bool> swap_under_service() {
    const auto status = ask_status(service_.paths);
    if (!status) return std::unexpected(status.error());
    if (auto checked = refuse_strangers(*status); !checked) return checked;
    backup::Unfinished unfinished{.archive = done_.archive, .stamp = backup::stamp_of(clock_.wall())};
    if (const auto earlier = backup::load_unfinished(service_.paths.state)) {
      unfinished.stopped = earlier->stopped;
      if (!earlier->stamp.empty()) unfinished.stamp = earlier->stamp;
    }
    const RestorePlan plan = plan_restore(status->replicas, unfinished.stopped);
    unfinished.stopped = plan.start;
    if (auto saved = backup::save_unfinished(service_.paths.state, unfinished); !saved)
      return refuse(kNo, "nothing was changed: " + saved.error().text());
    // Between stopping and starting an impatient Ctrl-C would leave the service down.
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, SIG_IGN);
    const Instant away_since = clock_.boot();
    auto swapped = stop_and_swap(plan.stop, unfinished.stamp);
    auto answers = start(unfinished.stopped);
    done_.away = clock_.boot() - away_since;
    if (answers) backup::clear_unfinished(service_.paths.state);
    if (!swapped) return swapped;
    return answers;
  }

  // Whoever is not of the service would be found after its replicas were stopped: too late to have cost nothing.
  Answered<bool> refuse_strangers(const ServiceStatus& status) {
    std::vector<std::string> databases;
    for (const backup::Staged& item : done_.staging.items) {
      if (item.kind == backup::Kind::kSqlite) databases.push_back(item.path);
    }
    for (const backup::Holder& holder : backup::holders_of(databases)) {
      const auto is_its = [&](const ReplicaStatus& replica) {
        return replica.pid && (*replica.pid == static_cast<std::uint64_t>(holder.pid) ||
                               *replica.pid == static_cast<std::uint64_t>(holder.session));
      };
      if (std::ranges::any_of(status.replicas, is_its)) continue;
      return refuse(kNo, "nothing was changed: " + holder.path + " is open in process " + std::to_string(holder.pid) +
                             " (" + holder.command + "), which is no replica: end that one first");
    }
    return true;
  }

  Answered<bool> stop_and_swap(const std::vector<std::string>& replicas, const std::string& stamp) {
    for (const std::string& name : replicas) {
      if (auto told = order(name, "stop"); !told) return std::unexpected(told.error());
    }
    const config::Stop& stop = service_.config.replicas.stop;
    const auto all_stopped = [](const ServiceStatus& status) {
      return std::ranges::all_of(status.replicas, [](const ReplicaStatus& r) { return r.state == "stopped"; });
    };
    if (!wait_for(stop.drain + stop.grace + kSlack, all_stopped))
      return refuse(kNo, "nothing was changed: the replicas do not stop; `nines status` shows why");
    done_.stopped = clock_.wall();
    return swap(stamp);
  }

  Answered<bool> start(const std::vector<std::string>& replicas) {
    // Whom a person has stopped meanwhile stays so.
    const auto status = ask_status(service_.paths);
    Answered<bool> all_told = true;
    bool any = false;
    for (const std::string& name : replicas) {
      const auto is_held = [&](const ReplicaStatus& r) { return r.name == name && held_by_somebody(r); };
      if (status && std::ranges::any_of(status->replicas, is_held)) continue;
      if (auto told = order(name, "start"); !told) all_told = std::unexpected(told.error());
      any = true;
    }
    if (!all_told || !any) return all_told;
    const Duration patience = service_.config.replicas.health.startup + kSlack;
    const auto one_ready = [](const ServiceStatus& status) {
      return std::ranges::any_of(status.replicas, [](const ReplicaStatus& r) { return r.state == "ready"; });
    };
    if (wait_for(patience, one_ready) && answers_clients()) return true;
    return refuse(kNo,
                  "the service does not answer after the restore; `nines status` and `nines logs` show why. The old "
                  "files are kept beside the new ones, as NAME.before-restore-…");
  }

  Answered<std::string> order(const std::string& replica, const std::string& action) {
    return ask_service(service_.paths, {.method = "POST",
                                        .target = "/v1/replicas/" + replica + "/" + action,
                                        .body = json::serialize(json::object{{"by", kRestorer}})});
  }

  template <class Condition>
  bool wait_for(Duration patience, Condition condition) {
    const Instant deadline = clock_.boot() + patience;
    while (true) {
      const auto status = ask_status(service_.paths);
      if (status && condition(*status)) return true;
      if (clock_.boot() > deadline) return false;
      clock_.pause(kBetweenLooks);
    }
  }

  // As a client would, through the listener.
  bool answers_clients() {
    config::Address at = service_.config.listen.front();
    if (at.ip == "0.0.0.0") at.ip = "127.0.0.1";
    if (at.ip == "::") at.ip = "::1";
    const auto address = net::Address::parse(at.text());
    if (!address) return false;
    const Instant deadline = clock_.boot() + kSlack;
    while (true) {
      net::EpollLoop loop;
      const auto answer = loop.run(http::fetch(loop, {.to = *address,
                                                      .target = service_.config.replicas.health.path.value_or("/"),
                                                      .timeout = service_.config.replicas.health.timeout + 1s}));
      constexpr int kServerError = 500;
      if (answer && answer->head.status() < kServerError) return true;
      if (clock_.boot() > deadline) return false;
      clock_.pause(kBetweenLooks);
    }
  }

  // ---- afterwards, when the service is back ----

  void count_rows_before() {
    for (const backup::Swapped& swapped : done_.swapped) {
      if (swapped.kept.empty() || !swapped.kept_alone || !done_.after.contains(swapped.path)) continue;
      if (auto rows = backup::count_rows(swapped.kept)) done_.before[swapped.path] = std::move(*rows);
    }
  }

  const Protected& service_;
  const RestoreOptions& options_;
  const backup::Clock clock_;
  const Instant began_;
  Restored done_;
};

double seconds(Duration d) { return static_cast<double>(d.count()) / 1e9; }

Duration lost(const Restored& restored) { return std::max(Duration{0}, restored.stopped - restored.created); }

// One line a table: rows before (if they could be counted) and after.
struct RowChange {
  std::string table;
  std::optional<std::uint64_t> before;
  std::optional<std::uint64_t> after;
};

std::vector<RowChange> changes_of(const Restored& restored, const std::string& path) {
  std::map<std::string, RowChange> tables;
  if (const auto found = restored.before.find(path); found != restored.before.end()) {
    for (const auto& [table, rows] : found->second) tables[table].before = rows;
  }
  if (const auto found = restored.after.find(path); found != restored.after.end()) {
    for (const auto& [table, rows] : found->second) tables[table].after = rows;
  }
  std::vector<RowChange> changes;
  for (auto& [table, change] : tables) changes.push_back({table, change.before, change.after});
  return changes;
}

json::value number_or_null(std::optional<std::uint64_t> n) { return n ? json::value(*n) : json::value(nullptr); }

std::string as_json(const Restored& restored) {
  json::array files;
  for (const backup::Swapped& swapped : restored.swapped) {
    json::object tables;
    for (const RowChange& change : changes_of(restored, swapped.path)) {
      tables[change.table] =
          json::object{{"before", number_or_null(change.before)}, {"after", number_or_null(change.after)}};
    }
    files.push_back(json::object{{"path", swapped.path},
                                 {"kept", swapped.kept.empty() ? json::value(nullptr) : json::value(swapped.kept)},
                                 {"rows", std::move(tables)}});
  }
  json::array missing;
  for (const std::string& name : restored.staging.not_in_archive) missing.emplace_back(name);
  json::array held;
  for (const std::string& name : restored.still_held) held.emplace_back(name);
  return json::serialize(
      json::object{{"archive", restored.archive},
                   {"created", format_rfc3339(restored.created)},
                   {"lost_s", seconds(lost(restored))},
                   {"took_s", seconds(restored.took)},
                   {"away_s", restored.running ? json::value(seconds(restored.away)) : json::value(nullptr)},
                   {"running", restored.running},
                   {"files", std::move(files)},
                   {"not_in_archive", std::move(missing)},
                   {"still_held", std::move(held)}});
}

std::string rows_text(std::optional<std::uint64_t> rows) { return rows ? with_commas(*rows) : "?"; }

void print(const Restored& restored) {
  std::printf("restored from %s, which holds everything until %s\n", restored.archive.c_str(),
              format_rfc3339(restored.created).c_str());
  for (const backup::Swapped& swapped : restored.swapped) {
    std::printf("  %s\n", swapped.path.c_str());
    for (const RowChange& change : changes_of(restored, swapped.path)) {
      std::printf("    %s: %s → %s rows\n", change.table.c_str(), rows_text(change.before).c_str(),
                  rows_text(change.after).c_str());
    }
    if (!swapped.kept.empty())
      std::printf("    the old file is kept as %s%s\n", swapped.kept.c_str(),
                  swapped.kept_alone ? "" : ", with its journal beside it, as it could not be read");
  }
  for (const std::string& name : restored.staging.not_in_archive)
    std::printf("  %s is not in the archive, and stays as it is\n", name.c_str());
  for (const std::string& name : restored.staging.not_wanted)
    std::printf("  %s is in the archive, and not in the configuration: left out\n", name.c_str());
  std::printf("data lost: what was written in the last %s\n", format_duration(lost(restored)).c_str());
  if (restored.running) {
    std::printf("the service answers; it was away for %s, all of it took %s\n", format_duration(restored.away).c_str(),
                format_duration(restored.took).c_str());
  } else {
    std::printf("it took %s; the service is not running: `nines up` starts it\n",
                format_duration(restored.took).c_str());
  }
  for (const std::string& name : restored.still_held)
    std::printf(
        "  %s was stopped by a restore that was interrupted, and stays so: after `nines up`, `nines start %s`\n",
        name.c_str(), name.c_str());
}

}  // namespace

int perform(const GlobalOptions& global, const RestoreOptions& options) {
  const auto service = load_protected(global);
  if (!service) return say(service.error());
  if (service->databases.empty() && !(options.files && !service->files.empty()))
    return say(
        refuse(kWrong, service->paths.config_file + " names no database: add data: {sqlite: data/app.db}").error());
  const auto restored = Restorer(*service, options).run();
  if (!restored) return say(restored.error());
  report_event(service->paths, "restored", restored->archive, restored->took.count(), 0);
  if (options.json) return say({kDone, as_json(*restored)});
  print(*restored);
  return kDone;
}

}  // namespace nines::cli
