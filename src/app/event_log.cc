#include "app/event_log.h"

#include <algorithm>

namespace nines::app {

EventLog::EventLog(plane::Table& table, std::function<void(const plane::Event&)> each)
    : table_(table), each_(std::move(each)) {}

void EventLog::collect() {
  auto ours = table_.log.read(supervisor_next_);
  auto theirs = table_.gateway_events.read(gateway_next_);
  supervisor_next_ = ours.next;
  gateway_next_ = theirs.next;
  lost_ += ours.lost + theirs.lost;
  std::vector<plane::Event> merged;
  std::merge(ours.events.begin(), ours.events.end(), theirs.events.begin(), theirs.events.end(),
             std::back_inserter(merged),
             [](const plane::Event& a, const plane::Event& b) { return a.at_ns < b.at_ns; });
  for (const plane::Event& event : merged) {
    entries_.push_back({next_++, event});
    if (entries_.size() > kKept) entries_.pop_front();
    each_(event);
  }
}

}  // namespace nines::app
