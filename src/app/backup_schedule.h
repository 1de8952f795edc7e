// Takes the backups of the configuration on time. Each run is a process of its own (`internal-backup`), since copying a
// database blocks; it goes on when the keeper is killed, and a second one at the same time is refused by its lock.
//
// Destinations are looked at in threads of their own, one each: a network mount may hang, and neither the loop, which
// drains the replicas' output, nor the other destinations wait for it. A look that hangs is left behind when we end; it
// shares nothing with us but its own result.
//
// What is due follows from the archives that exist and from the last failure on record, so a keeper that was restarted
// neither forgets a run nor does it twice.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/service.h"
#include "backup/backup.h"
#include "net/epoll_loop.h"
#include "storage/directory.h"
#include "web/view.h"

namespace nines::app {

class BackupSchedule {
 public:
  using Open = std::function<std::shared_ptr<storage::Destination>(std::string folder)>;

  BackupSchedule(net::EpollLoop& loop, const Service& service, const Open& open = storage::open_directory);

  // Until cancelled.
  Task<void> run();

  // Of all destinations, newest first, as of the last look.
  const std::vector<web::Backup>& archives() const { return archives_; }

 private:
  struct Look;  // at one destination
  struct Entry {
    std::shared_ptr<storage::Destination> destination;
    std::vector<backup::Minute> times;
    Instant not_before{};        // after a run that could not even say why it failed; no clock that is set moves it
    std::shared_ptr<Look> look;  // the last one begun
    std::vector<backup::Archive> archives;  // these three: of the last one that ended
    std::optional<backup::Failure> failed;
    bool fresh = false;  // it is of this round
  };

  Task<void> look_around(net::Doorbell& bell);
  void begin_look(Entry& entry);
  bool take_look(Entry& entry);  // whether it has ended
  void show();                   // sets archives_
  Duration until_next();         // sets due_
  Task<void> run_due();

  net::EpollLoop& loop_;
  const Service& service_;
  const Fd bell_;  // a look has ended
  std::vector<Entry> entries_;
  Entry* due_ = nullptr;
  std::uint64_t runs_ = 0;
  std::vector<web::Backup> archives_;
};

}  // namespace nines::app
