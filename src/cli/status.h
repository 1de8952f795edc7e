// What GET /v1/status says, as values. Read with patience: a key that is missing or of another type is as if it
// were not known, because the service may be a version older or newer than this program.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "plane/events.h"

namespace nines::cli {

struct Latency {
  std::optional<Duration> p50, p99;
};

struct ReplicaStatus {
  std::string name;
  std::string state;  // of the JSON contract: ready, unready, …
  std::optional<std::uint64_t> pid, port;
  std::string address;  // "127.0.0.1:20001", "unix:/run/…/1-7.sock", "10.0.0.5:8000"; empty: nowhere just now
  std::optional<Duration> uptime;
  std::uint64_t restarts = 0, in_flight = 0, requests = 0, errors = 0;
  Latency latency;
  std::string log;                             // path
  std::string note;                            // why it is unready
  std::string held_by;                         // who stopped it
  std::string drained_by;                      // who wants no new requests for it
  std::uint64_t weight = 100;                  // percent of what a plain one gets; 0 while it is drained
  std::optional<std::uint64_t> weight_wished;  // set by hand
};

struct PastEvent {
  std::optional<WallTime> at;
  plane::Event event;  // at_ns is not known here
  std::string kind;    // its name, also when this version does not know it
  std::string replica;
};

struct ServiceStatus {
  std::string service;
  std::optional<double> objective;
  std::string state;  // starting, running, stopping
  std::optional<Duration> uptime;
  std::vector<std::string> listen;
  std::string config;  // empty: none
  std::string folder;
  std::optional<std::uint64_t> anchor_pid, supervisor_pid, gateway_pid, keeper_pid;
  std::string version;
  std::string dashboard;              // URL; empty: none
  std::vector<std::string> problems;  // what makes it degraded, and what to do
  bool renewing = false;              // its own parts are being replaced by those of another program or configuration
  std::string configuration;          // which one it goes by, as a digest
  bool reloading = false;             // another one is about to take its place
  std::uint64_t requests = 0, errors = 0, replayed = 0, unroutable = 0, connections = 0;
  Latency latency;
  std::vector<ReplicaStatus> replicas;
  std::vector<PastEvent> events;  // oldest first
};

// kProtocol: it is no JSON object.
Result<ServiceStatus> parse_status(std::string_view json);

// "2026-11-23T18:37:25.120Z", as format_rfc3339() writes it.
std::optional<WallTime> parse_rfc3339(std::string_view text);

}  // namespace nines::cli
