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
  if (memory_.trouble_s != 0 && memory_.worst == 2)
    memory_.down = static_cast<std::uint32_t>(std::max<std::int64_t>(memory_.until_s - memory_.trouble_s, 0));
}

void Meter::begin_in_trouble(std::int64_t from, bool down) {
  memory_.trouble_s = from;
  memory_.worst = down ? 2 : 1;
}

void Meter::begin_after(std::int64_t gone_from, std::int64_t gone_to, std::vector<Told> told) {
  memory_.gone_from_s = gone_from;
  memory_.gone_to_s = gone_to;
  first_told_ = std::move(told);
}

void Meter::mind_clock(const Look& look, Findings& findings) {
  const std::int64_t step =
      (look.wall.time_since_epoch().count() - memory_.wall_ns) - (look.at.since_boot.count() - memory_.at_ns);
  if (std::abs(step) >= kSecondNs) findings.told.push_back({EventKind::kClockStepped, step, 0, "", {}});
  const std::int64_t back = memory_.until_s - unix_seconds(look.wall);
  if (back <= kSkip) return;
  // What is remembered by the old clock is remembered by the new one from here on.
  take_slice(memory_.until_s, findings);
  memory_.until_s -= back;
  memory_.slice_s = slice_of(memory_.until_s);
  for (std::int64_t* const when : {&memory_.good_s, &memory_.trouble_s, &memory_.calm_s, &memory_.doubt_s})
    if (*when != 0) *when -= back;
}

Meter::Findings Meter::look(const Look& look) {
  Findings findings{.closed = {}, .told = std::exchange(first_told_, {})};
  if (memory_.slice_s == 0) {
    begin(look);
  } else {
    memory_.probes[0] += static_cast<std::uint32_t>(look.probes_good);
    memory_.probes[1] += static_cast<std::uint32_t>(look.probes_bad);
    mind_clock(look, findings);
    const std::int64_t now = unix_seconds(look.wall);
    const std::int64_t seconds = now - memory_.until_s;
    const std::int64_t elapsed = look.at.since_boot.count() - memory_.at_ns;
    if (seconds == 0) return numbered(std::move(findings));  // of this second there is more to come
    if (seconds > 0 && elapsed <= kLate * kSecondNs) {
      const std::int64_t judged = std::clamp((elapsed + kSecondNs / 2) / kSecondNs, std::int64_t{1}, seconds);
      if (judged < seconds) memory_.calm_s = 0;
      judge(look, now, judged, findings);
    } else if (seconds > 0) {
      memory_.calm_s = 0;
      findings.told.push_back(
          {EventKind::kNotMeasured, seconds, 0, "nobody watched since " + text_of(memory_.until_s), {}});
      if (memory_.trouble_s != 0) memory_.failed += since_last(look, plane::Outcome::kBad);
    }
    memory_.until_s = std::max(memory_.until_s, now);
  }
  memory_.at_ns = look.at.since_boot.count();
  memory_.wall_ns = look.wall.time_since_epoch().count();
  std::ranges::copy(look.outcomes, memory_.outcomes);
  memory_.given_up = look.given_up;
  return numbered(std::move(findings));
}

std::uint64_t Meter::since_last(const Look& look, plane::Outcome outcome) const {
  const auto i = static_cast<std::size_t>(outcome);
  return look.outcomes[i] - std::min(look.outcomes[i], memory_.outcomes[i]);
}

void Meter::judge(const Look& look, std::int64_t now, std::int64_t judged, Findings& findings) {
  const std::uint64_t good = since_last(look, plane::Outcome::kGood);
  std::uint64_t bad = since_last(look, plane::Outcome::kBad);
  const bool gave_up = look.given_up > memory_.given_up;
  memory_.doubt_s = good > 0 ? 0 : gave_up ? now : memory_.doubt_s;
  const bool doubted = memory_.doubt_s != 0 && now - memory_.doubt_s < kDoubt;
  const State state = availability::state_of(
      {.requests = {.good = good, .bad = bad}, .canary = look.probe == true && doubted ? std::nullopt : look.probe});
  const std::string why =
      bad > 0 ? std::to_string(bad) + " of " + std::to_string(good + bad) + " requests failed" : look.why;
  for (std::int64_t second = now - judged; second < now; ++second) {
    if (slice_of(second) != memory_.slice_s) {
      take_slice(second, findings);
      memory_.slice_s = slice_of(second);
    }
    if (const auto index = index_of(state)) ++memory_.seconds[*index + (look.maintenance ? 3 : 0)];
    // What begins in declared maintenance is no trouble; what began before goes on.
    const std::uint64_t failed = std::exchange(bad, 0);
    if (!look.maintenance || memory_.trouble_s != 0) mind_state(state, second, failed, why, findings);
  }
  if (good > 0 || (look.probes_good > 0 && look.probe == true && !doubted)) memory_.good_s = now - 1;
}

// What is over, as far as it is judged: until `until` at most.
void Meter::take_slice(std::int64_t until, Findings& findings) {
  plane::MeasuredSlice closed{.start_s = memory_.slice_s, .until_s = std::min(memory_.slice_s + kSlice, until)};
  std::ranges::copy(memory_.outcomes, closed.outcomes);
  std::ranges::copy(memory_.seconds, closed.seconds);
  std::ranges::copy(memory_.probes, closed.probes);
  findings.closed.push_back(closed);
  std::ranges::fill(memory_.seconds, 0);
  std::ranges::fill(memory_.probes, 0);
}

Meter::Findings Meter::close(std::span<const std::uint64_t, plane::kOutcomes> outcomes) {
  Findings findings;
  if (memory_.slice_s == 0) return findings;
  take_slice(memory_.until_s, findings);
  std::ranges::copy(outcomes, findings.closed.back().outcomes);
  return numbered(std::move(findings));
}

Meter::Findings Meter::numbered(Findings findings) {
  memory_.slices += findings.closed.size();
  memory_.told += findings.told.size();
  return findings;
}

void Meter::mind_state(State state, std::int64_t second, std::uint64_t failed, const std::string& why,
                       Findings& findings) {
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
    const std::int64_t last_good = memory_.good_s != 0 && first ? std::min(memory_.good_s, second - 1) : second - 1;
    findings.told.push_back({severity == kDown ? EventKind::kServiceDown : EventKind::kServiceDegraded,
                             last_good,
                             second,
                             first ? why : why + ", after it was degraded since " + text_of(memory_.trouble_s),
                             {}});
    return;
  }
  if (state == State::kUnknown) memory_.calm_s = 0;  // ten in a row that were seen
  if (state != State::kUp || memory_.trouble_s == 0) return;
  memory_.failed += failed;
  if (memory_.calm_s == 0) memory_.calm_s = second;
  if (second + 1 - memory_.calm_s < kCalm) return;
  findings.told.push_back({EventKind::kServiceUp,
                           memory_.calm_s,
                           static_cast<std::int64_t>(memory_.failed),
                           "down for " + std::to_string(memory_.down) + " s since " + text_of(memory_.trouble_s),
                           {}});
  memory_.trouble_s = memory_.calm_s = 0;
}

}  // namespace nines::app
