// What happened, as a bounded ring in shared memory: one writer, readers with a position of their own. Writing
// never waits. A reader that falls behind by more than the ring is told how many it lost; it must record those
// as unknown, never as nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "plane/seqlock.h"

namespace nines::plane {

// What the end of a replica's process was.
enum class ExitIs : std::int64_t { kOrdered = 0, kCrash = 1, kOutOfMemory = 2, kGivenUp = 3 };

enum class EventKind : std::uint16_t {
  kServiceStarted = 1,  // by the supervisor; text: service
  kServiceStopping,     // text: who wished it; a: 1 the record did not have it, and the next keeper tells it
  kSpawned,             // a replica's process was started
  kSpawnFailed,         // text: why
  kListening,           // its listening socket was proven to be its own; a: port, or text: path
  kReady,               // it answers, and is routed; a: ns from spawn to ready, b: port
  kUnready,             // alive, but its health check fails; text: why; a: 1 it never was
  kExited,              // a: exit status or signal, b: an ExitIs; text: how it ended
  kUnrouted,            // the gateway no longer sends to it; a: requests that it still has to finish
  kDraining,            // no new requests, at a person's or a deploy's wish
  kTerminated,          // SIGTERM sent
  kKilled,              // SIGKILL sent; text: why
  kGatewayStarted,
  kGatewayExited,  // text: how; b: 1 nobody asked for it
  kKeeperStarted,
  kKeeperExited,  // text: how; b: 1 nobody asked for it
  kSupervisorStarted,
  kSupervisorExited,  // text: how; b: 1 nobody asked for it
  kAnchorStarted,
  kAnchorExited,   // seen by the supervisor: nobody will restart it from now on
  kAdopted,        // a new supervisor found this process running, and goes on with it; text: where it found it
  kStopWished,     // text: by whom
  kStartWished,    // text: by whom
  kRestartWished,  // text: by whom
  kBackupTaken,    // text: archive; a: bytes, b: ns it took
  kBackupFailed,   // text: why
  kRestored,       // text: archive; a: ns it took
  kUpgraded,       // text: version
  kEventsLost,     // a: how many events were overwritten unread: what they said is unknown
  kEjected,       // the gateway sends nothing to it for a while, since requests fail there; text: cause, a: ns it lasts
  kUnejected,     // text: why
  kHung,          // alive, but requests get no byte and a fresh probe fails; text: what was seen
  kCanaryFailed,  // its answer to the golden request is wrong or did not come; text: why
  kCanaryPassed,  // it answers the golden request again; a: ns it took
  kPanicBegan,    // so few replicas are healthy that ejections are ignored; a: healthy, b: of how many
  kPanicEnded,    // a: healthy, b: of how many
  kDrainWished,   // text: by whom
  kUndrainWished,       // text: by whom
  kWeightWished,        // text: by whom; a: percent of what a plain replica gets, -1 the configured one
  kWaitsFor,            // nothing is started before it answers; text: what, and what it said
  kNeedsMet,            // what was waited for answers; a: ns that it took
  kOutOfMemory,         // a process of it was killed for its memory limit, and not the first one; text: the limit
  kGivenUp,             // alive, but it has not answered for too long: it is ended; text: what was seen
  kDeployBegan,         // a: the release; text: what changed, and by whom
  kDeployMoved,         // a: the release; text: how far it has come
  kDeployDone,          // a: the release; text: how
  kDeployUndone,        // a: the release that is given up; text: why
  kFileDamaged,         // text: which guarded file, and what is wrong with it
  kFilePutBack,         // text: which; a: ns from noticing to its place
  kReloadWished,        // text: by whom, and which keys of the configuration are others; a: how many
  kCrashLoop,           // it ends again and again, and is tried on; text: how it ended last; a: crashes in a row
  kMaintenancePlanned,  // a, b: from and to (Unix seconds); text: why, and by whom
  kMaintenanceEnded,    // a: at (Unix seconds), before it would have been over; text: by whom
  // What a person says of the record. The text ends in "; " and who said it.
  kIncidentAcknowledged,  // a: the incident; text: by whom
  kIncidentNoted,         // a: the incident; text: the note
  kIncidentsMerged,       // a: the incident, b: another one that is part of it; text: why
  kCorrected,             // a, b: from and to (Unix seconds); text: what they were really ("up: "), and why
  // Told by the keeper:
  kServiceDegraded = 200,  // a share of the requests fails; a: the last good second (Unix), b: the first bad one
  kServiceDown,            // all of them fail, or none comes and the last probe failed; a, b: the same
  kServiceUp,              // well again; text: how long it was down; a: since when (Unix), b: requests that failed
  kClockStepped,           // the wall clock was set; a: by how many ns
  kNotMeasured,            // a: for so many seconds nothing was seen; text: why, as far as that is known
  kHostDown,               // all of nines was gone for a while; text: how that is known
  // Between the anchor and the supervisor only, never in the log:
  kReaped = 1000,  // incarnation: start time of the process; a: si_code, b: si_status of waitid(2)
};
std::string_view name_of(EventKind kind);

inline constexpr std::uint16_t kNoReplica = 0xffff;

// Whose ring an event of the log came through.
enum class Origin : std::uint64_t { kSupervisor = 0, kGateway = 1, kAnchor = 2, kKeeper = 3 };

struct Event {
  std::uint64_t number = 0;  // 1, 2, 3 … of this ring; set by push()
  std::int64_t at_ns = 0;    // CLOCK_BOOTTIME
  EventKind kind{};
  std::uint16_t replica = kNoReplica;
  std::uint32_t pid = 0;
  std::uint64_t incarnation = 0;
  std::int64_t a = 0, b = 0;
  Origin origin = Origin::kSupervisor;
  std::uint64_t origin_number = 0;  // its number in the ring it came through
  char text[96] = "";               // UTF-8, cut to fit, ends with NUL

  void set_text(std::string_view t);
  Instant at() const { return Instant{Duration(at_ns)}; }
};
static_assert(sizeof(Event) == 160);

class EventRing {
 public:
  static constexpr std::size_t kSize = 1024;

  void push(Event event);
  // The same in two steps, for a writer to whom the event happens by something else that it writes: what is prepared is
  // seen by nobody before publish() of that number or a later one. REQUIRES numbers without a gap.
  void prepare(Event event, std::uint64_t number);
  void publish(std::uint64_t number) { next_.store(number, std::memory_order_release); }

  struct Read {
    std::vector<Event> events;
    std::uint64_t next = 1;  // pass it as `from` the next time
    std::uint64_t lost = 0;  // overwritten before they were read
  };
  // Everything from number `from` on, at most `max` events.
  Read read(std::uint64_t from, std::size_t max = kSize) const;
  // The next event pushed gets a number behind this one. REQUIRES: nothing was pushed yet.
  void begin_behind(std::uint64_t number) { next_.store(number, std::memory_order_release); }
  std::uint64_t next_number() const { return next_.load(std::memory_order_acquire) + 1; }

 private:
  std::atomic<std::uint64_t> next_ = 0;  // events written so far. First: plane.cc names it as a field of the table
  Seqlock<Event> slots_[kSize];
};

}  // namespace nines::plane
