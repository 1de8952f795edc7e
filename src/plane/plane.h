// The shared memory of a running service: what the supervisor wants, what the gateway found, and the counters,
// so that either may die and its successor goes on from here.
//
// Every record has one writer. The supervisor writes Route records and its event ring; the gateway writes health,
// counters and its event ring. Readers are anybody. Times are CLOCK_BOOTTIME in nanoseconds.
//
// Layout (all little-endian, naturally aligned); another layout or size means another table:
//   0    Header
//   …    Route[kReplicasMax]     by the supervisor
//   …    Observed[kReplicasMax]  by the gateway
//   …    ServiceCounters         by the gateway
//   …    EventRing, EventRing    by the supervisor, by the gateway
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "plane/events.h"
#include "plane/histogram.h"
#include "plane/seqlock.h"

namespace nines::plane {

inline constexpr std::uint64_t kMagic = 0x656e616c702d3939;  // "99-plane"
inline constexpr std::uint32_t kLayout = 1;
inline constexpr std::size_t kReplicasMax = 64;

// What the gateway is to do with a replica.
enum class Wanted : std::uint8_t {
  kAbsent = 0,  // nothing there: no checks, no requests, and what is in flight on it is lost
  kServe = 1,   // check it, and route to it while it passes
  kDrain = 2,   // no new requests; what is in flight may finish
};

struct Route {
  std::uint64_t incarnation = 0;  // of the process; never used twice in this table. 0: never had one
  std::int64_t since_ns = 0;      // when the replica got into its state
  std::int64_t spawned_ns = 0;    // when this incarnation was started
  std::uint64_t restarts = 0;     // crashes that were followed by a start
  std::uint32_t pid = 0;          // 0: no process
  std::uint16_t port = 0;         // loopback TCP port; 0: see socket
  Wanted wanted = Wanted::kAbsent;
  std::uint8_t state = 0;  // supervise::State, for people: the gateway goes by `wanted`
  std::uint8_t ipv6 = 0;   // 1: it listens on ::1 only
  std::uint8_t unused[7] = {};
  char name[72] = "";
  char socket[104] = "";  // path of a Unix socket
};

// How the gateway sees a replica.
enum class Health : std::uint8_t { kUnknown = 0, kUp = 1, kDown = 2 };

struct Verdict {
  std::uint64_t incarnation = 0;  // the one it is about: a verdict on another one says nothing
  std::int64_t since_ns = 0;      // when it became so
  Health health = Health::kUnknown;
  std::uint8_t unused[7] = {};
  char reason[96] = "";  // the last failed check, when it is not up
};

struct Observed {
  Seqlock<Verdict> verdict;
  std::atomic<std::uint64_t> requests = 0;   // attempts that ended, one way or another
  std::atomic<std::uint64_t> errors = 0;     // of these: no answer, a broken answer, or a status from 500 up
  std::atomic<std::uint64_t> in_flight = 0;  // attempts under way; a new gateway begins at 0
  LatencyHistogram latency;                  // of answered attempts: first byte sent to first byte of the answer
};

struct ServiceCounters {
  std::atomic<std::uint64_t> requests = 0;             // that clients sent and that ended
  std::atomic<std::uint64_t> errors = 0;               // of these: a status from 500 up, or an answer that broke off
  std::atomic<std::uint64_t> client_errors = 0;        // answered by the gateway itself with 400 to 499
  std::atomic<std::uint64_t> replayed = 0;             // attempts made because another failed
  std::atomic<std::uint64_t> abandoned = 0;            // the client left before the end of the answer
  std::atomic<std::uint64_t> unroutable = 0;           // answered 503: nobody ready
  std::atomic<std::uint64_t> connections = 0;          // open now
  std::atomic<std::uint64_t> connections_refused = 0;  // over the limit
  LatencyHistogram latency;                            // request read to answer sent
};

struct Header {
  std::uint64_t magic = kMagic;
  std::uint32_t layout = kLayout;
  std::uint32_t size = 0;
  std::atomic<std::uint64_t> next_incarnation = 1;  // by the supervisor
  std::atomic<std::uint64_t> routes_version = 0;    // by the supervisor: grows with every change of a Route
  std::atomic<std::uint64_t> gateway_epoch = 0;  // by the supervisor: only the gateway started with this number writes
  std::atomic<std::uint64_t> routes_seen = 0;    // by the gateway: all of it acts on this version or a later one
  std::atomic<std::uint32_t> gateway_serving = 0;  // by the gateway: its pid, once it accepts connections
};

struct Table {
  Header header;
  Seqlock<Route> routes[kReplicasMax];
  Observed observed[kReplicasMax];
  ServiceCounters service;
  EventRing supervisor_events;
  EventRing gateway_events;
};

// Owns one mapping of the table.
class Plane {
 public:
  // A fresh table in anonymous memory; fd() is what a child process inherits.
  static Result<Plane> create();
  // A table that exists. kInvalid when it is not one, or one of another layout.
  static Result<Plane> attach(Fd fd);

  Plane(Plane&& other) noexcept;
  Plane& operator=(Plane&&) = delete;
  ~Plane();

  Table& operator*() const { return *table_; }
  Table* operator->() const { return table_; }
  int fd() const { return fd_.get(); }

 private:
  Plane(Fd fd, Table* table) : fd_(std::move(fd)), table_(table) {}
  Fd fd_;
  Table* table_;
};

// Copies text into a fixed field: cut to fit, ended with NUL.
template <std::size_t N>
void set_field(char (&field)[N], std::string_view text) {
  const std::size_t n = std::min(text.size(), N - 1);
  std::memcpy(field, text.data(), n);
  std::memset(field + n, 0, N - n);
}

}  // namespace nines::plane
