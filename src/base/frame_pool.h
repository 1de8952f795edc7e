// Memory for coroutine frames: per-thread free lists by size, because a proxied request starts a handful of
// small coroutines and must not pay malloc for each. A frame may be freed on another thread than it was
// taken on; it then joins that thread's list. Frames above the largest class go to the general allocator.
//
// Under AddressSanitizer everything goes to the general allocator, so that use after free is seen.
#pragma once

#include <cstddef>

namespace nines {

void* take_frame(std::size_t bytes);
void give_back_frame(void* frame, std::size_t bytes) noexcept;

}  // namespace nines
