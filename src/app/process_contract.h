// The descriptors nines' own processes inherit, by number: the anchor holds them all, hands them to each supervisor,
// and that one hands the gateway and the keeper what they need. A number whose thing does not exist is /dev/null.
//
//                       anchor   supervisor   gateway   keeper
//   kPlane                 x         x           x         x
//   kBellToGateway         x         x           x
//   kBellToSupervisor      x         x           x
//   kSnapshot              x         x           x         x
//   kBellToKeeper          x         x                     x
//   kLock                  x         x
//   kVerdict               x         x
//   kOldPlane              x         x
//   kHandover              x
//   kFirstListener…        x         x           x
#pragma once

namespace nines::app {

inline constexpr int kPlane = 3;             // the shared table
inline constexpr int kBellToGateway = 4;     // an eventfd: the table has changed
inline constexpr int kBellToSupervisor = 5;  // an eventfd: verdicts, events or progress
inline constexpr int kSnapshot = 6;          // the active configuration, as text
inline constexpr int kBellToKeeper = 7;      // an eventfd: the log has grown
inline constexpr int kLock = 8;              // the lock on the state folder; free once nobody has it open
inline constexpr int kVerdict = 9;           // a socket to whoever waits for the service to be up
inline constexpr int kOldPlane = 10;         // the table of the program before this one, when its layout was another
inline constexpr int kHandover = 11;         // a socket to the supervisor whose anchor died, until that one has left
inline constexpr int kFirstListener = 12;    // and the following

}  // namespace nines::app
