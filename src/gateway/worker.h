// The data path of one event loop: accepts clients, reads their requests, hands each to an Exchange. Workers share
// nothing but the table in shared memory and the listening sockets.
#pragma once

#include <memory>

#include "base/random.h"
#include "gateway/exchange.h"
#include "gateway/settings.h"
#include "gateway/upstreams.h"
#include "http/answer.h"
#include "http/connections.h"
#include "net/stream.h"
#include "plane/plane.h"

namespace nines::gateway {

class Worker {
 public:
  // The loop, the table and the settings outlive the worker.
  Worker(net::Loop& loop, plane::Table& table, const Settings& settings, std::uint64_t seed);
  // REQUIRES: drained, or the loop has ended.
  ~Worker();

  void serve(std::unique_ptr<net::Listener> listener) { connections_.serve(std::move(listener)); }
  // The table has changed.
  void refresh();
  // What becomes of each request from now on. It outlives the worker.
  void log_to(AccessLog& log) { shop_.log = &log; }
  // See Upstreams.
  void on_suspicion(std::function<void()> tell) { upstreams_.on_suspicion(std::move(tell)); }

  // Leaving: http::Connections says what each does. From the first on nobody has to call refresh(): the doorbell is the
  // successor's then.
  Task<void> stop_accepting();
  Task<void> drain(http::Connections::Patience patience);
  Task<void> drain(Duration begun) { return drain(http::Connections::Patience{.begun = begun}); }
  void close_idle() { connections_.close_idle(); }

  std::size_t connections() const { return connections_.open(); }

 private:
  Task<void> connection(std::unique_ptr<net::Stream> stream, bool refused);
  Task<bool> request(net::Stream& stream, http::MessageReader& reader);
  void count(plane::Outcome outcome);
  Task<void> refuse(net::Stream& stream, const http::Response& answer, std::string_view cause = {});
  Task<void> prune_now_and_then();
  Task<void> refresh_now_and_then();

  net::Loop& loop_;
  plane::Table& table_;
  const Settings& settings_;
  Random random_;
  Upstreams upstreams_;
  AdmissionQueue queue_;
  RetryBudget retries_;
  Shop shop_;
  http::Connections connections_;
  bool leaving_ = false;
  TaskGroup background_;
};

}  // namespace nines::gateway
