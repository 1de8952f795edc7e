// Open files handed to another process of ours, over a socket.
#pragma once

#include <cstddef>
#include <span>

#include "base/error.h"

namespace nines::app {

inline constexpr std::size_t kDescriptorsMax = 64;

// One message: them, in order, and `number`. Does not block on a socket that does not.
// REQUIRES at most kDescriptorsMax of them.
Result<> send_descriptors(int socket, std::span<const int> descriptors, int number);

// What a message brought, closed on exec: `count` of `descriptors` are the receiver's now.
struct ReceivedDescriptors {
  enum class Outcome { kWhole, kNone, kEnd, kIncomplete };
  Outcome outcome = Outcome::kNone;  // kNone: nothing came, errno says why. kEnd: the other side is gone
  std::size_t count = 0;
  int descriptors[kDescriptorsMax];
  int number = 0;
};
// Allocates nothing. Of an incomplete message nothing is kept: its descriptors are closed.
ReceivedDescriptors receive_descriptors(int socket);

}  // namespace nines::app
