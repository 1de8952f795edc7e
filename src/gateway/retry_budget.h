// How many attempts may be made because others failed: a share of the requests, so that a fleet in trouble is never
// asked much more than a healthy one. Without a budget, three attempts each turn an overload into three times the
// overload, and clients try again on top of that (Google's "Site Reliability Engineering", chapter 22: 10 %; Finagle's
// and Linkerd's budgets: 20 % and a floor for services with little traffic, which is what we take).
//
// Constant time, no allocation. Pure. One per worker.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "gateway/sliding_count.h"

namespace nines::gateway {

struct RetryBudgetLimits {
  Duration window = 10s;
  double share = 0.2;  // repetitions, of the requests of the window
  int floor = 3;       // repetitions in a window, however few requests there were
  // The same, for repetitions of what no replica has had: a refused connection costs a replica nothing, and a service
  // with little traffic must survive that most of its replicas are gone.
  int floor_unsent = 10;
};

class RetryBudget {
 public:
  explicit RetryBudget(RetryBudgetLimits limits = {})
      : limits_(limits), requests_(limits.window), repetitions_(limits.window) {}

  // A client's request begins.
  void on_request(Instant now) { requests_.add(now); }

  // May a request be sent again? True counts it as done. `sent`: a replica may have had it.
  bool draw(Instant now, bool sent) {
    const double drawn = static_cast<double>(repetitions_.count(now)) + 1;
    const double floor = sent ? limits_.floor : limits_.floor_unsent;
    if (drawn > floor && drawn > limits_.share * static_cast<double>(requests_.count(now))) return false;
    repetitions_.add(now);
    return true;
  }

 private:
  RetryBudgetLimits limits_;
  SlidingCount requests_, repetitions_;
};

}  // namespace nines::gateway
