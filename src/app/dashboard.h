// The page and the metrics at the dashboard's address, out of the shared table: they work when supervisor and gateway
// are dead.
//
// An address that the configuration names is tried until it is free. The default one may be taken by another service of
// this machine: then the next free port is used, and `nines status` says which.
#pragma once

#include "app/backup_schedule.h"
#include "app/recorder.h"
#include "app/service.h"
#include "http/server.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"
#include "web/view.h"

namespace nines::app {

class Dashboard {
 public:
  // What is shown besides the table, where it exists.
  struct Sources {
    const Recorder* recorder = nullptr;
    const BackupSchedule* backups = nullptr;
    bool alone = false;  // of a gateway by itself
  };
  Dashboard(net::EpollLoop& loop, plane::Table& table, const Service& service, Sources sources);

  // Until cancelled.
  Task<void> run();

 private:
  Task<std::unique_ptr<net::Listener>> listener();
  Task<http::Response> answer(http::Request& request);
  web::Facts facts() const;

  net::EpollLoop& loop_;
  plane::Table& table_;
  const Service& service_;
  const Sources sources_;
};

}  // namespace nines::app
