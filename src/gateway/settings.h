// Everything the gateway is told, with its defaults. Sources of the numbers: docs/internals/gateway.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "gateway/admission.h"
#include "gateway/canary.h"
#include "gateway/client_address.h"
#include "gateway/hang.h"
#include "gateway/health.h"
#include "gateway/outlier.h"
#include "gateway/panic.h"
#include "gateway/patience.h"
#include "gateway/replay.h"
#include "gateway/retry_budget.h"
#include "gateway/routes.h"
#include "gateway/slow_start.h"
#include "http/reader.h"

namespace nines::gateway {

struct Settings {
  std::uint64_t epoch = 0;  // of this gateway; one with a higher number has taken its place
  RouteTable routes{};
  std::optional<std::string> health_path;  // nullopt: a replica is healthy when it accepts a TCP connection
  HealthLimits health;
  Duration health_timeout = 1s;
  std::optional<CanarySettings> canary{};
  HangLimits hang;
  OutlierLimits outlier;
  PanicLimits panic;
  SlowStartLimits slow_start;
  AdmissionLimits admission;
  ReplayLimits replay;
  RetryBudgetLimits retry_budget;
  PatienceLimits patience;
  http::ReadLimits head;

  std::size_t body_bytes = 64 * 1024 * 1024;   // 413 beyond
  std::size_t body_kept = 256 * 1024;          // of a request, so that it can be sent again
  std::size_t bodies_kept = 64 * 1024 * 1024;  // of all requests of a worker; further ones are not kept
  std::size_t connections = 8000;              // of one worker; further ones get 503
  std::size_t workers = 1;                     // of this gateway, who share what is there once

  Duration connect_time = 1s;
  Duration head_time = 10s;     // a client's request head, from its first byte
  Duration body_idle = 30s;     // between two pieces of a request's body
  Duration answer_idle = 120s;  // between two pieces of an answer, either side
  // Between two data events of an event stream. Comments (":") are no progress: servers send them while nothing moves.
  Duration stream_idle = 120s;
  Duration tunnel_idle = 1h;  // of a connection after 101, in both directions
  Duration keep_alive = 75s;  // of an idle client connection
  // Below the keep-alive time of the servers in the field (uvicorn and Node.js: 5 s), so that they seldom close
  // a connection we are about to use.
  Duration upstream_idle = 4s;
  std::size_t upstream_idle_kept = 64;  // connections per replica and worker
  // When a client leaves, the work for it ends: its replica's connection is closed. Some servers crash on that.
  bool cancel_upstream = true;
  Networks trusted_proxies{};      // client_address.h
  std::string probe_key{};         // the X-Nines-Probe of our own probes, which count for nobody; empty: none is
  std::string unavailable_page{};  // HTML for browsers while nobody can take their request; empty: the JSON of all
  // A replica that is gone is given up where nothing has come from it for so long: its streams may hold more.
  Duration gone_grace = 100ms;
  // So long a request whose connection broke waits to hear whether a process of ours has ended: it closes its
  // connections first, and the supervisor sees its end and says so within milliseconds, on a busy machine later.
  Duration exit_known = 50ms;
};

}  // namespace nines::gateway
