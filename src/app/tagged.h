// The processes of a service, found by the tag in their environment: it is there from the first instruction of each,
// whatever became of those who knew its pid.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/paths.h"
#include "base/task.h"
#include "net/epoll_loop.h"
#include "supervise/adoption.h"

namespace nines::app {

// NINES_TAG: "SERVICE-ID/PART/INCARNATION/PORT". The id is of the state folder, so that two services never take each
// other's processes for their own. The port is 0 for parts that have none.
std::string tag(const Paths& paths, const std::string& part, std::uint64_t incarnation, std::uint16_t port = 0);

// What stands in it; nullopt: it is of no part of this service. Knows no process.
std::optional<supervise::Found> read_tag(const Paths& paths, std::string_view tag);
// "SERVICE-ID/"
std::string tag_prefix(const Paths& paths);
// Of a process, in the name of its control group, and what all of this service begin with.
std::string group_name(const Paths& paths, const std::string& part, std::uint64_t incarnation);
std::string group_prefix(const Paths& paths);

// The part of a backup that the keeper runs on schedule.
inline constexpr std::string_view kBackupPart = "backup";
inline constexpr std::string_view kAnchorPart = "anchor";

// Every live process whose tag is of this service, but for this one and the anchor: that one holds the lock, so to
// whoever may end what is left of a service it is nothing that is left. Reads /proc: about 20 µs for each process of
// the machine.
std::vector<supervise::Found> find_tagged(const Paths& paths);

// Sends SIGTERM, or SIGKILL at once, and SIGKILL after `patience`. Returns when the last of these has gone.
Task<void> end_tagged(net::EpollLoop& loop, const Paths& paths, std::span<const supervise::Found> processes,
                      Duration patience);

using Spare = std::function<bool(const supervise::Found&)>;

// All that is left of a service, its containers too, but for what is spared; how many there were. Looks again until
// nothing is left, since one may have started another.
Task<std::size_t> end_leftovers(net::EpollLoop& loop, const Paths& paths, Spare spare = {}, Duration patience = 2s);

}  // namespace nines::app
