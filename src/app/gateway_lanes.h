// The data path of one gateway: one event loop per thread over the same listening sockets, the health checker on the
// first. What it is told and when it ends is up to its owner: gateway_process.cc under a supervisor,
// standalone_gateway.cc alone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "app/access_writer.h"
#include "base/task.h"
#include "gateway/health_checker.h"
#include "gateway/worker.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"

namespace nines::app {

class GatewayLanes {
 public:
  struct Options {
    gateway::Settings settings;  // `workers` says how many lanes there are
    gateway::AccessLogged access_log = gateway::AccessLogged::kNone;
    std::string access_file;
    std::vector<int> listeners;             // stay open while it runs
    std::function<void()> verdict_changed;  // on the first lane, after every lane was told
  };
  // The table outlives it. REQUIRES: SIGTERM and whatever else the owner waits for are blocked.
  GatewayLanes(plane::Table& table, Options options);
  ~GatewayLanes();

  // The first lane's; everything below is called on it.
  net::EpollLoop& loop() { return lanes_.front()->loop; }
  const gateway::Settings& settings() const { return settings_; }

  // Runs until `main`, on the first lane, has ended. REQUIRES: it has drained.
  void run(Task<void> main);

  // The table has changed. Returns when every lane acts on it.
  Task<void> refresh();
  // In this order: no verdict and no event comes from here any more, and then nothing is accepted.
  Task<void> stop_accepting();
  // Until the last connection has gone.
  Task<void> drain(http::Connections::Patience patience);
  // While it drains: idle connections are not worth waiting for.
  Task<void> close_idle();

 private:
  struct Lane {
    net::EpollLoop loop;
    std::unique_ptr<gateway::Worker> worker;
    std::thread thread;  // none for the first lane, which runs on the caller's
  };

  void verdict_changed();
  Task<void> on_every_lane(const std::function<Task<void>(Lane&)>& task);

  plane::Table& table_;
  gateway::Settings settings_;
  std::function<void()> verdict_changed_;
  std::unique_ptr<AccessWriter> access_;  // before the lanes: they write to the end
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::unique_ptr<gateway::HealthChecker> checker_;
};

}  // namespace nines::app
