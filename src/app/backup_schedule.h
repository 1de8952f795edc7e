// Takes the backups of the configuration on time. Each run is a process of its own (`internal-backup`), since copying a
// database blocks; it goes on when the keeper is killed, and a second one at the same time is refused by its lock.
//
// What is due follows from the archives that exist and from the last failure on record, so a keeper that was restarted
// neither forgets a run nor does it twice.
#pragma once

#include <memory>
#include <vector>

#include "app/service.h"
#include "backup/backup.h"
#include "net/epoll_loop.h"
#include "web/view.h"

namespace nines::app {

class BackupSchedule {
 public:
  BackupSchedule(net::EpollLoop& loop, const Service& service);

  // Until cancelled.
  Task<void> run();

  // Of all destinations, newest first, as of the last look.
  const std::vector<web::Backup>& archives() const { return archives_; }

 private:
  struct Entry {
    std::shared_ptr<storage::Destination> destination;
    std::vector<backup::Minute> times;
    WallTime not_before{};  // after a run that could not even say why it failed
  };

  Duration until_next();  // looks at the destinations, and sets due_
  Task<void> run_due();

  net::EpollLoop& loop_;
  const Service& service_;
  std::vector<Entry> entries_;
  Entry* due_ = nullptr;
  std::uint64_t runs_ = 0;
  std::vector<web::Backup> archives_;
};

}  // namespace nines::app
