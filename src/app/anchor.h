// The anchor: what stays when everything else dies. It is the process that `nines up` becomes, the main process for
// systemd and for containers.
//
//   holds      every descriptor of process_contract.h, so that no death of another part closes a listener or the table
//   restarts   the supervisor, at once, then with pauses up to 2 s while it keeps dying
//   reaps      whatever lost its parent (it is a subreaper), and writes how it ended into its ring of the table, where
//              the supervisor finds the exit status of a replica it adopted
//   watches    that the supervisor works: one that lives and gives no sign of it is killed (vigil.h)
//   takes      what a supervisor leaves for its successor when it reloads: another snapshot, other listeners
//   forwards   SIGTERM and SIGINT to the supervisor
//   tells      systemd's watchdog that it is there (notify.h)
//   becomes    another program when the supervisor asks for it, with the same pid, children and descriptors
//
// It parses nothing and, once it serves, allocates nothing: there is little that could kill it. When it dies all the
// same, everything goes on, without anybody to restart the supervisor (handover.h puts a new anchor in its place).
#pragma once

#include <string>
#include <vector>

namespace nines::app {

// `arguments` are for the supervisor; the anchor only passes them on. Returns the exit status of the service.
// REQUIRES the descriptors of process_contract.h.
int anchor_main(const std::vector<std::string>& arguments);

}  // namespace nines::app
