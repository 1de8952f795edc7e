#include "supervise/adoption.h"

#include <sstream>

#include <doctest/doctest.h>

namespace nines::supervise {
namespace {

constexpr pid_t kAnchor = 1;

// The world of one replica, "web-1", and the gateway. A process is written PART#INCARNATION/PID@START, with a "w"
// behind it when it is no leader; the book is INCARNATION/PID@START.
Found process(const std::string& text) {
  Found found{.leader = !text.ends_with('w'), .part = text.substr(0, text.find('#'))};
  std::istringstream rest(text.substr(text.find('#')));
  char mark = 0;
  rest >> mark >> found.incarnation >> mark >> found.pid >> mark >> found.start_time;
  found.parent = kAnchor;
  found.port = static_cast<std::uint16_t>(20000 + found.incarnation);
  return found;
}

std::vector<Found> processes(const std::string& text) {
  std::vector<Found> all;
  std::istringstream words(text);
  for (std::string word; words >> word;) all.push_back(process(word));
  return all;
}

struct Row {
  const char* why;
  Expected book;
  const char* found;
  pid_t adopted;  // 0: none
  bool exit_due;
  std::vector<pid_t> end;
};

TEST_CASE("adoption: what the book says and what is found") {
  const auto book = [](std::uint64_t incarnation = 0, pid_t pid = 0, std::uint64_t start = 0) {
    return Expected{"web-1", incarnation, pid, start};
  };
  const Row rows[] = {
      {"nothing in the book, nothing found: a first start", book(), "", 0, false, {}},
      {"that very one", book(5, 50, 500), "web-1#5/50@500", 50, false, {}},
      {"its workers are left alone", book(5, 50, 500), "web-1#5/51@501w web-1#5/50@500", 50, false, {}},
      {"... also one with a session of its own", book(5, 50, 500), "web-1#5/51@501 web-1#5/50@500", 50, false, {}},
      {"it is gone", book(5, 50, 500), "", 0, true, {}},
      {"it is gone, its workers are not", book(5, 50, 500), "web-1#5/51@501w web-1#5/52@502w", 0, true, {51, 52}},
      {"... nor is what has a session of its own: that is not the replica",
       book(5, 50, 500),
       "web-1#5/51@501",
       0,
       true,
       {51}},
      {"its pid is somebody else's by now", book(5, 50, 500), "web-1#5/50@900", 0, true, {50}},
      {"... of its own successor, even", book(5, 50, 500), "web-1#6/50@900", 50, true, {}},
      {"another process of that very moment is not it", book(5, 50, 500), "web-1#5/51@500", 0, true, {51}},
      {"another replica's of the same number is not its worker",
       book(5, 50, 500),
       "web-1#5/50@500 web-2#5/60@600",
       50,
       false,
       {60}},
      {"no start time is known: the incarnation tells", book(5, 50), "web-1#5/50@500", 50, false, {}},
      {"... and tells that it is another", book(5, 50), "web-1#4/50@500", 0, true, {50}},
      {"its exit is recorded, the next was forked and not noted", book(5), "web-1#6/60@600", 60, false, {}},
      {"its exit is recorded, what it left behind is not it", book(5), "web-1#5/51@501", 0, false, {51}},
      {"... nor is what an older one left", book(5), "web-1#4/41@401", 0, false, {41}},
      {"the first was forked and not noted", book(), "web-1#1/10@100", 10, false, {}},
      {"a book without a pid: the latest", book(), "web-1#7/70@700 web-1#9/90@650 web-1#8/80@800", 90, false, {70, 80}},
      {"... of one incarnation, the process that began first",
       book(),
       "web-1#7/71@701 web-1#7/70@700 web-1#7/69@702",
       70,
       false,
       {}},
      {"... or, begun in the same tick, the lower pid", book(), "web-1#7/71@700 web-1#7/70@700", 70, false, {}},
      {"a leader, never a worker", book(), "web-1#9/90@900w web-1#7/70@700", 70, false, {90}},
      {"workers alone", book(), "web-1#9/90@900w", 0, false, {90}},
      {"that very one, and a later one beside it", book(5, 50, 500), "web-1#6/60@600 web-1#5/50@500", 50, false, {60}},
      {"that very one, and an older one beside it", book(5, 50, 500), "web-1#4/40@400 web-1#5/50@500", 50, false, {40}},
      {"it is gone, and the next is there", book(5, 50, 500), "web-1#6/60@600", 60, true, {}},
      {"another replica's is not ours", book(5, 50, 500), "web-2#5/50@500", 0, true, {50}},
      {"a half-made child, still with the supervisor's tag",
       book(5, 50, 500),
       "supervisor#1/77@700 web-1#5/50@500",
       50,
       false,
       {77}},
      {"a tag that nobody understands", book(5, 50, 500), "#0/77@700 web-1#5/50@500", 50, false, {77}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const auto plan = plan_adoption(std::span(&row.book, 1), processes(row.found));
    REQUIRE(plan.parts.size() == 1);
    CHECK((plan.parts[0].process ? plan.parts[0].process->pid : 0) == row.adopted);
    CHECK(plan.parts[0].exit_due == row.exit_due);
    std::vector<pid_t> end;
    for (const Found& found : plan.end) end.push_back(found.pid);
    CHECK(end == row.end);
  }
}

TEST_CASE("adoption: each part gets its own, in the order in which they are expected") {
  const Expected expected[] = {
      {"web-2", 4, 40, 400}, {"gateway", 0, 30, 300}, {"web-1", 3, 20, 200}, {"keeper", 0, 0, 0}};
  const auto found = processes("web-1#3/20@200 web-2#4/40@400 gateway#2/31@310 keeper#8/33@330 web-3#9/90@900");
  const auto plan = plan_adoption(expected, found);
  REQUIRE(plan.parts.size() == 4);
  CHECK(plan.parts[0] == Adoption{found[1], false});
  CHECK(plan.parts[1] == Adoption{found[2], true});  // another gateway than the book's: that one has ended
  CHECK(plan.parts[2] == Adoption{found[0], false});
  CHECK(plan.parts[3] == Adoption{found[3], false});
  CHECK(plan.end == std::vector<Found>{found[4]});  // a replica that the configuration has no more
  CHECK(plan.parts[0].process->port == 20004);
}

TEST_CASE("adoption: no incarnation is given twice, not even that of what is ended") {
  const Expected book{"web-1", 5, 50, 500};
  const auto highest = [&](const char* found) {
    return plan_adoption(std::span(&book, 1), processes(found)).incarnations;
  };
  CHECK(highest("") == 0);
  CHECK(highest("web-1#5/50@500 web-1#12/51@510w web-9#11/52@520") == 12);
}

}  // namespace
}  // namespace nines::supervise
