#include "base/frame_pool.h"

#include <algorithm>
#include <array>
#include <new>

namespace nines {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NINES_FRAMES_FROM_MALLOC 1
#endif
#endif

#ifndef NINES_FRAMES_FROM_MALLOC
constexpr std::size_t kStep = 128;
constexpr std::size_t kClasses = 64;             // up to 8 KiB
constexpr std::size_t kKeptPerClass = 256;       // at most, and only where that many ran at once
constexpr std::size_t kKeptBytes = 1024 * 1024;  // of a class; a program has a dozen sizes of frames

struct Freed {
  Freed* next;
};

struct Pool {
  struct Class {
    Freed* first = nullptr;
    std::size_t count = 0;
  };
  std::array<Class, kClasses> classes;

  ~Pool() {
    for (Class& c : classes) {
      while (c.first != nullptr) {
        Freed* const freed = c.first;
        c.first = freed->next;
        ::operator delete(freed);
      }
    }
  }
};

Pool& pool() {
  thread_local Pool instance;
  return instance;
}

std::size_t class_of(std::size_t bytes) { return (bytes + kStep - 1) / kStep - 1; }
#endif

}  // namespace

#ifdef NINES_FRAMES_FROM_MALLOC
void* take_frame(std::size_t bytes) { return ::operator new(bytes); }
void give_back_frame(void* frame, std::size_t) noexcept { ::operator delete(frame); }
#else
void* take_frame(std::size_t bytes) {
  const std::size_t index = class_of(bytes);
  if (index >= kClasses) return ::operator new(bytes);
  Pool::Class& c = pool().classes[index];
  if (c.first == nullptr) return ::operator new((index + 1) * kStep);
  Freed* const freed = c.first;
  c.first = freed->next;
  --c.count;
  return freed;
}

void give_back_frame(void* frame, std::size_t bytes) noexcept {
  const std::size_t index = class_of(bytes);
  if (index < kClasses) {
    Pool::Class& c = pool().classes[index];
    if (c.count < std::min(kKeptPerClass, kKeptBytes / ((index + 1) * kStep))) {
      c.first = new (frame) Freed{c.first};
      ++c.count;
      return;
    }
  }
  ::operator delete(frame);
}
#endif

}  // namespace nines
