// A Snapshot for people and for programs.
#pragma once

#include <string>

#include "load/load.h"

namespace nines::load {

std::string text_report(const Snapshot& snapshot);

// {"ok", "failed", "requests", "per_second", "elapsed_s", "opened", "started", "by_kind": {}, "by_status": {},
//  "latency_ms": {"p50", "p99", "p99_9", "max"}, "longest_gap_ms", "longest_gap_after_s", "values": {},
//  "failures": [{"at", "after_s", "lasted_ms", "kind", "status", "method", "path", "detail", "body", "request_id",
//  "connection"}]}
std::string json_report(const Snapshot& snapshot);

// Bytes of unknown origin as printable ASCII: everything else, and the backslash, becomes \xNN.
std::string printable(std::string_view bytes);

}  // namespace nines::load
