#include "cli/ledger_check.h"

#include <boost/json.hpp>
#include <fstream>

#include <doctest/doctest.h>

#include "base/test_support.h"
#include "ledger/ledger.h"

namespace nines::cli {
namespace {

namespace json = boost::json;
using nines::testing::Folder;

constexpr std::int64_t kNoon = 1'795'780'800;  // 2026-11-27 12:00 UTC

ledger::Event event(std::uint64_t number) {
  return {.table_id = 7,
          .number = number,
          .when = {"boot", Instant{}, WallTime(std::chrono::seconds(kNoon + static_cast<std::int64_t>(number)))},
          .kind = "ready",
          .target = "a-1",
          .text = "number " + std::to_string(number)};
}

void make(const std::string& file) {
  auto ledger = ledger::Ledger::open(file);
  REQUIRE(ledger);
  const ledger::Event events[] = {event(1), event(2), event(3)};
  REQUIRE(ledger->append(events));
  const ledger::Slice slice{.start = kNoon, .good = 4711, .up = 10};
  REQUIRE(ledger->add(std::span(&slice, 1), {.table_id = 7, .counters = "", .until = kNoon + 10, .boot_id = "boot"}));
}

LedgerCheck checked(const std::string& file) {
  auto check = check_ledger(file);
  if (!check) FAIL(check.error().text());
  return std::move(*check);
}

// As an editor of bytes would do it: the first place, and not the checksums around it.
void change(const std::string& file, const std::string& from, const std::string& to) {
  std::ifstream in(file, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto at = bytes.find(from);
  REQUIRE(at != std::string::npos);
  bytes.replace(at, from.size(), to);
  std::ofstream(file, std::ios::binary) << bytes;
}

TEST_CASE("check-ledger: one that is whole says how far it goes, and its last hash") {
  const Folder folder;
  const std::string file = folder / "ledger.db";
  make(file);
  const LedgerCheck check = checked(file);
  CHECK(check.whole());
  const std::string text = text_of(check);
  CHECK(text.starts_with(file + " is whole\n  rows      3: 1 of 2026-11-27T12:00:01.000Z to 3 of "
                                "2026-11-27T12:00:03.000Z\n  last hash "));
  CHECK(text.ends_with("\n  measured  since 2026-11-27T12:00:00.000Z; every sum is that of its parts"));
  const json::object all = json::parse(json_of(check)).as_object();
  CHECK(all.at("whole") == json::value(true));
  CHECK(all.at("rows") == json::value(3));
  CHECK(all.at("first") == json::value(1));
  CHECK(all.at("last") == json::value(3));
  CHECK(all.at("last_at") == json::value("2026-11-27T12:00:03.000Z"));
  CHECK(all.at("last_hash").as_string().size() == 64);
  CHECK(text.find(all.at("last_hash").as_string().c_str()) != std::string::npos);
  CHECK(all.at("broken").is_null());
  CHECK(all.at("why").is_null());
}

TEST_CASE("check-ledger: says where the chain breaks first") {
  const Folder folder;
  const std::string file = folder / "ledger.db";
  make(file);
  change(file, "number 2", "number 9");
  const LedgerCheck check = checked(file);
  CHECK(!check.whole());
  CHECK(text_of(check) == file +
                              " is damaged or was changed: row 2: its hash does not fit it and the row before: one of "
                              "the two was changed; those before it are whole, from row 1");
  const json::object all = json::parse(json_of(check)).as_object();
  CHECK(all.at("whole") == json::value(false));
  CHECK(all.at("broken") == json::value(json::object{{"row", 2}}));
  CHECK(all.at("rows") == json::value(1));
}

TEST_CASE("check-ledger: says which sum is not that of its parts") {
  const Folder folder;
  const std::string file = folder / "ledger.db";
  make(file);
  change(file, "\x12\x67", "\x12\x68");  // 4711, as SQLite stores it: in one of the four grains
  const LedgerCheck check = checked(file);
  CHECK(!check.whole());
  CHECK(text_of(check) == file + " is damaged or was changed: " + check.slice_break.value().why);
  const json::object all = json::parse(json_of(check)).as_object();
  CHECK(all.at("broken").as_object().contains("slice"));
  CHECK(all.at("last") == json::value(3));
}

TEST_CASE("check-ledger: a new one, and none") {
  const Folder folder;
  const std::string file = folder / "ledger.db";
  const auto none = check_ledger(file);
  REQUIRE(!none);
  CHECK(none.error().code() == Code::kNotFound);
  REQUIRE(ledger::Ledger::open(file));
  CHECK(text_of(checked(file)) == file + " is whole\n  rows      none yet");
  CHECK(json::parse(json_of(checked(file))).as_object().at("last_hash").is_null());
}

}  // namespace
}  // namespace nines::cli
