#include <algorithm>

#include "config/document.h"

namespace nines::config {
namespace {

std::size_t continuations_in(std::string_view text) {
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  return static_cast<std::size_t>(std::ranges::count_if(text, continues));
}

}  // namespace

Lines::Lines(std::string_view text) : text_(text), starts_{0}, continuations_{0} {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && i + 1 < text.size()) starts_.push_back(i + 1);
  }
  for (std::size_t block = 0; block < text.size(); block += kBlock) {
    continuations_.push_back(continuations_.back() + continuations_in(text.substr(block, kBlock)));
  }
}

std::size_t Lines::continuations_before(std::size_t byte) const {
  const std::size_t block = byte / kBlock;
  return continuations_[block] + continuations_in(text_.substr(block * kBlock, byte % kBlock));
}

std::string_view Lines::line(int number) const {
  const std::size_t start = starts_.at(static_cast<std::size_t>(number - 1));
  const std::string_view from = text_.substr(start);
  const std::string_view line = from.substr(0, from.find('\n'));
  return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
}

Position Lines::at_byte(std::size_t byte) const {
  const auto after = std::upper_bound(starts_.begin(), starts_.end(), byte);
  const int number = static_cast<int>(after - starts_.begin());
  const std::size_t start = *(after - 1);
  const std::size_t end = std::min(byte, start + line(number).size());
  const std::size_t characters = end - start - (continuations_before(end) - continuations_before(start));
  return {number, static_cast<int>(characters) + 1};
}

Position Lines::at_mark(int line, int column) const {
  if (line < 0 || column < 0) return {};
  const auto index = static_cast<std::size_t>(line);
  if (index >= starts_.size()) return at_byte(text_.size());
  const std::size_t end = index + 1 < starts_.size() ? starts_[index + 1] - 1 : text_.size();
  return at_byte(std::min(starts_[index] + static_cast<std::size_t>(column), end));
}

}  // namespace nines::config
