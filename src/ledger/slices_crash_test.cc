// Whatever kills the keeper, and whenever: every slice it was told is kept is there, once, and how far the counters
// were taken agrees with the slices.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/fd.h"
#include "base/random.h"
#include "ledger/slice_test_support.h"
#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using namespace testing;
using nines::testing::Folder;

constexpr std::int64_t kBegin = 20'000 * 86'400LL;
constexpr std::int64_t kGap = 86'400;  // what comes first, in two steps
constexpr std::int64_t kTurn = 600;    // then so long watched, so long not, and so on

bool nobody_watched(std::int64_t ten) { return ten < kBegin + kGap || (ten - kBegin) / kTurn % 2 == 1; }

Slice told(std::int64_t ten) {
  if (nobody_watched(ten)) return {.start = ten, .down = 10};
  return {.start = ten,
          .good = static_cast<std::uint64_t>(ten / 10 % 97),
          .up = 10,
          .latency = {{static_cast<std::uint16_t>(ten / 10 % kBucketsMax), 3}}};
}

// Goes on where the record says, and tells each success.
[[noreturn]] void keep(const std::string& path, int acknowledge, std::uint64_t seed) {
  Random random(seed);
  auto ledger = Ledger::open(path);
  if (!ledger) ::_exit(2);
  const auto last = ledger->latest_sampled();
  if (!last) ::_exit(3);
  std::int64_t until = *last ? (*last)->until : kBegin;
  while (true) {
    const std::int64_t turn = until < kBegin + kGap ? kBegin + kGap : kBegin + ((until - kBegin) / kTurn + 1) * kTurn;
    Sampled sampled{.table_id = 7, .counters = std::to_string(until), .until = until, .boot_id = "boot"};
    if (nobody_watched(until)) {
      const Moment now{"boot", Instant{}, WallTime(std::chrono::seconds(kBegin))};
      const auto reached = ledger->fill({.from = until, .to = turn}, sampled, now);
      if (!reached) ::_exit(4);
      until = *reached;
    } else {
      std::vector<Slice> slices;
      const std::int64_t end = std::min(turn, until + 10 * static_cast<std::int64_t>(1 + random.below(40)));
      for (; until < end; until += 10) slices.push_back(told(until));
      sampled.until = until;
      if (!ledger->add(slices, sampled)) ::_exit(5);
    }
    if (::write(acknowledge, &until, sizeof until) != sizeof until) ::_exit(6);
  }
}

struct Life {
  std::int64_t acknowledged = kBegin;
  int status = 0;
};

Life live(const std::string& path, Random& random) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  Fd out(ends[0]), in(ends[1]);
  const std::uint64_t seed = random.next();
  const pid_t child = ::fork();
  if (child == 0) keep(path, in.get(), seed);
  in.reset();
  Life life;
  const auto hear = [&] {
    return ::read(out.get(), &life.acknowledged, sizeof life.acknowledged) == sizeof life.acknowledged;
  };
  for (auto patience = random.below(6); patience > 0 && hear(); --patience) {
  }
  // Somewhere within the next call, or the opening.
  for (auto spins = random.below(3'000'000); spins > 0; --spins) (void)random.next();
  ::kill(child, SIGKILL);
  ::waitpid(child, &life.status, 0);
  while (hear()) {
  }
  return life;
}

TEST_CASE("crash: a keeper killed at any moment neither loses nor doubles a slice") {
  const std::uint64_t seed = 20261127;
  CAPTURE(seed);
  Random random(seed);
  const Folder folder;
  const std::string path = folder / "ledger.db";
  std::int64_t acknowledged = kBegin;
  for (int round = 0; round < 30; ++round) {
    CAPTURE(round);
    const Life life = live(path, random);
    REQUIRE(WIFSIGNALED(life.status));
    acknowledged = std::max(acknowledged, life.acknowledged);
    const Ledger ledger = must(Ledger::open(path));
    const auto last = must(ledger.latest_sampled());
    const std::int64_t until = last ? last->until : kBegin;
    CHECK(until >= acknowledged);
    const Reader reader = must(Reader::open(path));
    CHECK(must(reader.check_slices()).value_or(SliceBreak{}).why == "");
    Slice sum{.start = kBegin};
    for (std::int64_t ten = kBegin; ten < until; ten += 10) {
      add(sum, told(ten));
      if (ten % 31 == 0) CHECK(must(reader.total(ten, ten + 10)).sum == told(ten));
    }
    CHECK(must(reader.total(kBegin, until)).sum == sum);
    sum.start = start_of(Grain::kDay, kBegin);
    CHECK(must(reader.total(sum.start, until + 10 * 86'400)).sum == sum);  // nothing behind it
  }
  CHECK(acknowledged > kBegin + kGap);
}

}  // namespace
}  // namespace nines::ledger
