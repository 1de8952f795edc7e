// YAML text as a tree with positions: the one place that knows yaml-cpp.
//
// Built from parser events rather than yaml-cpp's own nodes: those forget duplicate keys, and copying an alias per
// use is how nine lines become a gigabyte. Here an alias is a second pointer to the same node, and what it stands
// for counts against kNodesMax each time it is used.
#pragma once

#include <cstddef>
#include <deque>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.h"

namespace nines::config {

inline constexpr int kDepthMax = 32;
inline constexpr std::size_t kNodesMax = 10'000;

// Where lines begin, and what column a byte is. REQUIRES that the text outlives it.
class Lines {
 public:
  explicit Lines(std::string_view text);

  // Of a byte; past the end, or on the empty line behind the last line break, it is the end of the last line.
  Position at_byte(std::size_t byte) const;
  // Of yaml-cpp's mark: line and byte column from 0; anything out of range is brought into it.
  Position at_mark(int line, int column) const;
  // Without its line break. REQUIRES a line that at_byte() or at_mark() named.
  std::string_view line(int number) const;

 private:
  std::string_view text_;
  std::vector<std::size_t> starts_;
  // Bytes that continue a character, before each block: without it a file that is one long line costs its square.
  static constexpr std::size_t kBlock = 1024;
  std::vector<std::size_t> continuations_;

  std::size_t continuations_before(std::size_t byte) const;
};

struct Node {
  enum class Kind { kNull, kScalar, kSequence, kMap };
  struct Entry {
    const Node* key;
    const Node* value;
  };

  Kind kind = Kind::kNull;
  Position at;
  std::string text;                // kScalar
  bool plain = false;              // kScalar: written without quotes, so it may mean a number or a truth value
  std::vector<const Node*> items;  // kSequence
  std::vector<Entry> entries;      // kMap: keys are scalars and unique
};

// "a list", "a mapping", "no value", "text"
std::string_view kind_of(const Node& node);

struct Document {
  std::deque<Node> nodes;  // never moved: the tree points into it
  const Node* root = nullptr;
  std::vector<Problem> problems;  // not fatal: duplicate keys; `source` is not filled in
};

// Fails with the first thing that stops reading: not UTF-8, not YAML, more than one document, a limit.
std::expected<Document, Problem> read_document(std::string_view text, const Lines& lines);

}  // namespace nines::config
