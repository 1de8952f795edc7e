// One layout replaces another: what is carried over, and that no old table, however it describes itself, makes us read
// beyond it.
#include <sys/mman.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "base/random.h"
#include "plane/plane.h"

namespace nines::plane {
namespace {

// A table of some other program, of as many bytes as it says and not one more: a mapping ends with the page, and what
// is read behind it is a fault.
class OldTable {
 public:
  static constexpr std::uint32_t kDirectory = 32;

  explicit OldTable(std::size_t size) : fd_(::memfd_create("old-table", MFD_CLOEXEC)), bytes_(size) {
    put<std::uint64_t>(0, kMagic);
    put<std::uint32_t>(8, 4711);
    put<std::uint32_t>(12, static_cast<std::uint32_t>(size));
    put<std::uint64_t>(16, 99);
    put<std::uint32_t>(24, kDirectory);
  }

  OldTable& field(std::string_view name, std::uint32_t offset, std::uint32_t count = 1, std::uint32_t stride = 0,
                  std::uint32_t repeat = 1) {
    Field entry{.offset = offset, .stride = stride, .repeat = repeat, .count = count};
    set_field(entry.name, name);
    put(kDirectory + fields_ * sizeof(Field), entry);
    put<std::uint32_t>(28, ++fields_);
    return *this;
  }

  OldTable& number(std::size_t offset, std::uint64_t value) {
    put(offset, value);
    return *this;
  }

  template <class T>
  void put(std::size_t offset, const T& value) {
    REQUIRE(offset + sizeof value <= bytes_.size());
    std::memcpy(bytes_.data() + offset, &value, sizeof value);
  }

  const Fd& fd() {
    REQUIRE(::ftruncate(fd_.get(), 0) == 0);
    REQUIRE(::pwrite(fd_.get(), bytes_.data(), bytes_.size(), 0) == static_cast<ssize_t>(bytes_.size()));
    return fd_;
  }
  Result<ForeignTable> attach() { return ForeignTable::attach(fd()); }

 private:
  Fd fd_;
  std::vector<std::byte> bytes_;
  std::uint32_t fields_ = 0;
};

Plane fresh() { return std::move(Plane::create().value()); }

void carry_over(OldTable& old, Table& table) {
  auto foreign = old.attach();
  REQUIRE(foreign);
  foreign->continue_numbers_in(table);
  foreign->move_counters_to(table);
}

// Everything of a table that could have been added to.
std::uint64_t sum_of_counters(const Table& table) {
  const ServiceCounters& s = table.service;
  std::uint64_t sum =
      s.requests + s.errors + s.client_errors + s.replayed + s.abandoned + s.unroutable + s.connections_refused;
  for (const std::uint64_t count : s.latency.snapshot()) sum += count;
  for (const Observed& observed : table.observed) {
    sum += observed.requests + observed.errors;
    for (const std::uint64_t count : observed.latency.snapshot()) sum += count;
  }
  return sum;
}

TEST_CASE("foreign table: counters are found by name, wherever they were, and added") {
  OldTable old(4096);
  old.field("service.errors", 1000).number(1000, 5);
  old.field("service.requests", 2048).number(2048, 100);
  old.field("something new", 1008).number(1008, 7);
  const Plane table = fresh();
  table->service.requests = 11;
  carry_over(old, *table);
  CHECK(table->service.requests == 111);
  CHECK(table->service.errors == 5);
  CHECK(sum_of_counters(*table) == 116);  // and nothing else: what the old one does not have stays
}

TEST_CASE("foreign table: fewer and more replicas, other strides") {
  for (const std::size_t replicas : {std::size_t{1}, std::size_t{3}, kReplicasMax, kReplicasMax + 16}) {
    CAPTURE(replicas);
    constexpr std::size_t kFirst = 1000, kStride = 24;
    OldTable old(kFirst + replicas * kStride);
    old.field("replica.requests", kFirst, 1, kStride, static_cast<std::uint32_t>(replicas));
    old.field("replica.errors", kFirst + 16, 1, kStride, static_cast<std::uint32_t>(replicas));
    for (std::size_t i = 0; i < replicas; ++i) {
      old.number(kFirst + i * kStride, 1000 + i);
      old.number(kFirst + i * kStride + 8, 666);  // something else in between
      old.number(kFirst + i * kStride + 16, i);
    }
    const Plane table = fresh();
    carry_over(old, *table);
    for (std::size_t i = 0; i < kReplicasMax; ++i) {
      CAPTURE(i);
      CHECK(table->observed[i].requests == (i < replicas ? 1000 + i : 0));
      CHECK(table->observed[i].errors == (i < replicas ? i : 0));
      CHECK(total(table->observed[i].in_flight) == 0);
    }
  }
}

TEST_CASE("foreign table: histograms bucket by bucket; other buckets are left out") {
  OldTable old(8192);
  old.field("service.latency", 1000, kLatencyBuckets);
  old.field("replica.latency", 4096, kLatencyBuckets / 2, 512, 4);
  for (std::size_t i = 0; i < kLatencyBuckets; ++i) old.number(1000 + i * 8, i);
  for (std::size_t i = 0; i < 256; ++i) old.number(4096 + i * 8, 1);
  const Plane table = fresh();
  table->service.latency.record(1us);
  carry_over(old, *table);
  const auto counts = table->service.latency.snapshot();
  CHECK(counts[0] == 1);
  for (std::size_t i = 1; i < kLatencyBuckets; ++i) CHECK(counts[i] == i);
  CHECK_FALSE(quantile(table->observed[0].latency.snapshot(), 0.5));
}

TEST_CASE("foreign table: asked again, also by another process, it moves only what came since") {
  OldTable old(4096);
  old.field("service.requests", 1000).number(1000, 10);
  old.field("replica.requests", 1008, 1, 8, 2).number(1008, 1).number(1016, 2);
  const Plane table = fresh();
  auto foreign = old.attach();
  REQUIRE(foreign);
  foreign->move_counters_to(*table);
  foreign->move_counters_to(*table);
  CHECK(sum_of_counters(*table) == 13);
  old.number(1000, 4).number(1008, 0).number(1016, 1);
  (void)old.fd();  // written into the same memory
  foreign->move_counters_to(*table);
  CHECK(table->service.requests == 14);
  CHECK(table->observed[1].requests == 3);
  CHECK(sum_of_counters(*table) == 18);
}

TEST_CASE("foreign table: numberings go on behind it, and never back") {
  OldTable old(4096);
  old.field("next_incarnation", 1000).number(1000, 40);
  old.field("gateway_epoch", 1008).number(1008, 7);
  old.field("log", 1016).number(1016, 5000);
  const Plane table = fresh();
  table->header.gateway_epoch = 9;
  carry_over(old, *table);
  CHECK(table->header.next_incarnation == 40);
  CHECK(table->header.gateway_epoch == 9);
  CHECK(table->log.next_number() == 5001);
  table->log.push({.kind = EventKind::kReady});
  const auto read = table->log.read(5001);
  REQUIRE(read.events.size() == 1);
  CHECK(read.events[0].number == 5001);
  CHECK(read.lost == 0);

  OldTable silent(4096);
  silent.field("service.requests", 1000);
  const Plane other = fresh();
  carry_over(silent, *other);
  CHECK(other->header.next_incarnation == 1);
  CHECK(other->log.next_number() == 1);
}

TEST_CASE("foreign table: a number that no counting reaches is damage, and nothing goes on behind it") {
  for (const std::uint64_t damage : {~0ULL, ~0ULL - 1, 1ULL << 63}) {
    CAPTURE(damage);
    OldTable old(4096);
    old.field("next_incarnation", 1000).number(1000, damage);
    old.field("gateway_epoch", 1008).number(1008, damage);
    old.field("log", 1016).number(1016, damage);
    const Plane table = fresh();
    carry_over(old, *table);
    CHECK(table->header.next_incarnation == 1);
    CHECK(table->header.gateway_epoch == 0);
    table->log.push({.kind = EventKind::kReady});
    CHECK(table->log.read(1).events.size() == 1);
  }
}

TEST_CASE("foreign table: a table of our own layout can be carried over too") {
  Plane old = fresh();
  for (std::size_t i = 0; i < kReplicasMax; ++i) {
    old->observed[i].requests = 10 + i;
    old->observed[i].latency.record(5ms);
    old->observed[i].in_flight[0] = 3;
  }
  old->service.unroutable = 4;
  old->header.next_incarnation = 12;
  for (int i = 0; i < 20; ++i) old->log.push({.kind = EventKind::kReady});
  auto foreign = ForeignTable::attach(Fd(::dup(old.fd())));
  REQUIRE(foreign);
  const Plane table = fresh();
  const auto before = sum_of_counters(*old);
  foreign->continue_numbers_in(*table);
  foreign->move_counters_to(*table);
  CHECK(table->observed[kReplicasMax - 1].requests == 10 + kReplicasMax - 1);
  CHECK(quantile(table->observed[7].latency.snapshot(), 0.5));
  CHECK(total(table->observed[7].in_flight) == 0);  // what is open is not carried over
  CHECK(table->service.unroutable == 4);
  CHECK(table->header.next_incarnation == 12);
  CHECK(table->log.next_number() == 21);
  CHECK(sum_of_counters(*table) == before);
  CHECK(sum_of_counters(*old) == 0);
}

TEST_CASE("foreign table: what is none is refused") {
  OldTable good(4096);
  good.field("service.requests", 1000);
  CHECK(good.attach());
  const auto refused = [](auto change) {
    OldTable table(4096);
    table.field("service.requests", 1000);
    change(table);
    const auto attached = table.attach();
    return !attached && attached.error().code() == Code::kInvalid;
  };
  CHECK(refused([](OldTable& t) { t.put<std::uint64_t>(0, kMagic + 1); }));
  CHECK(refused([](OldTable& t) { t.put<std::uint32_t>(12, 4095); }));  // another size than it has
  CHECK(refused([](OldTable& t) { t.put<std::uint32_t>(12, 0xffffffff); }));
  CHECK(refused([](OldTable& t) { t.put<std::uint32_t>(24, 33); }));         // a misaligned directory
  CHECK(refused([](OldTable& t) { t.put<std::uint32_t>(24, 4096 - 52); }));  // one that begins inside and ends outside
  CHECK(refused([](OldTable& t) { t.put<std::uint32_t>(24, 0xfffffffc); }));
  CHECK(refused([](OldTable& t) { t.put<std::uint32_t>(28, 0xffffffff); }));
  CHECK(refused([](OldTable& t) { t.put<std::uint32_t>(28, 73); }));  // (4096 - 32) / 56 is 72
  CHECK(refused([](OldTable& t) { t.put<std::uint32_t>(28, 0); }));   // it does not describe itself

  const Fd empty(::memfd_create("empty", MFD_CLOEXEC));
  CHECK_FALSE(ForeignTable::attach(empty));
  REQUIRE(::ftruncate(empty.get(), 31) == 0);
  CHECK_FALSE(ForeignTable::attach(empty));
  CHECK_FALSE(ForeignTable::attach(Fd()));
}

TEST_CASE("foreign table: fields that point outside read nothing there") {
  struct Hostile {
    const char* what;
    std::uint32_t offset, count, stride, repeat;
    std::uint64_t added, incarnation;  // of the 5 that stands at 4088, the last number of the table
  };
  const Hostile rows[] = {
      {"the last number", 4088, 1, 0, 1, 5, 5},
      {"one behind the end", 4096, 1, 0, 1, 0, 1},
      {"across the end", 4092, 1, 0, 1, 0, 1},
      {"misaligned", 4081, 1, 0, 1, 0, 1},
      {"far away", 0xfffffff8, 1, 0, 1, 0, 1},
      {"no groups", 4088, 1, 0, 0, 0, 1},
      {"no numbers", 4088, 0, 0, 1, 0, 1},
      {"more numbers than there are", 4088, 0xffffffff, 8, 1, 0, 5},
      {"a stride to beyond the end", 4088, 1, 0xfffffff8, 0xffffffff, 5, 5},
      {"a misaligned stride", 4088, 1, 1, 0xffffffff, 5, 5},
      {"the same number for everybody: it is moved once", 4088, 1, 0, 0xffffffff, 5, 5},
  };
  for (const Hostile& row : rows) {
    CAPTURE(row.what);
    OldTable old(4096);
    old.field("replica.requests", row.offset, row.count, row.stride, row.repeat).number(4088, 5);
    old.field("replica.latency", row.offset, kLatencyBuckets, row.stride, row.repeat);
    old.field("next_incarnation", row.offset, row.count, row.stride, row.repeat);
    const Plane table = fresh();
    carry_over(old, *table);
    std::uint64_t requests = 0;
    for (const Observed& observed : table->observed) requests += observed.requests;
    CHECK(requests == row.added);
    CHECK(table->header.next_incarnation == row.incarnation);
  }
}

TEST_CASE("foreign table: no directory makes us read outside, whatever it says") {
  const Plane ours = fresh();
  const std::vector<Field> known(ours->fields, ours->fields + ours->header.fields);
  for (unsigned seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const auto any = [&]() -> std::uint32_t {
      switch (random.below(4)) {
        case 0: return static_cast<std::uint32_t>(random.below(64));
        case 1: return static_cast<std::uint32_t>(random.below(4200));
        case 2: return static_cast<std::uint32_t>(0xffffffffU - random.below(64));
        default: return static_cast<std::uint32_t>(random.below(0xffffffff));
      }
    };
    OldTable old(4096);
    for (const Field& field : known)
      old.field(field.name, any(), random.below(2) == 0 ? field.count : any(), any(), any());
    const Plane table = fresh();
    carry_over(old, *table);
  }
}

TEST_CASE("foreign table: names need no NUL") {
  OldTable old(4096);
  Field field{.offset = 1000, .stride = 0, .repeat = 1, .count = 1};
  std::memset(field.name, 's', sizeof field.name);
  old.put(OldTable::kDirectory, field);
  old.put<std::uint32_t>(28, 1);
  const Plane table = fresh();
  carry_over(old, *table);
  CHECK(sum_of_counters(*table) == 0);
}

TEST_CASE("events: a ring that begins behind a number") {
  const auto ring = std::make_unique<EventRing>();
  ring->begin_behind(1'000'000);
  CHECK(ring->next_number() == 1'000'001);
  CHECK(ring->read(1'000'001).events.empty());
  CHECK(ring->read(1'000'001).lost == 0);
  for (int i = 0; i < 3; ++i) ring->push({.kind = EventKind::kReady, .a = i});
  auto read = ring->read(1'000'001);
  REQUIRE(read.events.size() == 3);
  CHECK(read.events[0].number == 1'000'001);
  CHECK(read.events[2].a == 2);
  CHECK(read.next == 1'000'004);
  CHECK(read.lost == 0);
  // Who reads from the beginning gets what there is, and is told that the rest is not here.
  read = ring->read(1);
  CHECK(read.events.size() == 3);
  CHECK(read.lost == 1'000'000);
  CHECK(read.next == 1'000'004);
}

TEST_CASE("gauge: what is open is the sum of both halves") {
  Gauge gauge = {};
  CHECK(total(gauge) == 0);
  gauge[0] += 3;
  gauge[1] += 4;
  CHECK(total(gauge) == 7);
  gauge[0] = 0;  // the next gateway begins its half
  CHECK(total(gauge) == 4);
}

}  // namespace
}  // namespace nines::plane
