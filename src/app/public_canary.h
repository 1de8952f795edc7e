// The golden request at the public address: what tells a service that nobody uses from one that is dead behind a
// healthy health page. It costs an inference, so it is asked only when no byte of any answer has come for a while.
// Pure.
//
//          no byte for `every`            wrong, or none and no byte came meanwhile
//   works -------------------> asked ------------------------------------------------> does not: asked at each look,
//     ^-----------------------------------------------------------------------------  until it passes
//          passed; or none, but bytes come: busy
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace nines::app {

class PublicCanary {
 public:
  enum class Answer : std::uint8_t { kRight, kWrong, kNone };

  // `asked`: when it was asked last; {}: it is to be asked at once.
  PublicCanary(Duration every, Instant asked) : every_(every), asked_(asked) {}

  // Whether it is to be asked now. `progress`: when the last byte came from any replica.
  bool due(Instant now, Instant progress) const {
    return !works_ || asked_ == Instant{} || now - std::max(asked_, progress) >= every_;
  }
  void on_answer(Answer answer, Instant asked, Instant progress) {
    asked_ = asked;
    if (answer == Answer::kNone && progress > asked) return;
    works_ = answer == Answer::kRight;
  }
  bool works() const { return works_; }

 private:
  Duration every_;
  Instant asked_;
  bool works_ = true;
};

}  // namespace nines::app
