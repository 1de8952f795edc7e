#include "availability/nines.h"

#include <doctest/doctest.h>

#include <cmath>

#include "availability/test_support.h"
#include "base/random.h"

namespace nines::availability {
namespace {

using testing::close_to;

Availability missing(double unavailability) { return Availability::of_unavailability(unavailability); }

TEST_CASE("nines: of known availabilities") {
  CHECK(nines(missing(0.1)) == 1);
  CHECK(nines(missing(0.001)) == 3);
  CHECK(nines(missing(1e-12)) == 12);
  CHECK(nines(missing(2.0 / 240)) == close_to(2.079, 0.0005));
  CHECK(nines(missing(1)) == 0);
  CHECK(!std::signbit(nines(missing(1))));
  CHECK(std::isinf(nines(missing(0))));
}

TEST_CASE("nines: written, never more than there are") {
  struct Row {
    double unavailability;
    const char* text;
  };
  const Row rows[] = {
      {1, "0.000"},
      {0.5, "0.301"},
      {0.1, "1.000"},
      {0.01, "2.000"},
      {0.001, "3.000"},
      {0.0001, "4.000"},
      {0.00001, "5.000"},
      {0.000001, "6.000"},
      {1e-9, "9.000"},
      {1e-12, "12.000"},
      {2.0 / 240, "2.079"},
      {0.00100001, "2.999"},
      {0.0010000000001, "2.999"},
      {0.0009999, "3.000"},
      {0.999999, "0.000"},
      {1e-300, "300.000"},
      {0.1 * 0.1 * 0.1, "3.000"},  // a hair above 0.001
  };
  for (const Row& row : rows) {
    CAPTURE(row.unavailability);
    CHECK(format_nines(missing(row.unavailability)) == row.text);
  }
  CHECK(!format_nines(missing(0)));
}

TEST_CASE("nines: percentages, never better than they are") {
  struct Row {
    double unavailability;
    const char* text;
  };
  const Row rows[] = {
      {0, "100"},
      {1, "0"},
      {0.5, "50"},
      {0.25, "75"},
      {0.001, "99.9"},
      {0.005, "99.5"},
      {0.1, "90"},
      {0.95, "5"},
      {2.0 / 240, "99.1666"},  // rounded to the nearest it would be 99.1667
      {1.0 / 712, "99.8595"},  // ... 99.8596
      {4e-6, "99.9996"},       // never 100
      {4.00004e-6, "99.9995999"},
      {1e-12, "99.9999999999"},
      {1e-17, "99.999999999999999"},
      {1e-30, "99.999999999999999"},
      {5e-324, "99.999999999999999"},
      {0.30000000000000004, "70"},  // 0.1 + 0.2
      {0.3000001, "69.99"},
      {0.99999, "0"},
      {0.9999, "0.01"},
      {std::nextafter(1, 0), "0"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.unavailability);
    CHECK(format_percent(missing(row.unavailability)) == row.text);
  }
}

TEST_CASE("nines: what is written never says more than what is") {
  for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const double u = std::pow(10, -12 * random.unit());
    CAPTURE(u);
    const double said = std::stod(format_percent(missing(u)));
    const double digit = std::pow(10, std::floor(std::log10(u)) - 1);  // the last one shown, or the one before
    CHECK((100 - said) / 100 >= u - 2e-16);
    CHECK((100 - said) / 100 <= u + digit + 2e-16);
    const double floored = std::stod(*format_nines(missing(u)));
    CHECK(floored <= nines(missing(u)));
    CHECK(floored > nines(missing(u)) - 0.001);
  }
}

TEST_CASE("nines: what is missing from 1 keeps its digits") {
  CHECK(missing(1e-12).unavailability() == 1e-12);
  CHECK(missing(1e-12).fraction() == 1 - 1e-12);
  CHECK(missing(1e-13) > missing(2e-13));
  CHECK(missing(0) > missing(1e-300));
  CHECK(missing(0.1) == missing(0.1));
  CHECK(Availability::of_unavailability(Ratio{1, 1000}) == missing(0.001));
  CHECK(Availability() == missing(0));
}

TEST_CASE("nines: time lost") {
  CHECK(downtime(missing(0.001), 24h) == 86400ms);
  CHECK(downtime(missing(1e-12), 365 * 24h) == 31536ns);
  CHECK(downtime(missing(0), Duration::max()) == 0ns);
  CHECK(downtime(missing(1), Duration::max()) == Duration::max());
}

}  // namespace
}  // namespace nines::availability
