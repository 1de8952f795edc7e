// One worker's view of the replicas: who may get a request, the idle connections to each, and the attempts under way.
//
// The truth is in the shared table. refresh() reads it; the owner calls it whenever the supervisor or the health
// checker says that something has changed. pick() looks by itself whether the supervisor has changed a route, so that
// nothing is sent to a replica that was taken out before, whoever was told of it or not.
//
// Whom pick() takes, in this order:
//
//     up, weight > 0, not ejected (in panic: ejected or not)      of these the lowest tier that has anybody with room
//     nobody of that kind: was ready in this incarnation, is wanted, and was not found to hang
//     among them: by consistent hash if the request has a key, else power of two choices
//
// One thread: the worker's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/intrusive_list.h"
#include "base/random.h"
#include "gateway/admission_queue.h"
#include "gateway/balance.h"
#include "gateway/hang_guard.h"
#include "gateway/outlier.h"
#include "gateway/settings.h"
#include "gateway/tenure.h"
#include "http/reader.h"
#include "net/stream.h"
#include "plane/plane.h"

namespace nines::gateway {

// Where a replica is reached; unset when its record does not say.
net::Address address_of(const plane::Route& route);

// A connection to a replica, and the reader that knows what of it has been read.
struct UpstreamConnection {
  UpstreamConnection(std::unique_ptr<net::Stream> s, http::ReadLimits limits)
      : stream(std::move(s)), reader(*stream, http::Side::kResponses, limits) {}
  std::unique_ptr<net::Stream> stream;
  http::MessageReader reader;
  Instant idle_since{};
};

// One try at one request on one replica, while it lasts: it counts as in flight, and is told when the replica is gone.
class Attempt final : public ListLink {
 public:
  // REQUIRES: the slot was picked, in the same turn of the loop. `blame` is the request's; null: what fails here is the
  // replica's fault whatever happens elsewhere.
  Attempt(class Upstreams& upstreams, std::size_t slot, CancelScope* parent, Blame* blame = nullptr);
  // It ended well, as far as it was answered and did not fail.
  ~Attempt();

  std::size_t slot() const { return slot_; }
  std::uint64_t incarnation() const { return incarnation_; }
  CancelScope& scope() { return scope_; }
  // Says how it ended, before it is destroyed. An attempt that does not say so ended because its client left.
  // failed() may follow answered(): the answer broke off.
  void answered(int status, bool retry_after, Duration to_first_byte);
  void failed(Failure failure);
  // A probe of nines itself: it says nothing of what clients get, and counts nowhere. Before anything else.
  void of_ourselves() { ours_ = true; }
  // The replica has the whole request, and its first byte is waited for. `movable`: the request may be taken away from
  // it, should it hang, since it may be sent elsewhere.
  void sent(bool movable);
  // A byte came from the replica.
  void progress();
  // It was sent to a process of ours, whose end the supervisor sees.
  bool is_supervised() const;
  // The supervisor has seen the end of the process it was sent to.
  bool replica_gone() const;
  // It was cancelled because the replica hangs; says how that was found out ("it hung: no byte for 812 ms and …").
  const std::optional<std::string>& hung() const { return waiter_.taken(); }

 private:
  friend class Upstreams;
  void blame(Failure failure);
  plane::Observed& observed() const;

  Upstreams& upstreams_;
  std::size_t slot_;
  std::uint64_t incarnation_;
  CancelScope scope_;
  Waiter waiter_{scope_};
  Share in_flight_;
  Blame* blame_;
  bool ours_ = false;
  bool counted_ = false;  // as a request that ended
  bool erred_ = false;    // and as an error
  bool well_ = false;     // what it was answered proves the replica well
};

class Upstreams {
 public:
  Upstreams(net::Loop& loop, plane::Table& table, const Settings& settings, std::uint64_t seed);
  // REQUIRES: drained, or the loop has ended.
  ~Upstreams();

  void refresh();
  // Called when a row of failures has become as long as ejects; the health checker is to judge.
  void on_suspicion(std::function<void()> tell) { suspicious_ = std::move(tell); }
  // Ends what runs in the background. No attempt may be left.
  Task<void> drain();

  // The replica to send to, never one whose incarnation is in `tried`; and if there is none, why not. With `hash_key`
  // (hash_of()) the one that this key belongs to. Does not allocate.
  Pick pick(std::span<const std::uint64_t> tried, std::optional<std::uint64_t> hash_key = std::nullopt);
  // At a request's end: what its attempts say about the replicas.
  void report(const Blame& blame);

  // Until when to wait for the first byte of a request that was sent at `sent_at`, as far as is known now.
  Instant first_byte_deadline(std::size_t slot, const PatienceLimits& patience, Instant sent_at) const;

  // An idle connection that is known to be alive, or null.
  std::unique_ptr<UpstreamConnection> take(std::size_t slot);
  // REQUIRES: its last answer was read to the end and leaves it usable.
  void give_back(const Attempt& attempt, std::unique_ptr<UpstreamConnection> connection);
  // Closes what has been idle for too long.
  void prune();

  const net::Address& address(std::size_t slot) const { return replicas_[slot].address; }
  const std::string& name(std::size_t slot) const { return replicas_[slot].name; }

 private:
  friend class Attempt;
  struct Replica {
    std::uint32_t route_sequence = 0, verdict_sequence = 0;  // of the records last read
    plane::Route route;
    plane::Verdict verdict;
    bool wanted = false;       // by the supervisor, and its record says where it is
    bool up = false;           // active checks say so
    bool last_resort = false;  // they do not, but they did: better than nobody
    Instant ejected_until{};
    Instant routable_since{};
    net::Address address;
    std::string name;
    PeakEwma latency;
    std::vector<std::unique_ptr<UpstreamConnection>> idle;  // the most recently used last
    IntrusiveList<ListLink> attempts;
  };
  bool reload(std::size_t slot);
  void judge(Replica& replica);
  bool routable(const Replica& replica, Instant now) const;
  template <class Takes>
  Pick::What gather(std::span<const std::uint64_t> tried, Instant now, Takes takes);
  void count_failure(const Blame::Blamed& blamed);
  Task<void> give_up_lost(std::size_t slot, std::uint64_t incarnation);

  net::Loop& loop_;
  plane::Table& table_;
  const Settings& settings_;
  Random random_;
  HangGuard guard_;
  std::uint64_t version_ = 0;  // of the routes last read
  bool panic_ = false;         // ejections are ignored
  std::vector<Replica> replicas_;
  std::vector<std::size_t> wanted_;    // slots of those that are
  std::vector<Candidate> candidates_;  // scratch of pick()
  std::function<void()> suspicious_;
  TaskGroup background_;
};

}  // namespace nines::gateway
