// nines maintenance: time that is announced, and left out of what was agreed. Only time that is to come.
#include <boost/json.hpp>
#include <cstdio>

#include "cli/commands.h"
#include "cli/document.h"
#include "cli/record.h"
#include "ledger/maintenance.h"
#include "ledger/reader.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

namespace json = boost::json;

std::int64_t unix_seconds(WallTime t) { return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count(); }
WallTime at(std::int64_t second) { return WallTime(std::chrono::seconds(second)); }

Result<ledger::Maintenance> declared(const app::Paths& paths) {
  const auto reader = ledger::Reader::open(paths.ledger_file());
  if (!reader) return failure(reader.error());
  return reader->maintenance();
}

int list(const app::Paths& paths, bool as_json, WallTime now, const availability::Zone& zone) {
  const auto maintenance = declared(paths);
  if (!maintenance) return say({kNo, "nines: " + maintenance.error().text()});
  json::array all;
  for (const auto& window : maintenance->windows()) {
    const std::int64_t second = unix_seconds(now);
    const std::string state = second < window.from ? "to come" : second < window.to ? "goes on" : "over";
    if (!as_json)
      std::printf("%s to %s  %-8s %s\n", local_text(at(window.from), zone).c_str(),
                  local_text(at(window.to), zone).c_str(), state.c_str(), one_line(window.text).c_str());
    all.push_back(json::object{
        {"from", format_rfc3339(at(window.from))}, {"to", format_rfc3339(at(window.to))}, {"text", window.text}});
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
  const auto zone = zone_of(options.timezone, configuration_of(*paths));
  if (!zone) return say(zone.error());
  const WallTime now = net::wall_time();
  if (options.action == "list") return list(*paths, options.json, now, *zone);
  const std::int64_t second = unix_seconds(now);
  if (options.action == "stop") {
    const auto maintenance = declared(*paths);
    if (!maintenance) return say({kNo, "nines: " + maintenance.error().text()});
    if (!maintenance->covers(second))
      return say(refuse(kNo, "no maintenance goes on; `nines maintenance list`").error());
    return tell(*paths, ledger::Maintenance::kEnded, second, 0, who_and_why(options), "maintenance is over");
  }
  std::int64_t from = second;
  if (options.from) {
    const auto resolved = options.from->resolve(now, *zone);
    if (!resolved) return say(refuse(kWrong, "--from: " + resolved.error().text()).error());
    from = unix_seconds(*resolved);
  }
  std::int64_t to = from + std::chrono::duration_cast<std::chrono::seconds>(options.length).count();
  if (options.to) {
    const auto resolved = options.to->resolve(now, *zone);
    if (!resolved) return say(refuse(kWrong, "--to: " + resolved.error().text()).error());
    to = unix_seconds(*resolved);
  }
  if (from < second) return say(refuse(kWrong, "--from is over already: time that has passed is what it was").error());
  if (to <= from) return say(refuse(kWrong, "--to is not behind --from").error());
  return tell(*paths, ledger::Maintenance::kPlanned, from, to, who_and_why(options),
              "maintenance from " + local_text(at(from), *zone) + " to " + local_text(at(to), *zone));
}

}  // namespace nines::cli
