// Many small segments become few: what was captured a second apart last week need not be restorable second by second.
//
//   age of a window's end   5 min    1 h      1 d
//   segments become one of  30 s     5 min    1 h     windows are counted from 1970
//
// A merged segment has each page once, as the last of its parts has it, and leads from what was before the first to
// what is after the last. It takes their place in the chain (`represents`): the one behind it needs not be written
// again. Snapshots are left alone.
//
//   plan ─► put the merged one ─► read back, applied: the same digest ─► remove the parts
//            └ killed here: parts and whole are both there; the next plan removes the parts
#pragma once

#include <span>
#include <vector>

#include "backup/continuous/chain.h"

namespace nines::backup::continuous {

struct MergeLevel {
  Duration window{0};
  Duration age{0};
};
constexpr std::array<MergeLevel, 3> kMergeLevels = {
    {{.window = 30s, .age = 5min}, {.window = 5min, .age = 1h}, {.window = 1h, .age = 24h}}};

struct MergePlan {
  std::vector<std::vector<SegmentName>> merges;  // each of two parts or more, one right behind the other
  std::vector<SegmentName> superfluous;          // lie within a merged one that is there
  bool operator==(const MergePlan&) const = default;
};
// Pure. Of what the plan leaves, more may be to merge: plan again. `all` may be of several lineages and epochs.
MergePlan plan_merges(std::span<const SegmentName> all, WallTime now);

// What merge() holds in memory at most; parts that are larger together stay as they are (kLimit).
constexpr std::uint64_t kMergeBytesMax = std::uint64_t{256} << 20;

// REQUIRES parts as in a plan. When it returns they are removed, and the merged one was read back. kExists: it is
// there.
Result<SegmentName> merge(storage::Destination& destination, std::span<const SegmentName> parts,
                          const std::optional<SegmentKey>& key);
// Removes those that lie within a merged one, after reading that one. kInvalid: it is damaged, and nothing was removed.
Result<> remove_superfluous(storage::Destination& destination, std::span<const SegmentName> all,
                            std::span<const SegmentName> superfluous, const std::optional<SegmentKey>& key);

}  // namespace nines::backup::continuous
