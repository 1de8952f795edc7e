#include "gateway/probe.h"

#include <string>

#include "base/version.h"
#include "gateway/canary.h"
#include "http/client.h"
#include "net/stream.h"

namespace nines::gateway {
namespace {

constexpr std::size_t kHealthBytes = 1024 * 1024;

http::Call call_to(const net::Address& address, std::string_view agent) {
  http::Call call{.to = address};
  // Servers that check who is meant (Django's ALLOWED_HOSTS) know their own address.
  if (!address.is_unix()) call.host = address.text();
  call.fields.emplace_back("User-Agent", std::string(agent) + "/" + std::string(kVersion));
  return call;
}

}  // namespace

Task<Result<>> ask_health(net::Loop& loop, const net::Address& address, const Settings& settings, Duration timeout) {
  if (!settings.health_path) {
    auto stream = co_await loop.connect(address, timeout);
    if (!stream) co_return failure(std::move(stream.error()));
    co_return Result<>{};
  }
  http::Call call = call_to(address, "nines-health");
  call.target = *settings.health_path;
  call.timeout = timeout;
  call.body_limit = kHealthBytes;
  const auto answer = co_await http::fetch(loop, std::move(call));
  if (!answer) co_return failure(answer.error());
  const int status = answer->head.status();
  if (status < 200 || status > 299) {
    co_return failure(Code::kUnavailable, "GET " + *settings.health_path + " answered " + std::to_string(status));
  }
  co_return Result<>{};
}

Task<Result<>> ask_canary(net::Loop& loop, const net::Address& address, const CanarySettings& canary,
                          std::vector<std::pair<std::string, std::string>> fields) {
  http::Call call = call_to(address, "nines-canary");
  call.method = canary.method;
  call.target = canary.target;
  call.content_type = canary.content_type;
  call.body = canary.body;
  call.timeout = canary.timeout;
  call.body_limit = canary.answer_bytes;
  for (auto& field : fields) call.fields.push_back(std::move(field));
  const auto answer = co_await http::fetch(loop, std::move(call));
  if (!answer) co_return failure(answer.error());
  co_return judge_canary(canary, answer->head.status(), answer->body);
}

}  // namespace nines::gateway
