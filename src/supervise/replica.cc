#include "supervise/replica.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace nines::supervise {

std::string_view name_of(State state) {
  switch (state) {
    case State::kWaiting: return "waiting";
    case State::kStarting: return "starting";
    case State::kReady: return "ready";
    case State::kUnready: return "unready";
    case State::kDraining: return "draining";
    case State::kStopping: return "stopping";
    case State::kStopped: return "stopped";
  }
  return "unknown";
}

std::string_view name_of(Order order) {
  switch (order) {
    case Order::kNone: return "none";
    case Order::kSpawn: return "spawn";
    case Order::kDrain: return "drain";
    case Order::kTerminate: return "terminate";
    case Order::kKill: return "kill";
  }
  return "unknown";
}

Replica::Replica(ReplicaLimits limits, Instant now, bool wanted) : limits_(limits), wanted_(wanted) {
  INVARIANT(limits_.backoff_min <= limits_.backoff_max);
  if (wanted_) spawn_at_once(now);
}

void Replica::resume(const ReplicaMemory& memory, bool has_process, Instant now) {
  wanted_ = memory.wanted;
  restarts_ = memory.restarts;
  crashes_in_row_ = memory.crashes_in_row;
  crashed_ = memory.crashes_in_row > 0;
  if (!has_process && memory.state == State::kStopped && limits_.restart != RestartPolicy::kAlways) {
    enter(State::kStopped, Order::kNone, Instant::never());  // it had finished
    return;
  }
  if (!has_process) {
    // Whatever was left of a pause is forgiven: the crash loop itself is not.
    enter(wanted_ ? State::kWaiting : State::kStopped, wanted_ ? Order::kSpawn : Order::kNone,
          wanted_ ? now : Instant::never());
    return;
  }
  ++incarnation_;
  crashed_ = false;
  spawned_at_ = memory.spawned;
  listening_ = memory.listening;
  ordered_ = memory.ordered;
  switch (memory.state) {
    case State::kReady:
    case State::kUnready:
      enter(memory.state, Order::kNone, Instant::never());
      settled_at_ = memory.since + limits_.settled_after;
      break;
    // How long it has been so, only the one before knew: it gets the whole time again.
    case State::kDraining: enter(State::kDraining, Order::kTerminate, now + limits_.drain_wait); break;
    case State::kStopping: enter(State::kStopping, Order::kKill, now + limits_.stop_grace); break;
    case State::kWaiting:  // killed between the fork and its note
    case State::kStopped:
    case State::kStarting: enter(State::kStarting, Order::kKill, std::max(now, spawned_at_ + limits_.startup)); break;
  }
  if (!wanted_ && !ordered_) begin_stop(now);
}

void Replica::on_spawned(Instant now) {
  INVARIANT(spawn_is_out());
  ++incarnation_;
  if (std::exchange(crashed_, false)) ++restarts_;
  spawned_at_ = now;
  listening_ = false;
  ordered_ = !wanted_;
  if (wanted_)
    enter(State::kStarting, Order::kKill, now + limits_.startup);
  else
    begin_stop(now);
}

void Replica::on_spawn_failed(Instant now, double jitter) {
  INVARIANT(spawn_is_out());
  if (wanted_)
    enter(State::kWaiting, Order::kSpawn, now + delay(++crashes_in_row_, jitter));
  else
    enter(State::kStopped, Order::kNone, Instant::never());
}

void Replica::on_listening(Instant) { listening_ = true; }

void Replica::on_healthy(Instant now) {
  if (state_ != State::kUnready && !(state_ == State::kStarting && listening_)) return;
  enter(State::kReady, Order::kNone, Instant::never());
  settled_at_ = now + limits_.settled_after;
}

void Replica::on_unhealthy(Instant now) {
  if (state_ != State::kReady) return;
  note_settled(now);
  enter(State::kUnready, Order::kNone, Instant::never());
}

void Replica::on_drained(Instant now) {
  // Heard before kDrain was given, "nothing in flight" means only that the next request has not come yet; kDrain is due
  // then, and still comes first.
  if (state_ == State::kDraining) due_ = now;
}

Ended Replica::on_exit(Instant now, double jitter, ExitCause cause) {
  INVARIANT(alive());
  note_settled(now);
  Ended ended{Ending::kOrdered, now - spawned_at_};
  if (ordered_) {
    if (wanted_)
      spawn_at_once(now);
    else
      enter(State::kStopped, Order::kNone, Instant::never());
    return ended;
  }
  if (!follows(cause)) {
    ended.ending = cause == ExitCause::kSuccess ? Ending::kFinished : Ending::kCrash;
    enter(State::kStopped, Order::kNone, Instant::never());
    return ended;
  }
  crashed_ = cause != ExitCause::kPortInUse;
  ended.ending = crashed_ ? Ending::kCrash : Ending::kPortInUse;
  int& in_row = crashed_ ? crashes_in_row_ : port_clashes_in_row_;
  enter(State::kWaiting, Order::kSpawn, now + delay(++in_row, jitter));
  return ended;
}

// Another start.
bool Replica::follows(ExitCause cause) const {
  if (cause == ExitCause::kPortInUse) return true;  // it has not even begun
  return limits_.restart == RestartPolicy::kAlways ||
         (limits_.restart == RestartPolicy::kOnFailure && cause != ExitCause::kSuccess);
}

void Replica::stop(Instant now) {
  wanted_ = false;
  crashed_ = false;
  if (alive())
    begin_stop(now);
  else if (!spawn_is_out())
    enter(State::kStopped, Order::kNone, Instant::never());
}

void Replica::start(Instant now) {
  wanted_ = true;
  if (!alive() && !spawn_is_out()) spawn_at_once(now);
}

void Replica::restart(Instant now) {
  start(now);
  if (alive()) begin_stop(now);
}

void Replica::give_up(Instant now) {
  if (state_ == State::kUnready) enter(State::kStopping, Order::kTerminate, now);
}

Order Replica::next(Instant now) {
  if (now < due_) return Order::kNone;
  const Order order = order_;
  switch (order) {
    case Order::kNone: break;
    case Order::kSpawn: due_ = Instant::never(); break;
    case Order::kDrain: enter(State::kDraining, Order::kTerminate, now + limits_.drain_wait); break;
    case Order::kTerminate:
    // Again and again: a group that outlives one SIGKILL (the signal lost a race, the disk hangs) must not
    // be forgotten, and a second one costs nothing.
    case Order::kKill: enter(State::kStopping, Order::kKill, now + limits_.stop_grace); break;
  }
  return order;
}

std::optional<Instant> Replica::wake_at() const {
  if (due_ == Instant::never()) return std::nullopt;
  return due_;
}

bool Replica::alive() const { return state_ != State::kWaiting && state_ != State::kStopped; }

bool Replica::wants_route() const {
  return listening_ && (state_ == State::kStarting || state_ == State::kReady || state_ == State::kUnready);
}

void Replica::enter(State state, Order order, Instant at) {
  state_ = state;
  order_ = order;
  due_ = at;
}

void Replica::begin_stop(Instant now) {
  ordered_ = true;
  if (state_ == State::kDraining || state_ == State::kStopping) return;
  // Once proven, the gateway may have found it healthy and routed to it before we heard of it.
  if (listening_)
    enter(State::kDraining, Order::kDrain, now);
  else
    enter(State::kStopping, Order::kTerminate, now);
}

void Replica::spawn_at_once(Instant now) {
  crashes_in_row_ = 0;
  port_clashes_in_row_ = 0;
  enter(State::kWaiting, Order::kSpawn, now);
}

void Replica::note_settled(Instant now) {
  if (!settled(now)) return;
  crashes_in_row_ = 0;
  port_clashes_in_row_ = 0;
}

// Full jitter (Brooker, "Exponential Backoff and Jitter", 2015), but never below backoff_min: replicas that died of
// one shared cause must not come back in step, and no run of luck may become a storm.
Duration Replica::delay(int failures_in_row, double jitter) const {
  INVARIANT(jitter >= 0 && jitter < 1);
  const auto part = [jitter](Duration whole) {
    return Duration{static_cast<Duration::rep>(static_cast<double>(whole.count()) * jitter)};
  };
  if (failures_in_row == 1) return part(limits_.first_retry);
  Duration ceiling = limits_.backoff_min;
  for (int i = 1; i < failures_in_row && ceiling < limits_.backoff_max; ++i) ceiling *= 2;
  return limits_.backoff_min + part(std::min(ceiling, limits_.backoff_max) - limits_.backoff_min);
}

}  // namespace nines::supervise
