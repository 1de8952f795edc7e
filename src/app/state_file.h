// What the supervisor must not forget. Two kinds of things with two lives, so two files:
//
//   STATE/wishes.json   a person's: which replicas were stopped, drained or weighed by hand. They outlive nines and the
//                       machine, so they are on the disk before a wish is acknowledged; nothing else writes that file
//   STATE/state.json    the processes: what runs with which pid. Good for one boot, so it need not be on the disk,
//                       only whole: it is replaced by a rename
//
// Torn, missing or of another boot: the wishes are forgotten, or what runs is found by its tag.
#pragma once

#include <functional>
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
// Replicas of another fingerprint are not what is asked for. `folder`: the configuration's.
std::string fingerprint_of(const std::string& folder, const config::Launch& launch);

// kNotFound: there is none. kInvalid: it is torn, or of a later version.
Result<SavedState> load_state(const std::string& path);
// Safe from our own death when this returns, not from a power loss.
Result<> save_state(const std::string& path, const SavedState& state);

// What a person wants of one replica, or of a server elsewhere.
struct Wish {
  std::string stopped_by;     // empty: it is to run. Not of a server elsewhere
  std::string drained_by;     // empty: it gets its share of the requests
  std::optional<int> weight;  // percent, instead of what the configuration says

  // Its share, in percent of a plain one.
  int percent(int configured) const { return drained_by.empty() ? weight.value_or(configured) : 0; }
  bool operator==(const Wish&) const = default;
};
// By the name of the replica, or the address of the server elsewhere: its name changes with its place in the list.
using Wishes = std::map<std::string, Wish, std::less<>>;

inline constexpr int kPlainWeight = 100;  // of a replica

// None: it wants nothing.
Wish wish_in(const Wishes& wishes, std::string_view name);
// What a record shows of it, when the file is lost. `configured`: the weight without a wish.
Wish wish_found_in(const plane::Route& route, int configured);

// kNotFound: there is none. kInvalid: damaged. What a later version knows besides is left out.
Result<Wishes> load_wishes(const std::string& path);
// On the disk when this returns, which takes some milliseconds.
Result<> save_wishes(const std::string& path, const Wishes& wishes);

}  // namespace nines::app
