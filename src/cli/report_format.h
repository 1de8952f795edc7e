#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace nines::cli {

enum class ReportFormat : std::uint8_t { kText, kJson, kCsv, kHtml, kMarkdown };
// "text", "json", "csv", "html", "md"
std::optional<ReportFormat> parse_report_format(std::string_view text);

}  // namespace nines::cli
