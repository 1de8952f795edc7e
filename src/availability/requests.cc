#include "availability/requests.h"

namespace nines::availability {

RequestCounts& RequestCounts::operator+=(const RequestCounts& other) {
  good += other.good;
  bad += other.bad;
  excluded += other.excluded;
  aborted += other.aborted;
  return *this;
}

std::optional<Ratio> bad_share(const RequestCounts& counts) {
  if (counts.valid() == 0) return std::nullopt;
  return Ratio{counts.bad, counts.valid()};
}

Outcome classify(const Ending& ending) {
  constexpr int kTooManyRequests = 429;
  if (ending.probe || ending.user_caused) return Outcome::kExcluded;
  if (ending.client_left) return Outcome::kAborted;
  if (!ending.whole || ending.status < 100 || ending.status >= 500) return Outcome::kBad;
  if (ending.status == kTooManyRequests) return Outcome::kExcluded;
  // The gateway's own 400, 413, 431: the caller's mistake.
  if (ending.status >= 400 && !ending.by_replica) return Outcome::kExcluded;
  return Outcome::kGood;
}

void count(RequestCounts& counts, Outcome outcome) {
  switch (outcome) {
    case Outcome::kGood: ++counts.good; return;
    case Outcome::kBad: ++counts.bad; return;
    case Outcome::kExcluded: ++counts.excluded; return;
    case Outcome::kAborted: ++counts.aborted; return;
  }
}

State state_of(const Second& second, Ratio degraded) {
  const RequestCounts& requests = second.requests;
  const auto bad = bad_share(requests);
  if (!bad) {
    if (!second.canary) return State::kUnknown;
    return *second.canary ? State::kUp : State::kDown;
  }
  if (requests.good == 0) return State::kDown;
  return requests.bad > 0 && *bad >= degraded ? State::kDegraded : State::kUp;
}

}  // namespace nines::availability
