// A bound on how long a task may take.
#pragma once

#include <utility>

#include "net/loop.h"

namespace nines::net {

// Runs the task; when it takes longer than `limit` it is cancelled, and what it then says is replaced by kTimedOut.
template <class T>
Task<Result<T>> within(Loop& loop, Duration limit, Task<Result<T>> task) {
  struct Alarm final : Timer {
    void on_timer() override {
      rang = true;
      scope.cancel();
    }
    CancelScope scope;
    bool rang = false;
  };
  Alarm alarm;
  alarm.scope.join(co_await current_scope());
  loop.timers().arm(alarm, loop.now() + limit);
  auto result = co_await std::move(task).under(alarm.scope);
  if (!result && alarm.rang) co_return failure(Code::kTimedOut, "it took too long");
  co_return result;
}

}  // namespace nines::net
