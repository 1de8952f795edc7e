#include "ledger/report.h"

#include <algorithm>

namespace nines::ledger {
namespace {

using availability::Interval;

std::int64_t floor_seconds(WallTime t) {
  return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
}
std::int64_t ceil_seconds(WallTime t) { return std::chrono::ceil<std::chrono::seconds>(t).time_since_epoch().count(); }
WallTime at(std::int64_t second) { return WallTime(std::chrono::seconds(second)); }
Duration seconds(std::uint64_t n) { return std::chrono::seconds(static_cast<std::int64_t>(n)); }

availability::Account account_of(const Total& total) {
  const Slice& sum = total.sum;
  availability::Account account{
      .outside = {.up = seconds(sum.up), .degraded = seconds(sum.degraded), .down = seconds(sum.down)},
      .maintenance = {.up = seconds(sum.maintenance_up),
                      .degraded = seconds(sum.maintenance_degraded),
                      .down = seconds(sum.maintenance_down)}};
  account.outside.unknown = std::max<Duration>(std::chrono::seconds(total.to - total.from) - account.total(), 0s);
  return account;
}

std::optional<availability::Bracket> mean_time_to_detect(const std::vector<Incident>& incidents) {
  std::vector<availability::Incident> noticed;
  for (const Incident& incident : incidents) {
    if (!incident.of_service()) continue;
    noticed.push_back({.last_good = incident.last_good, .first_bad = incident.first_bad});
    noticed.back().at(availability::Phase::kNoticed) = incident.detected;
  }
  return availability::mean_time_to(availability::Phase::kNoticed, noticed);
}

}  // namespace

Report report_of(Findings found) {
  const Slice& sum = found.total.sum;
  const Interval& window = found.window;
  Report report{.asked = found.asked,
                .window = window,
                .covered = {at(found.total.from), at(found.total.to)},
                .sum = sum,
                .requests = {.good = sum.good, .bad = sum.bad, .excluded = sum.excluded, .aborted = sum.aborted},
                .account = account_of(found.total),
                .contractual = {},
                .raw = {},
                .operation = {},
                .incidents = std::move(found.incidents),
                .record_begins = found.since > window.begin ? std::optional(found.since) : std::nullopt,
                .set_aside = std::move(found.set_aside)};
  report.contractual = availability::availability_of(availability::contractual(report.account));
  report.raw = availability::availability_of(availability::raw(report.account));
  report.operation = {.up = report.account.outside.up + report.account.outside.degraded,
                      .down = report.account.outside.down};
  std::erase_if(report.incidents, [&](const Incident& incident) {
    return incident.first_bad >= window.end || (incident.ended && *incident.ended < window.begin);
  });
  report.operation.failures = static_cast<std::uint64_t>(std::ranges::count_if(
      report.incidents, [&](const Incident& i) { return i.of_service() && i.severity == Incident::Severity::kDown; }));
  report.corrections = std::move(found.corrections);
  if (!report.corrections.empty()) {
    const auto account = corrected_account(report.account, report.corrections);
    if (const auto time = availability::availability_of(availability::contractual(account)))
      report.corrected = time->observed;
  }
  report.time_to_detect = mean_time_to_detect(report.incidents);
  for (const Duration width : kWindows) {
    Worst worst{.width = width, .window = availability::worst_window(found.course.timeline, width)};
    if (worst.window) worst.resolution = resolution_of(found.course, worst.window->at);
    report.worst.push_back(worst);
  }
  std::erase_if(report.set_aside, [&](const Row& row) { return row.event.when.wall < window.begin; });
  for (const Row& row : found.lost)
    if (window.contains(row.event.when.wall))
      report.events_lost += static_cast<std::uint64_t>(std::max<std::int64_t>(row.event.a, 0));
  return report;
}

namespace {

Result<std::vector<Corrected>> corrections_in(const Reader& reader, const Total& total) {
  const auto all = reader.corrections();
  if (!all) return failure(all.error());
  std::vector<Corrected> corrected;
  for (const Correction& correction : all->in(total.from, total.to)) {
    const auto there = reader.total(correction.from, correction.to);
    if (!there) return failure(there.error());
    corrected.push_back(apply(correction, account_of(*there)));
  }
  return corrected;
}

// In one state of the file.
Result<Report> read_report(const Reader& reader, const Interval& period, WallTime now) {
  const auto since = reader.measured_since();
  if (!since) return failure(since.error());
  if (!*since)
    return failure(Code::kNotFound, "nothing was measured yet; the first figures come after ten seconds of `nines up`");
  // The present ten seconds are not in the record yet, and those before it only a moment after they are over.
  constexpr std::int64_t kMoment = 2;
  const std::int64_t whole = start_of(Grain::kTenSeconds, floor_seconds(now) - kMoment);
  Findings found{.asked = period, .window = {period.begin, std::min(period.end, at(whole))}, .since = at(**since)};
  auto set_aside = reader.rows({.kind = kind::kSetAside, .limit = kRowsMax, .newest = true});
  if (!set_aside) return failure(std::move(set_aside.error()));
  found.set_aside = std::move(*set_aside);
  if (found.window.empty() || found.window.end <= found.since)
    return failure(
        Code::kNotFound,
        "nothing was measured between " + format_rfc3339(period.begin) + " and " + format_rfc3339(period.end) +
            "; the record begins at " + format_rfc3339(found.since) +
            (found.set_aside.empty() ? "" : "; a damaged one was set aside: " + found.set_aside.back().event.text));
  auto total = reader.total(floor_seconds(found.window.begin), ceil_seconds(found.window.end));
  if (!total) return failure(std::move(total.error()));
  found.total = std::move(*total);
  auto corrections = corrections_in(reader, found.total);
  if (!corrections) return failure(std::move(corrections.error()));
  found.corrections = std::move(*corrections);
  auto course = reader.course(found.total.from, found.total.to);
  if (!course) return failure(std::move(course.error()));
  found.course = std::move(*course);
  auto incidents = reader.incidents(found.window);
  if (!incidents) return failure(std::move(incidents.error()));
  found.incidents = std::move(*incidents);
  auto lost = reader.rows({.kind = kind::kEventsLost, .limit = kRowsMax, .newest = true});
  if (!lost) return failure(std::move(lost.error()));
  found.lost = std::move(*lost);
  return report_of(std::move(found));
}

}  // namespace

Result<Report> report_of(const Reader& reader, const Interval& period, WallTime now) {
  if (reader.is_held()) return read_report(reader, period, now);
  const auto held = reader.hold();
  return held ? read_report(reader, period, now) : failure(held.error());
}

std::optional<Verdict> verdict_of(const Report& report, const availability::Objective& objective) {
  const availability::ObservedTime time = availability::contractual(report.account);
  if (time.known() <= 0s) return std::nullopt;
  // Missed for good: whatever comes, the period has no more budget than that.
  if (report.window.end < report.asked.end) {
    const bool spent = time.down > availability::allowed_downtime(objective, report.asked.length());
    return spent ? Verdict::kMissed : Verdict::kMetSoFar;
  }
  const auto share = [](Duration bad, Duration all) { return availability::ratio(bad, all); };
  if (!objective.met_by(share(time.down, time.known()))) return Verdict::kMissed;
  return objective.met_by(share(time.down + time.unknown, time.total())) ? Verdict::kMet : Verdict::kMetSoFar;
}

}  // namespace nines::ledger
