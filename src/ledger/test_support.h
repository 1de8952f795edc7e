// What the tests of the record share: events by number, and answers that must be there.
#pragma once

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "base/test_support.h"
#include "ledger/ledger.h"
#include "ledger/reader.h"

namespace nines::ledger::testing {

inline constexpr std::uint64_t kTable = 0xfedcba9876543210;  // above 2^63: SQLite shows it as negative
inline constexpr WallTime kMonday{std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + 12h};

inline Moment moment(std::uint64_t second) {
  return {"6f9619ff-8b86-d011-b42d-00cf4fc964ff", Instant{Duration(second * 1'000'000'000)},
          kMonday + Duration(second * 1'000'000'000)};
}

inline Event event(std::uint64_t number, std::string kind = "ready", std::string target = "language-id-1") {
  return {.table_id = kTable,
          .number = number,
          .when = moment(number),
          .kind = std::move(kind),
          .target = std::move(target),
          .pid = 4711,
          .incarnation = number,
          .a = 42,
          .b = -1,
          .text = "größer als 7"};
}

inline std::vector<Event> events(std::uint64_t first, std::uint64_t last) {
  std::vector<Event> all;
  for (std::uint64_t number = first; number <= last; ++number) all.push_back(event(number));
  return all;
}

// The answer; the test ends here if there is none.
template <class T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}

template <class T>
Code code_of(const Result<T>& result) {
  REQUIRE_FALSE(result);
  return result.error().code();
}

inline std::vector<Row> all_rows(const std::string& path) {
  const Reader reader = must(Reader::open(path));
  std::vector<Row> all;
  while (true) {
    auto rows = must(reader.rows({.after_seq = all.empty() ? 0 : all.back().seq, .limit = kRowsMax}));
    if (rows.empty()) return all;
    all.insert(all.end(), rows.begin(), rows.end());
  }
}

inline std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::string broken(const Verification& verification) {
  if (!verification.broken) return "whole";
  return std::to_string(verification.broken->seq) + ": " + verification.broken->why;
}

}  // namespace nines::ledger::testing
