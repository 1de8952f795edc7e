#include "cli/terminal.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

std::string_view sequence_of(Colour colour) {
  switch (colour) {
    case Colour::kNone: return "";
    case Colour::kBold: return "\x1b[1m";
    case Colour::kDim: return "\x1b[2m";
    case Colour::kRed: return "\x1b[31m";
    case Colour::kGreen: return "\x1b[32m";
    case Colour::kYellow: return "\x1b[33m";
    case Colour::kBlue: return "\x1b[34m";
    case Colour::kMagenta: return "\x1b[35m";
    case Colour::kCyan: return "\x1b[36m";
  }
  return "";
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

}  // namespace

std::string Style::paint(Colour with, std::string_view text) const {
  if (!colour || with == Colour::kNone || text.empty()) return std::string(text);
  return std::string(sequence_of(with)) + std::string(text) + "\x1b[0m";
}

bool wants_colour(int fd) {
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal != nullptr && std::string_view(terminal) == "dumb";
  return ::isatty(fd) == 1 && !is_set("NO_COLOR") && !dumb;
}

Style style_here() { return {.colour = wants_colour(STDOUT_FILENO), .now = net::wall_time()}; }

std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  bool in_sequence = false;
  for (const char c : text) {
    if (c == '\x1b') {
      in_sequence = true;
    } else if (in_sequence) {
      in_sequence = c != 'm';
    } else if ((static_cast<unsigned char>(c) & 0xc0U) != 0x80U) {
      ++width;
    }
  }
  return width;
}

std::string with_commas(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, 1, ',');
  }
  return text;
}

std::string ago(WallTime then, WallTime now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - then);
  if (seconds < 1s) return "just now";  // or later, by another clock
  if (seconds < 60s) return std::to_string(seconds.count()) + " s ago";
  return format_duration(seconds) + " ago";
}

std::string TextTable::text() const {
  std::vector<std::size_t> widths(right_.size(), 0);
  for (const Row& row : rows_) {
    for (std::size_t i = 0; i < row.cells.size(); ++i) widths[i] = std::max(widths[i], width_of(row.cells[i]));
  }
  std::string out;
  for (const Row& row : rows_) {
    std::string line = row.note;
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      const std::string blanks(widths[i] - width_of(row.cells[i]), ' ');
      if (i > 0) line += "  ";
      line += right_[i] ? blanks + row.cells[i] : row.cells[i] + blanks;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace nines::cli
