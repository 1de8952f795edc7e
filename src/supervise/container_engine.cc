#include "supervise/container_engine.h"

#include <utility>

namespace nines::supervise {
namespace {

// Asked anew after this long, so that an engine which has forgotten us is noticed.
constexpr Duration kWaitAtMost = 1h;

}  // namespace

Error ContainerEngine::unreachable(Error cause) {
  version_.reset();
  return cannot_reach_engine(socket_, std::move(cause));
}

Result<http::Call> ContainerEngine::call_of(EngineRequest request) const {
  auto to = net::Address::unix_path(socket_);
  if (!to) return failure(std::move(to.error()));
  return http::Call{.to = *to,
                    .method = std::move(request.method),
                    .target = std::move(request.target),
                    .body = std::move(request.body),
                    .timeout = kEngineTimeout,
                    .body_limit = kEngineAnswerMax};
}

Task<Result<ContainerEngine::Raw>> ContainerEngine::ask(EngineRequest request, Duration timeout) {
  auto call = call_of(std::move(request));
  if (!call) co_return failure(std::move(call.error()));
  call->timeout = timeout;
  auto answer = co_await http::fetch(loop_, std::move(*call));
  if (!answer) co_return failure(unreachable(std::move(answer.error())));
  co_return Raw{answer->head.status(), std::move(answer->body)};
}

Task<Result<ApiVersion>> ContainerEngine::version() {
  if (version_) co_return *version_;
  auto raw = co_await ask(ask_version());
  if (!raw) co_return failure(std::move(raw.error()));
  auto version = read_version(raw->status, raw->body);
  if (version) version_ = *version;
  co_return version;
}

Task<Result<>> ContainerEngine::find_image(std::string image) {
  const auto api = co_await version();
  if (!api) co_return failure(api.error());
  const auto raw = co_await ask(ask_image(*api, image));
  co_return raw ? read_image(raw->status, raw->body, image) : failure(raw.error());
}

Task<Result<std::string>> ContainerEngine::create(ContainerSpec spec) {
  const auto api = co_await version();
  if (!api) co_return failure(api.error());
  const auto raw = co_await ask(ask_create(*api, spec));
  co_return raw ? read_created(raw->status, raw->body, spec) : failure(raw.error());
}

Task<Result<>> ContainerEngine::start(std::string id, ContainerSpec spec) {
  const auto api = co_await version();
  if (!api) co_return failure(api.error());
  const auto raw = co_await ask(ask_start(*api, id));
  co_return raw ? read_started(raw->status, raw->body, spec) : failure(raw.error());
}

Task<Result<>> ContainerEngine::kill(std::string id, std::string signal) {
  const auto api = co_await version();
  if (!api) co_return failure(api.error());
  const auto raw = co_await ask(ask_kill(*api, id, signal));
  co_return raw ? read_killed(raw->status, raw->body) : failure(raw.error());
}

Task<Result<ContainerState>> ContainerEngine::inspect(std::string id) {
  const auto api = co_await version();
  if (!api) co_return failure(api.error());
  const auto raw = co_await ask(ask_inspect(*api, id));
  co_return raw ? read_state(raw->status, raw->body) : failure(raw.error());
}

Task<Result<>> ContainerEngine::remove(std::string id) {
  const auto api = co_await version();
  if (!api) co_return failure(api.error());
  const auto raw = co_await ask(ask_remove(*api, id));
  co_return raw ? read_removed(raw->status, raw->body) : failure(raw.error());
}

Task<Result<std::vector<ListedContainer>>> ContainerEngine::list(std::string tag_prefix) {
  const auto api = co_await version();
  if (!api) co_return failure(api.error());
  const auto raw = co_await ask(ask_list(*api));
  co_return raw ? read_list(raw->status, raw->body, tag_prefix) : failure(raw.error());
}

Task<Result<>> ContainerEngine::wait(std::string id) {
  const auto api = co_await version();
  if (!api) co_return failure(api.error());
  const auto raw = co_await ask(ask_wait(*api, id), kWaitAtMost);
  if (!raw) co_return failure(raw.error());
  // 404: removed, which inspect() says better.
  co_return Result<>{};
}

Task<Result<>> ContainerEngine::follow(std::string id, std::int64_t since, Sink sink) {
  const auto api = co_await version();
  if (!api) co_return failure(api.error());
  auto call = call_of(ask_logs(*api, id, since));
  if (!call) co_return failure(std::move(call.error()));
  auto log = co_await http::Download::open(loop_, std::move(*call));
  if (!log) co_return failure(unreachable(std::move(log.error())));
  if (log->head().status() != 200)
    co_return failure(log->head().status() == 404 ? Code::kNotFound : Code::kUnavailable,
                      "the container engine does not give its log: " + std::to_string(log->head().status()));
  LogFrames frames;
  std::string text;
  while (true) {
    const auto piece = co_await log->piece();
    if (!piece) co_return failure(piece.error());
    if (piece->empty()) co_return Result<>{};
    text.clear();
    if (auto taken = frames.take(*piece, text); !taken) co_return taken;
    if (text.empty()) continue;
    if (auto kept = co_await sink(text, frames.last()); !kept) co_return kept;
  }
}

}  // namespace nines::supervise
