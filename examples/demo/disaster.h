// The database is destroyed under the running service, and put back from the newest archive.
#pragma once

#include <string>

#include "ask.h"
#include "database.h"
#include "experiment.h"

namespace nines::demo {

struct Damage {
  Destroyed destroyed;
  std::string integrity;  // what SQLite says of the file then
  std::size_t asked = 0;  // of the service, afterwards
  std::size_t answered = 0;
  Trouble trouble;  // what the server says of its history
};

struct Repair {
  std::string said;  // by `nines restore --yes`
  std::string integrity;
  Rows before;             // as the backup began
  std::uint64_t kept = 0;  // of those, there after the restore
  std::size_t asked = 0;
  std::size_t answered = 0;  // rightly
  std::uint64_t added = 0;   // rows of those answers, in the restored database
};

struct Aftermath {
  Damage damage;
  Repair repair;
};

class Disaster {
 public:
  Disaster(net::EpollLoop& loop, Service& service) : loop_(loop), service_(service) {}

  // REQUIRES: no client is at work. What is asked between the two is asked of a server without a database.
  Task<Result<Damage>> strike();
  Task<Result<Repair>> repair(const Backup& backup);

 private:
  Task<Result<Trouble>> trouble();

  net::EpollLoop& loop_;
  Service& service_;
};

}  // namespace nines::demo
