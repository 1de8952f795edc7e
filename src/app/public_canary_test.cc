#include "app/public_canary.h"

#include <doctest/doctest.h>

namespace nines::app {
namespace {

using Answer = PublicCanary::Answer;

Instant at(int seconds) { return Instant{std::chrono::seconds(seconds)}; }

TEST_CASE("public canary: asked when nothing has come for a while, and again and again while it fails") {
  PublicCanary canary(60s, at(1));
  CHECK(!canary.due(at(60), at(0)));
  CHECK(canary.due(at(61), at(0)));
  CHECK(!canary.due(at(61), at(2)));  // a byte came
  CHECK(canary.due(at(62), at(2)));
  canary.on_answer(Answer::kRight, at(61), at(62));
  CHECK(canary.works());
  CHECK(!canary.due(at(120), at(1)));
  CHECK(canary.due(at(121), at(1)));
  canary.on_answer(Answer::kWrong, at(121), at(122));
  CHECK(!canary.works());
  CHECK(canary.due(at(122), at(122)));
  canary.on_answer(Answer::kRight, at(122), at(123));
  CHECK(canary.works());
  CHECK(!canary.due(at(123), at(123)));
}

TEST_CASE("public canary: where something was not well it is asked at once, though bytes come") {
  PublicCanary canary(60s, Instant{});
  CHECK(canary.due(at(100), at(100)));
  canary.on_answer(Answer::kRight, at(100), at(101));
  CHECK(!canary.due(at(102), at(101)));
}

TEST_CASE("public canary: without an answer it is dead, unless bytes come: then it is busy") {
  struct Row {
    Answer before, answer;
    int progress;
    bool works;
  };
  const Row rows[] = {
      {Answer::kRight, Answer::kNone, 100, false}, {Answer::kRight, Answer::kNone, 99, false},
      {Answer::kRight, Answer::kNone, 101, true},  {Answer::kRight, Answer::kWrong, 101, false},
      {Answer::kWrong, Answer::kNone, 101, false},  // that somebody gets something proves nothing of what is wrong
      {Answer::kWrong, Answer::kRight, 101, true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.progress);
    PublicCanary canary(60s, at(1));
    canary.on_answer(row.before, at(1), at(2));
    canary.on_answer(row.answer, at(100), at(row.progress));
    CHECK(canary.works() == row.works);
  }
}

}  // namespace
}  // namespace nines::app
