// Passive health: which replicas get no requests for a while, because requests fail on them. Pure.
//
// Active checks find the replica that is down; this finds the one whose /health is fine and whose answers are not, and
// it finds the one that is down sooner. It is fed by every attempt of every worker:
//
//     attempt ended ----------------> says_of()          what it says about the replica
//     request ended ----------------> Blame              whether the request itself was the reason
//     rows in the shared table -----> judge_outlier()    whether that is enough, and whether the fleet can spare it
//
// What stands in the table survives the gateway: rows, the end of the pause, how many ejections came before.
//
// Defaults and rules: Envoy's outlier detection (base_ejection_time doubled instead of added up), and what its users
// suffered from: ejection cascades (envoy#3263), a client whose broken requests are answered with 500 everywhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/time.h"
#include "plane/plane.h"

namespace nines::gateway {

// Why an attempt got no proper answer.
enum class Failure : std::uint8_t {
  kConnect,        // no connection was made, so nothing was sent
  kBroken,         // sent; then a reset, an early end, or bytes that are no HTTP
  kTimeout,        // sent; then nothing for too long
  kGatewayStatus,  // answered with what is_gateway_error() names
  kNotItsFault,    // an idle connection that broke as it was used again; no descriptor left for a new one
};
// What an attempt failed of. `sent`: some of the request may have reached the replica; `reused`: over a connection
// that had served before, whose end the replica may have sent before it saw the request.
constexpr Failure failure_of(Code code, bool sent, bool reused) {
  if (code == Code::kLimit || (sent && reused && code == Code::kClosed)) return Failure::kNotItsFault;
  if (!sent) return Failure::kConnect;
  return code == Code::kTimedOut ? Failure::kTimeout : Failure::kBroken;
}

// 502, 504, and 503 that does not say when to come back: the replica passes on that something is broken. 500 may be
// the request's fault; 429, and 503 with Retry-After, come from one that works and has enough to do.
constexpr bool is_gateway_error(int status, bool retry_after) {
  return status == 502 || status == 504 || (status == 503 && !retry_after);
}
// An answer that ends a row of failures. Those that are neither (500, 429 …) leave it as it is.
constexpr bool proves_well(int status) { return status < 500 && status != 429; }

// Whom to blame for what failed under one request. A connect failure is the replica's, always. Anything else is too,
// unless the same request failed alike on another replica: then it is the request that breaks them. An answer that
// proves a replica well acquits the request again, and whoever failed it before is blamed.
class Blame {
 public:
  struct Blamed {
    std::size_t slot = 0;
    std::uint64_t incarnation = 0;
    Failure failure{};
  };
  // More failures than kMax are not remembered: a request has far fewer attempts.
  void failed(const Blamed& what);
  void answered_well() { acquitted_ = true; }

  // At the request's end: those to be blamed, each failure on its own.
  template <class F>
  void for_each(F f) const {
    for (std::size_t i = 0; i < count_; ++i) {
      if (is_replicas_fault(i)) f(all_[i]);
    }
  }

 private:
  static constexpr std::size_t kMax = 8;
  bool is_replicas_fault(std::size_t i) const;

  std::array<Blamed, kMax> all_{};
  std::size_t count_ = 0;
  bool acquitted_ = false;
};

struct OutlierLimits {
  std::uint32_t connect_failures = 3;  // in a row
  std::uint32_t gateway_errors = 5;    // in a row
  Duration pause_min = 10s;            // the first ejection; each relapse doubles it
  Duration pause_max = 300s;
  Duration forgiven_after = 60s;  // without an ejection, of each of those before
  int ejected_percent_max = 50;   // of the fleet
};

// One replica as this policy sees it.
struct Suspect {
  bool in_fleet = false;  // requests are wanted for it, and it was ready in this incarnation
  bool up = false;        // active checks say so
  std::uint32_t connect_failures = 0, gateway_errors = 0;  // in a row
  Instant failing_since{};                                 // the row of gateway errors
  Instant well{};                                          // when an answer last proved that it works
  Instant ejected_until{};                                 // past or zero: it is not ejected
  std::uint32_t ejections = 0;                             // as the last ejection left it

  bool ejected(Instant now) const { return now < ejected_until; }
};

struct Ejection {
  plane::EjectionCause cause{};
  Instant until{};
  std::uint32_t ejections = 0;
};
// Is this one to be ejected now? For gateway errors only when another one has answered well since they began: where
// all fail alike the reason is something that they share, or requests that break whoever gets them and may not be sent
// twice to find that out. Never one that is out already: what was in flight then still fails, and is old news.
// Never the last one that takes requests, nor beyond the share of the fleet.
std::optional<Ejection> judge_outlier(const OutlierLimits& limits, std::span<const Suspect> fleet, std::size_t index,
                                      Instant now);

// What an active check has proven.
enum class Proof : std::uint8_t {
  kConnects,  // a TCP connection was accepted
  kHealthy,   // the health path answered 2xx
  kWorks,     // the semantic canary was answered as expected
};
// Does it end the ejection? It must contradict what the ejection was for, and not have been wrong about it before: a
// health path that passed, and was followed by a relapse, does not see this fault.
//
//                      kConnects   kHealthy        kWorks
//     kConnect         yes         yes             yes
//     kGatewayErrors   no          the first time  yes
bool pardons(Proof proof, plane::EjectionCause cause, std::uint32_t ejections);

}  // namespace nines::gateway
