#include "availability/user_uptime.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "availability/test_support.h"

namespace nines::availability {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::at;
using testing::span_of;

UserEvent good(Duration t) { return {at(t), true}; }
UserEvent bad(Duration t) { return {at(t), false}; }

TEST_CASE("user-uptime: an hour with an outage of 15 minutes") {
  UserEvents user;
  for (int m = 0; m < 60; ++m) user.push_back({at(minutes(m)), m < 20 || m >= 35});
  const Timeline hour = timeline_of(std::vector<UserEvents>{user}, span_of(0h, 1h), 30min);
  CHECK(availability_of(hour)->unavailability() == 0.25);
  CHECK(worst_window(hour, 30min)->availability.unavailability() == 0.5);
}

TEST_CASE("user-uptime: the state holds from one request to the next, whatever the next one says") {
  const Timeline line = timeline_of(std::vector<UserEvents>{{good(0s), bad(10s), good(15s)}}, span_of(0s, 20s), 1h);
  CHECK(line.steps == std::vector{Step{at(0s), 1, 0}, Step{at(10s), 0, 1}, Step{at(15s), 1, 0}});
  CHECK(availability_of(line)->unavailability() == 0.25);
}

TEST_CASE("user-uptime: who makes no request is not there") {
  const UserEvents user = {good(0s), bad(100s), good(500s)};
  const Timeline line = timeline_of(std::vector<UserEvents>{user}, span_of(0s, 1000s), 60s);
  CHECK(line.steps == std::vector{Step{at(0s), 1, 0}, Step{at(60s), 0, 0}, Step{at(100s), 0, 1}, Step{at(160s), 0, 0},
                                  Step{at(500s), 1, 0}, Step{at(560s), 0, 0}});
  CHECK(availability_of(line)->unavailability() == 60.0 / 180);
  // Until the first request nobody knows.
  CHECK(timeline_of(std::vector<UserEvents>{{bad(10s)}}, span_of(0s, 20s), 1h).steps ==
        std::vector{Step{at(0s), 0, 0}, Step{at(10s), 0, 1}});
}

TEST_CASE("user-uptime: requests before the window reach into it, those after it do not") {
  const UserEvents user = {bad(-10s), good(5s), bad(25s)};
  const Timeline line = timeline_of(std::vector<UserEvents>{user}, span_of(0s, 20s), 1h);
  CHECK(line.steps == std::vector{Step{at(0s), 0, 1}, Step{at(5s), 1, 0}});
  CHECK(timeline_of(std::vector<UserEvents>{{bad(-10s)}}, span_of(0s, 20s), 10s).steps ==
        std::vector{Step{at(0s), 0, 0}});
  CHECK(timeline_of(std::vector<UserEvents>{user}, span_of(20s, 20s), 1h).steps.empty());
  CHECK(timeline_of({}, span_of(0s, 20s), 1h).steps == std::vector{Step{at(0s), 0, 0}});
}

TEST_CASE("user-uptime: each counts by their time, not by their requests") {
  UserEvents busy, calm = {bad(0s), bad(50s)};
  for (int i = 0; i < 100; ++i) busy.push_back(good(seconds(i)));
  const Timeline line = timeline_of(std::vector<UserEvents>{busy, calm}, span_of(0s, 100s), 60s);
  CHECK(availability_of(line)->unavailability() == 0.5);  // by requests it would be 2 of 102
}

TEST_CASE("user-uptime: requests in any order, some at once") {
  CHECK(timeline_of(std::vector<UserEvents>{{good(10s), bad(0s)}}, span_of(0s, 20s), 1h).steps ==
        std::vector{Step{at(0s), 0, 1}, Step{at(10s), 1, 0}});
  for (const UserEvents& at_once : {UserEvents{good(0s), bad(0s)}, UserEvents{bad(0s), good(0s)}})
    CHECK(timeline_of(std::vector<UserEvents>{at_once}, span_of(0s, 20s), 1h).steps == std::vector{Step{at(0s), 0, 1}});
}

TEST_CASE("user-uptime: the cutoff is the 99th percentile of the times between requests") {
  CHECK(!inactivity_cutoff({}));
  CHECK(!inactivity_cutoff(std::vector<UserEvents>{{good(0s)}, {bad(5s)}}));  // of different users
  UserEvents user = {good(0s)};
  for (int gap = 100; gap >= 1; --gap) user.push_back({user.back().at + seconds(gap), true});
  CHECK(inactivity_cutoff(std::vector<UserEvents>{user}) == 99s);
  std::ranges::reverse(user);
  CHECK(inactivity_cutoff(std::vector<UserEvents>{user}) == 99s);
  CHECK(inactivity_cutoff(std::vector<UserEvents>{{good(0s), good(7s)}}) == 7s);
  user.push_back({at(0s) - 1h, true});
  CHECK(inactivity_cutoff(std::vector<UserEvents>{user}) == 100s);  // 101 of them: the 100th
}

TEST_CASE("user-uptime: as a count of seconds says") {
  constexpr int kLength = 100;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const int cutoff = 1 + static_cast<int>(random.below(30));
    std::vector<UserEvents> users(random.below(6));
    std::vector<std::pair<std::uint32_t, std::uint32_t>> counted(kLength);
    for (UserEvents& user : users) {
      std::vector<int> state(kLength + 50, -1);  // of each second from −20 on; −1: no request
      for (auto n = random.below(12); n > 0; --n) {
        const int s = static_cast<int>(random.below(kLength + 40));
        const bool is_good = random.below(2) == 0;
        user.push_back({at(seconds(s - 20)), is_good});
        int& known = state[static_cast<std::size_t>(s)];
        known = is_good && known != 0 ? 1 : 0;
      }
      int last = -1, since = 0;
      for (int s = 0; s < kLength + 20; ++s) {
        if (state[static_cast<std::size_t>(s)] >= 0) last = state[static_cast<std::size_t>(s)], since = 0;
        if (last >= 0 && since < cutoff && s >= 20) {
          auto& now = counted[static_cast<std::size_t>(s - 20)];
          ++(last == 1 ? now.first : now.second);
        }
        ++since;
      }
    }
    const Timeline line = timeline_of(users, span_of(0s, seconds(kLength)), seconds(cutoff));
    std::size_t step = 0;
    for (int s = 0; s < kLength; ++s) {
      while (step + 1 < line.steps.size() && line.steps[step + 1].from <= at(seconds(s))) ++step;
      CHECK(line.steps[step].up == counted[static_cast<std::size_t>(s)].first);
      CHECK(line.steps[step].down == counted[static_cast<std::size_t>(s)].second);
    }
  }
}

}  // namespace
}  // namespace nines::availability
