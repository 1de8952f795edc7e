// What is wrong with a configuration, said so that a person can repair it without reading anything else:
//
//   nines.yaml:7:3: unknown key "helth"; did you mean "health"?
//       helth: {path: /health}
//       ^
//
// Everything here is a value; nothing locks, nothing throws.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/error.h"

namespace nines::config {

// What is wrong, and what to do about it. Two parts, so that `--json` can hand them out separately.
struct Complaint {
  std::string what;
  std::string fix;  // may be empty

  // "WHAT; FIX"
  std::string text() const;
  Error error() const { return {Code::kInvalid, text()}; }
};

template <class T = void>
using Checked = std::expected<T, Complaint>;

std::unexpected<Complaint> wrong(std::string what, std::string fix = {});

// Both count from 1; a column is a character (a code point), not a byte. Line 0: the file as a whole, because it
// could not be read or is too large.
struct Position {
  int line = 1;
  int column = 1;

  auto operator<=>(const Position&) const = default;
};

struct Problem {
  Position at;
  Complaint complaint;
  std::string source;  // the offending line, without its line break; empty where showing it would help nobody
};

// "FILE:LINE:COLUMN: WHAT; FIX", then, if there is one, the line and a caret under the place; no newline at the end.
// Characters that would command a terminal are replaced, and a long line is cut to the part around the caret.
std::string format(const Problem& problem, std::string_view file);

// User's text inside a message: "text", control characters as \x1b, cut after 60 bytes.
std::string quoted(std::string_view text);

}  // namespace nines::config
