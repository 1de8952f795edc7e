// One question to a replica, on a connection of its own: is it well, can it do its work?
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "gateway/settings.h"
#include "net/address.h"
#include "net/loop.h"

namespace nines::gateway {

// Its health: a GET of the health path that is answered with 2xx (a redirect is none), or, where there is no such path,
// a TCP connection. kUnavailable: it answered otherwise. kLimit: it answered more than a health check has to say.
Task<Result<>> ask_health(net::Loop& loop, const net::Address& address, const Settings& settings, Duration timeout);

// Its canary, with these fields, too. kInvalid: a wrong answer; anything else: none.
Task<Result<>> ask_canary(net::Loop& loop, const net::Address& address, const CanarySettings& canary,
                          std::vector<std::pair<std::string, std::string>> fields = {});

}  // namespace nines::gateway
