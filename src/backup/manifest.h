// manifest.json: what an archive holds, and what it was made from. The last member of each archive, so that the hashes
// are of the very bytes that were written before it, and an archive that broke off has none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace nines::backup {

inline constexpr std::string_view kManifestName = "manifest.json";
inline constexpr std::string_view kConfigurationName = "nines.yaml";
inline constexpr std::size_t kManifestBytes = 32 << 20;
inline constexpr std::size_t kMembers = 100'000;

enum class Kind : std::uint8_t { kSqlite, kFile, kConfiguration };
std::string_view name_of(Kind kind);

struct Member {
  std::string path;  // in the archive: data/app.db
  Kind kind{};
  std::string source;  // as the configuration named it, or found below a folder it named: var/app.db
  std::uint64_t bytes = 0;
  std::string sha256;
  WallTime modified{};
  bool operator==(const Member&) const = default;
};

struct Manifest {
  std::string service;
  std::string nines;  // version of the program
  std::string host;
  WallTime created{};                // every row acknowledged before this moment is in it
  std::vector<Member> members;       // in the order of the archive, without the manifest
  std::vector<std::string> missing;  // databases the configuration names that did not exist
  bool operator==(const Manifest&) const = default;
};

// A member's path: below data/ or files/, or nines.yaml, or manifest.json; nothing that leads out of the folder it is
// unpacked in.
Result<> check_member_path(std::string_view path);

// Times are kept to the millisecond.
std::string to_json(const Manifest& manifest);
// kInvalid: not JSON, of a format this version does not know, or something that must be there is not.
Result<Manifest> parse_manifest(std::string_view json);

}  // namespace nines::backup
