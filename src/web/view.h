// What the dashboard and /metrics show, as plain values taken from the shared table at one moment.
//
// Pure: nothing here asks the system for anything. What the table does not hold comes as Facts, the time comes as
// arguments. A record that cannot be read (its writer died in the middle of it) is "unknown" here, never a guess.
// Any number of threads, while the table's writers go on writing.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "plane/event_text.h"
#include "plane/plane.h"

namespace nines::web {

enum class Verified : std::uint8_t { kNotYet, kYes, kNo };

struct Backup {
  std::string archive;
  WallTime at{};
  std::uint64_t bytes = 0;
  Verified verified = Verified::kNotYet;
};

struct LedgerFacts {
  std::optional<std::uint64_t> rows;
  std::string problem;  // why events cannot be recorded just now; empty: they can
};

// What the shared table does not hold. Texts may be anything: they are escaped where they are shown.
struct Facts {
  std::string service;
  std::string version;
  std::vector<std::string> listen;  // addresses of the service, as URLs
  std::optional<double> objective;  // a fraction
  std::string folder;               // where the service keeps its state
  bool alone = false;               // a gateway by itself: there is no supervisor, nor what it would start
  std::size_t enough = 1;           // with fewer replicas that take requests the service counts as down
  // Whether this process runs (a zombie does not). `start_time` as in plane::Part; 0: whichever has the pid now. Empty:
  // every process that the table names counts as running.
  std::function<bool(std::uint32_t pid, std::uint64_t start_time)> alive;
  bool keeps_backups = false;         // some are configured
  std::vector<Backup> backups;        // newest first
  std::optional<LedgerFacts> ledger;  // nullopt: there is none
  std::vector<std::string> hosts;     // further names the dashboard may be reached by, without ports
};

enum class ServiceState : std::uint8_t { kUp, kDegraded, kDown };
std::string_view name_of(ServiceState state);  // up, degraded, down

// `up`: everything that is wanted is there. `degraded`: requests are served, but something is lacking. `down`: the
// gateway does not accept connections, or fewer than enough replicas take requests. A replica that a person stopped is
// not lacking.
struct ServiceView {
  std::string name, version, folder;
  std::vector<std::string> listen;
  std::optional<double> objective;
  ServiceState state = ServiceState::kDown;
  std::optional<WallTime> since;     // nullopt: unknown
  std::vector<std::string> lacking;  // why it is not up, in whole sentences with what to do
  std::size_t taking_requests = 0;   // replicas
  std::size_t stopped = 0;           // replicas that a person stopped
};

struct LatencyView {
  std::optional<Duration> p50, p99;  // nullopt: no requests yet
  plane::LatencyCounts counts{};
};

struct ReplicaView {
  std::size_t slot = 0;
  std::string name;                    // "slot 3" when its record cannot be read
  bool known = true;                   // false: its record cannot be read; pid, port, restarts and times say nothing
  std::string_view state = "unknown";  // of the JSON contract: waiting, starting, ready …
  bool takes_requests = false;         // the gateway sends to it
  bool held = false;                   // a person stopped it
  bool ejected = false;                // requests failed on it: it gets none for a while, but in panic
  std::string note;                    // what is wrong with it, empty: nothing known
  std::optional<std::uint32_t> pid;    // nullopt: no process
  std::string at;                      // "20001" (a port on loopback), "1-7.sock", "10.0.0.5:8000"; empty: nowhere
  std::uint64_t in_flight = 0, requests = 0, errors = 0, restarts = 0, crashes_in_row = 0;
  std::uint64_t connect_failures = 0, gateway_errors = 0, ejections = 0, hangs = 0;
  std::uint16_t weight = 100;       // percent
  std::optional<WallTime> since;    // in this state
  std::optional<WallTime> spawned;  // when its process was started; nullopt: no process
  LatencyView latency;
};

struct GatewayView {
  std::uint64_t requests = 0, errors = 0, client_errors = 0, replayed = 0, abandoned = 0, unroutable = 0;
  std::uint64_t connections_refused = 0, connections = 0, waiting = 0;
  std::uint64_t rejected_queue_full = 0, rejected_queue_time = 0, retries_denied = 0, replays_after_exit = 0;
  std::uint64_t streams = 0, streams_interrupted = 0, upgrades = 0, access_lines_dropped = 0;
  std::array<std::uint64_t, plane::kTimeouts> timeouts{};  // by plane::Timeout
  bool panic = false;                                      // it ignores ejections
  bool serving = false;                                    // it accepts connections
  LatencyView latency;
};

// One of nines' own processes.
enum class PartState : std::uint8_t {
  kRunning,
  kGone,     // it was started, and is not there any more
  kAbsent,   // none was started, or it left
  kUnknown,  // its record cannot be read
};
std::string_view name_of(PartState state);  // running, gone, not running, unknown

struct PartView {
  std::string_view name;  // anchor, supervisor, gateway, keeper
  PartState state = PartState::kUnknown;
  std::optional<std::uint32_t> pid;
  std::optional<WallTime> since;        // in this state; nullopt: unknown
  std::optional<std::uint32_t> starts;  // nullopt: unknown
};

struct EventView {
  std::uint64_t number = 0;
  std::optional<WallTime> at;  // nullopt: unknown
  plane::Mood mood{};
  std::string words;
};

struct LogView {
  std::uint64_t written = 0;    // the number of the last event
  std::uint64_t lost = 0;       // overwritten before anybody took them
  std::uint64_t waiting = 0;    // not in the ledger yet
  std::vector<EventView> last;  // newest first, at most kEventsShown
};
inline constexpr std::size_t kEventsShown = 20;

struct View {
  WallTime taken{};
  ServiceView service;
  std::vector<ReplicaView> replicas;  // by slot
  GatewayView gateway;
  std::vector<PartView> parts;  // anchor, supervisor, gateway, keeper; only the gateway when it is alone
  LogView log;
  bool keeps_backups = false;
  std::vector<Backup> backups;
  std::optional<LedgerFacts> ledger;
  std::vector<std::string> hosts;
};

// `now` and `wall` are the same moment on two clocks.
View view_of(const plane::Table& table, const Facts& facts, Instant now, WallTime wall);

}  // namespace nines::web
