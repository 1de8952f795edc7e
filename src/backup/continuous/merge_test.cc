#include "backup/continuous/merge.h"

#include <doctest/doctest.h>

#include "base/random.h"
#include "base/test_support.h"
#include "storage/directory.h"

namespace nines::backup::continuous {
namespace {

SegmentName at(std::uint64_t first, std::uint64_t last, std::uint64_t seconds) {
  return {.lineage = 1, .epoch = 1, .first = first, .last = last, .captured_ms = seconds * 1000};
}
WallTime second(std::int64_t s) { return WallTime(std::chrono::seconds(s)); }
using Merges = std::vector<std::vector<SegmentName>>;

TEST_CASE("what a plan merges: windows that are over for long enough, and never a snapshot") {
  const std::vector<SegmentName> all = {at(1, 1, 1),  at(2, 2, 2),  at(3, 3, 29),  at(4, 4, 30),
                                        at(5, 5, 59), at(6, 6, 61), at(7, 7, 299), at(8, 8, 301)};
  struct Row {
    std::int64_t now;
    Merges merges;
  };
  const Merges first = {{at(2, 2, 2), at(3, 3, 29)}};
  const Merges both = {{at(2, 2, 2), at(3, 3, 29)}, {at(4, 4, 30), at(5, 5, 59)}};
  const Merges minutes = {{at(2, 2, 2), at(3, 3, 29), at(4, 4, 30), at(5, 5, 59), at(6, 6, 61), at(7, 7, 299)}};
  Merges hour = minutes;
  hour[0].push_back(at(8, 8, 301));
  for (const Row& row : {Row{329, {}}, Row{330, first}, Row{359, first}, Row{360, both}, Row{3899, both},
                         Row{3900, minutes}, Row{89999, minutes}, Row{90000, hour}}) {
    CAPTURE(row.now);
    CHECK(plan_merges(all, second(row.now)).merges == row.merges);
    CHECK(plan_merges(all, second(row.now)).superfluous.empty());
  }
}

TEST_CASE("what a plan does not merge: across a gap or an epoch; and what lies within a merged one is superfluous") {
  SegmentName other = at(3, 3, 3);
  other.epoch = 2;
  CHECK(plan_merges(std::vector{at(2, 2, 2), other, at(4, 4, 3)}, second(1'000'000)) == MergePlan{});
  const std::vector<SegmentName> killed = {at(2, 4, 20), at(3, 3, 19), at(4, 4, 20), at(5, 5, 21)};
  const MergePlan plan = plan_merges(killed, second(400));
  CHECK(plan.superfluous == std::vector{at(3, 3, 19), at(4, 4, 20)});
  CHECK(plan.merges == Merges{{at(2, 4, 20), at(5, 5, 21)}});
}

// A chain of random changes, and what the database is after each.
struct World {
  nines::testing::Folder folder;
  std::shared_ptr<storage::Destination> destination = storage::open_directory(folder / "live");
  std::optional<SegmentKey> key;
  Replay replay;
  std::map<std::uint32_t, std::string> pages;
  std::vector<std::map<std::uint32_t, std::string>> states;

  void change(Random& random, std::int64_t seconds) {
    const auto before = replay.ledger().pages();
    std::map<std::uint32_t, std::string> changed;
    const std::uint32_t size = 1 + random.below(30);
    for (std::uint32_t page = 1; page <= size; ++page)
      if (page > before || random.below(4) == 0) changed[page] = std::string(512, static_cast<char>(random.next()));
    std::vector<PageHash> hashes;
    for (const auto& [page, content] : changed) hashes.push_back({page, hash_page(page, content)});
    const SegmentHeader header{.page_size = 512,
                               .lineage = 1,
                               .epoch = 1,
                               .first = replay.head().last + 1,
                               .last = replay.head().last + 1,
                               .begun = second(seconds),
                               .captured = second(seconds),
                               .commits = 1,
                               .pages_before = before,
                               .pages_after = size,
                               .before = replay.ledger().digest(),
                               .after = digest_with(replay.ledger(), hashes, size),
                               .previous = replay.link(),
                               .pages = static_cast<std::uint32_t>(changed.size())};
    auto upload = destination->put(object_name(name_of(header)));
    REQUIRE(upload);
    SegmentWriter writer(header, key, [&](std::string_view bytes) { return (*upload)->write(bytes); });
    for (const auto& [page, content] : changed) REQUIRE(writer.add(page, content));
    REQUIRE(writer.finish());
    REQUIRE((*upload)->commit());
    REQUIRE(replay.apply(*destination, name_of(header), key));
    pages.erase(pages.upper_bound(size), pages.end());
    for (const auto& [page, content] : changed) pages[page] = content;
    states.push_back(pages);
  }

  std::vector<SegmentName> names() {
    auto all = list_segments(*destination);
    REQUIRE(all);
    return *all;
  }

  // Every moment that the chain still leads to has the content that it had.
  void check_restores() {
    const auto way = select(names(), {.lineage = 1, .epoch = 1});
    REQUIRE(way);
    Replay again;
    std::map<std::uint32_t, std::string> read;
    for (const SegmentName& name : *way) {
      const auto applied = again.apply(*destination, name, key, [&](std::uint32_t page, std::string_view content) {
        read[page] = content;
        return Result<>();
      });
      if (!applied) FAIL(applied.error().text());
      read.erase(read.upper_bound(again.ledger().pages()), read.end());
      REQUIRE(read == states[name.last - 1]);
    }
    REQUIRE(again.head().last == states.size());
    REQUIRE(again.link() == replay.link());
  }
};

TEST_CASE("property: however often it is merged, the chain leads to what it led to, and can be continued") {
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    World world;
    if (seed % 3 == 0) world.key = *SegmentKey::make(std::string(32, 'k'));
    std::int64_t now = 1000;
    for (int i = 0; i < 40; ++i) world.change(random, now += 1 + random.below(40));
    for (const std::int64_t later : {400, 4000, 90000, 200000}) {
      const std::size_t before = world.names().size();
      std::vector<SegmentName> left = world.names();
      const MergePlan plan = plan_merges(left, second(now + later));
      for (const auto& parts : plan.merges) {
        const auto merged = merge(*world.destination, parts, world.key);
        if (!merged) FAIL(merged.error().text());
      }
      CHECK(world.names().size() <= before);
      world.check_restores();
    }
    CHECK(world.names().size() <= 4);  // the snapshot, and one for each hour
    world.change(random, now + 200001);
    world.check_restores();
  }
}

TEST_CASE("killed between the merged one and the removal of its parts: the parts go once the merged one was read") {
  Random random(5);
  World world;
  for (int i = 0; i < 8; ++i) world.change(random, 1000 + i);
  const std::vector<SegmentName> before = world.names();
  const nines::testing::Folder kept;
  const auto copies = std::filesystem::copy_options::overwrite_existing;
  for (const SegmentName& name : before)
    std::filesystem::copy_file(world.folder / "live/" + object_name(name), kept / object_name(name), copies);
  const auto plan = plan_merges(before, second(100000));
  REQUIRE(plan.merges.size() == 1);
  const auto merged = merge(*world.destination, plan.merges[0], world.key);
  REQUIRE(merged);
  REQUIRE(world.names().size() == 2);
  std::filesystem::copy_file(kept / object_name(before[3]), world.folder / "live/" + object_name(before[3]), copies);
  world.check_restores();
  const std::string whole = world.folder / "live/" + object_name(*merged);

  SUBCASE("sound") {
    const auto again = plan_merges(world.names(), second(100000));
    REQUIRE(again.superfluous == std::vector{before[3]});
    CHECK(remove_superfluous(*world.destination, world.names(), again.superfluous, world.key));
    CHECK(world.names().size() == 2);
    world.check_restores();
  }
  SUBCASE("damaged") {
    std::filesystem::resize_file(whole, std::filesystem::file_size(whole) - 1);
    const auto again = plan_merges(world.names(), second(100000));
    CHECK(remove_superfluous(*world.destination, world.names(), again.superfluous, world.key).error().code() ==
          Code::kInvalid);
    CHECK(world.names().size() == 3);
  }
}

TEST_CASE("names: back and forth, and nothing else is taken for a segment") {
  const SegmentName name{0xfedcba9876543210, 7, 2, 0xabcdef, 0x123456789abc};
  CHECK(object_name(name) == "backup-live-fedcba9876543210-00000007-000000000002-000000abcdef-123456789abc.segment");
  CHECK(parse_segment_name(object_name(name)) == name);
  for (const std::string_view other :
       {"backup-20260101-000000.tar.zst", "backup-live-.segment", "backup-live-fedcba9876543210-00000007.json",
        "backup-live-fedcba9876543210-00000007-000000000002-000000abcdef-123456789abC.segment",
        "backup-live-fedcba9876543210-00000007-000000000002-000000000001-123456789abc.segment",
        "backup-live-fedcba9876543210-00000007-000000000000-000000000001-123456789abc.segment",
        "backup-live-fedcba9876543210-00000007-000000000002-000000abcdef-123456789abc1.segment"})
    CHECK_FALSE(parse_segment_name(other));
}

TEST_CASE("the way to a moment: the widest segments, none behind a gap") {
  const auto way = [](std::vector<SegmentName> all, Wanted wanted) {
    wanted.lineage = wanted.epoch = 1;
    return select(all, wanted);
  };
  using Way = std::vector<SegmentName>;
  const Way all = {at(1, 1, 1), at(2, 2, 2), at(2, 4, 4), at(3, 3, 3), at(4, 4, 4), at(5, 5, 5)};
  CHECK(*way(all, {}) == Way{at(1, 1, 1), at(2, 4, 4), at(5, 5, 5)});
  CHECK(*way(all, {.until = second(3)}) == Way{at(1, 1, 1), at(2, 2, 2), at(3, 3, 3)});
  CHECK(*way(all, {.next = 4}) == Way{at(2, 4, 4), at(5, 5, 5)});
  CHECK(*way(all, {.next = 6}) == Way{});
  CHECK(*way(all, {.until = second(0)}) == Way{});
  CHECK(way({at(1, 1, 1), at(3, 3, 3)}, {}).error().code() == Code::kInvalid);
  CHECK(*way({at(1, 1, 1), at(3, 3, 3)}, {.until = second(2)}) == Way{at(1, 1, 1)});
  CHECK(way({at(2, 2, 2)}, {}).error().code() == Code::kInvalid);
}

}  // namespace
}  // namespace nines::backup::continuous
