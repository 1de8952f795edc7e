#include "cli/log_merge.h"

#include <utility>

namespace nines::cli {

LogMerge::LogMerge(std::vector<Source> sources) {
  for (Source& source : sources) heads_.push_back({.source = std::move(source), .lines = {}});
}

// False when there is nothing more.
bool LogMerge::fill(Head& head) {
  if (head.taken == head.lines.size()) {
    head.lines.clear();
    head.taken = 0;
    while (head.source && head.lines.empty()) {
      if (!head.source(head.lines)) head.source = nullptr;
    }
    if (head.lines.empty()) return false;
  }
  head.at = head.lines[head.taken].at.value_or(head.at);
  return true;
}

std::optional<LogMerge::Line> LogMerge::next() {
  Head* first = nullptr;
  for (Head& head : heads_) {
    if (fill(head) && (first == nullptr || head.at < first->at)) first = &head;
  }
  if (first == nullptr) return std::nullopt;
  return Line{static_cast<std::size_t>(first - heads_.data()), std::move(first->lines[first->taken++])};
}

}  // namespace nines::cli
