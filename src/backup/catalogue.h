// Which archive was proven to be whole, and when: STATE/backups.json. A proof is bound to the archive's SHA-256, and to
// the size and time under which that was computed: an archive that was touched since is one nobody has verified.
//
// It is knowledge about the archives, not a part of them. Lost or damaged, it only means "not verified yet".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "storage/destination.h"

namespace nines::backup {

struct Proof {
  std::uint64_t bytes = 0;
  WallTime modified{};
  std::string sha256;    // of the archive; empty when it is damaged
  WallTime at{};         // when it was read
  std::string damage;    // what is wrong with it; empty: nothing
  std::string service;   // of its manifest
  WallTime created{};    // of its manifest
  bool complete = true;  // every database the configuration named was there
  bool operator==(const Proof&) const = default;
};

// The last run to a destination that made no archive.
struct Failure {
  WallTime at{};
  std::string why;
  bool operator==(const Failure&) const = default;
};

class Catalogue {
 public:
  // What is not there or cannot be understood is empty.
  static Catalogue load(const std::string& file);
  // Atomically; times are kept to the nanosecond.
  Result<> save(const std::string& file) const;

  // nullptr when nobody has read this very object.
  const Proof* find(const std::string& where, const storage::Object& object) const;
  void put(const std::string& where, const std::string& name, Proof proof);
  // Forgets the archives of this destination that are not there any more.
  void retain(const std::string& where, std::span<const storage::Object> objects);

  const Failure* failure_of(const std::string& where) const;
  void set_failure(const std::string& where, std::optional<Failure> failure);

  bool operator==(const Catalogue&) const = default;

 private:
  std::map<std::string, std::map<std::string, Proof>> proofs_;  // by destination, by name
  std::map<std::string, Failure> failures_;
};

}  // namespace nines::backup
