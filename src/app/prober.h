// Asks at the service's own public address, through the gateway, whether it answers: what a client would see when none
// comes. For a service without a health path: whether a connection is accepted and some replica is fit to be asked.
// With a canary: also whether its golden request is answered as it should be (public_canary.h).
//
// Its requests carry the table's key, so that they count as nobody's (plane::Outcome::kExcluded).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/public_canary.h"
#include "base/error.h"
#include "base/task.h"
#include "config/config.h"
#include "gateway/canary.h"
#include "net/address.h"
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
  // What was wrong with it; empty when it was good.
  const std::string& why() const { return why_; }
  // Those that ended since this was asked before.
  struct Counts {
    std::uint64_t good = 0, bad = 0;
  };
  Counts take_counts();

 private:
  Task<Result<>> ask_health();
  Task<Result<>> ask_canary();
  bool anybody_fit() const;
  Instant progress() const;

  net::EpollLoop& loop_;
  const plane::Table& table_;
  const config::Config& config_;
  const Duration interval_;
  const net::Address address_;
  const std::optional<gateway::CanarySettings> golden_;
  PublicCanary canary_;
  std::optional<bool> last_;
  std::string why_;
  Instant ended_{};
  Counts counts_;
};

}  // namespace nines::app
