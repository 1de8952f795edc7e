#include "app/event_log.h"

#include <sys/wait.h>

#include <algorithm>

namespace nines::app {

using plane::Event;
using plane::EventKind;

EventLog::EventLog(plane::Table& table, std::function<void(const Event&)> each)
    : table_(table),
      each_(std::move(each)),
      inboxes_{{table.gateway_events, plane::Origin::kGateway, table.header.gateway_events_taken},
               {table.anchor_events, plane::Origin::kAnchor, table.header.anchor_events_taken},
               {table.keeper_events, plane::Origin::kKeeper, table.header.keeper_events_taken}} {
  for (Inbox& inbox : inboxes_) inbox.next = inbox.taken + 1;
  for (const Event& event : table_.log.read(1).events) {
    for (Inbox& inbox : inboxes_) {
      if (event.origin == inbox.origin) inbox.next = std::max(inbox.next, event.origin_number + 1);
    }
  }
}

void EventLog::note(Event event) {
  table_.log.push(event);
  each_(event);
}

void EventLog::collect() {
  for (Inbox& inbox : inboxes_) take_from(inbox);
}

void EventLog::take_from(Inbox& inbox) {
  const auto read = inbox.ring.read(inbox.next);
  inbox.next = read.next;
  if (read.lost > 0) {
    // Stands for them all: who comes after us begins behind the last of them.
    const std::uint64_t first = read.events.empty() ? read.next : read.events.front().number;
    note({.at_ns = read.events.empty() ? 0 : read.events.front().at_ns,
          .kind = EventKind::kEventsLost,
          .a = static_cast<std::int64_t>(read.lost),
          .origin = inbox.origin,
          .origin_number = first - 1});
  }
  for (Event event : read.events) {
    if (event.kind == EventKind::kReaped) continue;  // for obituary() alone
    event.origin = inbox.origin;
    event.origin_number = event.number;
    note(event);
  }
  inbox.taken = inbox.next - 1;
}

std::optional<supervise::Exit> EventLog::obituary(pid_t pid, Instant since) const {
  for (const Event& event : table_.anchor_events.read(1).events) {
    if (event.kind != EventKind::kReaped || event.pid != static_cast<std::uint32_t>(pid) || event.at() < since)
      continue;
    const auto value = static_cast<int>(event.b);
    if (event.a == CLD_EXITED) return supervise::Exit{supervise::Exit::Kind::kStatus, value, false};
    return supervise::Exit{supervise::Exit::Kind::kSignal, value, event.a == CLD_DUMPED};
  }
  return std::nullopt;
}

bool EventLog::has_exit_of(std::uint16_t replica, std::uint64_t incarnation) const {
  const auto events = table_.log.read(1).events;
  return std::ranges::any_of(events, [&](const Event& event) {
    return event.kind == EventKind::kExited && event.replica == replica && event.incarnation == incarnation;
  });
}

}  // namespace nines::app
