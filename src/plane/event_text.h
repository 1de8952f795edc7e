// Events in words a person likes: the only place where they are chosen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "plane/events.h"

namespace nines::plane {

// Whom it is about and what happened: "language-id-2" "exited: killed by SIGKILL (9)".
struct EventText {
  std::string subject;
  std::string words;
};
// `replica` is its name, empty for none. Whatever an event carries, the text commands no terminal.
EventText text_of(const Event& event, std::string_view replica);

// Both in one line.
std::string describe(const Event& event, std::string_view replica);

// How it feels: for colours.
enum class Mood : std::uint8_t { kNeutral, kGood, kWarning, kBad };
Mood mood_of(const Event& event);

// "exited" -> kExited: what name_of() wrote. nullopt: an event of a later version.
std::optional<EventKind> event_kind(std::string_view name);

}  // namespace nines::plane
