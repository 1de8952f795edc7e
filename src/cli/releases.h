// What GET /v1/releases says, as values and on a screen. Pure. Read with patience, as status.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "cli/terminal.h"

namespace nines::cli {

struct ReleaseStatus {
  std::uint64_t number = 0;
  std::string what, by;
  std::optional<WallTime> at;
  std::string outcome;  // under_way, done, rolled_back
  std::string why;
};

struct DeployStatus {
  std::uint64_t release = 0;
  std::string stage, progress, why;
};

struct ReleasesStatus {
  std::uint64_t active = 0;  // 0: none
  std::optional<DeployStatus> deploy;
  std::vector<ReleaseStatus> releases;  // oldest first

  const ReleaseStatus* find(std::uint64_t number) const;
};

// kProtocol: it is no JSON object.
Result<ReleasesStatus> parse_releases(std::string_view json);

std::string render_releases(const ReleasesStatus& releases, const Style& style);

}  // namespace nines::cli
