#include "web/page.h"

#include <cstdio>
#include <initializer_list>

#include "web/text.h"

namespace nines::web {
namespace {

constexpr std::string_view kNothing = "–";

constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#57606a;--paper:#fff;--line:#d0d7de;--head:#f6f8fa;
--good:#116329;--warning:#7d4e00;--bad:#a40e26}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9da7b3;--paper:#0d1117;--line:#30363d;--head:#161b22;
--good:#7ee787;--warning:#f2cc60;--bad:#ffa198}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:76rem;background:var(--paper);color:var(--ink);
font:1rem/1.45 system-ui,sans-serif}
h1{margin:0;font-size:1.5rem;overflow-wrap:anywhere}
h2{margin:1.8rem 0 .4rem;font-size:1.05rem}
p,ul{margin:.3rem 0}
ul{padding-left:1.2rem}
.state{font-size:1.25rem;font-weight:600}
.dim,footer{color:var(--dim);overflow-wrap:anywhere}
.good{color:var(--good)}.warning{color:var(--warning)}.bad{color:var(--bad)}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:6px}
.wide:focus-visible{outline:2px solid var(--good)}
table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line);white-space:nowrap}
tbody tr:last-child>*{border-bottom:0}
thead th{background:var(--head);color:var(--dim);font-size:.85rem;font-weight:600}
tbody th{font-weight:600}
tbody th:has(time){font-weight:400}
.n{text-align:right;font-variant-numeric:tabular-nums}
.text{white-space:normal;width:100%;min-width:min(16rem,50vw);overflow-wrap:anywhere}
.note{display:block;white-space:normal;min-width:12rem;max-width:24rem;color:var(--dim);font-size:.9rem;
overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(11.5rem,1fr));gap:.6rem;margin:0}
dl div{padding:.4rem .7rem;border:1px solid var(--line);border-radius:6px}
dt{color:var(--dim);font-size:.85rem}
dd{margin:0;font-weight:600;font-variant-numeric:tabular-nums}
footer{margin-top:2rem;font-size:.9rem}
a{color:inherit}
)";

// A symbol that says what the colour says.
struct Look {
  std::string_view colour, symbol;
};

Look look_of(ServiceState state) {
  switch (state) {
    case ServiceState::kUp: return {"good", "●"};
    case ServiceState::kDegraded: return {"warning", "◑"};
    case ServiceState::kDown: break;
  }
  return {"bad", "✗"};
}

Look look_of(const ReplicaView& replica) {
  if (replica.takes_requests) return {"good", "●"};
  if (replica.held) return {"dim", "○"};
  if (replica.state == "unready" || replica.state == "waiting" || replica.state == "unknown") return {"bad", "✗"};
  return {"warning", "◔"};
}

Look look_of(PartState state) {
  if (state == PartState::kRunning) return {"good", "●"};
  return state == PartState::kUnknown ? Look{"warning", "?"} : Look{"bad", "✗"};
}

Look look_of(plane::Mood mood) {
  switch (mood) {
    case plane::Mood::kNeutral: return {"", "·"};
    case plane::Mood::kGood: return {"good", "●"};
    case plane::Mood::kWarning: return {"warning", "!"};
    case plane::Mood::kBad: return {"bad", "✗"};
  }
  return {"", "·"};
}

// `code` in a sentence of ours, as HTML.
std::string with_code(std::string_view text) {
  std::string out;
  bool open = false;
  for (const char c : escaped(text)) {
    if (c != '`') {
      out += c;
      continue;
    }
    out += open ? "</code>" : "<code>";
    open = !open;
  }
  return open ? out + "</code>" : out;
}

std::string painted(Look look, std::string_view text) {
  return "<span class=\"" + std::string(look.colour) + "\"><span aria-hidden=\"true\">" + std::string(look.symbol) +
         "</span> " + with_code(text) + "</span>";
}

// "2026-11-23 18:37:25 UTC", and for machines the exact one.
std::string time_text(WallTime t) {
  const std::string exact = format_rfc3339(t);
  return "<time datetime=\"" + exact + "\">" + exact.substr(0, 10) + " " + exact.substr(11, 8) + " UTC</time>";
}

// In a table that says UTC: "18:37:25", before today "2026-11-22 18:37:25".
std::string short_time(WallTime taken, WallTime t) {
  const std::string exact = format_rfc3339(t);
  const bool today = format_rfc3339(taken).starts_with(exact.substr(0, 10));
  return "<time datetime=\"" + exact + "\">" + (today ? "" : exact.substr(0, 10) + " ") + exact.substr(11, 8) +
         "</time>";
}

std::string age(WallTime taken, WallTime t) { return format_duration(std::max(Duration(0), taken - t)); }

std::string time_and_age(WallTime taken, const std::optional<WallTime>& t) {
  return t ? time_text(*t) + " (" + age(taken, *t) + ")" : std::string("unknown");
}

std::string short_time_and_age(WallTime taken, const std::optional<WallTime>& t) {
  return t ? short_time(taken, *t) + " (" + age(taken, *t) + ")" : std::string("unknown");
}

std::string number_or_nothing(const auto& number) { return number ? std::to_string(*number) : std::string(kNothing); }

std::string duration_or_nothing(const std::optional<Duration>& d) {
  return d ? format_duration(*d) : std::string(kNothing);
}

// "1 event", "2,000 events".
std::string events_text(std::uint64_t count) { return with_commas(count) + (count == 1 ? " event" : " events"); }

// "12 (0.0010 %)": a count of errors says little without what it is a share of.
std::string errors_text(std::uint64_t errors, std::uint64_t requests) {
  std::string text = with_commas(errors);
  if (errors == 0 || requests == 0) return text;
  char share[32];
  std::snprintf(share, sizeof share, " (%.2g %%)", 100.0 * static_cast<double>(errors) / static_cast<double>(requests));
  return text + (errors >= requests ? " (all)" : share);
}

std::string objective_text(double objective) {
  char text[48];
  std::snprintf(text, sizeof text, "objective %.10g %%", objective * 100);
  return text;
}

// A table with a heading: cells are HTML already.
class TableWriter {
 public:
  enum class Kind : std::uint8_t { kText, kNumber, kSentence };
  struct Column {
    std::string_view title;
    Kind kind = Kind::kText;
  };

  TableWriter(std::string& out, std::string_view id, std::string_view title, std::vector<Column> columns)
      : out_(out), columns_(std::move(columns)) {
    const std::string name(id);
    out_ += "<h2 id=\"" + name + "\">" + std::string(title) +
            "</h2>\n<div class=\"wide\" role=\"region\" aria-labelledby=\"" + name +
            "\" tabindex=\"0\"><table aria-labelledby=\"" + name + "\">\n<thead><tr>";
    for (const Column& column : columns_)
      out_ += "<th scope=\"col\"" + css(column) + ">" + std::string(column.title) + "</th>";
    out_ += "</tr></thead>\n<tbody>\n";
  }
  ~TableWriter() { out_ += "</tbody></table></div>\n"; }
  TableWriter(const TableWriter&) = delete;
  TableWriter& operator=(const TableWriter&) = delete;

  // The first cell names the row.
  void row(std::initializer_list<std::string> cells) {
    out_ += "<tr>";
    std::size_t i = 0;
    for (const std::string& cell : cells) {
      const Column& column = columns_[i];
      out_ += i == 0 ? "<th scope=\"row\"" + css(column) + ">" + cell + "</th>"
                     : "<td" + css(column) + ">" + cell + "</td>";
      ++i;
    }
    out_ += "</tr>\n";
  }

 private:
  static std::string css(const Column& column) {
    switch (column.kind) {
      case Kind::kText: return "";
      case Kind::kNumber: return " class=\"n\"";
      case Kind::kSentence: return " class=\"text\"";
    }
    return "";
  }

  std::string& out_;
  std::vector<Column> columns_;
};
using Kind = TableWriter::Kind;

void write_head(std::string& out, const View& view, PageOptions options) {
  out +=
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  if (options.refreshes) out += "<meta http-equiv=\"refresh\" content=\"2\">\n";
  out += "<title>" + escaped(view.service.name) + ": " + std::string(name_of(view.service.state)) +
         " – nines</title>\n<style>";
  out += kStyle;
  out += "</style>\n</head>\n";
}

void write_service(std::string& out, const View& view) {
  const ServiceView& service = view.service;
  const Look look = look_of(service.state);
  out += "<header>\n<h1>" + escaped(service.name) + "</h1>\n<p class=\"state\">" +
         painted(look, name_of(service.state)) + " <span class=\"dim\">since " +
         time_and_age(view.taken, service.since) + "</span></p>\n<p>" + std::to_string(service.taking_requests) +
         " of " + std::to_string(view.replicas.size()) + " replicas take requests";
  if (service.stopped > 0) out += ", " + std::to_string(service.stopped) + " stopped by a person";
  out += "</p>\n";
  if (!service.lacking.empty()) {
    out += "<ul class=\"" + std::string(look.colour) + "\">\n";
    for (const std::string& sentence : service.lacking) out += "<li>" + with_code(sentence) + "</li>\n";
    out += "</ul>\n";
  }
  out += "<p class=\"dim\">";
  for (const std::string& url : service.listen) out += escaped(url) + " · ";
  if (service.objective) out += objective_text(*service.objective) + " · ";
  out += escaped(service.folder) + "</p>\n</header>\n";
}

void write_replicas(std::string& out, const View& view) {
  TableWriter table(out, "replicas", "Replicas",
                    {{"Name"},
                     {"State"},
                     {"PID", Kind::kNumber},
                     {"At", Kind::kNumber},
                     {"In flight", Kind::kNumber},
                     {"Requests", Kind::kNumber},
                     {"Errors", Kind::kNumber},
                     {"p50", Kind::kNumber},
                     {"p99", Kind::kNumber},
                     {"Restarts", Kind::kNumber},
                     {"Since (UTC)"}});
  for (const ReplicaView& replica : view.replicas) {
    std::string state = painted(look_of(replica), replica.state);
    if (!replica.note.empty()) state += "<span class=\"note\">" + with_code(replica.note) + "</span>";
    table.row({escaped(replica.name), state, number_or_nothing(replica.pid),
               replica.at.empty() ? std::string(kNothing) : escaped(replica.at), with_commas(replica.in_flight),
               with_commas(replica.requests), errors_text(replica.errors, replica.requests),
               duration_or_nothing(replica.latency.p50), duration_or_nothing(replica.latency.p99),
               replica.known ? with_commas(replica.restarts) : std::string(kNothing),
               short_time_and_age(view.taken, replica.since)});
  }
}

void write_gateway(std::string& out, const View& view) {
  const GatewayView& gateway = view.gateway;
  const std::pair<std::string_view, std::string> items[] = {
      {"Requests", with_commas(gateway.requests)},
      {"Errors", errors_text(gateway.errors, gateway.requests)},
      {"Latency p50", duration_or_nothing(gateway.latency.p50)},
      {"Latency p99", duration_or_nothing(gateway.latency.p99)},
      {"Sent again elsewhere", with_commas(gateway.replayed)},
      {"Found nobody ready", with_commas(gateway.unroutable)},
      {"Client left early", with_commas(gateway.abandoned)},
      {"Refused as invalid", with_commas(gateway.client_errors)},
      {"Connections open", with_commas(gateway.connections)},
      {"Connections refused", with_commas(gateway.connections_refused)}};
  out += "<h2>Gateway</h2>\n<dl>\n";
  for (const auto& [name, value] : items)
    out += "<div><dt>" + std::string(name) + "</dt><dd>" + value + "</dd></div>\n";
  out += "</dl>\n";
}

void write_parts(std::string& out, const View& view) {
  TableWriter table(out, "parts", "nines’ own parts",
                    {{"Part"}, {"State"}, {"PID", Kind::kNumber}, {"Since (UTC)"}, {"Times started", Kind::kNumber}});
  for (const PartView& part : view.parts) {
    table.row({std::string(part.name), painted(look_of(part.state), name_of(part.state)), number_or_nothing(part.pid),
               short_time_and_age(view.taken, part.since), number_or_nothing(part.starts)});
  }
}

void write_events(std::string& out, const View& view) {
  {
    TableWriter table(out, "events", "Last events", {{"When (UTC)"}, {"What", Kind::kSentence}});
    std::uint64_t before = 0;
    for (const EventView& event : view.log.last) {
      if (before != 0 && before - event.number > 1)
        table.row({"", events_text(before - event.number - 1) + " here cannot be read"});
      before = event.number;
      table.row({event.at ? short_time(view.taken, *event.at) : "unknown", painted(look_of(event.mood), event.words)});
    }
    if (view.log.last.empty()) table.row({"", "Nothing yet."});
  }
  if (view.log.lost > 0)
    out += "<p class=\"bad\">" + events_text(view.log.lost) +
           " overwritten before anybody recorded them: what they said is unknown.</p>\n";
  if (!view.ledger) return;
  out +=
      "<p class=\"dim\">Ledger: " + (view.ledger->rows ? with_commas(*view.ledger->rows) + " rows, " : std::string()) +
      events_text(view.log.waiting) + " waiting to be recorded.</p>\n";
  if (!view.ledger->problem.empty())
    out += "<p class=\"bad\">✗ Events cannot be recorded: " + escaped(view.ledger->problem) + "</p>\n";
}

std::string verified_text(Verified verified) {
  switch (verified) {
    case Verified::kNotYet: return painted({"dim", "○"}, "not yet");
    case Verified::kYes: return painted({"good", "●"}, "yes");
    case Verified::kNo: break;
  }
  return painted({"bad", "✗"}, "no: it cannot be restored");
}

void write_backups(std::string& out, const View& view) {
  if (view.backups.empty()) {
    out += "<h2>Last backups</h2>\n<p>";
    out += view.keeps_backups ? "None has been taken yet: <code>nines backup now</code> takes one.</p>\n"
                              : "None are configured: see <code>backups:</code> in the configuration.</p>\n";
    return;
  }
  TableWriter table(out, "backups", "Last backups",
                    {{"Archive", Kind::kSentence}, {"Taken (UTC)"}, {"Size", Kind::kNumber}, {"Verified"}});
  for (const Backup& backup : view.backups)
    table.row({escaped(backup.archive), short_time_and_age(view.taken, backup.at), format_bytes(backup.bytes),
               verified_text(backup.verified)});
}

void write_footer(std::string& out, const View& view, PageOptions options) {
  out += "<footer>nines " + escaped(view.service.version) + " · as of " + time_text(view.taken) + " · ";
  out +=
      options.refreshes ? "refreshes every 2 s, <a href=\"/?hold\">hold still</a>" : "<a href=\"/\">refresh again</a>";
  out += " · <a href=\"/metrics\">metrics</a></footer>\n";
}

}  // namespace

std::string page(const View& view, PageOptions options) {
  std::string out;
  out.reserve(std::size_t{16} * 1024);
  write_head(out, view, options);
  out += "<body>\n";
  write_service(out, view);
  out += "<main>\n";
  write_replicas(out, view);
  write_gateway(out, view);
  write_parts(out, view);
  write_events(out, view);
  write_backups(out, view);
  out += "</main>\n";
  write_footer(out, view, options);
  out += "</body>\n</html>\n";
  return out;
}

}  // namespace nines::web
