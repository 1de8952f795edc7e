#include "history.h"

#include <boost/json.hpp>

#include "database.h"
#include "http/client.h"

namespace nines::demo {
namespace {

// {"history": {"written", "dropped", "queued", "trouble"}} of GET /health
Result<Trouble> parse_trouble(const std::string& body) {
  boost::system::error_code error;
  const auto value = boost::json::parse(body, error);
  const auto* const object = error ? nullptr : value.if_object();
  const auto* const found = object != nullptr ? object->if_contains("history") : nullptr;
  const auto* const history = found != nullptr ? found->if_object() : nullptr;
  if (history == nullptr) return failure(Code::kProtocol, "/health says nothing of the history");
  Trouble trouble;
  for (const char* key : {"dropped", "queued"}) {
    const auto* const count = history->if_contains(key);
    if (count == nullptr || !count->is_int64()) return failure(Code::kProtocol, "/health does not count the history");
    trouble.unwritten += static_cast<std::uint64_t>(count->as_int64());
  }
  const auto* const words = history->if_contains("trouble");
  if (words != nullptr && words->is_string()) trouble.words = std::string(words->as_string());
  return trouble;
}

}  // namespace

std::vector<std::uint16_t> ready_ports(const cli::ServiceStatus& status) {
  std::vector<std::uint16_t> ports;
  for (const cli::ReplicaStatus& replica : status.replicas) {
    if (replica.state == "ready") ports.push_back(static_cast<std::uint16_t>(replica.port.value_or(0)));
  }
  return ports;
}

Task<Result<Trouble>> trouble_at(net::Loop& loop, std::vector<std::uint16_t> ports) {
  Trouble sum;
  for (const std::uint16_t port : ports) {
    const auto answer =
        co_await http::fetch(loop, {.to = net::Address::loopback(port), .target = "/health", .timeout = 2s});
    if (!answer) co_return failure(answer.error());
    const auto trouble = parse_trouble(answer->body);
    if (!trouble) co_return failure(trouble.error());
    sum.unwritten += trouble->unwritten;
    if (sum.words.empty()) sum.words = trouble->words;
  }
  co_return sum;
}

Task<Result<HistoryCount>> count_history(net::Loop& loop, std::string file, std::vector<std::uint16_t> ports,
                                         std::uint64_t answered, Duration patience) {
  const Instant until = loop.now() + patience;
  while (true) {
    HistoryCount count{.answered = answered};
    const auto trouble = co_await trouble_at(loop, ports);
    if (!trouble) co_return failure(trouble.error());
    count.unwritten = trouble->unwritten;
    const auto rows = rows_of(file);
    if (!rows) co_return failure(rows.error());
    count.rows = rows->count;
    if (count.unwritten == 0 || loop.now() >= until) co_return count;
    if (auto slept = co_await loop.sleep(50ms); !slept) co_return failure(slept.error());
  }
}

}  // namespace nines::demo
