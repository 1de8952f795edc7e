// A container engine on this machine, Docker or Podman, over its Unix socket: what engine_api.h asks, sent. One
// connection for each question, so an engine that is started again in between costs one answer.
//
// Every question is answered, or fails, within kEngineTimeout, and no answer may be larger than kEngineAnswerMax;
// wait() and follow() last as long as the container runs, and end when their scope is cancelled.
//
// Errors are those of engine_api.h; nobody at the socket is kRefused, and says what to do. Thread: the
// loop's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "http/client.h"
#include "supervise/engine_api.h"

namespace nines::supervise {

// An engine that pulls layers apart on a slow disk takes its time to create a container, and must not be doubted early.
inline constexpr Duration kEngineTimeout = 30s;
inline constexpr std::size_t kEngineAnswerMax = 8 * 1024 * 1024;

class ContainerEngine {
 public:
  ContainerEngine(net::Loop& loop, std::string socket) : loop_(loop), socket_(std::move(socket)) {}

  const std::string& socket() const { return socket_; }

  Task<Result<>> find_image(std::string image);
  Task<Result<std::string>> create(ContainerSpec spec);  // its id
  Task<Result<>> start(std::string id, ContainerSpec spec);
  Task<Result<>> kill(std::string id, std::string signal);
  Task<Result<ContainerState>> inspect(std::string id);
  Task<Result<>> remove(std::string id);
  Task<Result<std::vector<ListedContainer>>> list(std::string tag_prefix);
  // Returns once the container does not run, or why that cannot be said; how it ended says inspect().
  Task<Result<>> wait(std::string id);
  // Its output since then, piece by piece, until it has ended. `sink` takes all of a piece before the next is read;
  // with it comes the time of the last frame in it, in nanoseconds of Unix time, 0: not known.
  using Sink = std::function<Task<Result<>>(std::string_view text, std::int64_t last)>;
  Task<Result<>> follow(std::string id, std::int64_t since, Sink sink);

 private:
  struct Raw {
    int status;
    std::string body;
  };
  Task<Result<ApiVersion>> version();
  Result<http::Call> call_of(EngineRequest request) const;
  Task<Result<Raw>> ask(EngineRequest request, Duration timeout = kEngineTimeout);
  Error unreachable(Error cause);

  net::Loop& loop_;
  std::string socket_;
  std::optional<ApiVersion> version_;  // asked again after the engine could not be reached: it may be another one
};

}  // namespace nines::supervise
