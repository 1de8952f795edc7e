// The descriptors a supervisor hands to its gateway, by number.
#pragma once

namespace nines::app {

inline constexpr int kPlane = 3;             // the shared table
inline constexpr int kBellToGateway = 4;     // an eventfd: the table has changed
inline constexpr int kBellToSupervisor = 5;  // an eventfd: verdicts, events or progress
inline constexpr int kSnapshot = 6;          // the active configuration, as text
inline constexpr int kFirstListener = 7;     // and the following

}  // namespace nines::app
