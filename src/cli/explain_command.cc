// nines explain: where the missing seconds went, and what the record has to say about them.
#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <iterator>

#include "cli/commands.h"
#include "cli/document.h"
#include "cli/record.h"
#include "cli/report.h"
#include "cli/terminal.h"
#include "ledger/explain.h"
#include "ledger/report.h"

namespace nines::cli {
namespace {

namespace json = boost::json;
using ledger::Incident;

std::int64_t unix_seconds(WallTime t) { return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count(); }
WallTime at(std::int64_t second) { return WallTime(std::chrono::seconds(second)); }

struct Evidence {
  ledger::Report report;
  std::vector<ledger::Missing> missing;
  ledger::Maintenance maintenance;
  std::vector<ledger::Row> gaps;  // what the keeper said about time that it did not see
  availability::Zone zone;

  std::string text_of(WallTime t) const { return local_text(t, zone); }
};

Result<Evidence> evidence_of(const Record& record) {
  const ledger::Reader& reader = record.reader;
  const availability::Interval& period = record.period.interval;
  auto report = ledger::report_of(reader, period, record.now);
  if (!report) return failure(std::move(report.error()));
  const std::int64_t from = unix_seconds(report->covered.begin), to = unix_seconds(report->covered.end);
  auto pieces = ledger::pieces_of(reader, from, to);
  if (!pieces) return failure(std::move(pieces.error()));
  auto maintenance = reader.maintenance();
  if (!maintenance) return failure(std::move(maintenance.error()));
  // What is before the record is a stretch of its own: it is unknown for another reason than what follows.
  const std::int64_t begins = report->record_begins ? std::clamp(unix_seconds(*report->record_begins), from, to) : from;
  auto missing = ledger::missing_in({}, from, begins);
  std::ranges::move(ledger::missing_in(*pieces, begins, to), std::back_inserter(missing));
  Evidence evidence{std::move(*report), std::move(missing), std::move(*maintenance), {}, record.zone};
  for (const char* const kind : {"not_measured", "clock_stepped", "host_down"}) {
    auto rows = reader.rows({.kind = kind, .limit = ledger::kRowsMax, .newest = true});
    if (!rows) return failure(std::move(rows.error()));
    for (ledger::Row& row : *rows)
      if (row.event.when.wall >= period.begin) evidence.gaps.push_back(std::move(row));
  }
  return evidence;
}

std::string seconds_text(const ledger::Missing& missing) {
  std::string text;
  const auto add = [&text](std::uint64_t seconds, const char* what) {
    if (seconds > 0)
      text += (text.empty() ? "" : ", ") + std::string(what) + " " +
              format_duration(std::chrono::seconds(static_cast<std::int64_t>(seconds)));
  };
  add(missing.down, "down");
  add(missing.degraded, "degraded");
  add(missing.unknown, "unknown");
  add(missing.maintenance, "maintenance");
  return text;
}

bool touches(const Incident& incident, const ledger::Missing& missing) {
  return incident.of_service() && unix_seconds(incident.first_bad) < missing.to &&
         (!incident.ended || unix_seconds(*incident.ended) > missing.from);
}

// Why these seconds are missing, one reason a line.
std::vector<std::string> reasons_of(const ledger::Missing& missing, const Evidence& evidence) {
  std::vector<std::string> reasons;
  if (missing.down + missing.degraded > 0) {
    for (const Incident& incident : evidence.report.incidents)
      if (touches(incident, missing))
        reasons.push_back("incident " + std::to_string(incident.id) + ", " + std::string(name_of(incident.cause)) +
                          ": " + incident.evidence);
  }
  for (const auto& window : evidence.maintenance.windows())
    if (missing.maintenance > 0 && window.from < missing.to && window.to > missing.from)
      reasons.push_back("declared: " + window.text);
  for (const ledger::Corrected& one : evidence.report.corrections)
    if (one.by.from < missing.to && one.by.to > missing.from) reasons.push_back(describe(one));
  if (missing.unknown == 0) return reasons;
  const std::size_t before = reasons.size();
  if (const auto begins = evidence.report.record_begins; begins && at(missing.from) < *begins) {
    reasons.push_back("the record begins at " + evidence.text_of(*begins));
    for (const ledger::Row& row : evidence.report.set_aside)
      reasons.push_back("row " + std::to_string(row.seq) + ", " + row.event.kind + ": " + row.event.text);
  }
  for (const ledger::Row& row : evidence.gaps) {
    // It is said when it is over.
    const std::int64_t said = unix_seconds(row.event.when.wall);
    if (said >= missing.from && said <= missing.to + 10)
      reasons.push_back("row " + std::to_string(row.seq) + ", " + row.event.kind +
                        (row.event.text.empty() ? "" : ": " + row.event.text));
  }
  if (reasons.size() == before)
    reasons.emplace_back("nothing was recorded: nobody measured, or it was too young to be judged");
  return reasons;
}

json::object object_of(const ledger::Missing& missing, const Evidence& evidence) {
  json::array reasons;
  for (const std::string& reason : reasons_of(missing, evidence)) reasons.emplace_back(reason);
  return {{"from", format_rfc3339(at(missing.from))},
          {"to", format_rfc3339(at(missing.to))},
          {"down_s", missing.down},
          {"degraded_s", missing.degraded},
          {"unknown_s", missing.unknown},
          {"maintenance_s", missing.maintenance},
          {"bad_requests", missing.bad},
          {"evidence", std::move(reasons)}};
}

int explain(const Evidence& evidence, const std::string& period, bool as_json) {
  const availability::ObservedTime& time = evidence.report.account.outside;
  if (as_json) {
    json::array all;
    for (const ledger::Missing& missing : evidence.missing) all.push_back(object_of(missing, evidence));
    return say({kDone, json::serialize(json::object{{"period", period},
                                                    {"from", format_rfc3339(evidence.report.covered.begin)},
                                                    {"to", format_rfc3339(evidence.report.covered.end)},
                                                    {"missing", std::move(all)}})});
  }
  if (evidence.missing.empty()) return say({kDone, "nothing is missing in " + period});
  for (const ledger::Missing& missing : evidence.missing) {
    std::printf("%s to %s  %s\n", evidence.text_of(at(missing.from)).c_str(), evidence.text_of(at(missing.to)).c_str(),
                seconds_text(missing).c_str());
    for (const std::string& reason : reasons_of(missing, evidence)) std::printf("    %s\n", one_line(reason).c_str());
  }
  std::printf("\nin all: down %s, degraded %s, unknown %s, of %s\n", format_duration(time.down).c_str(),
              format_duration(time.degraded).c_str(), format_duration(time.unknown).c_str(),
              format_duration(evidence.report.covered.length()).c_str());
  if (evidence.report.corrected)
    std::printf("as measured; with what was corrected the availability is %s %%\n",
                availability::format_percent(*evidence.report.corrected).c_str());
  return kDone;
}

}  // namespace

int perform(const GlobalOptions& global, const ExplainOptions& options) {
  const auto record = open_record(global, options.period);
  if (!record) return say(record.error());
  const auto evidence = evidence_of(*record);
  if (!evidence) return say(refuse(kNo, evidence.error().text()).error());
  return explain(*evidence, record->period.text, options.json);
}

}  // namespace nines::cli
