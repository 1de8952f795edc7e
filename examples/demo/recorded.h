// What the ledger says of the kills: each is to be there, once.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "net/loop.h"

namespace nines::demo {

// pid -> how many rows say that this process ended, and nobody had asked for it.
using RecordedExits = std::map<std::uint64_t, int>;

// Waits up to `patience` for the keeper to have written down all of `killed`.
Task<Result<RecordedExits>> recorded_exits(net::Loop& loop, std::string ledger, std::set<std::uint64_t> killed,
                                           Duration patience = 5s);

}  // namespace nines::demo
