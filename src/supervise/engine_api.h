// The Docker Engine API as text: what to ask, and what the answers mean. Docker and Podman both speak it. Pure: who
// sends the requests is in container_engine.h, and a test needs no engine.
//
// An answer comes from another program, so nothing in it is trusted: missing fields, wrong types and any bytes give an
// Error of code kProtocol, never a crash.
//
// Errors say what to do: kNotFound (no such image, no such container), kInvalid (the engine understood and says no: a
// command that is not in the image, a limit that is too low), kExists (a name or a port is taken), kUnavailable (the
// engine failed), kProtocol.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "supervise/process.h"

namespace nines::supervise {

// Of the API, not of the engine: "1.41".
struct ApiVersion {
  int major = 0;
  int minor = 0;

  static std::optional<ApiVersion> parse(std::string_view text);
  std::string text() const;
  auto operator<=>(const ApiVersion&) const = default;
};

// What is asked here is in all of these: Docker 18.09 and later, Podman 3 and later.
inline constexpr ApiVersion kOldestApi{1, 39};
inline constexpr ApiVersion kNewestApi{1, 43};

// A container's label with the tag of its incarnation: what NINES_TAG is to a process.
inline constexpr std::string_view kTagLabel = "nines.tag";

struct ContainerSpec {
  std::string name;
  std::string image;
  std::vector<std::string> command;  // empty: the image's
  std::vector<std::pair<std::string, std::string>> environment;
  std::string tag;                 // the value of kTagLabel
  std::vector<std::string> binds;  // "/host/path:/path[:ro]", or a volume's name in place of the path
  bool host_network = false;       // else the engine's bridge, and host_port leads to image_port
  std::uint16_t image_port = 0;
  std::uint16_t host_port = 0;  // published on 127.0.0.1
  std::uint64_t memory = 0;     // bytes, swap included; 0: no limit
  int cpu_percent = 0;          // of one core; 0: no limit
};

struct EngineRequest {
  std::string method;
  std::string target;
  std::string body;  // JSON, or empty
};

// The one that needs no version.
EngineRequest ask_version();
EngineRequest ask_create(ApiVersion version, const ContainerSpec& spec);
EngineRequest ask_start(ApiVersion version, std::string_view id);
// `signal` as a number, or by name as an image's STOPSIGNAL has it.
EngineRequest ask_kill(ApiVersion version, std::string_view id, std::string_view signal);
// The answer's body comes when the container has ended.
EngineRequest ask_wait(ApiVersion version, std::string_view id);
EngineRequest ask_inspect(ApiVersion version, std::string_view id);
// Kills it if it runs; its anonymous volumes go with it.
EngineRequest ask_remove(ApiVersion version, std::string_view id);
// Every container with kTagLabel, also those that have ended.
EngineRequest ask_list(ApiVersion version);
// What it has written since then and, as long as it runs, what it writes. `since`: nanoseconds of Unix time, inclusive.
EngineRequest ask_logs(ApiVersion version, std::string_view id, std::int64_t since);
EngineRequest ask_image(ApiVersion version, std::string_view image);

// The newest version that both sides speak.
Result<ApiVersion> read_version(int status, std::string_view body);
// The id of the new container.
Result<std::string> read_created(int status, std::string_view body, const ContainerSpec& spec);
// It runs, or did already.
Result<> read_started(int status, std::string_view body, const ContainerSpec& spec);
// kNotFound: it has ended, or is gone.
Result<> read_killed(int status, std::string_view body);
// Also when there is no such container any more.
Result<> read_removed(int status, std::string_view body);
Result<> read_image(int status, std::string_view body, std::string_view image);

struct ContainerState {
  std::string id;
  std::string tag;
  bool running = false;  // also while it is paused
  pid_t pid = 0;         // of its first process, as the host sees it; 0: it has ended
  int exit_code = 0;
  bool oom = false;                      // the kernel killed it, or a part of it, at its memory limit
  std::string error;                     // what the engine says about a failed start
  std::string stop_signal;               // the image's; empty: SIGTERM
  std::vector<std::uint16_t> published;  // of the host, while it runs

  // An engine reports a signal as 128 and its number, as a shell does.
  Exit exit() const;
  bool operator==(const ContainerState&) const = default;
};
Result<ContainerState> read_state(int status, std::string_view body);

struct ListedContainer {
  std::string id;
  std::string tag;
  bool running = false;
  bool operator==(const ListedContainer&) const = default;
};
// Those with a tag that begins with `tag_prefix`.
Result<std::vector<ListedContainer>> read_list(int status, std::string_view body, std::string_view tag_prefix);

// The output of a container without a terminal: frames, each with a time at its beginning, since it was asked for.
//
//   | stream: 0, 1 or 2 | 0 | 0 | 0 | size, 4, big endian | "2026-11-27T05:29:38.416191739Z " and text, size bytes
//
// Frames may be cut anywhere, and be of any size: nothing is kept but a header or a time that has begun. One thread.
class LogFrames {
 public:
  // The text of what has arrived goes to the end of `text`. kProtocol: this is no frame, and nothing after it is.
  Result<> take(std::string_view bytes, std::string& text);
  // The time of the last frame that has come to its end, in nanoseconds of Unix time; 0: none, or it had no time.
  std::int64_t last() const { return last_; }

 private:
  void end_stamp(std::string& text);

  std::string head_;        // of the header, or of the time
  std::uint64_t left_ = 0;  // of the frame
  bool in_stamp_ = false;   // the frame's beginning, which may be its time
  std::int64_t stamp_ = 0;  // of the frame
  std::int64_t last_ = 0;
};

// "2026-11-27T05:29:38.416191739Z", or with "+01:00" in place of Z: nanoseconds of Unix time.
std::optional<std::int64_t> parse_log_time(std::string_view text);

// Where the engine listens. `configured`: the key `engine`, or empty. `variable` reads the environment, `exists` asks
// for a file. kInvalid: DOCKER_HOST names what is no Unix socket.
Result<std::string> find_engine_socket(const std::string& configured,
                                       const std::function<std::string(const char*)>& variable,
                                       const std::function<bool(const std::string&)>& exists);

// Why nobody answers at the socket, and what to do. Never kNotFound: that is what an engine says about a container.
Error cannot_reach_engine(const std::string& socket, Error cause);

}  // namespace nines::supervise
