#include "ledger/chain.h"

#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using namespace testing;

// Computed by another program from the layout in chain.h (docs/internals/ledger.md has it). A change here is a new
// form.
TEST_CASE("chain: the bytes of form 1 never change") {
  Hasher hasher;
  Event first{.table_id = 0xfedcba9876543210,
              .number = 1,
              .when = {"6f9619ff-8b86-d011-b42d-00cf4fc964ff", Instant{1'500'000'000ns},
                       WallTime(Duration(1'795'435'200'000'000'000))},
              .kind = "exited",
              .target = "language-id-1",
              .pid = 4711,
              .incarnation = 3,
              .a = 9,
              .b = 1,
              .text = "killed by SIGKILL (9)"};
  const Hash one = hasher(chained_bytes(Hash{}, 1, first));
  CHECK(hex(one) == "c4001104634244d6d259793f4829c16fcca3f83d9e8e96933410f2f830bfa366");
  CHECK(hex(hasher(chained_bytes(one, 2, Event{.a = -1}))) ==
        "9f8de9d455450f53258803f42584bc98ec4d6abe297815034615d6a853da434f");
  CHECK(hex(hasher("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("chain: what is in the hash") {
  Hasher hasher;
  const Event plain = event(7);
  const Hash before = hasher(chained_bytes(Hash{}, 7, plain));
  const auto differs = [&](auto change) {
    Event changed = plain;
    change(changed);
    return hasher(chained_bytes(Hash{}, 7, changed)) != before;
  };
  CHECK(differs([](Event& e) { ++e.table_id; }));
  CHECK(differs([](Event& e) { ++e.number; }));
  CHECK(differs([](Event& e) { e.when.boot_id[0] ^= 1; }));
  CHECK(differs([](Event& e) { e.when.at = e.when.at + 1ns; }));
  CHECK(differs([](Event& e) { e.when.wall += 1ns; }));
  CHECK(differs([](Event& e) { e.kind[0] ^= 1; }));
  CHECK(differs([](Event& e) { e.target[0] ^= 1; }));
  CHECK(differs([](Event& e) { ++e.pid; }));
  CHECK(differs([](Event& e) { ++e.incarnation; }));
  CHECK(differs([](Event& e) { ++e.a; }));
  CHECK(differs([](Event& e) { ++e.b; }));
  CHECK(differs([](Event& e) { e.text[0] ^= 1; }));
  CHECK(differs([](Event& e) { e.target = e.kind + e.target, e.kind = ""; }));  // a border that moved
  CHECK(hasher(chained_bytes(before, 7, plain)) != before);
  CHECK(hasher(chained_bytes(Hash{}, 8, plain)) != before);
}

}  // namespace
}  // namespace nines::ledger
