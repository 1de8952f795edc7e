#include "cli/render.h"

#include <algorithm>
#include <cstdio>

#include "cli/event_line.h"
#include "config/values.h"

namespace nines::cli {
namespace {

constexpr std::size_t kEventsShown = 5;
constexpr const char* kNothing = "–";

// A state's colour, and a symbol that says the same without one.
struct Look {
  Colour colour;
  const char* symbol;
};

Look look_of(std::string_view state) {
  if (state == "ready" || state == "running") return {Colour::kGreen, "●"};
  if (state == "unready") return {Colour::kRed, "✗"};
  if (state == "waiting") return {Colour::kRed, "◌"};
  if (state == "stopped") return {Colour::kDim, "○"};
  if (state == "starting") return {Colour::kYellow, "◔"};
  return {Colour::kYellow, "◑"};  // draining, stopping
}

std::string number_or_nothing(std::optional<std::uint64_t> number) {
  return number ? std::to_string(*number) : kNothing;
}

std::string time_or_nothing(std::optional<Duration> time) { return time ? format_duration(*time) : kNothing; }

std::string joined(const std::vector<std::string>& parts, const std::string& between) {
  std::string out;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!out.empty()) out += between;
    out += part;
  }
  return out;
}

std::string printable(std::string text) {
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

// "12 (0.0010 %)": a count of errors says little without what it is a share of.
std::string errors_text(std::uint64_t errors, std::uint64_t requests) {
  if (errors == 0 || requests == 0) return with_commas(errors);
  char share[32];
  std::snprintf(share, sizeof share, " (%.2g %%)", 100.0 * static_cast<double>(errors) / static_cast<double>(requests));
  return with_commas(errors) + (errors >= requests ? " (all)" : share);
}

std::size_t ready_count(const ServiceStatus& status) {
  return static_cast<std::size_t>(std::ranges::count(status.replicas, "ready", &ReplicaStatus::state));
}

// A service that runs is as well as its replicas are.
Colour service_colour(const ServiceStatus& status) {
  if (status.state != "running") return look_of(status.state).colour;
  const std::size_t ready = ready_count(status);
  if (ready == status.replicas.size()) return status.problems.empty() ? Colour::kGreen : Colour::kYellow;
  return ready == 0 ? Colour::kRed : Colour::kYellow;
}

std::string headline(const ServiceStatus& status, const Style& style) {
  std::string state = printable(status.state) + (status.problems.empty() ? "" : ", degraded,");
  if (status.uptime) state += " for " + format_duration(*status.uptime);
  state += ", " + std::to_string(ready_count(status)) + " of " + std::to_string(status.replicas.size()) + " ready";
  const std::string symbol = look_of(status.state).symbol;
  return style.paint(Colour::kBold, printable(status.service)) + "  " +
         style.paint(service_colour(status), symbol + " " + state) + "\n";
}

std::string surroundings(const ServiceStatus& status, const Style& style) {
  const bool has_objective = status.objective && *status.objective > 0 && *status.objective < 1;
  std::string objective = has_objective ? "objective " + config::write_objective(*status.objective) : std::string();
  const std::string where =
      joined({joined(status.listen, ", "), objective, status.config.empty() ? status.folder : status.config}, " · ");
  const auto process = [](const char* name, std::optional<std::uint64_t> pid) {
    return std::string(name) + " " + (pid ? std::to_string(*pid) : "not running");
  };
  const std::string processes =
      joined({process("anchor", status.anchor_pid), process("supervisor", status.supervisor_pid),
              process("gateway", status.gateway_pid), process("keeper", status.keeper_pid)},
             " · ");
  std::string text = printable(where) + "\n" + style.paint(Colour::kDim, processes) + "\n";
  if (!status.dashboard.empty()) text += style.paint(Colour::kDim, "dashboard " + printable(status.dashboard)) + "\n";
  for (const std::string& problem : status.problems) text += style.paint(Colour::kRed, printable(problem)) + "\n";
  return text;
}

std::string totals(const ServiceStatus& status, const Style& style) {
  const std::string errors = "errors " + errors_text(status.errors, status.requests);
  return joined({"requests " + with_commas(status.requests),
                 style.paint(status.errors > 0 ? Colour::kRed : Colour::kNone, errors),
                 "replayed " + with_commas(status.replayed),
                 status.unroutable > 0 ? "nobody ready for " + with_commas(status.unroutable) : std::string(),
                 "p50 " + time_or_nothing(status.latency.p50), "p99 " + time_or_nothing(status.latency.p99)},
                " · ") +
         "\n";
}

// Where the gateway reaches it: a port of this machine is enough said. All sockets are in one folder, the run folder:
// their names tell them apart.
std::string place_of(const ReplicaStatus& replica) {
  if (replica.port || replica.address.empty()) return number_or_nothing(replica.port);
  return printable(replica.address.starts_with("unix:") ? replica.address.substr(replica.address.rfind('/') + 1)
                                                        : replica.address);
}

std::vector<std::string> replica_row(const ReplicaStatus& replica, const Style& style) {
  const Look look = look_of(replica.state);
  return {style.paint(look.colour, look.symbol) + " " + printable(replica.name),
          style.paint(look.colour, printable(replica.state)),
          number_or_nothing(replica.pid),
          place_of(replica),
          time_or_nothing(replica.uptime),
          with_commas(replica.restarts),
          with_commas(replica.in_flight),
          with_commas(replica.requests),
          with_commas(replica.errors),
          time_or_nothing(replica.latency.p50),
          time_or_nothing(replica.latency.p99)};
}

// The bottom rows of `ps` join the same columns.
TextTable replica_table(const ServiceStatus& status, const Style& style) {
  TextTable table({false, false, true, true, true, true, true, true, true, true, true});
  const bool ports =
      std::ranges::all_of(status.replicas, [](const ReplicaStatus& r) { return r.port || r.address.empty(); });
  std::vector<std::string> head = {"  REPLICA", "STATE",    "PID",       ports ? "PORT" : "ADDRESS",
                                   "UP FOR",    "RESTARTS", "IN FLIGHT", "REQUESTS",
                                   "ERRORS",    "P50",      "P99"};
  for (std::string& cell : head) cell = style.paint(Colour::kDim, cell);
  table.row(std::move(head));
  for (const ReplicaStatus& replica : status.replicas) {
    table.row(replica_row(replica, style));
    if (!replica.held_by.empty()) table.note("    stopped by " + printable(replica.held_by));
    if (!replica.drained_by.empty())
      table.note("    gets no new requests: drained by " + printable(replica.drained_by));
    if (replica.drained_by.empty() && (replica.weight != 100 || replica.weight_wished))
      table.note("    gets " + std::to_string(replica.weight) + " % of what a plain one gets" +
                 (replica.weight_wished ? ", as set by hand" : ""));
    if (!replica.note.empty() && replica.state != "ready")
      table.note("    " + style.paint(look_of(replica.state).colour, printable(replica.note)));
  }
  return table;
}

std::string words_of(const PastEvent& past) {
  if (past.event.kind != plane::EventKind{}) return plane::describe(past.event, past.replica);
  return printable(joined({past.replica, past.kind, past.event.text}, " "));
}

std::string last_events(const ServiceStatus& status, const Style& style) {
  TextTable table({true, false});
  const std::size_t shown = std::min(status.events.size(), kEventsShown);
  for (auto past = status.events.end() - static_cast<std::ptrdiff_t>(shown); past != status.events.end(); ++past) {
    const std::string when = past->at ? ago(*past->at, style.now) : kNothing;
    table.row({style.paint(Colour::kDim, when), style.paint(colour_of(mood_of(past->event)), words_of(*past))});
  }
  return table.text();
}

}  // namespace

std::string render_status(const ServiceStatus& status, const Style& style) {
  std::string out = headline(status, style) + surroundings(status, style) + "\n" + totals(status, style) + "\n";
  out += replica_table(status, style).text();
  const std::string events = last_events(status, style);
  return events.empty() ? out : out + "\n" + events;
}

std::string render_processes(const ServiceStatus& status, const Style& style) {
  TextTable table = replica_table(status, style);
  const auto add = [&](const char* name, std::optional<std::uint64_t> pid) {
    const Look look = look_of(pid ? "running" : "waiting");
    table.row({style.paint(look.colour, look.symbol) + " " + name,
               style.paint(look.colour, pid ? "running" : "not running"), number_or_nothing(pid)});
  };
  add("anchor", status.anchor_pid);
  add("supervisor", status.supervisor_pid);
  add("gateway", status.gateway_pid);
  add("keeper", status.keeper_pid);
  return table.text();
}

}  // namespace nines::cli
