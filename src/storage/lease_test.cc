#include "storage/lease.h"

#include <doctest/doctest.h>

#include <map>
#include <vector>

#include "base/random.h"
#include "storage/s3.h"
#include "storage/test_support.h"

namespace nines::storage {
namespace {

using Step = Lease::Step;

Instant at(Duration d) { return Instant{1h + d}; }

TEST_CASE("lease: made, renewed, and fenced before its time is up") {
  Lease lease({.holder = "a", .ttl = 30s, .margin = 5s});
  CHECK(!lease.held(at(0s)));
  const auto order = lease.see(std::nullopt, at(0s));
  CHECK(order.step == Step::kCreate);
  lease.done("v1", at(0s));
  CHECK(lease.held(at(25s - 1ns)));
  CHECK(!lease.held(at(25s)));
  CHECK(lease.renew_at() == at(Duration(25s) / 3));
  const auto renewal = lease.see(Versioned{order.content, "v1"}, at(8s));
  CHECK(renewal.step == Step::kReplace);
  CHECK(renewal.version == "v1");
  CHECK(renewal.content != order.content);
  lease.done("v2", at(8s));
  CHECK(lease.held(at(33s - 1ns)));
  CHECK(!lease.held(at(33s)));
}

TEST_CASE("lease: another's is taken over only when it has not changed for its time and the margin") {
  Lease lease({.holder = "b", .ttl = 30s, .margin = 5s});
  CHECK(lease.see(Versioned{"a\n1", "v1"}, at(0s)).step == Step::kWait);
  CHECK(lease.see(Versioned{"a\n1", "v1"}, at(34s)).step == Step::kWait);
  CHECK(lease.see(Versioned{"a\n2", "v2"}, at(36s)).step == Step::kWait);
  CHECK(lease.see(Versioned{"a\n2", "v2"}, at(71s - 1ns)).step == Step::kWait);
  const auto order = lease.see(Versioned{"a\n2", "v2"}, at(71s));
  CHECK(order.step == Step::kReplace);
  CHECK(order.version == "v2");
  lease.refused();  // somebody was faster
  CHECK(lease.see(Versioned{"c\n1", "v3"}, at(72s)).step == Step::kWait);
  // "b" is not "bb".
  CHECK(lease.see(Versioned{"bb\n1", "v4"}, at(72s)).step == Step::kWait);
}

TEST_CASE("lease: lost is lost") {
  struct Row {
    const char* what;
    std::optional<Versioned> found;
  };
  for (const Row& row : {Row{"another's", Versioned{"b\n1", "v2"}}, Row{"gone", std::nullopt}}) {
    CAPTURE(row.what);
    Lease lease({.holder = "a"});
    (void)lease.see(std::nullopt, at(0s));
    lease.done("v1", at(0s));
    CHECK(lease.see(row.found, at(1s)).step == Step::kLost);
    CHECK(!lease.held(at(1s)));
    lease.done("v9", at(1s));  // of a renewal that was on its way
    CHECK(!lease.held(at(1s)));
    CHECK(lease.see(std::nullopt, at(2s)).step == Step::kLost);
  }
  Lease lease({.holder = "a"});
  (void)lease.see(std::nullopt, at(0s));
  lease.done("v1", at(0s));
  lease.refused();
  CHECK(!lease.held(at(1s)));
}

TEST_CASE("lease: a write whose end is not known extends nothing, and is found again") {
  Lease lease({.holder = "a", .ttl = 30s, .margin = 5s});
  const auto order = lease.see(std::nullopt, at(0s));
  CHECK(!lease.held(at(1s)));
  CHECK(lease.see(Versioned{order.content, "v1"}, at(1s)).step == Step::kReplace);
  CHECK(!lease.held(at(1s)));
  lease.done("v2", at(1s));
  CHECK(lease.held(at(1s)));
}

// Machines that pause, writes that take long, are lost, or are done without an answer: at no moment do two hold it.
TEST_CASE("lease: never two holders") {
  const std::uint64_t first = 1;
  std::size_t held_by_somebody = 0;
  for (std::uint64_t seed = first; seed < first + 300; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    struct Pending {
      Lease::Order order;
      Instant begun, applies, answers;
      bool applied = false, well = false, lost = false;
      std::string version;
    };
    struct Machine {
      std::optional<Lease> lease;
      Instant next;
      std::optional<Pending> pending;
    };
    std::vector<Machine> machines;
    for (const char* holder : {"a", "b", "c"})
      machines.push_back({std::optional<Lease>(LeaseOptions{.holder = holder, .ttl = 10s, .margin = 1s}), at(0s), {}});
    std::optional<Versioned> object;
    int version = 0;
    for (Duration t = 0s; t < 200s; t += 250ms) {
      const Instant now = at(t);
      int holders = 0;
      for (Machine& machine : machines) {
        if (auto& write = machine.pending) {
          if (!write->applied && now >= write->applies) {
            write->applied = true;
            const bool holds =
                write->order.step == Step::kCreate ? !object : object && object->version == write->order.version;
            if (holds) object = Versioned{write->order.content, write->version = "v" + std::to_string(++version)};
            write->well = holds;
          }
          if (now >= write->answers) {
            if (!write->lost && write->well) machine.lease->done(write->version, write->begun);
            if (!write->lost && !write->well) machine.lease->refused();
            write.reset();
          }
        } else if (now >= machine.next) {
          auto order = machine.lease->see(object, now);
          machine.next = now + 250ms * random.below(random.below(10) == 0 ? 80 : 8);
          if (order.step == Step::kCreate || order.step == Step::kReplace) {
            const Duration slow = 250ms * random.below(random.below(8) == 0 ? 60 : 3);
            machine.pending = {.order = order,
                               .begun = now,
                               .applies = now + slow,
                               .answers = now + slow + 250ms * random.below(4),
                               .lost = random.below(6) == 0};
          } else if (order.step == Step::kLost && random.below(4) == 0) {
            machine.lease.emplace(
                LeaseOptions{.holder = "r" + std::to_string(random.next()), .ttl = 10s, .margin = 1s});
          }
        }
        holders += machine.lease->held(now) ? 1 : 0;
      }
      REQUIRE(holders <= 1);
      held_by_somebody += static_cast<std::size_t>(holders);
    }
  }
  CHECK(held_by_somebody > 300 * 800 / 4);  // and it is of use
}

TEST_CASE("lease: on S3") {
  testing::S3Server server;
  const auto store =
      open_s3_conditions({.bucket = testing::S3Server::kBucket,
                          .prefix = "p",
                          .endpoint = server.url(),
                          .credentials = {testing::S3Server::kAccessKey, testing::S3Server::kSecretKey, ""},
                          .retry = {.attempts = 2},
                          .wall = [] { return std::chrono::sys_days(std::chrono::year(2013) / 5 / 24); },
                          .pause = [](Duration) {}});
  CHECK(probe_conditions(*store, "probe"));
  CHECK(probe_conditions(*store, "probe"));  // again, and it is there
  CHECK(store->read("lease").error().code() == Code::kNotFound);
  const auto created = store->create("lease", "a\n1");
  REQUIRE(created);
  CHECK(store->create("lease", "b\n1").error().code() == Code::kExists);
  const auto replaced = store->replace("lease", "a\n2", *created);
  REQUIRE(replaced);
  CHECK(store->replace("lease", "b\n2", *created).error().code() == Code::kExists);
  CHECK(store->read("lease")->content == "a\n2");
  CHECK(store->read("lease")->version == *replaced);
  // The answers are lost, but not the writes.
  server.trouble = [](const testing::Asked& asked) {
    return asked.method == "PUT" ? testing::S3Server::Trouble::kLose : testing::S3Server::Trouble::kNone;
  };
  const auto unsure = store->replace("lease", "a\n3", *replaced);
  REQUIRE(unsure);
  CHECK(store->read("lease")->version == *unsure);
  // Neither was written: the old one must not pass for it.
  server.trouble = [](const testing::Asked& asked) {
    return asked.method == "PUT" ? testing::S3Server::Trouble::kResetBefore : testing::S3Server::Trouble::kNone;
  };
  CHECK(store->replace("lease", "a\n4", *unsure).error().code() == Code::kClosed);
  server.trouble = [](const testing::Asked&) { return testing::S3Server::Trouble::kNone; };
  server.knows_conditions = false;
  CHECK(!probe_conditions(*store, "other"));
}

// A server that does as if there were no conditions.
class Careless final : public ConditionalStore {
 public:
  Result<Versioned> read(const std::string&) override { return Versioned{content_, content_}; }
  Result<std::string> create(const std::string& name, std::string_view content) override {
    if (knows_create && !content_.empty()) return failure(Code::kExists, name);
    return content_ = std::string(content);
  }
  Result<std::string> replace(const std::string& name, std::string_view content, const std::string&) override {
    if (refuses_replace) return failure(Code::kExists, name);
    return content_ = std::string(content);
  }
  bool knows_create = false, refuses_replace = false;

 private:
  std::string content_;
};

TEST_CASE("lease: a server that ignores conditions is refused") {
  Careless careless;
  CHECK(probe_conditions(careless, "probe").error().code() == Code::kRefused);
  careless.knows_create = true;
  CHECK(probe_conditions(careless, "probe").error().code() == Code::kRefused);
  careless.refuses_replace = true;
  CHECK(probe_conditions(careless, "probe").error().code() == Code::kRefused);
}

}  // namespace
}  // namespace nines::storage
