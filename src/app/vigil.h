// Whether a supervisor that lives still works. It notes each second in the shared table that its event loop turns; the
// anchor looks each kLook. Pure.
//
// The clock counts the machine's sleep, and so does a supervisor's silence. But who sleeps with it is the anchor: when
// it comes too late to its own look, by kLate, that says nothing about the supervisor, which gets its whole time again.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace nines::app {

class Vigil {
 public:
  static constexpr Duration kBeat = 1s;      // how often the supervisor gives a sign of life
  static constexpr Duration kLook = 2s;      // how often the anchor wants one
  static constexpr Duration kLate = 3s;      // a look so much too late: we were not there ourselves
  static constexpr Duration kSilence = 10s;  // ten beats missed: no load explains that, only a halt

  // A supervisor was started, or was just told to go: from now on it has kSilence.
  void begin(Instant now) { since_ = looked_ = now; }

  // One look. `beat`: its last sign of life, which may be of the supervisor before.
  bool hangs(Instant beat, Instant now) {
    if (now - looked_ >= kLook + kLate) since_ = now;
    looked_ = now;
    return now - std::max(beat, since_) >= kSilence;
  }

  // When to look again.
  Instant next() const { return looked_ + kLook; }

 private:
  Instant since_{}, looked_{};
};

}  // namespace nines::app
