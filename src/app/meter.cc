#include "app/meter.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace nines::app {

using availability::State;
using plane::EventKind;

namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;

std::int64_t unix_seconds(WallTime wall) {
  return std::chrono::floor<std::chrono::seconds>(wall).time_since_epoch().count();
}

std::int64_t slice_of(std::int64_t second) { return second - second % Meter::kSlice; }

std::string text_of(std::int64_t second) { return format_rfc3339(WallTime(std::chrono::seconds(second))); }

// Of seconds[]; nullopt: it is unknown, which is what is missing there.
std::optional<std::size_t> index_of(State state) {
  switch (state) {
    case State::kUp: return 0;
    case State::kDegraded: return 1;
    case State::kDown: return 2;
    case State::kMaintenance:
    case State::kUnknown: return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

void Meter::begin(const Look& look) {
  memory_.until_s = unix_seconds(look.wall);
  memory_.slice_s = slice_of(memory_.until_s);
  memory_.at_ns = look.at.since_boot.count();
  memory_.good = look.requests.good;
  memory_.bad = look.requests.bad;
  if (memory_.trouble_s != 0 && memory_.worst == 2)
    memory_.down = static_cast<std::uint32_t>(std::max<std::int64_t>(memory_.until_s - memory_.trouble_s, 0));
}

void Meter::begin_in_trouble(std::int64_t from, bool down) {
  memory_.trouble_s = from;
  memory_.worst = down ? 2 : 1;
}

// Told once: from then on the memory goes by the clock as it is now.
void Meter::mind_clock(const Look& look, std::int64_t seconds, Findings& findings) {
  const std::int64_t elapsed = look.at.since_boot.count() - memory_.at_ns;
  const std::int64_t step = seconds * kSecondNs - elapsed;
  if (std::abs(step) < 2 * kSecondNs) return;
  findings.told.push_back({EventKind::kClockStepped, step, 0, ""});
  // What was recorded is not recorded twice: until then nothing is judged.
  if (seconds < 0) memory_.at_ns = look.at.since_boot.count() - seconds * kSecondNs;
}

Meter::Findings Meter::look(const Look& look) {
  Findings findings;
  if (memory_.slice_s == 0) {
    begin(look);
    return findings;
  }
  memory_.probes[0] += static_cast<std::uint32_t>(look.probes_good);
  memory_.probes[1] += static_cast<std::uint32_t>(look.probes_bad);
  const std::int64_t now = unix_seconds(look.wall);
  const std::int64_t seconds = now - memory_.until_s;
  mind_clock(look, seconds, findings);
  if (seconds <= 0) return findings;

  const std::int64_t elapsed = look.at.since_boot.count() - memory_.at_ns;
  const bool watched = elapsed >= 0 && elapsed <= kLate * kSecondNs;
  const std::int64_t judged = watched ? std::clamp((elapsed + kSecondNs / 2) / kSecondNs, std::int64_t{1}, seconds) : 1;
  if (!watched && seconds > judged) {
    findings.told.push_back(
        {EventKind::kNotMeasured, seconds - judged, 0, "nobody watched since " + text_of(memory_.until_s)});
  }
  // Counters that are behind those of the memory are of another table, and began there.
  const bool same = look.requests.good >= memory_.good && look.requests.bad >= memory_.bad;
  const std::uint64_t good = look.requests.good - (same ? memory_.good : 0);
  std::uint64_t bad = look.requests.bad - (same ? memory_.bad : 0);
  const State state = availability::state_of({.requests = {.good = good, .bad = bad}, .canary = look.probe});
  for (std::int64_t second = now - judged; second < now; ++second) {
    if (slice_of(second) != memory_.slice_s) findings.closed.push_back(take_slice(slice_of(second)));
    if (const auto index = index_of(state)) ++memory_.seconds[*index + (look.maintenance ? 3 : 0)];
    // What begins in declared maintenance is no trouble; what began before goes on.
    const std::uint64_t failed = std::exchange(bad, 0);
    if (!look.maintenance || memory_.trouble_s != 0) mind_state(state, second, failed, findings);
  }
  memory_.until_s = now;
  memory_.at_ns = look.at.since_boot.count();
  memory_.good = look.requests.good;
  memory_.bad = look.requests.bad;
  return findings;
}

Meter::Closed Meter::take_slice(std::int64_t next) {
  Closed closed{.start = memory_.slice_s};
  std::ranges::copy(memory_.seconds, closed.seconds);
  std::ranges::copy(memory_.probes, closed.probes);
  memory_.slice_s = next;
  std::ranges::fill(memory_.seconds, 0);
  std::ranges::fill(memory_.probes, 0);
  return closed;
}

std::optional<Meter::Closed> Meter::close() {
  if (memory_.slice_s == 0) return std::nullopt;
  return take_slice(memory_.slice_s);
}

void Meter::mind_state(State state, std::int64_t second, std::uint64_t failed, Findings& findings) {
  constexpr std::uint32_t kDegraded = 1, kDown = 2;
  if (state == State::kDegraded || state == State::kDown) {
    const bool first = memory_.trouble_s == 0;
    if (first) {
      memory_.trouble_s = second;
      memory_.failed = 0;
      memory_.down = memory_.worst = 0;
    }
    memory_.calm_s = 0;
    memory_.failed += failed;
    memory_.down += state == State::kDown ? 1 : 0;
    const std::uint32_t severity = state == State::kDown ? kDown : kDegraded;
    if (std::exchange(memory_.worst, std::max(memory_.worst, severity)) >= severity) return;
    findings.told.push_back({severity == kDown ? EventKind::kServiceDown : EventKind::kServiceDegraded, second - 1,
                             second, first ? "" : "after it was degraded since " + text_of(memory_.trouble_s)});
    return;
  }
  if (state != State::kUp || memory_.trouble_s == 0) return;
  memory_.failed += failed;
  if (memory_.calm_s == 0) memory_.calm_s = second;
  if (second + 1 - memory_.calm_s < kCalm) return;
  findings.told.push_back({EventKind::kServiceUp, memory_.calm_s, static_cast<std::int64_t>(memory_.failed),
                           "down for " + std::to_string(memory_.down) + " s since " + text_of(memory_.trouble_s)});
  memory_.trouble_s = memory_.calm_s = 0;
}

}  // namespace nines::app
