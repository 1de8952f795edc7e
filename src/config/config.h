// nines.yaml as plain values. Every field stands here once, with its default; the struct is the reference, and
// docs/internals/configuration.md explains it to users.
//
// A Config that came out of parse() is valid: every bound holds. It is a value: copy it, compare it, send it to a
// child process as text (to_yaml) and read it there again. All functions are pure and safe from any thread, but
// for load(), which reads one file and may block.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"
#include "config/problem.h"
#include "config/secret.h"

namespace nines::config {

// An IP address in the canonical form of inet_ntop (no names, no brackets) and a port from 1 to 65535.
struct Address {
  std::string ip;
  std::uint16_t port = 0;

  bool is_ipv6() const { return ip.find(':') != std::string::npos; }
  // "127.0.0.1:8000", "[::1]:8000"
  std::string text() const;
  bool operator==(const Address&) const = default;
};

struct Health {
  // Asked with GET, a query is allowed. nullopt: the check is a TCP connect, because the file has no `health:` or
  // says `path: none`; the other fields hold for it too. `health:` without a path means kDefaultPath.
  std::optional<std::string> path;
  Duration interval = 2s;   // HAProxy's default, as rise and fall; a dead replica is out within 7 s
  Duration timeout = 1s;    // a health endpoint that takes longer is a symptom
  int rise = 2;             // successes in a row to become ready: one may be luck
  int fall = 3;             // failures in a row to leave rotation: two may be noise
  Duration startup = 600s;  // to the first success: loading a big model takes minutes, a hung load must still end
  // Down for so long without a byte: started again, if others can be spared it. nullopt: never. As long as a canary's
  // `stall`, since a busy server is not dead.
  std::optional<Duration> restart_after = 30s;

  static constexpr std::string_view kDefaultPath = "/health";
  bool operator==(const Health&) const = default;
};

struct Stop {
  Duration drain = 30s;  // what requests in flight get before SIGTERM: a long generation, not a forgotten stream
  Duration grace = 10s;  // between SIGTERM and SIGKILL: what `docker stop` gives
  bool operator==(const Stop&) const = default;
};

// A golden request: one whose answer is known. It tells a busy server from a dead one when no byte comes any more.
struct Canary {
  std::string method = "POST";                    // or GET, without a body
  std::string path;                               // a query is allowed
  std::string body;                               // JSON text, where the file says `json:`
  std::string content_type = std::string(kJson);  // of the body
  // What the JSON of the answer must have at a place. nullopt: any 2xx will do.
  struct Expect {
    std::string pointer;  // RFC 6901; empty: all of it
    std::string equals;   // as JSON text
    bool operator==(const Expect&) const = default;
  };
  std::optional<Expect> expect;
  Duration timeout = 10s;
  Duration stall = 30s;      // silence, with requests outstanding, before it is sent: longer than most prompts take
  Duration every = 1min;     // silence, with or without requests, before it is sent to the public address
  bool before_ready = true;  // a new process gets no requests before it has passed

  static constexpr std::string_view kJson = "application/json";
  static constexpr std::string_view kText = "text/plain; charset=utf-8";
  bool operator==(const Canary&) const = default;
};

// A server elsewhere, which nobody here starts or stops.
struct Endpoint {
  Address at;
  int weight = 100;  // percent of what a plain one gets; 0: nothing
  int tier = 0;      // it gets requests while no endpoint of a lower tier can take them
  bool operator==(const Endpoint&) const = default;
};

using EnvironmentValue = std::variant<std::string, Secret>;

// A replica as a container of an engine on this machine: Docker or Podman.
struct Container {
  enum class Network : std::uint8_t {
    kBridge,  // the engine's: `port` of the image is published on a loopback port that nines chooses
    kHost,    // this machine's: "{port}" in `command` or in `env` says where to listen
  };
  std::string image;
  std::uint16_t port = 0;            // where the server in the image listens; 0 with kHost
  std::vector<std::string> command;  // empty: the image's; "{port}" is replaced
  Network network = Network::kBridge;
  std::vector<std::string> volumes;  // "./data:/data", "NAME:/data:ro", as written
  std::string engine;                // its Unix socket; empty: DOCKER_HOST, or where engines usually listen
  std::uint64_t memory = 0;          // bytes, swap included; 0: no limit
  int cpu_percent = 0;               // of one core; 0: no limit
  bool operator==(const Container&) const = default;
};

// What a process may use. nullopt: as nines itself.
struct ProcessLimits {
  std::optional<std::uint64_t> files;      // open at a time: RLIMIT_NOFILE
  std::optional<std::uint64_t> processes;  // of its user: RLIMIT_NPROC
  std::optional<std::uint64_t> core;       // bytes of a core dump: RLIMIT_CORE
  std::optional<std::uint64_t> memory;     // bytes, all its processes together; by a cgroup where there are any
  std::optional<int> cpu_weight;           // beside other groups, when CPUs are short: 100 is plain. Only by a cgroup
  bool operator==(const ProcessLimits&) const = default;
};

// What a process of a replica is started from, and all that a deploy changes.
struct Launch {
  // argv of one replica, without a shell; either "{port}" or "{socket}" occurs in it.
  std::vector<std::string> command;
  std::optional<Container> container;           // in place of a command; then directory, user, umask and limits are not
  std::map<std::string, EnvironmentValue> env;  // added to what nines itself was started with
  std::vector<std::string> env_file;            // files of NAME=VALUE lines, read at each start; `env` wins over them
  std::optional<std::string> directory;         // nullopt: the configuration's folder
  std::optional<std::string> user;              // a name or a number, and perhaps a group: "api", "1000:1000"
  std::optional<int> umask;
  ProcessLimits limits;
  std::vector<std::string> files;  // what the server cannot start without: model files, or folders of them
  // What one runs, as messages name it: the command's program, or the image; empty for endpoints.
  std::string program() const;
  // It listens on a Unix socket: "{socket}" occurs.
  bool by_socket() const;
  bool operator==(const Launch&) const = default;
};

// What follows the end of a process that nobody ordered.
enum class Restart : std::uint8_t {
  kUnlessStopped,  // another start; what a person stopped stays so, over restarts of nines and of the machine
  kAlways,         // the same, but what a person stopped is started when nines is
  kOnFailure,      // exit status 0 is an end
  kNever,
};

// Something that must answer before the first replica is started.
struct Need {
  Address at;
  std::optional<std::string> path;  // asked with GET, and answered with 200 to 399; nullopt: a TCP connect
  // "127.0.0.1:5432", "http://127.0.0.1:9000/health"
  std::string text() const;
  bool operator==(const Need&) const = default;
};

struct Deploy {
  int surge = 1;        // replicas started beside those there are; 0: each takes the place of one
  Duration bake = 10s;  // how long the new ones are compared with the old ones, at 5 % and at 50 %
  // Worse than this it is rolled back: a share of errors so much above the old one's, and a latency (p50, p95) so many
  // percent of the old one's.
  int errors_percent = 1;
  int latency_percent = 200;
  bool operator==(const Deploy&) const = default;
};

// Exactly one of `command`, `container` and `endpoints` is there.
struct Replicas : Launch {
  int count = 1;                    // of `endpoints`: how many they are
  std::vector<Endpoint> endpoints;  // no address twice
  Health health;
  std::optional<Canary> canary;
  Stop stop;
  Restart restart = Restart::kUnlessStopped;
  std::vector<Need> needs;
  Deploy deploy;
  bool operator==(const Replicas&) const = default;
};

// kSafe: the request may be sent to another replica after a failure. Not assumed: only the user knows.
enum class Replay : std::uint8_t { kNever, kSafe };

struct Route {
  std::string path;  // a prefix on segment borders, as written
  Replay replay = Replay::kNever;
  std::optional<std::string> hash_header;  // requests with the same value of it go to the same replica
  // In place of what `gateway` says.
  std::optional<Duration> first_byte, stream_idle;
  std::optional<std::uint64_t> body;
  bool operator==(const Route&) const = default;
};

// Sources of the defaults: docs/internals/gateway.md.
struct Timeouts {
  Duration connect = 1s;
  Duration head = 10s;             // a client's request head
  Duration body_idle = 30s;        // between two pieces of its body
  Duration first_byte = 60s;       // of the answer
  Duration first_byte_max = 600s;  // the same, while the replica proves to be alive
  Duration answer_idle = 120s;     // between two pieces of an answer
  Duration stream_idle = 120s;     // between two events of a stream
  Duration keep_alive = 75s;       // an idle connection of a client
  Duration tunnel_idle = 1h;       // an upgraded connection on which nothing moves
  Duration upstream_idle = 4s;     // an idle connection to a replica
  bool operator==(const Timeouts&) const = default;
};

struct Retries {
  int most = 2;             // of one request
  int budget_percent = 20;  // of all requests
  bool operator==(const Retries&) const = default;
};

// "10.0.0.0/8", "::1": the address as inet_ntop writes it, without bits behind the prefix.
struct Network {
  std::string ip;
  int prefix = 32;

  std::string text() const;
  bool operator==(const Network&) const = default;
};

enum class AccessLog : std::uint8_t { kNone, kProblems, kAll };

struct Gateway {
  std::optional<int> threads;  // nullopt: one per core
  int in_flight = 32;          // requests on one replica
  int queue = 100;             // requests that wait for one
  Duration queue_time = 5s;
  int connections = 8000;  // of clients, per thread
  std::uint64_t head = 32 * 1024;
  std::uint64_t body = 64 * 1024 * 1024;
  Timeouts timeouts;
  Retries retries;
  Duration slow_start = 10s;    // a replica that has just become ready gets its full share after this
  bool cancel_upstream = true;  // when its client leaves, a request is ended
  AccessLog access_log = AccessLog::kProblems;
  std::vector<Network> trusted_proxies;         // whose X-Forwarded-For is believed
  std::optional<std::string> unavailable_page;  // a file with HTML for browsers, for when nobody is ready
  bool operator==(const Gateway&) const = default;
};

// What the service must not lose.
struct Data {
  std::vector<std::string> sqlite;  // database files, as written; none twice
  bool operator==(const Data&) const = default;
};

struct TimeOfDay {
  int hour = 0;  // 0-23
  int minute = 0;

  // "02:00"
  std::string text() const;
  auto operator<=>(const TimeOfDay&) const = default;
};

// Which archives stay: those that any rule wants, as in restic. 0 is a rule that wants nothing.
struct Keep {
  int last = 0;    // the newest so many
  int hourly = 0;  // the newest of each of the last so many hours that have one
  int daily = 0;
  int weekly = 0;  // weeks begin on Monday
  int monthly = 0;
  Duration within{0};  // all that are at most so much older than the newest
  bool operator==(const Keep&) const = default;
};

struct Backup {
  std::string to;                  // a folder
  std::vector<TimeOfDay> archive;  // local times of day, ascending; none: only when somebody asks for one
  Keep keep = {.within = 7 * 24h};
  bool operator==(const Backup&) const = default;
};

struct Dashboard {
  std::optional<Address> at;  // nullopt: there shall be none
  bool operator==(const Dashboard&) const = default;
};

// What was promised to whoever pays. A month is judged; what it means is in docs/internals/availability.md.
struct Sla {
  struct Credit {
    double below = 0;  // availability under this, as a fraction, earns
    int percent = 0;   // so much of the month's fee
    bool operator==(const Credit&) const = default;
  };
  double target = 0;                  // as `objective`
  std::vector<Credit> credits;        // from the highest bound and the smallest credit on; none above the target
  std::optional<double> monthly_fee;  // dollars; nullopt: credits are said as shares
  bool exclude_maintenance = true;    // declared maintenance counts neither way
  std::optional<std::string> claims;  // how one is made, in the words of who wrote it
  bool operator==(const Sla&) const = default;
};

// What downtime costs, in dollars. All optional, and nothing is assumed.
struct Costs {
  struct Factor {  // so many an hour of downtime, each of them worth so much
    double per_hour = 0, each = 0;
    bool operator==(const Factor&) const = default;
  };
  std::optional<double> per_request;  // what one earns
  std::optional<double> per_hour;     // whatever else an hour costs
  std::optional<Factor> churn;        // customers lost
  std::optional<Factor> support;      // tickets
  bool operator==(const Costs&) const = default;
};

struct Config {
  std::optional<std::string> service;  // nullopt: the caller names it after the file's folder
  std::optional<double> objective;     // availability as a fraction, above 0 and below 1; nullopt: none promised
  std::vector<Address> listen = {{"127.0.0.1", 8000}};  // loopback: nothing is public until somebody says so
  Replicas replicas;
  std::vector<Route> routes;  // paths are unique; order as written
  Gateway gateway;
  Data data;
  std::vector<Backup> backups;         // destinations, each once
  std::optional<Dashboard> dashboard;  // nullopt: not said, so the default or the next free port
  // An IANA name; days and months of reports are of it. Whether it exists is not looked up here.
  std::string timezone = std::string(kUtc);
  std::optional<Sla> sla;
  std::optional<Costs> costs;

  static constexpr std::string_view kUtc = "UTC";
  bool operator==(const Config&) const = default;
};

inline constexpr std::string_view kDashboardIp = "127.0.0.1";
inline constexpr std::uint16_t kDashboardPort = 9900;

template <class T>
struct Bounds {
  T min, max;  // both allowed
};

// The error messages quote these, so they are true by construction.
namespace bounds {
inline constexpr Bounds<int> kCount{1, 64};
inline constexpr Bounds<int> kThreads{1, 64};
inline constexpr Bounds<int> kInFlight{1, 100'000};
inline constexpr Bounds<int> kQueue{0, 100'000};
inline constexpr Bounds<Duration> kQueueTime{0s, 10min};
inline constexpr Bounds<int> kConnections{1, 1'000'000};
inline constexpr Bounds<std::uint64_t> kHead{4 * 1024, 1024 * 1024};
inline constexpr Bounds<std::uint64_t> kBody{0, 1ULL << 40};
inline constexpr Bounds<Duration> kConnect{10ms, 1min};
inline constexpr Bounds<Duration> kWait{100ms, 24h};  // the other time limits of the gateway
inline constexpr Bounds<Duration> kUpstreamIdle{0s, 1h};
inline constexpr Bounds<int> kRetries{0, 10};
inline constexpr Bounds<int> kBudget{0, 100};
inline constexpr Bounds<Duration> kSlowStart{0s, 1h};
inline constexpr std::size_t kTrustedProxies = 64;
inline constexpr std::size_t kEndpoints = 64;
inline constexpr Bounds<int> kWeight{0, 1000};
inline constexpr Bounds<int> kTier{0, 9};
inline constexpr std::size_t kVolumes = 64;
inline constexpr Bounds<std::uint64_t> kContainerMemory{6ULL << 20, 1ULL << 44};  // less, no engine takes
inline constexpr Bounds<int> kCpuPercent{1, 100'000};
inline constexpr Bounds<Duration> kCanaryTimeout{100ms, 10min};
inline constexpr Bounds<Duration> kStall{1s, 24h};
inline constexpr Bounds<Duration> kCanaryEvery{1s, 24h};
inline constexpr std::size_t kFieldNameBytes = 64;
inline constexpr std::size_t kKeyBytes = 256;  // of a mapping in `json:`; YAML allows no more than 1024 without a mark
inline constexpr Bounds<int> kRiseFall{1, 100};
inline constexpr Bounds<Duration> kInterval{100ms, 1h};
inline constexpr Bounds<Duration> kTimeout{10ms, 10min};
inline constexpr Bounds<Duration> kStartup{1s, 24h};
inline constexpr Bounds<Duration> kStop{0s, 1h};
inline constexpr std::size_t kFileBytes = 1024 * 1024;  // also of the snapshot
inline constexpr std::size_t kListenAddresses = 16;
inline constexpr std::size_t kArguments = 256;
inline constexpr std::size_t kTextBytes = 16 * 1024;  // one argument, one environment value
inline constexpr std::size_t kPathBytes = 2048;
inline constexpr std::size_t kVariables = 256;
inline constexpr std::size_t kRoutes = 256;
inline constexpr Bounds<int> kKept{1, 10'000};
inline constexpr Bounds<Duration> kWithin{1h, 24h * 3650};
inline constexpr std::size_t kDatabases = 64;
inline constexpr std::size_t kModelFiles = 256;
inline constexpr std::size_t kEnvFiles = 16;
inline constexpr std::size_t kNeeds = 16;
inline constexpr Bounds<Duration> kRestartAfter{1s, 24h};
inline constexpr Bounds<std::uint64_t> kLimit{0, 1ULL << 40};
inline constexpr Bounds<std::uint64_t> kOpenFiles{16, 1ULL << 30};
inline constexpr Bounds<std::uint64_t> kMemory{16 * 1024 * 1024, 1ULL << 46};
inline constexpr Bounds<int> kCpuWeight{1, 10'000};  // of cgroup v2
inline constexpr Bounds<int> kSurge{0, 4};
inline constexpr Bounds<Duration> kBake{0s, 24h};
inline constexpr Bounds<int> kErrorsPercent{0, 100};
inline constexpr Bounds<int> kLatencyPercent{100, 10'000};
inline constexpr std::size_t kBackups = 16;
inline constexpr std::size_t kCredits = 16;
inline constexpr Bounds<int> kCreditPercent{1, 100};
inline constexpr double kDollars = 1e12;
inline constexpr double kAnHour = 1e9;  // customers, tickets
inline constexpr std::size_t kZoneBytes = 64;
inline constexpr std::size_t kArchiveTimes = 24;  // more often than hourly is no work for whole archives
}  // namespace bounds

// All problems, sorted by position, at least one. Positions lie inside the text, but for a text that is too large
// altogether (line 0).
using Parsed = std::expected<Config, std::vector<Problem>>;

Parsed parse(std::string_view yaml_text);

// parse() of a file. One that cannot be read is one problem at line 0.
Parsed load(const std::string& path);

// The active configuration as text for child processes: parse(to_yaml(c)) == c for every c from parse(), and for
// every c built by hand that keeps the bounds. Secrets stay references.
std::string to_yaml(const Config& config);

}  // namespace nines::config
