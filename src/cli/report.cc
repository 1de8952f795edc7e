#include "cli/report.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cmath>
#include <map>

#include "availability/budget.h"
#include "cli/agreement.h"
#include "cli/terminal.h"
#include "cli/timezone.h"
#include "plane/histogram.h"

namespace nines::cli {
namespace {

namespace json = boost::json;
using availability::Availability;

constexpr double kConfidence = 0.90;

std::string percent(Availability a) { return availability::format_percent(a) + " %"; }

std::string plural(std::uint64_t n, const std::string& one, const std::string& many) {
  return with_commas(n) + " " + (n == 1 ? one : many);
}

std::optional<Availability> of_requests(const ledger::Report& report) {
  const auto bad = availability::bad_share(report.requests);
  return bad ? std::optional(Availability::of_unavailability(*bad)) : std::nullopt;
}

std::optional<Duration> latency_quantile(const ledger::Report& report, double fraction) {
  plane::LatencyCounts counts{};
  for (const auto& [bucket, count] : report.sum.latency)
    if (bucket < counts.size()) counts[bucket] += count;
  return plane::quantile(counts, fraction);
}

constexpr std::array<std::pair<const char*, double>, 5> kQuantiles = {
    {{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}, {"p99.9", 0.999}}};

Figure time_figure(const ledger::Report& report) {
  if (!report.contractual || !report.contractual->observed)
    return {"availability", "unknown", "nothing is known of this time"};
  const auto& time = *report.contractual;
  const auto nines = availability::format_nines(*time.observed);
  const bool nothing = time.coverage >= 1 && report.requests.bad == 0;
  std::string note = nines     ? *nines + " nines"
                     : nothing ? "no outage was seen"
                               : "no second is known in which all failed";
  if (time.coverage < 1) {
    note += "; known " + availability::format_percent(Availability::of_unavailability(1 - time.coverage)) +
            " % of the time: at worst " + percent(time.low) + ", at best " + percent(time.high);
  }
  return {"availability", percent(*time.observed), note};
}

Figure request_figure(const ledger::Report& report) {
  const auto& counts = report.requests;
  const auto share = of_requests(report);
  if (!share) return {"by requests", "–", "there were none that count"};
  std::string note = plural(counts.bad, "request", "requests") + " of " + with_commas(counts.valid()) + " failed";
  if (counts.excluded > 0) note += "; " + with_commas(counts.excluded) + " say nothing about the service";
  if (counts.aborted > 0) note += "; " + plural(counts.aborted, "client", "clients") + " left";
  return {"by requests", percent(*share), note};
}

std::string width_text(Duration width) {
  return width == 1h ? "worst hour" : width == 24h ? "worst day" : "worst week";
}

// The other views of the same time, and those that the record has not.
void add_views(std::vector<Figure>& figures, const ledger::Report& report, const availability::Zone& zone) {
  figures.push_back({"by users", "not recorded", "the record does not tell one user from another"});
  for (const ledger::Worst& worst : report.worst) {
    if (!worst.window) continue;
    figures.push_back({width_text(worst.width), percent(worst.window->availability),
                       "by time, from " + local_text(worst.window->at.begin, zone) + ", seen to " +
                           format_duration(worst.resolution)});
  }
  figures.push_back({"worst, by users", "not recorded", "it needs what each user saw"});
}

void add_downtime(std::vector<Figure>& figures, const ledger::Report& report, const ReportFacts& facts) {
  const availability::ObservedTime time = availability::contractual(report.account);
  Figure down{"downtime", format_duration(time.down), ""};
  if (facts.objective) {
    const Duration allowed = availability::allowed_downtime(*facts.objective, report.asked.length());
    const double spent = availability::budget_spent(*facts.objective, time.down, report.asked.length());
    std::array<char, 32> share{};
    std::snprintf(share.data(), share.size(), "%.1f", std::ceil(spent * 1000) / 10);
    down.note = std::string(share.data()) + " % of the " + format_duration(allowed) + " that " + facts.objective_text +
                " allows in " + facts.period;
  }
  figures.push_back(down);
  if (time.degraded > 0s)
    figures.push_back({"degraded", format_duration(time.degraded), "some requests failed, others did not"});
  if (time.unknown > 0s)
    figures.push_back({"unknown", format_duration(time.unknown), "nobody watched: `nines explain` will say when"});
  if (const Duration maintenance = report.account.maintenance.total(); maintenance > 0s) {
    figures.push_back({"maintenance", format_duration(maintenance),
                       report.raw && report.raw->observed
                           ? "declared; with it the availability is " + percent(*report.raw->observed)
                           : "declared"});
  }
}

// What the record itself is not: time before it, and what was lost of it.
void add_gaps(std::vector<Figure>& figures, const ledger::Report& report, const availability::Zone& zone) {
  if (report.record_begins)
    figures.push_back({"no record", format_duration(report.before_record()),
                       "the record begins at " + local_text(*report.record_begins, zone) +
                           "; what was before is unknown, and counted so"});
  for (const ledger::Row& row : report.set_aside)
    figures.push_back({"record lost", "set aside",
                       "at " + local_text(row.event.when.wall, zone) + ", since it was damaged: " + row.event.text});
  if (report.events_lost > 0)
    figures.push_back({"events lost", with_commas(report.events_lost),
                       "what they said is unknown: incidents, or their causes, may be missing"});
}

void add_repairs(std::vector<Figure>& figures, const ledger::Report& report) {
  const auto& operation = report.operation;
  if (operation.failures == 0) {
    if (operation.up > 0s)
      figures.push_back({"failures", "0",
                         "MTTF at least " + format_duration(availability::mttf_at_least(operation, 0.95)) + " (95 %)"});
    return;
  }
  const auto repair = availability::repair_figures(operation);
  const auto interval = availability::mttf_interval(operation, kConfidence);
  std::string note = "MTTF " + format_duration(repair->mttf) + " (90 %: " + format_duration(interval.low) + " to " +
                     (interval.high ? format_duration(*interval.high) : "?") + "), MTTR " +
                     format_duration(repair->mttr) + ", MTBF " + format_duration(repair->mtbf);
  if (const auto& detect = report.time_to_detect)
    note += ", MTTD " + format_duration(detect->least) + " to " + format_duration(detect->most);
  figures.push_back({"failures", with_commas(operation.failures), note});
}

std::string users_text(const ledger::Incident& incident) {
  if (!incident.of_service()) return "no user noticed";
  if (!incident.ended) return "how many requests failed is not known yet";
  const std::string at_least = incident.counted_in_part ? "at least " : "";
  return incident.failed_requests > 0 ? at_least + plural(incident.failed_requests, "request", "requests") + " failed"
         : incident.counted_in_part   ? "how many requests failed is not known"
                                      : "no request came";
}

std::string what_text(const ledger::Incident& incident) {
  const std::string length =
      incident.ended ? format_duration(std::max<Duration>(*incident.ended - incident.first_bad, 0s)) : "";
  const std::string who = incident.of_service() ? std::string(name_of(incident.severity)) : incident.target;
  return who + (incident.ended ? " for " + length : ", and still is");
}

std::string why_text(const ledger::Incident& incident) {
  std::string text = std::string(name_of(incident.cause)) + ": " + incident.evidence + "; " + users_text(incident);
  if (incident.part_of) text += "; part of incident " + std::to_string(*incident.part_of);
  for (const std::uint64_t part : incident.parts) text += "; includes incident " + std::to_string(part);
  if (incident.acknowledged) text += "; acknowledged by " + incident.acknowledged->text;
  return text;
}

std::string recorded_text(const availability::ObservedTime& time) {
  std::string text;
  for (const auto& [length, what] :
       {std::pair{time.up, "up"}, {time.degraded, "degraded"}, {time.down, "down"}, {time.unknown, "unknown"}})
    if (length > 0s) text += (text.empty() ? "" : ", ") + std::string(what) + " " + format_duration(length);
  return text.empty() ? "nothing" : text;
}

// Beside what was measured, and never in its place.
Part corrections_part(const ledger::Report& report, const availability::Zone& zone) {
  Part part{.title = "Corrections; every other figure is as measured", .figures = {}};
  for (const ledger::Corrected& one : report.corrections) {
    const WallTime from{std::chrono::seconds(one.by.from)}, to{std::chrono::seconds(one.by.to)};
    part.figures.push_back(
        {local_text(from, zone) + " to " + local_text(to, zone),
         "as " + std::string(ledger::Corrections::word_of(one.by.as)),
         "measured: " + recorded_text(one.recorded) + "; " + one.by.text + ", " + local_text(one.by.said, zone)});
  }
  if (report.corrected)
    part.figures.push_back({"with them", percent(*report.corrected), "the availability that was observed"});
  return part;
}

Document document_of(const ledger::Report& report, const ReportFacts& facts) {
  Document document;
  document.title = facts.service + ", " + facts.period;
  document.subtitle = local_text(report.window.begin, facts.zone) + " to " + local_text(report.window.end, facts.zone) +
                      ", " + facts.zone.name();
  std::vector<Figure> figures;
  Part incidents{.title = "Incidents", .figures = {}};
  figures.push_back(time_figure(report));
  figures.push_back(request_figure(report));
  add_views(figures, report, facts.zone);
  add_downtime(figures, report, facts);
  add_gaps(figures, report, facts.zone);
  add_repairs(figures, report);
  std::string latency;
  for (const auto& [name, fraction] : kQuantiles)
    if (const auto value = latency_quantile(report, fraction))
      latency += (latency.empty() ? "" : ", ") + std::string(name) + " " + format_duration(*value);
  if (!latency.empty()) figures.push_back({"latency", latency.substr(0, latency.find(',')), latency});
  std::map<std::string_view, std::size_t> causes;
  std::size_t unnoticed = 0;
  for (const ledger::Incident& incident : report.incidents) {
    if (!incident.of_service()) {
      ++unnoticed;
    } else {
      ++causes[name_of(incident.cause)];
    }
    incidents.figures.push_back({local_text(incident.first_bad, facts.zone), what_text(incident), why_text(incident)});
  }
  std::string by_cause;
  for (const auto& [cause, count] : causes)
    by_cause += (by_cause.empty() ? "" : ", ") + std::string(cause) + " " + std::to_string(count);
  const std::size_t noticed = report.incidents.size() - unnoticed;
  figures.push_back({"incidents", with_commas(noticed),
                     (by_cause.empty() ? "" : "by cause: " + by_cause + "; ") + with_commas(unnoticed) +
                         " more that no user noticed"});
  document.parts.push_back({.title = "", .figures = std::move(figures)});
  document.parts.push_back(corrections_part(report, facts.zone));
  if (facts.sla) document.parts.push_back(settlement_part(Promise(*facts.sla), report, facts.is_month));
  if (facts.costs) {
    document.parts.push_back(cost_part(*facts.costs, report));
    document.parts.push_back(published_part());
  }
  document.parts.push_back(std::move(incidents));
  if (!facts.objective) {
    document.verdict = "no objective is set (`objective: 99.9%`)";
  } else if (const auto verdict = verdict_of(report, *facts.objective); !verdict) {
    document.verdict =
        "nothing is known, so nobody can say whether the objective of " + facts.objective_text + " is met";
  } else {
    const bool over = report.window.end >= report.asked.end;
    document.verdict = "the objective of " + facts.objective_text +
                       (*verdict == ledger::Verdict::kMissed ? " is missed"
                        : *verdict == ledger::Verdict::kMet  ? " is met"
                        : over                               ? " is met, as far as is known"
                                                             : " is met so far");
  }
  return document;
}

double seconds(Duration d) { return static_cast<double>(d.count()) / 1e9; }

json::value fraction(const std::optional<Availability>& a) {
  return a ? json::value(a->fraction()) : json::value(nullptr);
}

json::object object_of(const ledger::Incident::Remark& remark) {
  return {{"row", remark.seq}, {"at", format_rfc3339(remark.at)}, {"text", remark.text}};
}

json::array corrections_json(const ledger::Report& report) {
  json::array all;
  for (const ledger::Corrected& one : report.corrections)
    all.push_back(json::object{{"row", one.by.seq},
                               {"from", format_rfc3339(WallTime(std::chrono::seconds(one.by.from)))},
                               {"to", format_rfc3339(WallTime(std::chrono::seconds(one.by.to)))},
                               {"as", ledger::Corrections::word_of(one.by.as)},
                               {"text", one.by.text},
                               {"said", format_rfc3339(one.by.said)},
                               {"measured_s",
                                {{"up", seconds(one.recorded.up)},
                                 {"degraded", seconds(one.recorded.degraded)},
                                 {"down", seconds(one.recorded.down)},
                                 {"unknown", seconds(one.recorded.unknown)}}}});
  return all;
}

json::object object_of(const ledger::Incident& incident) {
  json::array notes, parts;
  for (const auto& note : incident.notes) notes.push_back(object_of(note));
  for (const std::uint64_t part : incident.parts) parts.emplace_back(part);
  json::array replicas, rows;
  for (const std::string& name : incident.replicas) replicas.emplace_back(name);
  for (const std::uint64_t row : incident.rows) rows.emplace_back(row);
  return {
      {"id", incident.id},
      {"target", incident.of_service() ? json::value(nullptr) : json::value(incident.target)},
      {"severity", name_of(incident.severity)},
      {"cause", name_of(incident.cause)},
      {"evidence", incident.evidence},
      {"last_good", format_rfc3339(incident.last_good)},
      {"first_bad", format_rfc3339(incident.first_bad)},
      {"detected", format_rfc3339(incident.detected)},
      {"ended", incident.ended ? json::value(format_rfc3339(*incident.ended)) : json::value(nullptr)},
      {"failed_requests", incident.failed_requests},
      {"failed_requests_at_least", incident.counted_in_part},
      {"acknowledged", incident.acknowledged ? json::value(object_of(*incident.acknowledged)) : json::value(nullptr)},
      {"notes", std::move(notes)},
      {"part_of", incident.part_of ? json::value(*incident.part_of) : json::value(nullptr)},
      {"parts", std::move(parts)},
      {"replicas", std::move(replicas)},
      {"rows", std::move(rows)}};
}

std::string json_text(const ledger::Report& report, const ReportFacts& facts) {
  const availability::ObservedTime time = availability::contractual(report.account);
  const auto observed = report.contractual ? report.contractual->observed : std::nullopt;
  json::object latency;
  for (const auto& [name, share] : kQuantiles) {
    const auto value = latency_quantile(report, share);
    latency[name] = value ? json::value(static_cast<double>(value->count()) / 1e6) : json::value(nullptr);
  }
  json::array incidents;
  for (const ledger::Incident& incident : report.incidents) incidents.push_back(object_of(incident));
  json::object repairs{{"failures", report.operation.failures}};
  if (const auto figures = availability::repair_figures(report.operation)) {
    const auto interval = availability::mttf_interval(report.operation, kConfidence);
    repairs["mttf_s"] = seconds(figures->mttf);
    repairs["mttr_s"] = seconds(figures->mttr);
    repairs["mtbf_s"] = seconds(figures->mtbf);
    repairs["mttf_interval_s"] =
        json::array{seconds(interval.low), interval.high ? json::value(seconds(*interval.high)) : json::value(nullptr)};
  }
  if (const auto& detect = report.time_to_detect)
    repairs["mttd_s"] = json::array{seconds(detect->least), seconds(detect->most)};
  json::array windows;
  for (const ledger::Worst& worst : report.worst) {
    json::object window{{"width_s", seconds(worst.width)}, {"availability", nullptr}};
    if (worst.window) {
      window["availability"] = worst.window->availability.fraction();
      window["from"] = format_rfc3339(worst.window->at.begin);
      window["to"] = format_rfc3339(worst.window->at.end);
      window["resolution_s"] = seconds(worst.resolution);
    }
    windows.push_back(std::move(window));
  }
  json::value objective = nullptr;
  if (facts.objective) {
    const auto verdict = verdict_of(report, *facts.objective);
    objective = json::object{
        {"availability", facts.objective->availability().fraction()},
        {"allowed_downtime_s", seconds(availability::allowed_downtime(*facts.objective, report.asked.length()))},
        {"budget_spent", availability::budget_spent(*facts.objective, time.down, report.asked.length())},
        {"verdict", !verdict                               ? json::value(nullptr)
                    : *verdict == ledger::Verdict::kMissed ? json::value("missed")
                    : *verdict == ledger::Verdict::kMet    ? json::value("met")
                                                           : json::value("met_as_far_as_known")}};
  }
  json::array set_aside;
  for (const ledger::Row& row : report.set_aside)
    set_aside.push_back(json::object{{"at", format_rfc3339(row.event.when.wall)}, {"text", row.event.text}});
  const json::object all{
      {"service", facts.service},
      {"period", facts.period},
      {"timezone", facts.zone.name()},
      {"from", format_rfc3339(report.window.begin)},
      {"to", format_rfc3339(report.window.end)},
      {"covered", json::array{format_rfc3339(report.covered.begin), format_rfc3339(report.covered.end)}},
      {"availability", fraction(observed)},
      {"availability_low", report.contractual ? json::value(report.contractual->low.fraction()) : json::value(nullptr)},
      {"availability_high",
       report.contractual ? json::value(report.contractual->high.fraction()) : json::value(nullptr)},
      {"availability_raw", fraction(report.raw ? report.raw->observed : std::nullopt)},
      {"availability_corrected", fraction(report.corrected)},
      {"corrections", corrections_json(report)},
      {"coverage", report.contractual ? report.contractual->coverage : 0.0},
      {"nines",
       observed && observed->unavailability() > 0 ? json::value(availability::nines(*observed)) : json::value(nullptr)},
      {"availability_by_requests", fraction(of_requests(report))},
      {"user_uptime", nullptr},  // the record does not tell users apart
      {"windowed_user_uptime", nullptr},
      {"worst_windows", std::move(windows)},
      {"record",
       {{"begins", report.record_begins ? json::value(format_rfc3339(*report.record_begins)) : json::value(nullptr)},
        {"before_s", seconds(report.before_record())},
        {"set_aside", std::move(set_aside)},
        {"events_lost", report.events_lost}}},
      {"requests",
       {{"good", report.requests.good},
        {"bad", report.requests.bad},
        {"excluded", report.requests.excluded},
        {"aborted", report.requests.aborted}}},
      {"seconds",
       {{"up", seconds(time.up)},
        {"degraded", seconds(time.degraded)},
        {"down", seconds(time.down)},
        {"unknown", seconds(time.unknown)},
        {"maintenance", seconds(report.account.maintenance.total())}}},
      {"repairs", std::move(repairs)},
      {"latency_ms", std::move(latency)},
      {"sla", facts.sla ? settlement_json(Promise(*facts.sla), report, facts.is_month) : json::value(nullptr)},
      {"cost", facts.costs ? cost_json(*facts.costs, report) : json::value(nullptr)},
      {"objective", std::move(objective)},
      {"incidents", std::move(incidents)}};
  return json::serialize(all) + "\n";
}

}  // namespace

std::string json_of(const ledger::Incident& incident) { return json::serialize(object_of(incident)); }

std::string describe(const ledger::Incident& incident) { return what_text(incident) + ", " + why_text(incident); }

std::string describe(const ledger::Corrected& corrected) {
  return "corrected, row " + std::to_string(corrected.by.seq) + ": " + format_duration(corrected.corrected.total()) +
         " as " + std::string(ledger::Corrections::word_of(corrected.by.as)) + ": " + corrected.by.text;
}

std::optional<ReportFormat> parse_report_format(std::string_view text) {
  if (text == "text") return ReportFormat::kText;
  if (text == "json") return ReportFormat::kJson;
  if (text == "csv") return ReportFormat::kCsv;
  if (text == "html") return ReportFormat::kHtml;
  if (text == "md") return ReportFormat::kMarkdown;
  return std::nullopt;
}

std::string render(const ledger::Report& report, const ReportFacts& facts, ReportFormat format) {
  if (format == ReportFormat::kJson) return json_text(report, facts);
  return render(document_of(report, facts), format);
}

}  // namespace nines::cli
