// Writing files so that a crash at any moment leaves either the old or the new, never half of one. Blocking.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace nines::storage {

// All of it; kLimit when the disk is full or the file may not grow, kIo otherwise. `what` begins the message.
Result<> write_all(int fd, std::string_view bytes, std::string_view what);

// What was renamed, linked or removed in this folder is on disk when it returns.
Result<> sync_folder(const std::string& folder);
// The folder a path lies in: "." for a bare name.
std::string folder_of(const std::string& path);

// A temporary file beside it, fsync, rename, fsync of the folder. Two writers at a time are the caller's mistake.
Result<> write_file_atomically(const std::string& path, std::string_view content, unsigned mode);

// The whole file; kLimit when it is larger than `max_bytes`, kNotFound.
Result<std::string> read_file(const std::string& path, std::size_t max_bytes);

}  // namespace nines::storage
