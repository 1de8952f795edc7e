// The queue of one worker's requests that wait for a slot on a replica: first come, first served.
//
// A slot frees up when an attempt of this worker ends, when one of another worker does (the counts are shared, in the
// table), or when a replica becomes ready. The first two are not told apart: whoever is at the head is woken when this
// worker frees one, and looks by itself every few milliseconds as long as anybody waits. Only the head looks, so a
// freed slot wakes one request and not a herd; one that has taken its slot wakes the next.
//
//   admit() --queue empty and a slot free--------------------------------------------> kSlot
//      |  \--the queue is full--------------------------------------------------------> kFull
//      v
//   waits in its place: woken, it asks again; a slot: kSlot, and the next one is woken
//      |   there is room, but only where this request has been: it keeps its place, and the next one is woken
//      +--deadline---------------------------------------------------------------------> kTimedOut, or kNobody when no
//                                                                                        replica is ready at its end
//
// One thread: the worker's loop's.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/random.h"
#include "base/task.h"
#include "gateway/admission.h"
#include "net/loop.h"

namespace nines::gateway {

// What asking for a slot said.
struct Pick {
  enum class What : std::uint8_t {
    kSlot,      // this one
    kFull,      // every routable replica has as much as it may have
    kTriedAll,  // some have room, but this request has been there
    kNobody,    // none is routable
  };
  What what = What::kNobody;
  std::size_t slot = 0;
};

struct Admitted {
  enum class What : std::uint8_t {
    kSlot,       // send it there, before anything else is awaited: the slot is not reserved
    kFull,       // turned away at once: the queue is as long as it may be
    kTimedOut,   // it waited, and no slot came free
    kNobody,     // it waited, and no replica is ready that it has not been to
    kCancelled,  // the scope was cancelled: the client has left
  };
  What what = What::kNobody;
  std::size_t slot = 0;
  int retry_after_seconds = 0;  // for a 503, when there is no slot
};

class AdmissionQueue {
 public:
  // `limits` outlives it. `share`: how many may wait here (queue_share()).
  AdmissionQueue(net::Loop& loop, const AdmissionLimits& limits, std::size_t share, std::uint64_t seed);
  // REQUIRES: nobody waits any more.
  ~AdmissionQueue();

  using Picker = std::function<Pick()>;
  // Where a request joins the queue: one that had a slot before, and lost its replica, goes ahead of those that never
  // had one, and is never turned away for them.
  enum class Joins : std::uint8_t { kAtEnd, kAhead };

  // A slot for one request, by `deadline` at the latest. `pick` chooses a replica now, and does not wait; it and what
  // it refers to outlive the task. Cancellable.
  Task<Admitted> admit(const Picker& pick, Instant deadline, Joins joins);

  // An attempt of this worker has ended: a slot is free, and the rate grows.
  void on_attempt_end();
  // A replica may have become ready.
  void wake_head();

  std::size_t waiting() const { return places_.size(); }

 private:
  class Place;
  struct Look final : net::Timer {
    explicit Look(AdmissionQueue& q) : queue(q) {}
    void on_timer() override { queue.look(); }
    AdmissionQueue& queue;
  };
  void look();
  void wake_after(const Place& place);
  Admitted refusal(Admitted::What what);

  net::Loop& loop_;
  const AdmissionLimits& limits_;
  const std::size_t share_;
  Random random_;
  CompletionRate rate_;
  std::vector<Place*> places_;  // in order
  Pick::What last_pick_ = Pick::What::kFull;
  Look look_{*this};
};

}  // namespace nines::gateway
