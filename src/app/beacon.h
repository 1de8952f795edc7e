// A sign of life on the disk, renewed in place once a second, so that it needs no room where none is left: how long the
// service ran, though nothing could be recorded, and whether somebody ended it. What is on the disk after a power loss
// may be older by as long as the system keeps written pages in memory.
//
// STATE/alive: one line of JSON, kSize bytes long with the spaces behind it.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace nines::app {

struct SignOfLife {
  std::uint64_t table_id = 0;
  std::string boot_id;
  std::int64_t until = 0;  // Unix seconds: as far as it was measured
  std::string stopped_by;  // empty: it was to go on
  bool operator==(const SignOfLife&) const = default;
};

class Beacon {
 public:
  static constexpr std::size_t kSize = 512;

  // Makes the file if there is none, and sees to it that it has its room.
  static Result<Beacon> open(const std::string& path);
  Result<> renew(const SignOfLife& sign);

 private:
  explicit Beacon(Fd file) : file_(std::move(file)) {}
  Fd file_;
};

// kNotFound: there is none. kInvalid: it is torn, or no sign of life.
Result<SignOfLife> read_sign_of_life(const std::string& path);

}  // namespace nines::app
