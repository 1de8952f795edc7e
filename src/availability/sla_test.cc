#include "availability/sla.h"

#include <doctest/doctest.h>

#include "availability/test_support.h"

namespace nines::availability {
namespace {

using testing::close_to;

// A month of 30 days with so much of it down.
Account month(Duration down) { return {.outside = {.up = kThirtyDays - down, .down = down}, .maintenance = {}}; }

TEST_CASE("sla: credits of EC2, on and beside each bound") {
  struct Row {
    Duration down;
    int region, instance;  // percent
  };
  const Row rows[] = {
      {0ns, 0, 0},
      {259'200ms, 0, 0},  // exactly 99.99 %
      {259'200ms + 1ns, 10, 0},
      {216min, 10, 0},  // 99.5 %
      {216min + 1ns, 10, 10},
      {432min, 10, 10},  // 99 %
      {432min + 1ns, 30, 30},
      {36h, 30, 30},  // 95 %
      {36h + 1ns, 100, 100},
      {kThirtyDays, 100, 100},
  };
  for (const Row& row : rows) {
    CAPTURE(row.down.count());
    CHECK(settle(ec2_region(), month(row.down))->credit == Ratio{static_cast<std::uint64_t>(row.region), 100});
    CHECK(settle(ec2_instance(), month(row.down))->credit == Ratio{static_cast<std::uint64_t>(row.instance), 100});
  }
}

TEST_CASE("sla: what is promised") {
  CHECK(ec2_region().promise() == parse_objective("99.99%").value());
  CHECK(ec2_instance().promise() == parse_objective("99.5%").value());
  CHECK(ec2_region().year == 2022);
  CHECK(ec2_instance().source.contains("aws.amazon.com/compute/sla"));
  CHECK(ec2_region().name.contains("Region"));
  CHECK(ec2_instance().name.contains("Instance"));
}

TEST_CASE("sla: which bound was missed") {
  CHECK(!settle(ec2_region(), month(0ns))->missed);
  CHECK(settle(ec2_region(), month(10min))->missed == parse_objective("99.99%").value());
  CHECK(settle(ec2_region(), month(10h))->missed == parse_objective("99%").value());
  CHECK(settle(ec2_region(), month(10h))->availability.unavailability() == close_to(10.0 / 720));
}

TEST_CASE("sla: declared maintenance is left out, and what nobody saw is down") {
  Account account = month(0ns);
  account.maintenance = {.down = 20h};
  CHECK(settle(ec2_region(), account)->credit == Ratio{0, 1});
  account.outside = {.up = kThirtyDays - 8h, .unknown = 8h};
  CHECK(settle(ec2_region(), account)->credit == Ratio{30, 100});
  // Maintenance makes the month shorter: 5 % of what is left.
  account.outside = {.up = 95h, .down = 5h};
  CHECK(settle(ec2_region(), account)->credit == Ratio{30, 100});
  account.outside = {.up = 95h, .down = 5h + 1ns};
  CHECK(settle(ec2_region(), account)->credit == Ratio{1, 1});
  CHECK(!settle(ec2_region(), {.outside = {}, .maintenance = {.up = 720h}}));
}

}  // namespace
}  // namespace nines::availability
