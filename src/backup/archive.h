// An archive: tar in one zstd frame, which `tar --zstd -xf` opens without nines. Memory is bounded by the blocks in
// flight and the manifest.
//
//   data/app.db      databases, in the order of the configuration
//   files/model.bin  model files
//   nines.yaml
//   manifest.json    hashes of all the others; see manifest.h
//
// Blocking; exceptions never; one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "backup/manifest.h"
#include "base/error.h"
#include "base/fd.h"
#include "storage/destination.h"

namespace nines::backup {

// Writes members, then the manifest. Destroyed without finish(): what was uploaded is no archive.
class ArchiveWriter {
 public:
  // `upload` outlives it and is committed by the caller, after finish().
  ArchiveWriter(storage::Upload& upload, Manifest manifest);
  ~ArchiveWriter();

  // Reads `file` to the end. `member`: path, kind and source; the rest is found here. kUnavailable: the file was
  // changed meanwhile.
  Result<> add(Member member, const std::string& file);

  struct Finished {
    Manifest manifest;
    std::string sha256;  // of the whole archive
  };
  Result<Finished> finish();

 private:
  class Tar;
  std::unique_ptr<Tar> tar_;
  Manifest manifest_;
};

struct Contents {
  Manifest manifest;
  std::string sha256;  // of the whole archive
  std::uint64_t bytes = 0;
};

// Where a member's bytes go besides being hashed; an empty Fd: nowhere.
using Extract = std::function<Result<Fd>(const std::string& member)>;

// Reads all of an archive. Only when every byte is accounted for (the frame is complete, the manifest is there, each of
// its members is, with its size and hash, and nothing else) is there a result; until then, what went through `extract`
// is worth nothing. kInvalid: what is wrong with the archive. Other codes: it could not be read, or not be extracted.
Result<Contents> read_archive(storage::Download& source, const Extract& extract);

}  // namespace nines::backup
