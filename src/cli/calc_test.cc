#include "cli/calc.h"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <cmath>
#include <sstream>

#include "cli/arguments.h"

namespace nines::cli {
namespace {

namespace json = boost::json;

CalcAnswer answer(const std::string& line) {
  std::istringstream in("calc " + line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  const auto parsed = parse_arguments(words);
  if (!parsed) FAIL(parsed.error().text);
  return calculate(std::get<CalcOptions>(parsed->command));
}

// A number in the JSON answer: "downtime.day".
double number(const std::string& line, const std::string& path) {
  json::value value = json::parse(answer(line).json);
  std::istringstream names(path);
  for (std::string name; std::getline(names, name, '.');) value = json::value(value.as_object().at(name));
  return value.to_number<double>();
}

// Equal but for a share of the value, however small that is.
doctest::Approx about(double value, double share = 1e-9) { return doctest::Approx(value).epsilon(share).scale(0); }

TEST_CASE("calc: from MTBF and MTTR, with the popular short form") {
  const std::string line = "--mtbf 240h --mttr 2h";
  CHECK(answer(line).text == R"(availability     99.1666 %  (MTBF − MTTR) ÷ MTBF
nines            2.079      −log10(1 − availability), rounded down
MTTF             238 h      up, from repaired to the next failure
MTTR             2 h        down, from onset to restored
MTBF             240 h      from one failure's start to the next one's
short form       99.1735 %  the popular MTBF ÷ (MTBF + MTTR): 0.00689 percentage points too high
down in a day    12 min
in a week        84 min
in 30 days       6 h
in a mean month  6.083 h    365 days ÷ 12
in a year        73 h       365 days
)");
  CHECK(number(line, "availability") == about(238.0 / 240));
  CHECK(number(line, "unavailability") == about(2.0 / 240));
  CHECK(number(line, "nines") == about(2.07918, 1e-5));
  CHECK(number(line, "mttf_s") == 238 * 3600);
  CHECK(number(line, "mttr_s") == 2 * 3600);
  CHECK(number(line, "mtbf_s") == 240 * 3600);
  CHECK(number(line, "short_form.availability") == about(240.0 / 242));
  CHECK(number(line, "short_form.error") == about(240.0 / 242 - 238.0 / 240, 1e-6));
  CHECK(number(line, "downtime.day") == 720);
  CHECK(number(line, "downtime.week") == 7 * 720);
  CHECK(number(line, "downtime.30_days") == 30 * 720);
  CHECK(number(line, "downtime.month") == 730 * 30);
  CHECK(number(line, "downtime.year") == 365 * 720);
}

TEST_CASE("calc: the short form is badly wrong when repairs are long") {
  const std::string line = "--mttf 540h --mttr 180h";
  CHECK(number(line, "availability") == 0.75);
  CHECK(number(line, "short_form.availability") == 0.8);
  CHECK(answer(line).text.contains("80 %     the popular MTBF ÷ (MTBF + MTTR): 5 percentage points too high\n"));
  CHECK(answer("--mttf 540h --mttr 0s").text.contains("the popular MTBF ÷ (MTBF + MTTR): the same here\n"));
}

TEST_CASE("calc: from failures, with how sure that is") {
  const std::string line = "--failures 3 --period 720h --downtime 6h";
  CHECK(100 * number(line, "availability") == about(99.1667, 1e-6));
  CHECK(number(line, "failures") == 3);
  CHECK(number(line, "mttf_s") == 238 * 3600);
  CHECK(number(line, "mttr_s") == 2 * 3600);
  CHECK(number(line, "mtbf_s") == 240 * 3600);
  CHECK(number(line, "mttf_interval.confidence") == 0.9);
  CHECK(number(line, "mttf_interval.low_s") / 3600 == about(92.1, 5e-4));
  CHECK(number(line, "mttf_interval.high_s") / 3600 == about(873.2, 1e-4));
  CHECK(answer(line).text.contains("MTTF lies in     92.09 h to 873.2 h  90 % sure, by χ²\n"));
  CHECK(answer(line).text.contains("99.1735 %"));
  CHECK(number(line + " --confidence 80%", "mttf_interval.low_s") > number(line, "mttf_interval.low_s"));
}

TEST_CASE("calc: down all the time") {
  CHECK(number("--failures 1 --period 1h --downtime 1h", "availability") == 0);
  CHECK(number("--failures 1 --period 1h --downtime 1h", "mttf_interval.high_s") == 0);
  CHECK(number("--mtbf 2h --mttr 2h", "nines") == 0);
  CHECK(answer("--mtbf 2h --mttr 2h").text.starts_with("availability     0 % "));
}

TEST_CASE("calc: without a failure there is a bound") {
  const std::string line = "--failures 0 --period 720h";
  CHECK(number(line, "availability") == 1);
  CHECK(number(line, "mttf_interval.confidence") == about(0.95));
  CHECK(number(line, "mttf_interval.low_s") / 3600 == about(240.3, 2e-4));
  const json::object all = json::parse(answer(line).json).as_object();
  CHECK(all.at("nines").is_null());
  CHECK(all.at("mttf_interval").as_object().at("high_s").is_null());
  CHECK(!all.contains("mttf_s"));
  CHECK(answer(line).text.contains("MTTF             at least 240.3 h  95 % sure, by χ²"));
  CHECK(answer(line).text.contains("availability     100 % "));
  CHECK(answer(line).text.contains("nines            no end "));
}

TEST_CASE("calc: what a target allows, exactly") {
  struct Row {
    const char* target;
    const char *day, *thirty_days, *month, *year;
  };
  const Row rows[] = {
      {"99%", "14.4 min", "7.2 h", "7.3 h", "87.6 h"},
      {"99.9%", "86.4 s", "43.2 min", "43.8 min", "8.76 h"},
      {"99.99%", "8.64 s", "4.32 min", "4.38 min", "52.56 min"},
      {"99.999%", "0.864 s", "25.92 s", "26.28 s", "5.256 min"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.target);
    const std::string text = answer("--target " + std::string(row.target)).text;
    const auto line = [&](const std::string& label, const std::string& value) {
      std::istringstream in(text);
      for (std::string one; std::getline(in, one);) {
        if (one.starts_with(label + " ")) return one.contains(" " + value);
      }
      return false;
    };
    CHECK(line("down in a day", row.day));
    CHECK(line("in 30 days", row.thirty_days));
    CHECK(line("in a mean month", row.month));
    CHECK(line("in a year", row.year));
  }
  const std::string october = "--target 99.9% --month 2026-10";
  CHECK(answer(october).text.contains("in 2026-10       44.64 min  31 days\n"));
  CHECK(number(october, "named_month.days") == 31);
  CHECK(number(october, "named_month.downtime") == 2678.4);
  CHECK(json::parse(answer(october).json).at("named_month").at("month").as_string() == "2026-10");
  CHECK(number("--target 99.9%", "nines") == 3);
  CHECK(number("--target 99.9%", "availability") == 0.999);
  CHECK(number("--target 99.999999999998%", "downtime.year") == 6.30e-7);  // 630.72 ns, rounded down
  CHECK(answer("--target 99.9999999999%").text.starts_with("availability     99.9999999999 % "));
}

TEST_CASE("calc: what a known availability means") {
  CHECK(number("--availability 99.5%", "availability") == 0.995);
  CHECK(number("--availability 99.5%", "nines") == about(2.30103, 1e-6));
  CHECK(number("--availability 99.5%", "downtime.day") == 432);
  CHECK(number("--availability 0%", "nines") == 0);
  CHECK(number("--availability 99.9999999999%", "nines") == 12);
  CHECK(answer("--availability 99.9999999999%").text.contains("nines            12.000"));
}

TEST_CASE("calc: several components") {
  CHECK(number("--series 99.9%,99.95%,99.99%", "availability") == about(0.999 * 0.9995 * 0.9999));
  CHECK(number("--series 99.9%,99.95%,99.99%", "components") == 3);
  CHECK(number("--parallel 99%,99%", "availability") == about(0.9999));
  CHECK(number("--parallel 99%,99%", "nines") == about(4));
  CHECK(answer("--parallel 99%,99%").text.contains("in parallel      99 % | 99 % "));
  CHECK(answer("--series 99%,99%,99%,99%,99%,99%,99%,99%").text.contains(" · … (8)"));
  CHECK(100 * number("--k-of-n 2/3 --each 99%", "availability") == about(99.9702));
  CHECK(number("--k-of-n 1/2 --mttf 240h --mttr 2h", "unavailability") == about(6.830e-5, 2e-4));
  CHECK(number("--k-of-n 1/2 --mttf 240h --mttr 2h --crews 1", "unavailability") == about(1.366e-4, 2e-4));
  CHECK(number("--k-of-n 2/3 --mttf 240h --mttr 2h", "unavailability") == about(2.038e-4, 2e-4));
  CHECK(number("--k-of-n 2/3 --mtbf 242h --mttr 2h --crews 1", "unavailability") == about(4.097e-4, 2e-4));
  CHECK(number("--k-of-n 1/2 --mttf 240h --mttr 2h --common-cause 5%", "unavailability") == about(2.72e-4, 2e-3));
  CHECK(number("--k-of-n 1/2 --mttf 240h --mttr 2h", "group.mttf_s") / 3600 == about(14760));
  CHECK(number("--k-of-n 1/2 --mttf 240h --mttr 2h", "group.mttr_s") / 3600 == about(1));
  CHECK(number("--k-of-n 1/2 --mttf 240h --mttr 2h", "group.crews") == 2);
  CHECK(number("--k-of-n 1/2 --each 99% --common-cause 5%", "group.common_cause") == 0.05);
  CHECK(!json::parse(answer("--k-of-n 1/2 --each 99%").json).at("group").as_object().contains("mttf_s"));
  CHECK(json::parse(answer("--k-of-n 1/1000 --mttf 240h --mttr 1s").json).at("group").at("mtbf_s").is_null());
  CHECK(answer("--k-of-n 1/1000 --mttf 240h --mttr 1s").text.contains("group MTBF       more than can be reckoned"));
  const std::string text = answer("--k-of-n 1/2 --mttf 240h --mttr 2h --crews 2 --common-cause 5%").text;
  CHECK(text.contains("continuous-time Markov chain, 2 repair crews\n"));
  CHECK(text.contains("common cause     5 %         of failures take all of them down; without it 99.993169 %\n"));
  CHECK(answer("--k-of-n 1/2 --mttf 240h --mttr 2h").text.contains("group MTTF       14,760 h "));
}

TEST_CASE("calc: what it costs") {
  const std::string line = "--target 99.9% --price $0.01 --per-hour 1000";
  CHECK(number(line, "cost.hour_down") == about(10));
  CHECK(number(line, "cost.year") == about(87.6));
  CHECK(number(line, "cost.day") == about(0.24));
  CHECK(answer(line).text.contains("cost of an hour down  $10.00\n"));
  CHECK(answer(line).text.contains("cost in a year        $87.60\n"));
  CHECK(number(line + " --cost-per-hour 90", "cost.hour_down") == about(100));
  CHECK(answer(line + " --cost-per-hour 90")
            .text.contains("cost of an hour down  $100       requests × price, and what else it costs\n"));
  CHECK(answer("--availability 99% --cost-per-hour 2300000").text.contains("$2,300,000\n"));
  CHECK(!json::parse(answer("--target 99.9%").json).as_object().contains("cost"));
}

TEST_CASE("calc: lengths of time") {
  using availability::Seconds;
  struct Row {
    double seconds;
    const char* text;
  };
  const Row rows[] = {{0, "0 s"},
                      {3.15e-7, "315 ns"},
                      {5e-6, "5 µs"},
                      {0.0864, "86.4 ms"},
                      {0.864, "0.864 s"},
                      {119, "119 s"},
                      {120, "2 min"},
                      {3153.6, "52.56 min"},
                      {7200, "2 h"},
                      {3600 * 999.0, "999 h"},
                      {3600 * 1234.4, "1,234 h"},
                      {3600 * 14760.0, "14,760 h"},
                      {94'608'000, "3 years"},
                      {3.2e13, "1,014,713 years"},
                      {1e30, "3.171e+22 years"},
                      {INFINITY, "more than can be reckoned"}};
  for (const Row& row : rows) {
    CAPTURE(row.seconds);
    CHECK(figure(Seconds(row.seconds)) == row.text);
  }
}

}  // namespace
}  // namespace nines::cli
