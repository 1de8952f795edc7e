// Asks at the service's own public address, through the gateway, whether it answers: what a client would see when none
// comes. For a service without a health path: whether a connection is accepted and some replica is fit to be asked.
//
// Its requests carry the table's key, so that they count as nobody's (plane::Outcome::kExcluded).
#pragma once

#include <cstdint>
#include <optional>

#include "base/task.h"
#include "config/config.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"

namespace nines::app {

class Prober {
 public:
  // How often, at most: an outage without traffic is known to one interval. As often as replicas are checked, but not
  // more than once a second and not less than every five.
  static Duration interval(const config::Config& config);

  Prober(net::EpollLoop& loop, const plane::Table& table, const config::Config& config);

  // Until cancelled.
  Task<void> run();

  // How the last one ended. nullopt: none did within the time in which one should have.
  std::optional<bool> last() const;
  // Those that ended since this was asked before.
  struct Counts {
    std::uint64_t good = 0, bad = 0;
  };
  Counts take_counts();

 private:
  Task<bool> probe();
  bool anybody_fit() const;

  net::EpollLoop& loop_;
  const plane::Table& table_;
  const config::Config& config_;
  const Duration interval_;
  std::optional<bool> last_;
  Instant ended_{};
  Counts counts_;
};

}  // namespace nines::app
