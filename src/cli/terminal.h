// Colours and columns for text a person reads. Pure, but for the two functions that look at the environment.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace nines::cli {

enum class Colour : std::uint8_t { kNone, kBold, kDim, kRed, kGreen, kYellow, kBlue, kMagenta, kCyan };

// How to show something: decided once, at the border, so that what renders is pure.
struct Style {
  bool colour = false;
  WallTime now{};  // for "12 s ago"

  std::string paint(Colour colour, std::string_view text) const;
};

// Colours only where they are seen and wanted: at a terminal, without NO_COLOR, and not a dumb one.
bool wants_colour(int fd);
// For standard output, now.
Style style_here();

// Characters as a terminal counts them: code points, without colour sequences.
std::size_t width_of(std::string_view text);

// "1,234,567"
std::string with_commas(std::uint64_t number);

// "12 s ago", "3 h 2 min ago", "just now"
std::string ago(WallTime then, WallTime now);

// Rows whose columns line up. A cell may be painted. `right` names the columns with numbers.
class TextTable {
 public:
  explicit TextTable(std::vector<bool> right) : right_(std::move(right)) {}
  void row(std::vector<std::string> cells) { rows_.push_back({std::move(cells), {}}); }
  // A line of its own below the last row, outside the columns.
  void note(std::string line) { rows_.push_back({{}, std::move(line)}); }
  // Lines with two blanks between the columns and none at their ends.
  std::string text() const;

 private:
  struct Row {
    std::vector<std::string> cells;
    std::string note;
  };
  std::vector<bool> right_;
  std::vector<Row> rows_;
};

}  // namespace nines::cli
