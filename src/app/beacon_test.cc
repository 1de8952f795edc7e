#include "app/beacon.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

namespace nines::app {
namespace {

TEST_CASE("beacon: what was said last is there, and takes no more room") {
  const std::string path = std::filesystem::temp_directory_path() / ("nines-beacon-" + std::to_string(::getpid()));
  CHECK(read_sign_of_life(path).error().code() == Code::kNotFound);
  {
    auto beacon = Beacon::open(path);
    REQUIRE(beacon);
    CHECK(read_sign_of_life(path).error().code() == Code::kInvalid);  // of zeros
    const SignOfLife first{.table_id = UINT64_MAX, .boot_id = "boot", .until = 1'800'000'000, .stopped_by = ""};
    REQUIRE(beacon->renew(first));
    CHECK(read_sign_of_life(path).value() == first);
    const SignOfLife second{.table_id = 1, .boot_id = "b", .until = -1, .stopped_by = "nines down (\"me\")"};
    REQUIRE(beacon->renew(second));
    CHECK(read_sign_of_life(path).value() == second);
    CHECK(std::filesystem::file_size(path) == Beacon::kSize);
    REQUIRE(beacon->renew({.table_id = 1, .boot_id = "b", .until = 5, .stopped_by = std::string(95, '\1')}));
    CHECK(read_sign_of_life(path).value().until == 5);
    CHECK(read_sign_of_life(path).value().stopped_by == std::string(47, '\1'));
  }
  for (const char* const torn :
       {"", "{\"table\":\"1\",\"boot\"", "[]", "{\"table\":1,\"boot\":\"\",\"until\":2,\"stopped_by\":\"\"}"}) {
    CAPTURE(torn);
    std::ofstream(path) << torn;
    CHECK(read_sign_of_life(path).error().code() == Code::kInvalid);
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace nines::app
