// Segments in a destination, and which of them lead to a moment. Destinations are flat, so the place in the chain is in
// the name (hexadecimal, fixed widths):
//
//   backup-live-LINEAGE-EPOCH.json                           what the epoch is of; written before its snapshot
//   backup-live-LINEAGE-EPOCH-FIRST-LAST-CAPTURED.segment    CAPTURED: milliseconds since 1970
//
// A lineage is one history of one database. An epoch of it begins with a snapshot, whose number is 1.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backup/continuous/segment.h"
#include "storage/destination.h"

namespace nines::backup::continuous {

struct SegmentName {
  std::uint64_t lineage = 0, epoch = 0, first = 0, last = 0;
  std::uint64_t captured_ms = 0;
  auto operator<=>(const SegmentName&) const = default;
};
SegmentName name_of(const SegmentHeader& header);
std::string object_name(const SegmentName& name);
// Nothing: the object is something else.
std::optional<SegmentName> parse_segment_name(std::string_view object);

struct Epoch {
  std::uint64_t lineage = 0, number = 0;
  std::string source;  // path of the database
  std::string why;     // it began
  WallTime begun{};
  bool operator==(const Epoch&) const = default;
};
std::string object_name(const Epoch& epoch);
Result<> store_epoch(storage::Destination& destination, const Epoch& epoch);
// All there are, in the order in which they began. kInvalid: one cannot be read.
Result<std::vector<Epoch>> list_epochs(storage::Destination& destination);
Result<std::vector<SegmentName>> list_segments(storage::Destination& destination);

// Of one epoch, those that lead from number `next` as far as there are any that were captured by `until`; of several
// ways the one with the fewest segments. kInvalid: there is a gap, and segments beyond it.
struct Wanted {
  std::uint64_t lineage = 0, epoch = 0;
  std::uint64_t next = 1;
  WallTime until = WallTime::max();
};
Result<std::vector<SegmentName>> select(std::span<const SegmentName> all, const Wanted& wanted);

// The database as its chain has it so far: each segment that is applied has to fit to what was before, and to be what
// it says. After an error the ledger is neither here nor there: REQUIRES to be thrown away.
class Replay {
 public:
  using OnPage = std::function<Result<>(std::uint32_t page, std::string_view content)>;

  Result<> apply(storage::Destination& destination, const SegmentName& name, const std::optional<SegmentKey>& key,
                 const OnPage& on_page = {});

  bool began() const { return head_.last != 0; }
  const PageLedger& ledger() const { return ledger_; }
  // Of the last segment; zero before the first.
  const SegmentHeader& head() const { return head_; }
  const Hash& link() const { return link_; }

  // As bytes, with a checksum, and back (kInvalid).
  std::string save() const;
  static Result<Replay> load(std::string_view bytes);

 private:
  Result<> expect(const SegmentHeader& header, const SegmentName& name) const;

  PageLedger ledger_;
  SegmentHeader head_;
  Hash link_{};
};

// The digest that a ledger would have with these pages and this size.
struct PageHash {
  std::uint32_t page = 0;
  Digest hash;
};
Digest digest_with(const PageLedger& ledger, std::span<const PageHash> changes, std::uint32_t pages);

}  // namespace nines::backup::continuous
