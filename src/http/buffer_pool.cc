#include "http/buffer_pool.h"

#include <vector>

namespace nines::http {
namespace {

// 1 MiB a thread: a turn of the loop rarely reads from more connections than that before it gives buffers back.
constexpr std::size_t kKept = 64;

struct Pool {
  Pool() { free.reserve(kKept); }
  std::vector<std::unique_ptr<char[]>> free;
  std::size_t taken = 0;
};

Pool& pool() {
  thread_local Pool instance;
  return instance;
}

}  // namespace

Buffer Buffer::take() {
  Buffer buffer;
  ++pool().taken;
  auto& free = pool().free;
  if (free.empty()) {
    buffer.bytes_ = std::make_unique_for_overwrite<char[]>(kBytes);
  } else {
    buffer.bytes_ = std::move(free.back());
    free.pop_back();
  }
  return buffer;
}

std::size_t Buffer::taken() { return pool().taken; }

void Buffer::release() {
  if (!bytes_) return;
  --pool().taken;
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  bytes_.reset();  // so that use after release is seen
  return;
#endif
#endif
  auto& free = pool().free;
  if (free.size() < kKept) {
    free.push_back(std::move(bytes_));
  } else {
    bytes_.reset();
  }
}

}  // namespace nines::http
