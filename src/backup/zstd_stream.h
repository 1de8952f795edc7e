// One zstd frame with a checksum, as a stream. libarchive could do it, but writes no checksum and, reading, stops at
// the end of the tar without ever looking at the rest: a frame cut short there would pass.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/sha256.h"
#include "base/error.h"
#include "storage/destination.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace nines::backup {

// `sink` outlives it. `zstd -d` and `tar --zstd` read the result.
class Compressor {
 public:
  explicit Compressor(storage::Upload& sink);
  Result<> write(std::string_view plain);
  // The end of the frame. Nothing may be written afterwards.
  Result<> finish();
  // Of the compressed bytes, after finish().
  std::string sha256() { return hash_.finish(); }

 private:
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const;
  };
  Result<> run(std::string_view plain, bool end);

  storage::Upload& sink_;
  std::unique_ptr<ZSTD_CCtx_s, Free> context_;
  std::vector<char> out_;
  Sha256 hash_;
};

// `source` outlives it. Errors of what it reads are kInvalid, with a reason a person can understand.
class Decompressor {
 public:
  explicit Decompressor(storage::Download& source);
  // The next bytes, valid until the next call; empty: the frame is complete, its checksum is right, and nothing
  // follows it.
  Result<std::string_view> next();
  // Of the compressed bytes, after next() returned an empty view.
  std::string sha256() { return hash_.finish(); }
  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  struct Free {
    void operator()(ZSTD_DCtx_s* context) const;
  };
  Result<bool> refill();
  Result<> expect_input();

  storage::Download& source_;
  std::unique_ptr<ZSTD_DCtx_s, Free> context_;
  std::vector<char> in_, out_;
  std::size_t in_at_ = 0, in_end_ = 0;
  std::uint64_t bytes_read_ = 0;
  bool frame_ended_ = false;
  bool holds_output_ = false;  // the output was full: there may be more without any input
  Sha256 hash_;
};

}  // namespace nines::backup
