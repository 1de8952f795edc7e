// What a service's processes are left with: the descriptors of process_contract.h, made for a new service or taken over
// from one whose anchor died.
#pragma once

#include <string>
#include <vector>

#include "app/lock.h"
#include "app/service.h"
#include "base/error.h"
#include "base/fd.h"

namespace nines::app {

struct Estate {
  Fd plane, bell_to_gateway, bell_to_supervisor, snapshot, bell_to_keeper, lock;
  std::vector<Fd> listeners;
  Fd verdict;                            // may be empty: nobody waits
  Fd handover;                           // may be empty: there is no predecessor
  std::vector<std::string> environment;  // of the predecessor, "NAME=value"; empty: ours
};

// A new service: opens its listeners, makes its table. Ends what an earlier run left behind and that cannot be gone on
// with; `warn` says so. kExists: an address is in use.
Result<Estate> found_estate(const Service& service, StateLock lock,
                            const std::function<void(const std::string&)>& warn);

// Becomes the anchor of the service: this very process, with its terminal and its pid. Returns only when it cannot.
// REQUIRES one thread.
Error become_anchor(Estate estate, const Paths& paths);

// The descriptors of the estate in the order in which they are handed over, and back.
std::vector<int> in_order(const Estate& estate);
Result<Estate> from_order(std::vector<Fd> descriptors);

// The configuration as the processes inherit it (snapshot.h).
Result<Fd> snapshot_of(const config::Config& config);

// What an internal command is told by the anchor: see become_anchor().
Result<Paths> read_anchor_arguments(const std::vector<std::string>& arguments);

}  // namespace nines::app
