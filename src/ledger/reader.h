// Reading the record while the keeper writes it: for commands and pages, from any process that may read the file. Every
// call sees one consistent state, blocks for at most kBusyTimeout (ledger/ledger.h, with the errors), and holds nothing
// afterwards (but see hold()), so no reader ever delays the keeper or lets its write-ahead log grow. One thread each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "availability/intervals.h"
#include "base/error.h"
#include "ledger/corrections.h"
#include "ledger/event.h"
#include "ledger/incidents.h"
#include "ledger/ledger.h"
#include "ledger/maintenance.h"

namespace nines::ledger {

inline constexpr std::size_t kRowsMax = 10'000;  // of one answer

// What all of its conditions allow.
struct Query {
  std::uint64_t after_seq = 0;
  std::optional<std::string> target;
  std::optional<std::string> kind;
  std::size_t limit = 100;  // at most kRowsMax
  bool newest = false;      // the last `limit` of them rather than the first; ascending all the same
};

struct Course;

struct KindCount {
  std::string kind;
  std::uint64_t rows = 0;

  friend bool operator==(const KindCount&, const KindCount&) = default;
};

class Reader {
 public:
  // kNotFound: there is no ledger yet. The record itself is never changed. Damage shows where it is read.
  static Result<Reader> open(const std::string& path);

  // While it lives, every call sees the file as the first of them found it: for answers that are made of several. Keep
  // it short, as it holds the file's write-ahead log; one at a time. It may outlive the Reader's being moved, not the
  // Reader.
  using Held = std::shared_ptr<const void>;
  Result<Held> hold() const;
  bool is_held() const;

  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  // By ascending seq. To follow the record, ask again with after_seq set to the last one seen.
  Result<std::vector<Row>> rows(const Query& query) const;

  // By kind, in alphabetical order; reads an index, not the rows.
  Result<std::vector<KindCount>> counts_by_kind() const;

  // Ascending, of one grain, that begin in [from, to), Unix seconds: at most kRowsMax. Go on behind the last one's
  // start.
  Result<std::vector<Slice>> slices(Grain grain, std::int64_t from, std::int64_t to) const;
  // Of all in [from, to), from the coarsest slices that fit: of a year in a millisecond.
  Result<Total> total(std::int64_t from, std::int64_t to) const;
  // How it went in [from, to), Unix seconds: ledger/course.h.
  Result<Course> course(std::int64_t from, std::int64_t to) const;
  // As Ledger::latest_sampled.
  Result<std::optional<Sampled>> latest_sampled() const;
  // When the first slice begins; nullopt: there is none.
  Result<std::optional<std::int64_t>> measured_since() const;
  // Those that touch the stretch, and those before it that led to them, in order of their begin.
  Result<std::vector<Incident>> incidents(const availability::Interval& window) const;
  // All that was declared and is still in the record.
  Result<Maintenance> maintenance() const;
  // All that was corrected and is still in the record.
  Result<Corrections> corrections() const;
  // nullopt: every coarse slice is the sum of the finer ones, where these are there.
  Result<std::optional<SliceBreak>> check_slices() const;

  Result<Size> size() const;
  Result<Verification> verify() const;

 private:
  struct Open;
  explicit Reader(std::unique_ptr<Open> open);
  std::unique_ptr<Open> open_;
};

}  // namespace nines::ledger
