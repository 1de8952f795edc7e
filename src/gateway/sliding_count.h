// How often something happened within the last so many seconds: a ring of counts, one for each twentieth of the window.
// Constant time, no allocation. Pure.
//
// What it covers ends now and is between 19 and 20 twentieths of the window long: never more than the window.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"

namespace nines::gateway {

class SlidingCount {
 public:
  explicit SlidingCount(Duration window) : step_(window / kSteps) {}

  void add(Instant now) {
    advance(now);
    ++counts_[position_];
    ++sum_;
  }
  std::uint64_t count(Instant now) {
    advance(now);
    return sum_;
  }

 private:
  static constexpr std::int64_t kSteps = 20;

  void advance(Instant now) {
    const std::int64_t step = now.since_boot / step_;
    // A clock that seems to stand still adds to the present step.
    for (std::int64_t missed = step - now_; missed > 0; --missed) {
      if (missed > kSteps) missed = kSteps;
      position_ = (position_ + 1) % kSteps;
      sum_ -= counts_[position_];
      counts_[position_] = 0;
    }
    if (step > now_) now_ = step;
  }

  Duration step_;
  std::int64_t now_ = 0;  // in steps
  std::array<std::uint64_t, kSteps> counts_{};
  std::size_t position_ = 0;
  std::uint64_t sum_ = 0;
};

}  // namespace nines::gateway
