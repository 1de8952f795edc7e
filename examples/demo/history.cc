#include "history.h"

#include <sqlite3.h>

#include <boost/json.hpp>
#include <memory>

#include "http/client.h"

namespace nines::demo {
namespace {

Result<std::uint64_t> count_rows(const std::string& file) {
  sqlite3* opened = nullptr;
  const int status = sqlite3_open_v2(file.c_str(), &opened, SQLITE_OPEN_READONLY, nullptr);
  const std::unique_ptr<sqlite3, decltype(&sqlite3_close_v2)> database(opened, sqlite3_close_v2);
  sqlite3_stmt* prepared = nullptr;
  if (status == SQLITE_OK) {
    sqlite3_busy_timeout(opened, 2000);
    sqlite3_prepare_v2(opened, "SELECT count(*) FROM classifications", -1, &prepared, nullptr);
  }
  const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> statement(prepared, sqlite3_finalize);
  if (prepared == nullptr || sqlite3_step(prepared) != SQLITE_ROW)
    return failure(Code::kIo, "cannot read " + file + ": " + sqlite3_errmsg(opened));
  return static_cast<std::uint64_t>(sqlite3_column_int64(prepared, 0));
}

// {"history": {"written", "dropped", "queued"}} of GET /health -> dropped + queued
Result<std::uint64_t> parse_unwritten(const std::string& body) {
  boost::system::error_code error;
  const auto value = boost::json::parse(body, error);
  const auto* const object = error ? nullptr : value.if_object();
  const auto* const history = object != nullptr ? object->if_contains("history") : nullptr;
  std::uint64_t sum = 0;
  for (const char* key : {"dropped", "queued"}) {
    const auto* const object_of = history != nullptr ? history->if_object() : nullptr;
    const auto* const count = object_of != nullptr ? object_of->if_contains(key) : nullptr;
    if (count == nullptr || !count->is_int64()) return failure(Code::kProtocol, "/health says nothing of the history");
    sum += static_cast<std::uint64_t>(count->as_int64());
  }
  return sum;
}

Task<Result<std::uint64_t>> unwritten_at(net::Loop& loop, std::uint16_t port) {
  const auto answer =
      co_await http::fetch(loop, {.to = net::Address::loopback(port), .target = "/health", .timeout = 2s});
  if (!answer) co_return failure(answer.error());
  co_return parse_unwritten(answer->body);
}

}  // namespace

Task<Result<HistoryCount>> count_history(net::Loop& loop, std::string file, std::vector<std::uint16_t> ports,
                                         std::uint64_t answered, Duration patience) {
  const Instant until = loop.now() + patience;
  while (true) {
    HistoryCount count{.answered = answered};
    for (const std::uint16_t port : ports) {
      const auto unwritten = co_await unwritten_at(loop, port);
      if (!unwritten) co_return failure(unwritten.error());
      count.unwritten += *unwritten;
    }
    const auto rows = count_rows(file);
    if (!rows) co_return failure(rows.error());
    count.rows = *rows;
    if (count.unwritten == 0 || loop.now() >= until) co_return count;
    if (auto slept = co_await loop.sleep(50ms); !slept) co_return failure(slept.error());
  }
}

}  // namespace nines::demo
