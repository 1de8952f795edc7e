#include <signal.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>

#include "cli/commands.h"
#include "cli/log_follower.h"
#include "cli/log_merge.h"
#include "cli/target.h"
#include "cli/terminal.h"
#include "net/epoll_loop.h"
#include "supervise/log_history.h"

namespace nines::cli {
namespace {

constexpr Duration kBetweenLooks = 200ms;

struct Log {
  std::string name;
  std::string path;
};

// Those of a service that is down too; its own logs are not a replica's.
std::vector<Log> logs_on_disk(const app::Paths& paths) {
  std::vector<Log> logs;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(paths.logs(), error)) {
    const auto& path = entry.path();
    // Of one that no deploy has ever needed.
    if (path.stem().native().find("-spare-") != std::string::npos && entry.file_size(error) == 0) continue;
    if (path.extension() == ".log" && path.native() != paths.own_log() && path.native() != paths.access_log())
      logs.push_back({path.stem().native(), path.native()});
  }
  // a-2 before a-10
  std::ranges::sort(logs, {}, [](const Log& log) { return std::pair(log.name.size(), log.name); });
  return logs;
}

// A running service knows which replicas it has; the folder may hold logs of others it once had.
std::vector<Log> logs_of(const app::Paths& paths) {
  std::vector<Log> logs;
  if (const auto status = ask_status(paths)) {
    for (const ReplicaStatus& replica : status->replicas)
      logs.push_back({replica.name, replica.log.empty() ? paths.replica_log(replica.name) : replica.log});
  }
  return logs.empty() ? logs_on_disk(paths) : logs;
}

Answered<std::vector<Log>> choose(const app::Paths& paths, const std::vector<std::string>& wanted) {
  std::vector<Log> all = logs_of(paths);
  if (wanted.empty()) return all;
  for (Log& old : logs_on_disk(paths)) {
    if (std::ranges::find(all, old.name, &Log::name) == all.end()) all.push_back(std::move(old));
  }
  std::vector<std::string> names;
  names.reserve(all.size());
  for (const Log& log : all) names.push_back(log.name);
  std::vector<Log> chosen;
  for (const std::string& name : wanted) {
    const auto replica = choose_replica(name, names);
    if (!replica) return std::unexpected(replica.error());
    if (std::ranges::find(chosen, *replica, &Log::name) == chosen.end())
      chosen.push_back(*std::ranges::find(all, *replica, &Log::name));
  }
  return chosen;
}

// Lines with the name of who wrote them, where there is more than one, and with their time, if wished.
class Printer {
 public:
  Printer(const std::vector<Log>& logs, const LogsOptions& options)
      : json_(options.json), timestamps_(options.timestamps) {
    constexpr std::array kColours = {Colour::kCyan, Colour::kMagenta, Colour::kBlue, Colour::kYellow, Colour::kGreen};
    const Style style = style_here();
    std::size_t width = 0;
    for (const Log& log : logs) width = std::max(width, log.name.size());
    for (const Log& log : logs) {
      const Colour colour = kColours[names_.size() % kColours.size()];
      names_.push_back(log.name);
      const std::string padded = log.name + std::string(width - log.name.size(), ' ') + " |";
      prefixes_.push_back(logs.size() > 1 ? style.paint(colour, padded) + " " : std::string());
    }
  }

  void print(std::size_t number, const LogLine& line) const {
    const std::string text =
        json_ ? as_json(number, line) : prefixes_[number] + (timestamps_ ? time_column(line) : "") + line.text;
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fputc('\n', stdout);
  }

 private:
  static std::string time_column(const LogLine& line) {
    constexpr std::size_t kWidth = 24;
    std::string text = line.at ? format_rfc3339(*line.at) : "-";
    text.resize(std::max(text.size(), kWidth), ' ');
    return text + " ";
  }

  std::string as_json(std::size_t number, const LogLine& line) const {
    boost::json::value at;
    if (line.at) at = format_rfc3339(*line.at);
    return boost::json::serialize(
        boost::json::object{{"replica", names_[number]}, {"at", std::move(at)}, {"line", line.text}});
  }

  bool json_;
  bool timestamps_;
  std::vector<std::string> names_, prefixes_;
};

// Which lines of each log.
struct Window {
  std::optional<WallTime> since, until;
  std::optional<std::size_t> lines;
};

Answered<Window> window_of(const LogsOptions& options, WallTime now) {
  Window window{.since = {}, .until = {}, .lines = options.lines};
  if (options.since) window.since = options.since->resolve(now);
  if (options.until) window.until = options.until->resolve(now);
  if (window.since && *window.since > now)
    return refuse(kWrong, "--since: " + format_rfc3339(*window.since) + " is still to come");
  if (window.since && window.until && *window.until < *window.since) {
    return refuse(kWrong,
                  "--until: " + format_rfc3339(*window.until) + " is before --since, " + format_rfc3339(*window.since));
  }
  return window;
}

// One log, read from the beginning of its window. What is there now ends at the mark.
struct Reading {
  LogFollower follower;
  std::optional<LogFollower::Mark> end;  // nullopt: there is no log yet
};

Reading begin_reading(const std::string& path, const Window& window) {
  auto history = supervise::LogHistory::open(path);
  if (!history) return {LogFollower(path), std::nullopt};
  const auto end = window.until ? history->until(*window.until) : history->end();
  supervise::LogHistory::Place begin;
  if (window.since) begin = history->since(*window.since);
  if (window.lines) begin = std::max(begin, history->tail(end, *window.lines));
  begin = std::min(begin, end);
  const LogFollower::Mark mark{history->file(end).id, end.offset};
  return {LogFollower(path, history->take(begin), begin.offset), mark};
}

void print_what_is_there(std::vector<Reading>& readings, const Printer& printer, bool follow) {
  std::vector<LogMerge::Source> sources;
  for (Reading& reading : readings) {
    sources.emplace_back([&reading, follow](std::vector<LogLine>& lines) {
      if (reading.end && reading.follower.read_up_to(*reading.end, lines)) return true;
      auto unfinished = follow ? std::nullopt : reading.follower.take_unfinished();
      if (unfinished) lines.push_back(std::move(*unfinished));
      return false;
    });
  }
  LogMerge merge(std::move(sources));
  while (const auto next = merge.next()) printer.print(next->source, next->line);
  std::fflush(stdout);
}

// As they come: to wait for a log that says nothing would hold up the others.
Task<void> follow(net::Loop& loop, std::vector<Reading>& readings, const Printer& printer) {
  while (true) {
    for (std::size_t i = 0; i < readings.size(); ++i) {
      for (const LogLine& line : readings[i].follower.read()) printer.print(i, line);
    }
    std::fflush(stdout);
    if (!co_await loop.sleep(kBetweenLooks)) co_return;
  }
}

Task<void> until_signal(net::EpollLoop& loop, std::vector<Reading>& readings, const Printer& printer) {
  net::Signals signals(loop, {SIGINT, SIGTERM});
  TaskGroup following;
  following.start(follow(loop, readings, printer));
  (void)co_await signals.next();
  following.cancel();
  co_await following.join();
}

}  // namespace

int perform(const GlobalOptions& global, const LogsOptions& options) {
  const auto window = window_of(options, net::wall_time());
  if (!window) return say(window.error());
  const auto paths = find_service(global, true);
  if (!paths) return say(paths.error());
  const auto logs = choose(*paths, options.replicas);
  if (!logs) return say(logs.error());
  if (logs->empty()) return say(refuse(kNotRunning, "there are no logs in " + paths->logs() + " yet").error());

  const Printer printer(*logs, options);
  std::vector<Reading> readings;
  for (const Log& log : *logs) readings.push_back(begin_reading(log.path, *window));
  print_what_is_there(readings, printer, options.follow);
  if (!options.follow) return kDone;
  net::EpollLoop loop;
  loop.run(until_signal(loop, readings, printer));
  return kDone;
}

}  // namespace nines::cli
