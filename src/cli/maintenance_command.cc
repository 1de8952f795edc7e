// nines maintenance: time that is announced, and left out of what was agreed. Only time that is to come.
#include <boost/json.hpp>
#include <cstdio>

#include "cli/commands.h"
#include "cli/period.h"
#include "cli/target.h"
#include "ledger/maintenance.h"
#include "ledger/reader.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

namespace json = boost::json;

std::int64_t unix_seconds(WallTime t) { return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count(); }
std::string text_of(std::int64_t second) { return local_text(WallTime(std::chrono::seconds(second))); }

Result<ledger::Maintenance> declared(const app::Paths& paths) {
  const auto reader = ledger::Reader::open(paths.ledger_file());
  if (!reader) return failure(reader.error());
  return reader->maintenance();
}

int list(const app::Paths& paths, bool as_json, WallTime now) {
  const auto maintenance = declared(paths);
  if (!maintenance) return say({kNo, "nines: " + maintenance.error().text()});
  json::array all;
  for (const auto& window : maintenance->windows()) {
    const std::int64_t second = unix_seconds(now);
    const std::string state = second < window.from ? "to come" : second < window.to ? "goes on" : "over";
    if (!as_json)
      std::printf("%s to %s  %-8s %s\n", text_of(window.from).c_str(), text_of(window.to).c_str(), state.c_str(),
                  window.text.c_str());
    all.push_back(json::object{{"from", format_rfc3339(WallTime(std::chrono::seconds(window.from)))},
                               {"to", format_rfc3339(WallTime(std::chrono::seconds(window.to)))},
                               {"text", window.text}});
  }
  if (as_json) return say({kDone, json::serialize(all)});
  if (all.empty()) return say({kDone, "no maintenance was declared"});
  return kDone;
}

// Through the supervisor, whose log the keeper records.
int tell(const app::Paths& paths, std::string_view kind, std::int64_t a, std::int64_t b, const std::string& text,
         const std::string& done) {
  const json::object body{{"kind", kind}, {"a", a}, {"b", b}, {"text", text}};
  const auto answer = ask_service(paths, {.method = "POST", .target = "/v1/events", .body = json::serialize(body)});
  return answer ? say({kDone, done}) : say(answer.error());
}

std::string who_and_why(const MaintenanceOptions& options) {
  const json::value by = json::parse(asked_by("nines maintenance"));
  const std::string who = json::value_to<std::string>(by.as_object().at("by"));
  return options.reason.empty() ? who : options.reason + "; " + who;
}

}  // namespace

int perform(const GlobalOptions& global, const MaintenanceOptions& options) {
  const auto paths = find_service(global, options.action == "list");
  if (!paths) return say(paths.error());
  const WallTime now = net::wall_time();
  if (options.action == "list") return list(*paths, options.json, now);
  const std::int64_t second = unix_seconds(now);
  if (options.action == "stop") {
    const auto maintenance = declared(*paths);
    if (!maintenance) return say({kNo, "nines: " + maintenance.error().text()});
    if (!maintenance->covers(second))
      return say(refuse(kNo, "no maintenance goes on; `nines maintenance list`").error());
    return tell(*paths, ledger::Maintenance::kEnded, second, 0, who_and_why(options), "maintenance is over");
  }
  const std::int64_t from = options.from ? unix_seconds(options.from->resolve(now)) : second;
  const std::int64_t to = options.to ? unix_seconds(options.to->resolve(now))
                                     : from + std::chrono::duration_cast<std::chrono::seconds>(options.length).count();
  if (from < second) return say(refuse(kWrong, "--from is over already: time that has passed is what it was").error());
  if (to <= from) return say(refuse(kWrong, "--to is not behind --from").error());
  return tell(*paths, ledger::Maintenance::kPlanned, from, to, who_and_why(options),
              "maintenance from " + text_of(from) + " to " + text_of(to));
}

}  // namespace nines::cli
