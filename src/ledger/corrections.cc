#include "ledger/corrections.h"

#include <algorithm>
#include <array>
#include <set>

namespace nines::ledger {
namespace {

using availability::Account, availability::ObservedTime, availability::State;

constexpr std::array<std::pair<State, std::string_view>, 4> kWords = {
    {{State::kUp, "up"}, {State::kDegraded, "degraded"}, {State::kDown, "down"}, {State::kUnknown, "unknown"}}};

Duration ObservedTime::* part_of(State state) {
  switch (state) {
    case State::kUp: return &ObservedTime::up;
    case State::kDegraded: return &ObservedTime::degraded;
    case State::kDown: return &ObservedTime::down;
    case State::kMaintenance:
    case State::kUnknown: break;
  }
  return &ObservedTime::unknown;
}

}  // namespace

std::optional<State> Corrections::parse_state(std::string_view word) {
  const auto known = std::ranges::find(kWords, word, [](const auto& pair) { return pair.second; });
  return known == kWords.end() ? std::nullopt : std::optional(known->first);
}

std::string_view Corrections::word_of(State state) {
  const auto known = std::ranges::find(kWords, state, [](const auto& pair) { return pair.first; });
  return known == kWords.end() ? "unknown" : known->second;
}

void Corrections::add(const Row& row) {
  const Event& event = row.event;
  if (event.kind != kKind || event.a >= event.b) return;
  const std::size_t colon = event.text.find(": ");
  const auto as = parse_state(std::string_view(event.text).substr(0, colon));
  if (colon == std::string::npos || !as) return;
  all_.push_back({.seq = row.seq,
                  .from = event.a,
                  .to = event.b,
                  .as = *as,
                  .text = event.text.substr(colon + 2),
                  .said = event.when.wall});
}

std::vector<Correction> Corrections::in(std::int64_t from, std::int64_t to) const {
  std::set<std::int64_t> cuts;
  for (const Correction& correction : all_)
    for (const std::int64_t cut : {correction.from, correction.to}) cuts.insert(std::clamp(cut, from, to));
  std::vector<Correction> found;
  for (auto cut = cuts.begin(); cut != cuts.end() && std::next(cut) != cuts.end(); ++cut) {
    const auto last = std::ranges::find_if(all_.rbegin(), all_.rend(),
                                           [&](const Correction& c) { return c.from <= *cut && *cut < c.to; });
    if (last == all_.rend()) continue;
    if (!found.empty() && found.back().seq == last->seq && found.back().to == *cut) {
      found.back().to = *std::next(cut);
      continue;
    }
    found.push_back(*last);
    found.back().from = *cut, found.back().to = *std::next(cut);
  }
  return found;
}

Corrected apply(const Correction& correction, const Account& there) {
  Corrected corrected{.by = correction, .recorded = {}, .corrected = {}};
  Duration left = std::chrono::seconds(correction.to - correction.from) - there.maintenance.total();
  const auto take = [&](State state) {
    const auto part = part_of(state);
    const Duration taken = std::clamp<Duration>(left, 0s, there.outside.*part);
    corrected.recorded.*part += taken;
    left -= taken;
  };
  for (const State state : {State::kDown, State::kDegraded, State::kUnknown, State::kUp})
    if (state != correction.as) take(state);
  take(correction.as);
  corrected.corrected.*part_of(correction.as) = corrected.recorded.total();
  return corrected;
}

Account corrected_account(Account account, const std::vector<Corrected>& corrections) {
  for (const Corrected& one : corrections) {
    for (const auto& [state, word] : kWords)
      account.outside.*part_of(state) += one.corrected.*part_of(state) - one.recorded.*part_of(state);
  }
  return account;
}

}  // namespace nines::ledger
