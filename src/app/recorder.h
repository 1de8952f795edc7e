// The keeper's hand on the record: takes the log and the slices from the shared table into the ledger, in a thread of
// its own, because a slow disk must not keep replicas waiting for their output to be drained.
//
// Killed at any moment, it loses and doubles nothing: the ledger holds, in one transaction with the events or slices,
// how far it has got. While it cannot write (disk full, file locked) the table keeps 1,024 events and a day of slices;
// more are recorded as lost, or stay unknown. What is wrong is in the table too, for whoever shows it.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "app/paths.h"
#include "ledger/ledger.h"
#include "ledger/maintenance.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"
#include "web/view.h"

namespace nines::app {

// How far a table was taken into the record: its slices up to a number, and its counters then.
struct Taken {
  std::uint64_t slices = 0;
  std::array<std::uint64_t, plane::kOutcomes> outcomes{};
  plane::LatencyCounts latency{};
  std::int64_t until = 0;  // Unix seconds: as far as they are judged
  bool operator==(const Taken&) const = default;
};
// All but `until`, for ledger::Sampled. Fixed in length, so that another version's is told by it.
std::string bytes_of(const Taken& taken);
std::optional<Taken> taken_of(std::string_view bytes);

// The slice for the ledger, with what was counted since `taken`, which is then as of its end. Never lower than before:
// a table whose counters were carried over to another one has none left, and what was counted twice would be these.
// Latencies are left to add_latency(). Pure.
ledger::Slice slice_of(const plane::MeasuredSlice& measured, Taken& taken);
// Of the last slice taken together with others, all that were observed since.
void add_latency(ledger::Slice& slice, const plane::LatencyCounts& now, Taken& taken);

class Recorder {
 public:
  // `replicas`: names by slot. The thread begins at once.
  Recorder(plane::Table& table, const Paths& paths, std::vector<std::string> replicas);
  // Takes what there is, and ends.
  ~Recorder();

  // From any thread: the log has grown, or the slices.
  void wake();
  // Whether this second (Unix) lies in declared maintenance. From any thread.
  bool in_maintenance(std::int64_t second) const;
  // From any thread.
  web::LedgerFacts facts() const;

 private:
  Task<void> run();
  Result<> take();
  Result<> take_log();
  Result<> take_gone(const plane::Metered& metered);
  Result<> take_slices(const plane::Metered& metered);
  Result<> add_slices(Taken& taken, std::uint64_t first, std::uint64_t last, bool latencies);
  Result<> keep(std::span<const ledger::Slice> slices, const Taken& taken);
  Result<Taken> taken_before(const plane::Metered& metered);
  Result<> open();
  Result<> minded(Result<> result);
  void tell(const Result<>& taken);
  ledger::Moment now() const { return {boot_id_, loop_.now(), loop_.wall_now()}; }
  ledger::Event recorded(const plane::Event& event) const;

  plane::Table& table_;
  const std::string file_;
  const std::vector<std::string> replicas_;
  const std::string boot_id_;
  std::optional<ledger::Ledger> ledger_;
  Instant pruned_{};
  bool gone_taken_ = false;

  mutable std::mutex mutex_;
  ledger::Maintenance maintenance_;  // guarded by mutex_
  web::LedgerFacts facts_;           // guarded by mutex_

  net::EpollLoop loop_;
  Fd bell_;
  CancelScope until_stopped_;
  std::thread thread_;
};

}  // namespace nines::app
