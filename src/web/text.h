// Text from anywhere, made fit for where it is shown.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nines::web {

// Valid UTF-8 without control characters: whatever is neither becomes U+FFFD.
std::string clean(std::string_view text);

// For HTML, between tags and in quoted attributes; cleaned.
std::string escaped(std::string_view text);

// For a label's value in Prometheus' text format, without the quotes; cleaned.
std::string label_escaped(std::string_view text);

// 1,234,567
std::string with_commas(std::uint64_t number);

// "512 B", "4.2 MB": powers of 1000, as disks are sold.
std::string format_bytes(std::uint64_t bytes);

}  // namespace nines::web
