// What a person says that some recorded seconds really were: a probe's own path was blocked, another monitor saw the
// time that nobody here did. A correction is an event with its author and its reason; the slices stay as they are, and
// a report shows both. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "availability/partition.h"
#include "ledger/event.h"

namespace nines::ledger {

struct Correction {
  std::uint64_t seq = 0;          // of the row
  std::int64_t from = 0, to = 0;  // Unix seconds
  availability::State as{};       // up, degraded, down or unknown
  std::string text;               // why, and who says so
  WallTime said{};
  bool operator==(const Correction&) const = default;
};

class Corrections {
 public:
  // a, b: from and to; text: "up: why; who"
  static constexpr std::string_view kKind = "corrected";

  // "up", "degraded", "down", "unknown"; nullopt: another word.
  static std::optional<availability::State> parse_state(std::string_view word);
  static std::string_view word_of(availability::State state);

  // In the order of the record; other rows, and those that make no sense, are nothing.
  void add(const Row& row);

  // As they were said; they may overlap.
  const std::vector<Correction>& all() const { return all_; }
  // Of [from, to), each second by the one that was said last: ascending, apart from each other.
  std::vector<Correction> in(std::int64_t from, std::int64_t to) const;

 private:
  std::vector<Correction> all_;
};

// A stretch of a report that is corrected.
struct Corrected {
  Correction by;                         // from and to: the stretch
  availability::ObservedTime recorded;   // outside of declared maintenance, which stays what it is
  availability::ObservedTime corrected;  // as long
  bool operator==(const Corrected&) const = default;
};
// `there`: what the slices around it have. Where these are coarser than the stretch, it takes those seconds first that
// the correction is about: the worst that are not as it says, and no more than it is long.
Corrected apply(const Correction& correction, const availability::Account& there);

// What it comes to with all of them.
availability::Account corrected_account(availability::Account account, const std::vector<Corrected>& corrections);

}  // namespace nines::ledger
