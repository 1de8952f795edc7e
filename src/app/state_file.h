// What the supervisor must not forget. Two kinds of things with two lives, so two files:
//
//   STATE/stopped.json   a person's wishes: which replicas were stopped by hand. They outlive nines and the machine, so
//                        they are on the disk before the wish is acknowledged, and nothing else writes to that file
//   STATE/state.json     the processes: what runs with which pid. Good for one boot, so it need not be on the disk,
//   only
//                        whole: it is replaced by a rename
//
// Torn, missing or of another boot: the wishes are forgotten, or what runs is found by its tag.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/service.h"
#include "base/error.h"
#include "plane/plane.h"

namespace nines::app {

struct SavedState {
  std::string boot_id;
  std::string fingerprint;  // of what the replicas were started from
  std::uint64_t next_incarnation = 1;
  std::vector<plane::Route> replicas;  // as in the shared table, with their names

  bool is_of_this_boot() const;
  const plane::Route* find(std::string_view name) const;
};

// Distinguishes one boot of this machine from the next.
std::string this_boot();
// Command, environment and folder: replicas of another fingerprint are not what this configuration asks for.
std::string fingerprint_of(const Service& service);

// kNotFound: there is none. kInvalid: it is torn, or of a later version.
Result<SavedState> load_state(const std::string& path);
// Safe from our own death when this returns, not from a power loss.
Result<> save_state(const std::string& path, const SavedState& state);

// Which replicas a person stopped, and who it was. nullopt: damaged or missing.
std::optional<std::map<std::string, std::string>> load_held(const std::string& path);
// On the disk when this returns, which takes some milliseconds.
Result<> save_held(const std::string& path, const std::map<std::string, std::string>& held);

}  // namespace nines::app
