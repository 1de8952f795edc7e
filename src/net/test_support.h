// The same claim over memory and over real sockets: nothing above net/ may be able to tell them apart.
#pragma once

#include <doctest/doctest.h>

#include "net/epoll_loop.h"
#include "net/memory_loop.h"

namespace nines::net::testing {

using Claim = Task<void> (*)(Loop&);

inline void over_memory(Claim claim) {
  MemoryLoop loop;
  loop.run(claim(loop));
}

inline void over_both(Claim claim) {
  SUBCASE("memory") { over_memory(claim); }
  SUBCASE("sockets") {
    EpollLoop loop;
    loop.run(claim(loop));
  }
}

}  // namespace nines::net::testing
