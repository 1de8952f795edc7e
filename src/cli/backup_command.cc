#include <sys/resource.h>

#include <boost/json.hpp>
#include <cstdio>

#include "app/process_contract.h"
#include "backup/run_lock.h"
#include "base/version.h"
#include "cli/backup_setup.h"
#include "cli/commands.h"
#include "cli/terminal.h"

namespace nines::cli {
namespace {

namespace json = boost::json;

double seconds(Duration d) { return static_cast<double>(d.count()) / 1e9; }

json::array names_json(const std::vector<std::string>& names) {
  json::array list;
  for (const std::string& name : names) list.emplace_back(name);
  return list;
}

// ---- now ----

json::object report_json(const backup::Report& report) {
  json::array databases;
  for (const backup::CopiedDatabase& database : report.databases) {
    databases.push_back(json::object{{"path", database.name},
                                     {"bytes", database.copy.bytes},
                                     {"way", backup::name_of(database.copy.way)},
                                     {"restarts", database.copy.restarts},
                                     {"locked_max_s", seconds(database.copy.locked_max)},
                                     {"took_s", seconds(database.copy.took)}});
  }
  return {{"archive", report.where},
          {"created", format_rfc3339(report.created)},
          {"bytes", report.bytes},
          {"sha256", report.sha256},
          {"verified", true},
          {"took_s", seconds(report.took)},
          {"files", report.files},
          {"databases", std::move(databases)},
          {"missing", names_json(report.missing)},
          {"removed", names_json(report.removed)},
          {"notes", names_json(report.notes)}};
}

void print(const backup::Report& report) {
  std::printf("%s: %s, verified, in %s\n", report.where.c_str(), format_bytes(report.bytes).c_str(),
              format_duration(report.took).c_str());
  for (const backup::CopiedDatabase& database : report.databases) {
    std::printf("  %s, %s", database.name.c_str(), format_bytes(database.copy.bytes).c_str());
    if (database.copy.way == backup::CopyReport::Way::kReconciled)
      std::printf(", writers waited up to %s, as they left no gap for a copy",
                  format_duration(database.copy.locked_max).c_str());
    std::printf("\n");
  }
  if (report.files > 0) std::printf("  %zu model file%s\n", report.files, report.files == 1 ? "" : "s");
  for (const std::string& name : report.missing) std::printf("  without %s: it does not exist\n", name.c_str());
  for (const std::string& name : report.removed) std::printf("  removed %s, by the keep rules\n", name.c_str());
  for (const std::string& note : report.notes) std::printf("  note: %s\n", note.c_str());
}

int backup_now(const Protected& service, const BackupOptions& options) {
  const auto destinations = choose_destinations(service, options.to);
  if (!destinations) return say(destinations.error());
  json::array reports;
  int exit_status = kDone;
  for (const Destination& destination : *destinations) {
    const auto report = backup::take(plan_for(service, destination));
    if (!report) {
      exit_status = kNo;
      report_event(service.paths, "backup_failed", report.error().text(), 0, 0);
      reports.push_back(json::object{{"to", destination.storage->where()}, {"error", report.error().text()}});
      std::fprintf(stderr, "nines: backup to %s failed: %s\n", destination.storage->where().c_str(),
                   report.error().text().c_str());
      continue;
    }
    report_event(service.paths, "backup_taken", report->where, static_cast<std::int64_t>(report->bytes),
                 report->took.count());
    reports.push_back(report_json(*report));
    if (!options.json) print(*report);
  }
  if (options.json) std::printf("%s\n", json::serialize(json::object{{"backups", std::move(reports)}}).c_str());
  return exit_status;
}

// ---- list ----

json::object archive_json(const std::string& where, const backup::Archive& archive, WallTime now) {
  const bool damaged = archive.proof && !archive.verified();
  return {{"archive", where},
          {"time", format_rfc3339(archive.time)},
          {"bytes", archive.object.bytes},
          {"from_the_future", archive.from_the_future(now)},
          {"verified", archive.verified()},
          {"verified_at", archive.verified() ? json::value(format_rfc3339(archive.proof->at)) : json::value(nullptr)},
          {"sha256", archive.verified() ? json::value(archive.proof->sha256) : json::value(nullptr)},
          {"damage", damaged ? json::value(archive.proof->damage) : json::value(nullptr)},
          {"service", archive.verified() ? json::value(archive.proof->service) : json::value(nullptr)},
          {"complete", archive.verified() ? json::value(archive.proof->complete) : json::value(nullptr)}};
}

std::string state_text(const backup::Archive& archive, const Style& style) {
  if (!archive.proof) return style.paint(Colour::kYellow, "not verified yet");
  if (!archive.verified()) return style.paint(Colour::kRed, "DAMAGED: " + archive.proof->damage);
  return style.paint(Colour::kGreen, "verified " + ago(archive.proof->at, style.now)) +
         (archive.proof->complete ? "" : ", lacks a database");
}

std::string future_text(const backup::Archive& archive, const Style& style) {
  if (!archive.from_the_future(style.now)) return "";
  return style.paint(Colour::kYellow, ", from the future: made while a clock was wrong, and not counted");
}

int backup_list(const Protected& service, const BackupOptions& options) {
  const auto destinations = choose_destinations(service, options.to);
  if (!destinations) return say(destinations.error());
  const auto catalogue = backup::Catalogue::load(backup::catalogue_file(service.paths.state));
  const Style style = style_here();
  TextTable table({false, true, false});
  json::array all;
  for (const Destination& destination : *destinations) {
    const auto archives = backup::list(*destination.storage, catalogue);
    if (!archives) return say(refuse(kNo, archives.error().text()).error());
    for (const backup::Archive& archive : *archives) {
      const std::string where = destination.storage->where(archive.object.name);
      all.push_back(archive_json(where, archive, style.now));
      table.row({where, format_bytes(archive.object.bytes), state_text(archive, style) + future_text(archive, style)});
    }
  }
  if (options.json) return say({kDone, json::serialize(json::object{{"archives", std::move(all)}})});
  if (all.empty()) return say({kDone, "no archives yet; `nines backup now` makes one"});
  std::fputs(table.text().c_str(), stdout);
  return kDone;
}

// ---- verify ----

Answered<std::vector<Located>> to_verify(const Protected& service, const BackupOptions& options) {
  std::vector<Located> all;
  if (!options.archive.empty()) {
    auto located = locate(service, options.archive);
    if (!located) return std::unexpected(located.error());
    all.push_back(std::move(*located));
    return all;
  }
  const auto destinations = choose_destinations(service, options.to);
  if (!destinations) return std::unexpected(destinations.error());
  for (const Destination& destination : *destinations) {
    const auto archives = backup::list(*destination.storage, {});
    if (!archives) return refuse(kNo, archives.error().text());
    for (const backup::Archive& archive : *archives) all.push_back({destination.storage, archive.object});
  }
  return all;
}

int backup_verify(const Protected& service, const BackupOptions& options) {
  const auto archives = to_verify(service, options);
  if (!archives) return say(archives.error());
  const auto lock = backup::RunLock::take(service.paths.state);
  if (!lock) return say(refuse(kNo, lock.error().text()).error());
  const backup::Clock clock = clock_here();
  auto catalogue = backup::Catalogue::load(backup::catalogue_file(service.paths.state));
  json::array all;
  int exit_status = kDone;
  for (const Located& archive : *archives) {
    const Instant began = clock.boot();
    const auto proven = backup::prove(*archive.storage, archive.object, service.paths.state, catalogue, clock.wall());
    const Duration took = clock.boot() - began;
    const std::string where = archive.storage->where(archive.object.name);
    all.push_back(json::object{{"archive", where},
                               {"verified", proven.has_value()},
                               {"reason", proven ? json::value(nullptr) : json::value(proven.error().text())},
                               {"took_s", seconds(took)}});
    if (!proven) exit_status = kNo;
    if (!proven && !options.json) std::printf("%s: NOT restorable: %s\n", where.c_str(), proven.error().text().c_str());
    if (proven && !options.json) std::printf("%s: verified, in %s\n", where.c_str(), format_duration(took).c_str());
  }
  if (auto saved = catalogue.save(backup::catalogue_file(service.paths.state)); !saved)
    std::fprintf(stderr, "nines: the proof could not be noted: %s\n", saved.error().text().c_str());
  if (options.json) return say({kDone, json::serialize(json::object{{"archives", std::move(all)}})}), exit_status;
  if (archives->empty()) std::printf("no archives yet; `nines backup now` makes one\n");
  return exit_status;
}

}  // namespace

int perform(const GlobalOptions& global, const BackupOptions& options) {
  const auto service = load_protected(global);
  if (!service) return say(service.error());
  if (options.action == "now") return backup_now(*service, options);
  if (options.action == "list") return backup_list(*service, options);
  return backup_verify(*service, options);
}

int internal_backup_main(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {"backup", "now", "--json"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  auto invocation = parse_arguments(words);
  if (!invocation) return say(invocation.error());
  invocation->global.snapshot = app::kSnapshot;
  constexpr int kNice = 10;  // requests come first
  ::setpriority(PRIO_PROCESS, 0, kNice);
  return perform(invocation->global, std::get<BackupOptions>(invocation->command));
}

}  // namespace nines::cli
