// The descriptors nines' own processes inherit, by number: the anchor holds them all, hands them to each supervisor,
// and that one hands the gateway and the keeper what they need. A number whose thing does not exist is /dev/null.
//
//                       anchor   supervisor   gateway   keeper
//   kPlane                 x         x           x         x
//   kBellToGateway         x         x           x
//   kBellToSupervisor      x         x           x         x
//   kSnapshot              x         x           x         x
//   kBellToKeeper          x         x                     x
//   kLock                  x         x
//   kVerdict               x         x
//   kOldPlane              x         x
//   kSuccession            x         x
//   kFirstListener…        x         x           x
//   kFirstLogPipe…                                         x
//
// What the gateway is told by signal; SIGINT and SIGHUP it ignores:
//   SIGUSR1   make room for a successor on the same listening sockets. It writes no verdict and no event and accepts
//             nothing from the moment header.gateway_serving no longer says its pid, and ends when the last connection
//             has gone; idle ones may wait 5 s for one request more. It does the same by itself, within 250 ms, once
//             header.gateway_epoch is higher than its own.
//   SIGTERM   the service goes down: the same, but idle connections are closed at once. Also after SIGUSR1.
// It bounds its draining by an hour; whoever wants it gone earlier kills it. When it has ended, however it did, its
// halves of the gauges are cleared with gateway::clear_gauges(table, its epoch).
#pragma once

namespace nines::app {

inline constexpr int kPlane = 3;             // the shared table
inline constexpr int kBellToGateway = 4;     // an eventfd: the table has changed
inline constexpr int kBellToSupervisor = 5;  // an eventfd: verdicts, events or progress, from gateway or keeper
inline constexpr int kSnapshot = 6;          // the active configuration, as text
inline constexpr int kBellToKeeper = 7;      // an eventfd: the log has grown
inline constexpr int kLock = 8;              // the lock on the state folder; free once nobody has it open
inline constexpr int kVerdict = 9;           // a socket to whoever waits for the service to be up
inline constexpr int kOldPlane = 10;         // the table of the program before this one, when its layout was another
// Anchor: a socket to the supervisor whose anchor died, until that one has left (handover.h). Supervisor: a socket to
// its anchor, for the descriptors that another configuration needs (supervisor_reload.cc).
inline constexpr int kSuccession = 11;
inline constexpr int kFirstListener = 12;  // and the following
inline constexpr int kFirstLogPipe = 12;   // and the following: one for each replica, by slot
// Where the anchor has its own: none of the numbers above, however many listeners there will be.
inline constexpr int kAboveListeners = 64;

}  // namespace nines::app
