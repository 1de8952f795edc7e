// A golden request: one whose answer is known. It tells a server that is busy from one that is dead, which a health
// path cannot: that answers 200 also when inference hangs (vllm#39863, llama.cpp#13281), and does not answer at all
// when the engine is merely busy (ray#54070). Pure, but for parsing JSON.
//
//   canary: {post: /classify, json: {text: "Guten Morgen"}, expect: {pointer: /label, equals: de}}
//
// When it runs: never while bytes come. Once a replica has had requests outstanding for `stall` and nothing came, three
// canaries are sent, `apart` from each other, so that the verdict does not take three time-outs.
//
//                      silent for `stall`
//      kQuiet -------------------------------> kAsking ---- three fail, or one answers wrongly ----> kDown
//        ^  one passes: busy, leave it alone      |                                                    |
//        +------------ or a byte came ------------+                                                    |
//        ^                                                one passes                                   |
//        +---------------------------------------------------------------------------------------------+
//
// With `before_ready` an incarnation begins as kDown (its canary has not passed yet), and is not routed before.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"

namespace nines::gateway {

struct CanarySettings {
  std::string method = "POST";
  std::string target = "/";
  std::string content_type = "application/json";
  std::string body{};
  // Where in the JSON of the answer (RFC 6901), and what must be there, as JSON text. nullopt: any 2xx will do.
  struct Expect {
    std::string pointer;
    std::string equals;
  };
  std::optional<Expect> expect{};

  Duration timeout = 10s;
  Duration stall = 30s;       // silence, with requests outstanding, before it runs
  int failures = 3;           // in a row, until the replica is not routed
  Duration apart = 2s;        // between the beginnings of two canaries of one silence
  Duration down_pause = 1s;   // between canaries of a replica that is not routed because of them
  bool before_ready = false;  // a new incarnation must pass it before it gets requests
  std::size_t answer_bytes = 1024 * 1024;
};

// Can `expect` be understood? kInvalid says what is wrong with it.
Result<> check_canary(const CanarySettings& settings);

// Is this the answer? Errors: kInvalid, a wrong answer, with what came instead; kUnavailable, a status that is none of
// an answer (not 2xx). REQUIRES: check_canary() finds nothing.
Result<> judge_canary(const CanarySettings& settings, int status, std::string_view body);

// One incarnation of one replica. The owner looks every second or so, sends canaries when told, and says how each
// ended.
class CanaryWatch {
 public:
  // `down`: it has to pass before it is routed. The settings outlive it.
  CanaryWatch(const CanarySettings& settings, bool down) : settings_(settings), down_(down) {}

  enum class Outcome : std::uint8_t { kPassed, kFailed, kWrong };

  // A look: should a canary be sent now? True counts it as sent. `outstanding`: it has requests; `progress`: when the
  // last byte came from it, to any worker.
  bool look(Instant now, bool outstanding, Instant progress);
  // A canary that was sent at `sent` has ended. True when down() has changed.
  bool on_result(Outcome outcome, Instant sent, Instant now, Instant progress);

  // It must not be routed.
  bool down() const { return down_; }
  // When it last passed; {}: never.
  Instant passed() const { return passed_; }

 private:
  bool silence_lasts(Instant now, bool outstanding, Instant progress);

  const CanarySettings& settings_;
  bool down_;
  bool busy_ = false;     // there was a request at the last look
  Instant busy_since_{};  // and at every one since then
  int under_way_ = 0;
  int failed_ = 0;  // in a row, of the present silence
  std::optional<Instant> last_sent_{};
  Instant passed_{};
};

}  // namespace nines::gateway
