// What became of each request, one JSON object a line.
//
//   {"time":"2026-11-23T18:37:25.120Z","id":"4f…","client":"10.0.0.7","method":"POST","path":"/classify","status":200,
//    "bytes_in":27,"bytes_out":54,"ms":12.345,"first_byte_ms":11.9,"replica":"language-id-2",
//    "attempts":[{"replica":"language-id-1","outcome":"closed","ms":0.4},
//                {"replica":"language-id-2","outcome":"answered","ms":11.6}],
//    "cause":"first_byte_timeout","trace":"4bf92f3577b34da6a3ce929d0e0e4736"}
//
// What is not known is left out. The query of the target is never written: it may carry secrets.
//
// A line is plain ASCII, whatever a client sends: a quotation mark, a backslash and a control character as JSON escapes
// them, every other byte from 0x7f up as %XX, as in a URL. So no line can break in two, no terminal can be tricked, and
// every JSON reader takes it. Texts longer than kTextMax are cut and end in "...".
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/time.h"

namespace nines::gateway {

// One attempt to have a request answered by a replica.
struct AccessAttempt {
  std::string_view replica;
  // A short word with static storage: "answered", "broken_off", "client_left", or why it failed ("refused",
  // "closed", "first_byte_timeout", …).
  std::string_view outcome;
  Duration took{0};
};

// One request that has ended, however it did. The texts belong to whoever fills this in, until add() returns.
struct AccessRecord {
  WallTime at{};  // when its head was there
  std::string_view id;
  std::string_view client;  // the peer's address, without the port
  std::string_view method;
  std::string_view target;             // as it was sent; what follows '?' is not written
  int status = 0;                      // what the client was told; 0: nothing
  std::uint64_t bytes_in = 0;          // of the request's body
  std::uint64_t bytes_out = 0;         // of the answer's body, as far as it was sent
  Duration total{0};                   // from the head to the end of the answer
  std::optional<Duration> first_byte;  // from the head to the first byte for the client; nullopt: it got none
  std::string_view replica;            // whose answer it got; empty: the gateway's own, or none
  std::span<const AccessAttempt> attempts;
  // Why it did not simply succeed: the code of a refusal, a time-out by its name, "client_left", "broken_off",
  // "ejected", "budget", …; static storage. Empty: nothing to say.
  std::string_view cause;
  std::string_view traceparent;  // the field as the client sent it
};

enum class AccessLogged : std::uint8_t {
  kNone,
  kProblems,  // a status from 500 up or none, a cause, or more than one attempt
  kAll,
};

inline constexpr std::size_t kTextMax = 1024;  // bytes of one text in a line, before it is escaped

bool is_problem(const AccessRecord& record);

// Appends the line, with its end.
void write_access_line(std::string& out, const AccessRecord& record);

// The trace id in a traceparent field; empty when there is none. https://www.w3.org/TR/trace-context/, 3.2
std::string_view trace_id(std::string_view traceparent);

// The lines of one worker until somebody writes them down. Bounded: what does not fit is dropped and counted, for the
// data path waits for no disk.
//
// Shared by two threads: the worker adds, a writer takes. The lock is held for the copying of a line or the exchange of
// two pointers.
class AccessLog {
 public:
  struct Options {
    AccessLogged what = AccessLogged::kNone;
    std::size_t buffer_bytes = 1024 * 1024;  // about 3,000 lines: what a second of full load may add
    // Called by add(), when there is something to take after there was nothing. Any thread may be woken with it; it
    // must not call back.
    std::function<void()> on_first = {};
  };
  explicit AccessLog(Options options) : options_(std::move(options)) {}

  // False: the record need not even be filled in.
  bool on() const { return options_.what != AccessLogged::kNone; }
  void add(const AccessRecord& record);

  // Exchanges `lines`, which must be empty, for what was added since the last time.
  void take(std::string& lines);
  // Lines that found no room, ever. Any thread.
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  const Options options_;
  std::string line_;  // scratch of the worker
  std::mutex mutex_;
  std::string lines_;  // under mutex_
  std::atomic<std::uint64_t> dropped_ = 0;
};

}  // namespace nines::gateway
