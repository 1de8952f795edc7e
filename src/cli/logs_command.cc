#include <signal.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "cli/commands.h"
#include "cli/log_follower.h"
#include "cli/target.h"
#include "cli/terminal.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

constexpr Duration kBetweenLooks = 200ms;

struct Log {
  std::string name;
  std::string path;
};

// Those of a service that is down too; its own log is not a replica's.
std::vector<Log> logs_on_disk(const app::Paths& paths) {
  std::vector<Log> logs;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(paths.logs(), error)) {
    const auto& path = entry.path();
    if (path.extension() == ".log" && path.native() != paths.own_log())
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

// Lines with the name of who wrote them, where there is more than one.
class Printer {
 public:
  Printer(const std::vector<Log>& logs, bool json) : style_(style_here()), json_(json), named_(logs.size() > 1) {
    for (const Log& log : logs) width_ = std::max(width_, log.name.size());
  }

  void print(std::size_t number, const std::string& name, const std::vector<std::string>& lines) const {
    constexpr std::array kColours = {Colour::kCyan, Colour::kMagenta, Colour::kBlue, Colour::kYellow, Colour::kGreen};
    const std::string prefix = named_ ? style_.paint(kColours[number % kColours.size()],
                                                     name + std::string(width_ - name.size(), ' ') + " |") +
                                            " "
                                      : std::string();
    for (const std::string& line : lines) {
      const std::string text = json_ ? as_json(name, line) : prefix + line;
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fputc('\n', stdout);
    }
  }

 private:
  static std::string as_json(const std::string& name, const std::string& line) {
    return boost::json::serialize(boost::json::object{{"replica", name}, {"line", line}});
  }

  Style style_;
  bool json_;
  bool named_;
  std::size_t width_ = 0;
};

Task<void> follow(net::Loop& loop, const std::vector<Log>& logs, std::vector<LogFollower>& followers,
                  const Printer& printer) {
  while (true) {
    for (std::size_t i = 0; i < logs.size(); ++i) printer.print(i, logs[i].name, followers[i].read());
    std::fflush(stdout);
    if (!co_await loop.sleep(kBetweenLooks)) co_return;
  }
}

Task<void> until_signal(net::EpollLoop& loop, const std::vector<Log>& logs, std::vector<LogFollower>& followers,
                        const Printer& printer) {
  net::Signals signals(loop, {SIGINT, SIGTERM});
  TaskGroup following;
  following.start(follow(loop, logs, followers, printer));
  (void)co_await signals.next();
  following.cancel();
  co_await following.join();
}

}  // namespace

int perform(const GlobalOptions& global, const LogsOptions& options) {
  const auto paths = find_service(global, true);
  if (!paths) return say(paths.error());
  const auto logs = choose(*paths, options.replicas);
  if (!logs) return say(logs.error());
  if (logs->empty()) return say(refuse(kNotRunning, "there are no logs in " + paths->logs() + " yet").error());

  const Printer printer(*logs, options.json);
  std::vector<LogFollower> followers;
  for (std::size_t i = 0; i < logs->size(); ++i) {
    const LogEnd end = end_of_log((*logs)[i].path, options.lines);
    printer.print(i, (*logs)[i].name, end.lines);
    if (options.follow) followers.emplace_back((*logs)[i].path, end.size);
  }
  std::fflush(stdout);
  if (!options.follow) return kDone;
  net::EpollLoop loop;
  loop.run(until_signal(loop, *logs, followers, printer));
  return kDone;
}

}  // namespace nines::cli
