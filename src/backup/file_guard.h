// Watches files that a service cannot do without, model files above all, and puts back what was deleted or changed.
//
// A look costs one stat(2) for each file; only what that says is another file than before is read. So what changes
// without its size, its times and its inode doing so, as a bad disk does it, is found when the file is read next: at
// the next start of the service. Blocking; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "backup/file_store.h"
#include "base/error.h"
#include "base/time.h"

namespace nines::backup {

using Digests = std::map<std::string, std::string>;  // by path, as the configuration has it

struct GuardFinding {
  enum class Kind : std::uint8_t {
    kKnown,    // what it is was not known before, or is trusted to be right; a copy is kept
    kPlaced,   // what is expected of it is another file than before, and that is in its place now
    kPutBack,  // it was deleted or changed, and is as it was
    kLost,     // the same, and it cannot be put back
    kUnkept,   // it is right, but no copy could be kept of it
  };
  Kind kind;
  std::string path;
  std::string digest{};     // what it is now; kLost: empty
  std::string why{};        // what was wrong with it, for a person
  Instant good_until{};     // when it was last seen to be right
  std::uint64_t inode = 0;  // of the wrong one, when there was one
  std::string displaced{};  // where the wrong one was put, when there was one
};

class FileGuard {
 public:
  static constexpr std::size_t kFilesMax = 10'000;  // in all folders together
  static constexpr std::size_t kDisplacedMax = 5;   // wrong files that are kept; older ones are removed

  struct Options {
    std::string folder;              // what paths are relative to
    std::vector<std::string> files;  // or folders: then every file below
    std::string store;               // folder of the copies
    std::string record;              // a file: what each looked like when it was last read
    std::string displaced;           // folder for what was found in a wrong one's place
    bool reread = true;              // read all of them at the first look, whatever the record says
  };
  explicit FileGuard(Options options);

  // `expected`: what each should be; what it does not name is as it is found. `trust`: a person may have changed them
  // meanwhile, so what is there is right; what is missing is put back all the same. `now` is read when a time is
  // needed.
  std::vector<GuardFinding> look(const Digests& expected, bool trust, const std::function<Instant()>& now);

  const Digests& known() const { return known_; }
  FileStore& store() { return store_; }

 private:
  struct Seen {  // of a file when it was last read
    std::uint64_t size = 0, inode = 0;
    std::int64_t mtime_ns = 0;
    std::string digest;
    bool operator==(const Seen&) const = default;
  };
  std::set<std::string> paths(const Digests& expected) const;
  std::string place_of(const std::string& path) const;
  void judge(const std::string& path, const std::string& wanted, bool trust, const std::function<Instant()>& now,
             std::vector<GuardFinding>& findings);
  std::string displace(const std::string& path);
  void load();
  void save() const;

  Options options_;
  FileStore store_;
  std::map<std::string, Seen> seen_;
  std::map<std::string, Instant> good_;
  std::set<std::string> told_;  // of what is lost or not kept: once
  Digests known_;
  bool looked_ = false;  // what is new from now on was written beside them
};

}  // namespace nines::backup
