// Whole files by what is in them: STORE/DIGEST/NAME, the digest being SHA-256. What is there is never changed, only
// removed. Blocking: reads and writes whole files.
#pragma once

#include <map>
#include <set>
#include <string>

#include "base/error.h"

namespace nines::backup {

// Of a regular file; kNotFound, kInvalid when it is no regular file.
Result<std::string> digest_of(const std::string& path);

class FileStore {
 public:
  explicit FileStore(std::string folder) : folder_(std::move(folder)) {}

  // A copy, with the mode and, where that may be set, the owner of the original; on the disk when this returns. Returns
  // its digest. kUnavailable when the file changed while it was read.
  Result<std::string> put(const std::string& path);
  bool has(const std::string& digest) const;
  // Where it is. A program that wants another suffix than the original's gets the original's name.
  Result<std::string> path_of(const std::string& digest) const;
  // Puts a copy in the place of `target`, atomically, and on the disk. kNotFound: it is not here; kInvalid: what is
  // here is not what it should be any more.
  Result<> place(const std::string& digest, const std::string& target) const;
  void keep_only(const std::set<std::string>& digests) const;
  // Reads the next copy that it has not read yet, or that looks different since, and removes it when it is damaged:
  // none is better than a wrong one. The digest of one that was removed; empty: nothing was found.
  std::string verify_one();

 private:
  std::string folder_;
  std::map<std::string, std::string> verified_;  // how each copy looked when it was read last
};

}  // namespace nines::backup
