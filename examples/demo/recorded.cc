#include "recorded.h"

#include <algorithm>

#include "base/text.h"
#include "database.h"

namespace nines::demo {
namespace {

constexpr const char* kUnasked =
    "SELECT pid, count(*) FROM events WHERE b = 1 AND kind IN ('exited', 'gateway_exited', 'keeper_exited', "
    "'supervisor_exited') GROUP BY pid";

Result<RecordedExits> read(const std::string& ledger) {
  const auto rows = query(ledger, kUnasked);
  if (!rows) return failure(rows.error());
  RecordedExits exits;
  for (const auto& row : *rows)
    exits[parse_unsigned(row[0]).value_or(0)] = static_cast<int>(parse_unsigned(row[1]).value_or(0));
  return exits;
}

}  // namespace

Task<Result<RecordedExits>> recorded_exits(net::Loop& loop, std::string ledger, std::set<std::uint64_t> killed,
                                           Duration patience) {
  for (const Instant until = loop.now() + patience;;) {
    auto exits = read(ledger);
    const bool all = exits && std::ranges::all_of(killed, [&](std::uint64_t pid) { return exits->contains(pid); });
    if (all || loop.now() >= until) co_return exits;
    if (auto slept = co_await loop.sleep(20ms); !slept) co_return failure(slept.error());
  }
}

}  // namespace nines::demo
