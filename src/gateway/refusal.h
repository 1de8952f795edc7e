// An answer of the gateway's own, in place of a replica's.
#pragma once

#include <string>
#include <string_view>

namespace nines::gateway {

struct Refusal {
  int status = 0;               // 0: nobody is there any more to be told
  std::string_view code;        // a short machine-readable word, with static storage
  std::string message;          // what happened and what to do
  int retry_after_seconds = 0;  // 0: not said
  // Says so to client libraries that would try again by themselves (x-should-retry: false, as OpenAI's do).
  bool retry_is_useless = false;
};

}  // namespace nines::gateway
