// One question to a replica, on a connection of its own: is it well, can it do its work?
#pragma once

#include "base/error.h"
#include "base/task.h"
#include "gateway/settings.h"
#include "net/address.h"
#include "net/loop.h"

namespace nines::gateway {

// Its health: a GET of the health path that is answered with 2xx (a redirect is none), or, where there is no such path,
// a TCP connection. kUnavailable: it answered otherwise. kLimit: it answered more than a health check has to say.
Task<Result<>> ask_health(net::Loop& loop, const net::Address& address, const Settings& settings, Duration timeout);

// Its canary. kInvalid: a wrong answer; anything else: none. REQUIRES: settings.canary.
Task<Result<>> ask_canary(net::Loop& loop, const net::Address& address, const Settings& settings);

}  // namespace nines::gateway
