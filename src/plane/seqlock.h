// A value in shared memory with one writer and any number of readers, none of which can block the other.
//
// The sequence is odd while the writer is in the middle. A writer that dies there leaves it odd: readers then
// get nothing and keep their last good copy, and the next writer's store() makes it even again.
//
//   offset 0: u32 sequence   4: u32 unused   8: the value, as 64-bit words
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>
#include <type_traits>

namespace nines::plane {

template <class T>
class Seqlock {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 8 == 0);

 public:
  // One writer at a time.
  void store(const T& value) {
    std::uint64_t words[kWords];
    std::memcpy(words, &value, sizeof value);
    const std::uint32_t odd = sequence_.load(std::memory_order_relaxed) | 1U;
    sequence_.store(odd, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    for (std::size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_relaxed);
    sequence_.store(odd + 1, std::memory_order_release);
  }

  // Nothing when the writer stays in the middle: it died there, or is being starved. Keep what you have.
  std::optional<T> load() const {
    constexpr int kTries = 1000;
    for (int attempt = 0; attempt < kTries; ++attempt) {
      const std::uint32_t before = sequence_.load(std::memory_order_acquire);
      if ((before & 1U) != 0) continue;
      std::uint64_t words[kWords];
      for (std::size_t i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (sequence_.load(std::memory_order_relaxed) != before) continue;
      T value;
      std::memcpy(&value, words, sizeof value);
      return value;
    }
    return std::nullopt;
  }

  // For readers that look often: unchanged means there is nothing new to load.
  std::uint32_t sequence() const { return sequence_.load(std::memory_order_acquire); }

 private:
  friend struct SeqlockTest;
  static constexpr std::size_t kWords = sizeof(T) / 8;
  std::atomic<std::uint32_t> sequence_ = 0;
  std::uint32_t unused_ = 0;
  std::atomic<std::uint64_t> words_[kWords] = {};
};

}  // namespace nines::plane
