#include "cli/terminal.h"

#include <doctest/doctest.h>

namespace nines::cli {
namespace {

TEST_CASE("terminal: numbers with commas") {
  CHECK(with_commas(0) == "0");
  CHECK(with_commas(999) == "999");
  CHECK(with_commas(1000) == "1,000");
  CHECK(with_commas(1'234'567) == "1,234,567");
  CHECK(with_commas(18'446'744'073'709'551'615U) == "18,446,744,073,709,551,615");
}

TEST_CASE("terminal: how long ago") {
  const WallTime now{1000h};
  CHECK(ago(now, now) == "just now");
  CHECK(ago(now + 5s, now) == "just now");
  CHECK(ago(now - 999ms, now) == "just now");
  CHECK(ago(now - 12900ms, now) == "12 s ago");
  CHECK(ago(now - 250s, now) == "4 min 10 s ago");
  CHECK(ago(now - 50h, now) == "2 d 2 h ago");
}

TEST_CASE("terminal: width counts characters, not bytes or colours") {
  CHECK(width_of("12 µs ●") == 7);
  CHECK(width_of(Style{.colour = true}.paint(Colour::kRed, "red")) == 3);
  CHECK(Style{}.paint(Colour::kRed, "red") == "red");
  CHECK(Style{.colour = true}.paint(Colour::kRed, "") == "");
}

TEST_CASE("terminal: columns line up whatever is in them") {
  TextTable table({false, true});
  table.row({"NAME", "N"});
  table.row({Style{.colour = true}.paint(Colour::kGreen, "µ"), "1,000"});
  table.note("  why");
  table.row({"longer name", ""});
  CHECK(table.text() ==
        "NAME             N\n"
        "\x1b[32mµ\x1b[0m            1,000\n"
        "  why\n"
        "longer name\n");
}

}  // namespace
}  // namespace nines::cli
