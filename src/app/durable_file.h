// Replacing a small file as a whole, by a rename: whoever reads it sees the old one or the new one.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace nines::app {

enum class Durably : bool {
  kOurDeath,  // safe from our own death when this returns, not from a power loss
  kOnDisk,    // safe from both; takes some milliseconds
};

// Mode 0640. One writer at a time. An error: the old one is still there.
Result<> replace_file(const std::string& path, std::string_view content, Durably durably);

}  // namespace nines::app
