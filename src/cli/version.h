#pragma once

#include <string_view>

namespace nines::cli {

// That of project() in CMakeLists.txt.
inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace nines::cli
