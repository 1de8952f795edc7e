// Read buffers, kept for reuse by each thread: a connection has one only from when something has come until that has
// been dealt with.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace nines::http {

class Buffer {
 public:
  static constexpr std::size_t kBytes = 16 * 1024;

  Buffer() = default;  // none
  static Buffer take();
  static std::size_t taken();  // and not released yet, on this thread
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&& other) noexcept {
    release();
    bytes_ = std::move(other.bytes_);
    return *this;
  }
  ~Buffer() { release(); }

  explicit operator bool() const { return bytes_ != nullptr; }
  char* data() const { return bytes_.get(); }
  void release();

 private:
  std::unique_ptr<char[]> bytes_;
};

}  // namespace nines::http
