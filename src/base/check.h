// INVARIANT: for programmer errors only. The process stops, in release builds too, because a crash is
// survivable here (somebody restarts us) and a wrong route is not. Operating errors are Result<T>.
#pragma once

#include <cstdio>
#include <cstdlib>

#define INVARIANT(condition)                                                       \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                \
    }                                                                              \
  } while (false)
