// The shared memory of a running service: what the supervisor wants, what the gateway found, the counters and what
// happened, so that any part may die and its successor goes on from here.
//
// Every record has one writer: the anchor its own Part, the supervisor's and its event ring; the supervisor the other
// Parts, the Routes and the log; the gateway its verdicts and its event ring; the keeper what it measures, and its
// event ring. Counters are atomics that are only added to. Readers are anybody. Times are CLOCK_BOOTTIME in
// nanoseconds.
//
// Byte by byte: docs/internals/shared-memory.md, which a test holds against this file.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "plane/events.h"
#include "plane/histogram.h"
#include "plane/seqlock.h"

namespace nines::plane {

inline constexpr std::uint64_t kMagic = 0x656e616c702d3939;  // "99-plane"
#ifdef NINES_OTHER_LAYOUT
// The test suite builds a second program with it, to see one layout replace another under load.
inline constexpr std::uint32_t kLayout = 1006;
inline constexpr std::size_t kReplicasMax = 80;
#else
inline constexpr std::uint32_t kLayout = 6;
inline constexpr std::size_t kReplicasMax = 68;  // 64 of a service, and those that a deploy starts beside them
#endif

// What the gateway is to do with a replica.
enum class Wanted : std::uint8_t {
  kAbsent = 0,  // nothing there: no checks, no requests, and what is in flight on it is lost
  kServe = 1,   // check it, and route to it while it passes
  kDrain = 2,   // no new requests; what is in flight may finish
};

// The supervisor's book about one replica: what the gateway goes by, and what the next supervisor goes on from.
struct Route {
  std::uint64_t incarnation = 0;  // of the process; never used twice in this service's life. 0: never had one
  std::int64_t since_ns = 0;      // when the replica got into its state
  std::int64_t spawned_ns = 0;    // when this incarnation was started
  std::uint64_t restarts = 0;     // crashes that were followed by a start
  std::uint64_t start_time = 0;   // of the process, as in /proc/PID/stat: with the pid it names one process for ever
  std::uint32_t pid = 0;          // 0: no process, or its exit is in the log
  std::uint16_t port = 0;         // TCP port at host; 0: see socket
  Wanted wanted = Wanted::kAbsent;
  std::uint8_t state = 0;      // supervise::State; the gateway goes by `wanted`
  std::uint8_t ipv6 = 0;       // 1: it listens on ::1 only
  std::uint8_t listening = 0;  // 1: its listening socket was proven to be its own
  std::uint8_t ordered = 0;    // 1: its end was ordered: an exit is no crash
  std::uint8_t held = 0;       // 1: a person stopped it; it stays stopped until a person starts it
  std::uint32_t crashes_in_row = 0;
  std::uint16_t weight = 100;  // percent of what a plain replica gets; 0: nothing new
  std::uint8_t tier = 0;       // it gets requests while no replica of a lower tier can take them
  char host[46] = "";          // IP address of one that runs elsewhere; empty: here, on loopback
  std::uint8_t unused[3] = {};
  std::uint32_t release = 0;  // what its process, or without one the next, is started from. 0: not known
  char name[72] = "";
  char socket[104] = "";  // path of a Unix socket
#ifdef NINES_OTHER_LAYOUT
  std::uint64_t more[3] = {};
#endif
};

// How the gateway sees a replica.
enum class Health : std::uint8_t { kUnknown = 0, kUp = 1, kDown = 2 };

// What requests that failed on a replica had it ejected for.
enum class EjectionCause : std::uint8_t { kNone = 0, kConnect = 1, kGatewayErrors = 2 };
std::string_view words_of(EjectionCause cause);  // "connections fail"

struct Verdict {
  std::uint64_t incarnation = 0;      // the one it is about: a verdict on another one says nothing
  std::int64_t since_ns = 0;          // when its health became so
  std::int64_t ejected_until_ns = 0;  // before that it gets no requests, but in panic; 0: never ejected
  std::uint32_t ejections = 0;        // one after the other, not yet forgiven when the last one began
  Health health = Health::kUnknown;
  EjectionCause cause = EjectionCause::kNone;  // of the last ejection
  std::uint8_t hung = 0;                       // 1: down because requests got no byte and a fresh probe failed
  std::uint8_t wrong = 0;                      // 1: not up since it answers its canary wrongly
  char reason[96] = "";                        // the last failed check, when it is not up
};

// While gateways replace one another several may run, the former ones to finish what they have: each keeps its own part
// of a gauge (epoch modulo kGauges), which it sets to 0 when it begins. What is open is the sum.
inline constexpr std::size_t kGauges = 8;
using Gauge = std::atomic<std::uint64_t>[kGauges];
inline std::uint64_t total(const Gauge& gauge) {
  std::uint64_t sum = 0;
  for (const auto& part : gauge) sum += part.load(std::memory_order_relaxed);
  return sum;
}

struct Observed {
  Seqlock<Verdict> verdict;
  // In a row, over all threads; what ends a row: gateway/outlier.h.
  std::atomic<std::uint32_t> connect_failures_in_row = 0;
  std::atomic<std::uint32_t> gateway_errors_in_row = 0;
  std::atomic<std::int64_t> failing_since_ns = 0;  // when the row of gateway errors began
  std::atomic<std::int64_t> progress_ns = 0;       // when the last byte came from it, on any request
  std::atomic<std::int64_t> well_ns = 0;           // when an answer last proved that it works
  // It hangs while the first is later than the second; any thread of the gateway raises them. gateway/hang_guard.h
  std::atomic<std::int64_t> hung_ns = 0;            // when requests were found to hang there
  std::atomic<std::int64_t> passed_ns = 0;          // when it last passed a check that proves something
  std::atomic<std::uint64_t> requests = 0;          // attempts that ended, one way or another
  std::atomic<std::uint64_t> errors = 0;            // of these: no answer, a broken answer, or a status from 500 up
  std::atomic<std::uint64_t> connect_failures = 0;  // of the errors: no connection was made
  std::atomic<std::uint64_t> gateway_errors = 0;    // of the errors: sent and broke, timed out, or 502, 503 or 504
  std::atomic<std::uint64_t> ejections = 0;
  std::atomic<std::uint64_t> hangs = 0;
  Gauge in_flight = {};      // attempts under way
  LatencyHistogram latency;  // of answered attempts: first byte sent to first byte of the answer
};

// What nines' own probes at the public address carry (Outcome::kExcluded): nobody else knows this table's id.
std::string probe_key(const struct Table& table);

// Counts from 0: the slot is another server's from now on. REQUIRES: no attempt is under way there.
void forget_counts(Observed& observed);

// Time limits of the data path, by the name that logs and metrics give them.
enum class Timeout : std::uint8_t {
  kRequestHead,  // a client's request head
  kRequestBody,  // between two pieces of its body
  kConnect,      // to a replica
  kFirstByte,    // from the request sent to the first byte of the answer
  kStreamIdle,   // between two events of a stream
  kAnswerIdle,   // between two pieces of another answer
  kClientWrite,  // the client takes nothing of the answer
  kQueue,        // a request that waits for a replica
  kKeepAlive,    // an idle connection of a client
  kTunnelIdle,   // an upgraded connection on which nothing moves
};
inline constexpr std::size_t kTimeouts = 10;
std::string_view name_of(Timeout timeout);  // "first_byte"

// What a request counts as when availability is measured (docs/internals/availability.md). Every one is one of them.
enum class Outcome : std::uint8_t {
  kGood,      // answered by a replica with a status below 500, but for 429
  kBad,       // a status from 500 up, also the gateway's own; an answer that broke off; turned away over a limit
  kExcluded,  // says nothing about the service: refused as invalid, a caller's quota (429), a probe of nines itself
  kAborted,   // the client left before the end of the answer
};
inline constexpr std::size_t kOutcomes = 4;

struct ServiceCounters {
  std::atomic<std::uint64_t> requests = 0;              // that clients sent and that ended
  std::atomic<std::uint64_t> errors = 0;                // of these: a status from 500 up, or an answer that broke off
  std::atomic<std::uint64_t> client_errors = 0;         // answered by the gateway itself with 400 to 499
  std::atomic<std::uint64_t> replayed = 0;              // attempts made because another failed
  std::atomic<std::uint64_t> abandoned = 0;             // the client left before the end of the answer
  std::atomic<std::uint64_t> unroutable = 0;            // answered 503: nobody ready
  std::atomic<std::uint64_t> connections_refused = 0;   // over the limit
  std::atomic<std::uint64_t> rejected_queue_full = 0;   // answered 503: too many were waiting
  std::atomic<std::uint64_t> rejected_queue_time = 0;   // answered 503: waited too long
  std::atomic<std::uint64_t> retries_denied = 0;        // not sent again, since the budget for that was spent
  std::atomic<std::uint64_t> replays_after_exit = 0;    // of `replayed`: the process was known to have ended
  std::atomic<std::uint64_t> streams = 0;               // answers that were event streams
  std::atomic<std::uint64_t> streams_interrupted = 0;   // of these: broke off
  std::atomic<std::uint64_t> upgrades = 0;              // connections that became tunnels
  std::atomic<std::uint64_t> access_lines_dropped = 0;  // of the access log: there was no room for them
  std::atomic<std::uint64_t> timeouts[kTimeouts] = {};  // by Timeout
  Gauge waiting = {};                                   // requests in the admission queue
  Gauge connections = {};                               // open now
  LatencyHistogram latency;                             // request read to answer sent
  std::atomic<std::uint64_t> outcomes[kOutcomes] = {};  // by Outcome: every request once
  std::atomic<std::uint64_t> given_up = 0;  // of the aborted: the client had waited for a while, and got nothing
};

// One of nines' own processes.
struct Part {
  std::uint32_t pid = 0;  // 0: none just now
  std::uint32_t starts = 0;
  std::uint64_t start_time = 0;  // as in Route
  std::int64_t since_ns = 0;     // when it was started; without a pid: when it went
};

// The directory behind the header describes the rest, so that a program with another layout can read
// the numbers it carries over: `repeat` groups, `stride` bytes apart, of `count` 64-bit numbers each.
struct Field {
  char name[40] = "";
  std::uint32_t offset = 0;
  std::uint32_t stride = 0;
  std::uint32_t repeat = 0;
  std::uint32_t count = 0;
};
inline constexpr std::size_t kFields = 32;

struct Header {
  // These six never move, in no layout.
  std::uint64_t magic = kMagic;
  std::uint32_t layout = kLayout;
  std::uint32_t size = 0;
  std::uint64_t id = 0;  // random: tells one table from the next
  std::uint32_t fields_offset = 0;
  std::uint32_t fields = 0;

  std::atomic<std::uint64_t> next_incarnation = 1;  // by the supervisor
  std::atomic<std::uint64_t> routes_version = 0;    // by the supervisor: grows with every change of a Route
  std::atomic<std::uint64_t> gateway_epoch = 0;  // by the supervisor: only the gateway started with this number writes
  std::atomic<std::uint64_t> routes_seen = 0;    // by the gateway: all of it acts on this version or a later one
  std::atomic<std::uint32_t> gateway_serving = 0;  // by the gateway: its pid, while it accepts connections
  std::atomic<std::uint32_t> dashboard_port = 0;   // by the keeper: where its page is, 0: nowhere
  std::atomic<std::uint64_t> log_taken = 0;        // by the keeper: events up to this number are in the ledger
  std::atomic<std::uint64_t> log_lost = 0;         // by the keeper: events it did not get, since they were overwritten
  std::atomic<std::uint64_t> gateway_events_taken = 0;  // by the supervisor: of that ring, up to here is in the log
  std::atomic<std::uint64_t> anchor_events_taken = 0;   // by the supervisor: the same
  std::atomic<std::uint64_t> keeper_events_taken = 0;   // by the supervisor: the same
  std::atomic<std::uint64_t> slices_dropped = 0;        // by the keeper: they were measured and could not be recorded
  std::atomic<std::uint32_t> stopping = 0;    // by the supervisor: the service goes down, whoever supervises it
  std::atomic<std::uint32_t> ever_ready = 0;  // by the supervisor: so it is never given up
  std::atomic<std::uint32_t> announced = 0;   // by the supervisor: it was said that the service is up
  std::atomic<std::uint32_t> carried = 0;     // by the supervisor: the counters of the table before are in this one

  // What the supervisor tells the anchor before it exits; anything else than 0 is read once.
  enum class Leave : std::uint32_t {
    kDied = 0,       // it was not asked to: start it again
    kEnded = 1,      // the service is down: the anchor ends too, with exit_status
    kSucceeded = 2,  // become the program `successor`, which starts the next supervisor
  };
  std::atomic<Leave> leave = Leave::kDied;
  std::atomic<std::uint32_t> exit_status = 0;
  std::atomic<std::uint32_t> panic = 0;  // by the gateway: 1 while it ignores ejections
  std::uint32_t unused = 0;
  std::atomic<std::int64_t> heartbeat_ns = 0;  // by the supervisor: when its loop last turned; app/vigil.h
  char successor[512] = "";
#ifdef NINES_OTHER_LAYOUT
  std::uint64_t more[5] = {};
#endif
};

// The keeper's, from second to second: what is measured and not over yet, so that its successor goes on (app/meter.h).
// Times are whole seconds since 1970, if not said otherwise.
struct Metered {
  std::uint64_t version = 0;            // of the two copies the higher one is the newer; 0: nothing was measured yet
  std::int64_t slice_s = 0;             // the present slice begins; 0: none has
  std::int64_t until_s = 0;             // up to here seconds are judged
  std::int64_t at_ns = 0, wall_ns = 0;  // CLOCK_BOOTTIME and the wall clock at the last look
  std::int64_t good_s = 0;              // the last second in which something proved that it works; 0: none
  std::int64_t trouble_s = 0;           // since when it is not well; 0: it is
  std::int64_t calm_s = 0;              // since when it is well again, but not for long enough; 0: it is not
  std::int64_t doubt_s = 0;             // when a client last gave up waiting, and nobody was answered since; 0: never
  std::int64_t gone_from_s = 0;         // before this table nothing ran between these: recorded before the slices
  std::int64_t gone_to_s = 0;           //
  std::uint64_t outcomes[kOutcomes] = {};  // by Outcome, at the last look
  std::uint64_t given_up = 0;              // the counter, at the last look
  std::uint64_t failed = 0;                // requests, since trouble_s
  std::uint64_t slices = 0;                // that are over: the numbers up to this one are in Table::slices
  std::uint64_t told = 0;                  // events of the keeper up to this number have happened
  std::uint32_t seconds[6] = {};           // of the slice: up, degraded, down; the same three in maintenance
  std::uint32_t probes[2] = {};            // of the slice: good, bad
  std::uint32_t down = 0;                  // seconds, since trouble_s
  std::uint32_t worst = 0;                 // since trouble_s: 1 degraded, 2 down
};

// Ten seconds that are over, on their way to the ledger.
struct MeasuredSlice {
  std::int64_t start_s = 0;                // Unix seconds
  std::int64_t until_s = 0;                // as far as it is judged
  std::uint64_t outcomes[kOutcomes] = {};  // the counters at its end
  std::uint32_t seconds[6] = {};           // as in Metered
  std::uint32_t probes[2] = {};
  bool operator==(const MeasuredSlice&) const = default;
};
// A day of them can wait for a disk that is full. Slice n, from 1 on, stands at n modulo this.
inline constexpr std::size_t kSlicesMax = 8640;

// Something that is wrong until it is right again, for whoever shows it. since_ns 0: nothing is.
struct Problem {
  std::int64_t since_ns = 0;
  char text[248] = "";
};

struct Table {
  Header header;
  Field fields[kFields];
  Seqlock<Part> anchor, supervisor, gateway, keeper;
  Seqlock<Route> routes[kReplicasMax];
  Observed observed[kReplicasMax];
  ServiceCounters service;
  EventRing log;                // what happened, in one order: by the supervisor, who adds what the rings below bring
  EventRing gateway_events;     // by the gateway
  EventRing anchor_events;      // by the anchor
  EventRing keeper_events;      // by the keeper
  Seqlock<Metered> metered[2];  // by the keeper, in turn, so that one that dies in the middle leaves one
  Seqlock<MeasuredSlice> slices[kSlicesMax];  // by the keeper
  Seqlock<Problem> record_problem;            // by the keeper: what was measured cannot be recorded
};

// The newer copy; nullopt: nothing was measured yet.
std::optional<Metered> metered_in(const Table& table);
// The next one. REQUIRES: what it says of slices and events is there.
void keep(Table& table, Metered& metered);

// Owns one mapping of the table.
class Plane {
 public:
  // A fresh table in anonymous memory; fd() is what a child process inherits.
  static Result<Plane> create();
  // A table that exists. kInvalid when it is not one; kExists when it is one of another layout.
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

// A table of another layout, as far as it can be read: the numbers its fields name.
class ForeignTable {
 public:
  // kInvalid when it is no table, or does not describe itself.
  static Result<ForeignTable> attach(const Fd& fd);
  ForeignTable(ForeignTable&& other) noexcept;
  ForeignTable& operator=(ForeignTable&&) = delete;
  ~ForeignTable();

  // Moves its counters to those of the same name, group by group; called again, by whomever, what has been added to
  // them since. Killed in the middle, it loses what one counter had.
  void move_counters_to(Table& table);
  // Lets the table's numberings (incarnations, epochs, events) go on behind its own, so that none is given twice.
  void continue_numbers_in(Table& table) const;

 private:
  ForeignTable(std::byte* memory, std::size_t size) : memory_(memory), size_(size) {}
  std::byte* memory_;
  std::size_t size_;
};

// Copies text into a fixed field: cut to fit, ended with NUL.
template <std::size_t N>
void set_field(char (&field)[N], std::string_view text) {
  const std::size_t n = std::min(text.size(), N - 1);
  std::memcpy(field, text.data(), n);
  std::memset(field + n, 0, N - n);
}

}  // namespace nines::plane
