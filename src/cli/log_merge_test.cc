#include "cli/log_merge.h"

#include <doctest/doctest.h>

#include <deque>
#include <string>

namespace nines::cli {
namespace {

// "a1 b2 -c" is one portion of lines; the digit is the time, '-' none.
LogMerge::Source source(std::deque<std::vector<const char*>> portions) {
  return [portions](std::vector<LogLine>& lines) mutable {
    if (portions.empty()) return false;
    for (const char* line : portions.front()) {
      std::optional<WallTime> at;
      if (line[0] != '-') at = WallTime{} + std::chrono::seconds(line[0] - '0');
      lines.push_back({at, line + 1});
    }
    portions.pop_front();
    return true;
  };
}

std::string merged(std::vector<LogMerge::Source> sources) {
  LogMerge merge(std::move(sources));
  std::string all;
  while (const auto next = merge.next()) all += (all.empty() ? "" : " ") + next->line.text;
  return all;
}

TEST_CASE("merge: by time, in each log's own order") {
  CHECK(merged({}) == "");
  CHECK(merged({source({})}) == "");
  CHECK(merged({source({{"1a", "4b"}}), source({{"2x", "3y", "5z"}})}) == "a x y b z");
  CHECK(merged({source({{"1a"}, {}, {}, {"4b"}}), source({{"2x"}, {"3y"}})}) == "a x y b");  // portions do not matter
  CHECK(merged({source({{"1a", "1b"}}), source({{"1x", "1y"}})}) == "a b x y");              // the first log first
  CHECK(merged({source({{"1a", "5b", "2c", "6d"}}), source({{"3x", "5y", "7z"}})}) == "a x b c y d z");  // set back
}

TEST_CASE("merge: what has no time stays with what it follows") {
  CHECK(merged({source({{"-a", "-b"}}), source({{"1x"}})}) == "a b x");
  CHECK(merged({source({{"1x"}}), source({{"-a", "-b"}})}) == "a b x");
  CHECK(merged({source({{"2a", "-b", "4c"}}), source({{"1x", "3y"}})}) == "x a b y c");
  CHECK(merged({source({{"-a", "-b"}}), source({{"-x", "-y"}})}) == "a b x y");
}

TEST_CASE("merge: reads no further than it must") {
  int asked = 0;
  LogMerge merge({[&](std::vector<LogLine>& lines) {
    lines = {{WallTime{}, "a"}, {WallTime{}, "b"}};
    return ++asked < 100;
  }});
  for (int i = 0; i < 3; ++i) CHECK(merge.next().has_value());
  CHECK(asked == 2);
}

TEST_CASE("merge: the last portion counts, though its source has ended") {
  LogMerge merge({[](std::vector<LogLine>& lines) {
    lines.push_back({std::nullopt, "unfinished"});
    return false;
  }});
  CHECK(merge.next().value().line.text == "unfinished");
  CHECK(!merge.next());
}

}  // namespace
}  // namespace nines::cli
