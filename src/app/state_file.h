// STATE/state.json: what the supervisor must not forget. Two kinds of things, with two lives:
//
//   a person's wishes    which replicas were stopped by hand; they outlive nines and the machine, so they are on the
//                        disk before the wish is acknowledged
//   the processes        what runs with which pid; good for one boot, so the file need not be on the disk, only
//                        whole: it is replaced by a rename
//
// Torn, missing or of another boot: the wishes are forgotten or the processes are; what runs is found by its tag.
#pragma once

#include <string>
#include <vector>

#include "app/service.h"
#include "base/error.h"
#include "plane/plane.h"

namespace nines::app {

struct SavedReplica {
  plane::Route route;   // as in the shared table, with the name
  std::string held_by;  // who stopped it; empty: nobody
};

struct SavedState {
  std::string boot_id;
  std::string fingerprint;  // of what the replicas were started from
  std::uint64_t next_incarnation = 1;
  std::vector<SavedReplica> replicas;

  bool is_of_this_boot() const;
  const SavedReplica* find(std::string_view name) const;
};

// Distinguishes one boot of this machine from the next.
std::string this_boot();
// Command, environment and folder: replicas of another fingerprint are not what this configuration asks for.
std::string fingerprint_of(const Service& service);

// kNotFound: there is none. kInvalid: it is torn, or of a later version.
Result<SavedState> load_state(const std::string& path);
// `durable`: on the disk when this returns (some milliseconds); else only safe from our own death.
Result<> save_state(const std::string& path, const SavedState& state, bool durable);

}  // namespace nines::app
