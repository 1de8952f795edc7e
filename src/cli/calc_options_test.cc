#include "cli/calc_options.h"

#include <doctest/doctest.h>

#include <sstream>

#include "cli/arguments.h"

namespace nines::cli {
namespace {

using namespace std::chrono;

std::expected<CalcOptions, Reply> calc(const std::string& line) {
  std::istringstream in("calc " + line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  auto parsed = parse_arguments(words);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  return std::get<CalcOptions>(parsed->command);
}

template <class T>
T question(const std::string& line) {
  const auto options = calc(line);
  if (!options) FAIL(options.error().text);
  return std::get<T>(options->of);
}

std::vector<double> unavailabilities(const std::vector<availability::Availability>& components) {
  std::vector<double> all;
  for (const auto& component : components) all.push_back(component.unavailability());
  return all;
}

TEST_CASE("calc: questions are understood") {
  const auto mtbf = question<CalcOptions::Mtbf>("--mtbf 240h --mttr 2h");
  CHECK(mtbf.mtbf == 240h);
  CHECK(mtbf.mttr == 2h);
  CHECK(question<CalcOptions::Mttf>("--mttf 238h --mttr 2h").mttf == 238h);
  const auto failures = question<CalcOptions::Failures>("--failures 3 --period 720h --downtime 6h");
  CHECK(failures.failures == 3);
  CHECK(failures.period == 720h);
  CHECK(failures.downtime == 6h);
  CHECK(failures.confidence == 0.9);
  CHECK(question<CalcOptions::Failures>("--failures 0 --period 720h --confidence 80%").confidence == 0.8);
  CHECK(question<CalcOptions::Failures>("--failures 0 --period 720h").downtime == 0h);
  CHECK(question<CalcOptions::Target>("--target 99.9%").objective.budget == availability::Ratio{1, 1000});
  CHECK(question<CalcOptions::Known>("--availability 0.995").availability.unavailability() == 0.005);
  CHECK(question<CalcOptions::Known>("--availability 100%").availability.unavailability() == 0);
  CHECK(unavailabilities(question<CalcOptions::Series>("--series 99%,0.999 --series 99.5%").components) ==
        std::vector{0.01, 0.001, 0.005});
  CHECK(unavailabilities(question<CalcOptions::Parallel>("--parallel 99% --parallel 98%").components) ==
        std::vector{0.01, 0.02});
  CHECK(calc("--target 99.9% --month 2026-11")->month == 2026y / November);
  CHECK(calc("--target 99.9% --json")->json);
  CHECK(!calc("--target 99.9%")->json);
  CHECK(!calc("--target 99.9%")->cost);
}

TEST_CASE("calc: groups") {
  const auto plain = question<CalcOptions::KOfN>("--k-of-n 2/3 --each 99%");
  CHECK(plain.group.enough == 2);
  CHECK(plain.group.size == 3);
  CHECK(plain.group.crews == 3);  // a crew each
  CHECK(plain.group.common_cause.part == 0);
  CHECK(std::get<availability::Availability>(plain.each).unavailability() == 0.01);
  const auto timed = question<CalcOptions::KOfN>("--k-of-n 1/2 --mtbf 242h --mttr 2h --crews 1 --common-cause 5%");
  CHECK(timed.group.crews == 1);
  CHECK(timed.group.common_cause == availability::Ratio{5, 100});
  CHECK(std::get<CalcOptions::Mttf>(timed.each).mttf == 240h);
  CHECK(std::get<CalcOptions::Mttf>(timed.each).mttr == 2h);
  CHECK(std::get<CalcOptions::Mttf>(question<CalcOptions::KOfN>("--k-of-n 1/2 --mttf 240h --mttr 2h").each).mttf ==
        240h);
}

TEST_CASE("calc: costs") {
  const auto options = calc("--target 99.9% --price $0.01 --per-hour 1000 --cost-per-hour 50");
  REQUIRE(options);
  REQUIRE(options->cost);
  CHECK(options->cost->per_request.amount == 0.01);
  CHECK(options->cost->requests.count == 1000);
  CHECK(options->cost->per_hour.amount == 50);
  CHECK(calc("--target 99.9% --cost-per-hour $50")->cost->per_hour.amount == 50);
}

TEST_CASE("calc: what makes no sense says why") {
  struct Row {
    const char* line;
    const char* said;
  };
  const Row rows[] = {
      {"",
       "say what is known, such as: nines calc --target 99.9%, or nines calc --mtbf 240h --mttr 2h; see `nines calc "
       "--help`"},
      {"--json",
       "say what is known, such as: nines calc --target 99.9%, or nines calc --mtbf 240h --mttr 2h; see `nines calc "
       "--help`"},
      {"--mtbf 2h --mttr 3h",
       "--mttr: a repair cannot take longer than --mtbf, which counts from one failure's start to "
       "the next one's; if yours counts the time up only, it is --mttf"},
      {"--mtbf 2h", "--mtbf needs --mttr, how long a repair takes: --mtbf 240h --mttr 2h"},
      {"--mttf 2h", "--mttf needs --mttr, how long a repair takes: --mttf 238h --mttr 2h"},
      {"--mtbf 0s --mttr 0s", "--mtbf: must be longer than 0s"},
      {"--mttf 0s --mttr 1s", "--mttf: must be longer than 0s"},
      {"--mttf 100000d --mttr 100000d", "--mttr: together with --mttf longer than 292 years"},
      {"--mtbf 240 --mttr 2h", "--mtbf: \"240\" has no unit; add one, such as \"240s\""},
      {"--mttr 2h", "--mttr belongs to --mtbf or --mttf"},
      {"--mttr 2h --target 99%", "--mttr belongs to --mtbf or --mttf, not to --target"},
      {"--mtbf 240h --mttf 238h --mttr 2h", "--mtbf and --mttf are two questions: ask one at a time"},
      {"--target 99% --series 99%", "--target and --series are two questions: ask one at a time"},
      {"--series 99% --parallel 99%", "--series and --parallel are two questions: ask one at a time"},
      {"--k-of-n 2/3 --each 99% --target 99%", "--target and --k-of-n are two questions: ask one at a time"},
      {"--failures 3 --downtime 1h", "--failures needs --period, the time in which they were: --period 720h"},
      {"--failures 3 --period 1h", "--failures needs --downtime, how long all of them were together: --downtime 6h"},
      {"--failures 0 --period 10h --downtime 1h", "--downtime: without a failure there is none"},
      {"--failures 1 --period 1h --downtime 2h", "--downtime: cannot be longer than --period"},
      {"--failures 0 --period 0s", "--period: must be longer than 0s"},
      {"--failures x --period 1h", "--failures: \"x\" is not a number from 0 to 1000000000"},
      {"--failures 1000000001 --period 1h", "--failures: \"1000000001\" is not a number from 0 to 1000000000"},
      {"--failures 0 --period 1h --confidence 100%", "--confidence: must be above 0% and at most 99.99%"},
      {"--failures 0 --period 1h --confidence 0", "--confidence: must be above 0% and at most 99.99%"},
      {"--period 1h --target 99%", "--period belongs to --failures, not to --target"},
      {"--target 99.9", "--target: \"99.9\" has no % sign; write a percentage or a fraction, such as 99.9% or 0.999"},
      {"--target 100%",
       "--target: \"100%\" cannot be an objective; write a percentage above 0% and below 100%, such as 99.9%"},
      {"--availability 101%",
       "--availability: \"101%\" is more than all; write a percentage or a fraction, such as 99.9% or "
       "0.999"},
      {"--series 99%,x", "--series: \"x\" is no share; write a percentage or a fraction, such as 99.9% or 0.999"},
      {"--month 2026-13 --target 99%", "--month: \"2026-13\" is no month; write a year and a month, such as 2026-11"},
      {"--crews 2 --target 99%", "--crews belongs to --k-of-n, not to --target"},
      {"--crews 2 --series 99%", "--crews belongs to --k-of-n, not to --series"},
      {"--each 99%", "--each belongs to --k-of-n"},
      {"--common-cause 5% --parallel 99%,99%", "--common-cause belongs to --k-of-n, not to --parallel"},
      {"--k-of-n 2/3",
       "--k-of-n needs to know each component: either --each 99%, or --mttf and --mttr, or --mtbf and --mttr"},
      {"--k-of-n 2/3 --each 99% --mttr 2h",
       "--k-of-n needs to know each component: either --each 99%, or --mttf and --mttr, or --mtbf and --mttr"},
      {"--k-of-n 2/3 --each 99% --mtbf 2h --mttr 1h",
       "--k-of-n needs to know each component: either --each 99%, or --mttf and --mttr, or --mtbf and --mttr"},
      {"--k-of-n 2/3 --mtbf 2h", "--mtbf needs --mttr, how long a repair takes: --mtbf 240h --mttr 2h"},
      {"--k-of-n 2/3 --mtbf 2h --mttr 2h", "--mttr: as long as --mtbf leaves no time up"},
      {"--k-of-n 2/3 --mttf 2h --mttr 0s", "--mttr: must be longer than 0s: repaired at once nothing is ever down"},
      {"--k-of-n 2/3 --each 0%", "--each: components that never work are no group"},
      {"--k-of-n 3/2 --each 99%",
       "--k-of-n: \"3/2\" is not K/N, so many of so many that are enough, such as 2/3; at most 1000"},
      {"--k-of-n 0/2 --each 99%",
       "--k-of-n: \"0/2\" is not K/N, so many of so many that are enough, such as 2/3; at most 1000"},
      {"--k-of-n 2 --each 99%",
       "--k-of-n: \"2\" is not K/N, so many of so many that are enough, such as 2/3; at most 1000"},
      {"--k-of-n 2/1001 --each 99%",
       "--k-of-n: \"2/1001\" is not K/N, so many of so many that are enough, such as 2/3; at most "
       "1000"},
      {"--k-of-n 2/3 --each 99% --crews 4", "--crews: \"4\" is not a number from 1 to 3"},
      {"--k-of-n 2/3 --each 99% --crews 0", "--crews: \"0\" is not a number from 1 to 3"},
      {"--k-of-n 2/3 --each 99% --common-cause 5",
       "--common-cause: \"5\" has no % sign; write a percentage or a fraction, such as 99.9% or 0.999"},
      {"--price 0.01 --target 99%",
       "--price and --per-hour belong together: what a request earns, and how many an hour has"},
      {"--per-hour 10 --target 99%",
       "--price and --per-hour belong together: what a request earns, and how many an hour has"},
      {"--price x --per-hour 10 --target 99%",
       "--price: \"x\" is not an amount; write 0.01, or '$0.01' in single quotes, so that "
       "the shell leaves it alone"},
      {"--price 1 --per-hour 1e3 --target 99%", "--per-hour: \"1e3\" is not a number of requests, such as 1000"},
      {"--price 1 --per-hour 1.2.3 --target 99%", "--per-hour: \"1.2.3\" is not a number of requests, such as 1000"},
      {"--price 1 --per-hour 1000000000000001 --target 99%",
       "--per-hour: \"1000000000000001\" is not a number of requests, such as 1000"},
      {"99%", "`nines calc` does not take `99%`; see `nines calc --help`"},
      {"--targte 99%", "`nines calc` does not take `--targte`; did you mean `--target`?"},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.line));
    const auto options = calc(row.line);
    REQUIRE(!options);
    CHECK(options.error().text == "nines: " + std::string(row.said));
    CHECK(options.error().exit_status == kWrong);
  }
  std::string many = "--series 99%";
  for (int i = 0; i < 1000; ++i) many += ",99%";
  CHECK(calc(many).error().text == "nines: --series: at most 1000 components");
}

TEST_CASE("calc: help") {
  const auto help = calc("--help");
  REQUIRE(!help);
  CHECK(help.error().exit_status == kDone);
  CHECK(help.error().text.contains("--k-of-n"));
}

}  // namespace
}  // namespace nines::cli
