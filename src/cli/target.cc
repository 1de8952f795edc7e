#include "cli/target.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/text.h"

namespace nines::cli {
namespace {

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// The services `nines run` started here: those that run, or, if none does and that is good enough, all.
Answered<app::Paths> find_without_file(const GlobalOptions& global, bool dead_too) {
  auto all = app::services_without_file();
  if (!all) return refuse(kNo, all.error().text());
  std::vector<app::Paths> found;
  std::ranges::copy_if(*all, std::back_inserter(found),
                       [](const app::Paths& paths) { return app::holder_of(paths.lock_file()).has_value(); });
  if (found.empty() && dead_too) found = std::move(*all);
  if (found.size() == 1) return std::move(found.front());
  if (found.empty()) {
    return refuse(kNotRunning, "nothing runs here: there is no " + global.config +
                                   " in this folder, and no service of `nines run`; go to its folder, or name it with "
                                   "-c FILE or --state DIR");
  }
  std::string list = "several services were started here; name one of these:";
  for (const app::Paths& paths : found) list += "\n  nines --state " + paths.state + " …";
  return refuse(kWrong, list);
}

std::string supervisor(std::optional<std::int64_t> pid) {
  return pid.value_or(0) == 0 ? "the supervisor" : "the supervisor, pid " + std::to_string(*pid) + ",";
}

}  // namespace

std::unexpected<Reply> refuse(int exit_status, std::string_view message) {
  return std::unexpected(Reply{exit_status, "nines: " + std::string(message)});
}

Answered<app::Paths> find_service(const GlobalOptions& global, bool dead_too) {
  if (global.config_given && !exists(global.config)) return refuse(kWrong, "there is no file " + global.config);
  if (global.state.empty() && !exists(global.config)) return find_without_file(global, dead_too);
  auto paths = app::find_paths(global.config, global.state);
  if (!paths) return refuse(kWrong, paths.error().text());
  return std::move(*paths);
}

Reply explain(const Error& error, const app::Paths& paths, std::optional<std::int64_t> holder) {
  const auto reply = [](int exit_status, const std::string& message) {
    return Reply{exit_status, "nines: " + message};
  };
  switch (error.code()) {
    case Code::kNotFound: return reply(kWrong, error.text());
    case Code::kLimit:
    case Code::kRefused: return reply(kNo, error.text());
    case Code::kUnavailable:
      if (!holder) return reply(kNotRunning, "not running (state folder " + paths.state + "): `nines up` starts it");
      return reply(kNo, supervisor(holder) + " is just starting or ending: try again in a moment");
    default: break;
  }
  const std::string pid = holder.value_or(0) == 0 ? "PID" : std::to_string(*holder);
  return reply(kNo, supervisor(holder) + " does not answer (" + error.text() + "): if it was halted, `kill -CONT " +
                        pid + "` wakes it; if it hangs, `kill -9 " + pid + "` and start it again; what it said is in " +
                        paths.own_log() + " or at its terminal");
}

Answered<std::string> ask_service(const app::Paths& paths, app::ControlRequest request) {
  auto answer = app::ask(paths, std::move(request));
  if (answer) return std::move(*answer);
  return std::unexpected(explain(answer.error(), paths, app::holder_of(paths.lock_file())));
}

Answered<ServiceStatus> ask_status(const app::Paths& paths) {
  const auto answer = ask_service(paths, {.target = "/v1/status"});
  if (!answer) return std::unexpected(answer.error());
  auto status = parse_status(*answer);
  if (!status) return refuse(kNo, status.error().text());
  return std::move(*status);
}

bool anchor_is_dead(const app::Paths& paths) {
  const auto status = ask_status(paths);
  return status && !status->anchor_pid && !status->version.empty();
}

std::string user_name() {
  const struct passwd* const user = ::getpwuid(::getuid());
  return user != nullptr ? user->pw_name : std::to_string(::getuid());
}

namespace {

std::string by(const std::string& command) { return command + " (" + user_name() + ")"; }

}  // namespace

std::string asked_by(const std::string& command) {
  return boost::json::serialize(boost::json::object{{"by", by(command)}});
}

std::string asked_for_weight(const std::string& command, std::optional<int> percent) {
  const boost::json::value weight = percent ? boost::json::value(*percent) : boost::json::value(nullptr);
  return boost::json::serialize(boost::json::object{{"by", by(command)}, {"weight", weight}});
}

Answered<std::string> choose_replica(const std::string& typed, std::span<const std::string> names) {
  if (std::ranges::find(names, typed) != names.end()) return typed;
  const std::vector<std::string_view> known(names.begin(), names.end());
  std::string message = "there is no replica `" + typed + "`";
  if (const auto meant = nearest(typed, known)) {
    message += "; did you mean `" + std::string(*meant) + "`?";
  } else if (names.empty()) {
    message += "; there is none at all";
  } else {
    message += "; there are";
    for (const std::string& name : names) message += (name == names.front() ? " " : ", ") + name;
  }
  return refuse(kWrong, message);
}

}  // namespace nines::cli
