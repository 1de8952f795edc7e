#include "config/problem.h"

#include <algorithm>
#include <cstddef>

namespace nines::config {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::string hex_escape(char c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  return {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
}

// The byte where the character number `count` (from 0) starts, or the end.
std::size_t byte_of_character(std::string_view line, std::size_t count) {
  std::size_t at = 0;
  for (; at < line.size(); ++at) {
    if (!continues_character(line[at]) && count-- == 0) break;
  }
  return at;
}

}  // namespace

std::string Complaint::text() const { return fix.empty() ? what : what + "; " + fix; }

std::unexpected<Complaint> wrong(std::string what, std::string fix) {
  return std::unexpected(Complaint{std::move(what), std::move(fix)});
}

std::string format(const Problem& problem, std::string_view file) {
  std::string out(file);
  if (problem.at.line == 0) return out + ": " + problem.complaint.text();
  out +=
      ":" + std::to_string(problem.at.line) + ":" + std::to_string(problem.at.column) + ": " + problem.complaint.text();
  if (problem.source.empty()) return out;
  out += "\n    ";

  constexpr std::size_t kBefore = 80, kAfter = 40;  // characters shown around the caret
  const auto caret = static_cast<std::size_t>(std::max(problem.at.column, 1) - 1);
  const std::size_t from = byte_of_character(problem.source, caret > kBefore ? caret - kBefore : 0);
  const std::size_t to = byte_of_character(problem.source, caret + kAfter);
  std::string under;
  if (from > 0) out += "…", under += " ";
  std::size_t left = caret - std::min(caret, caret > kBefore ? caret - kBefore : 0);
  for (const char c : std::string_view(problem.source).substr(from, to - from)) {
    const bool tab = c == '\t';
    out += is_control(c) && !tab ? '?' : c;
    if (continues_character(c) || left == 0) continue;
    under += tab ? '\t' : ' ';  // a tab is as wide below as above, whatever the terminal thinks it is
    --left;
  }
  if (to < problem.source.size()) out += "…";
  return out + "\n    " + under + "^";
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kMax = 60;
  const bool cut = text.size() > kMax;
  if (cut) {
    std::size_t end = kMax;
    while (end > 0 && continues_character(text[end])) --end;
    text = text.substr(0, end);
  }
  std::string out = "\"";
  for (const char c : text) out += is_control(c) ? hex_escape(c) : std::string(1, c);
  return out + (cut ? "…\"" : "\"");
}

}  // namespace nines::config
