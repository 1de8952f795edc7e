// The demo's service: a folder with a nines.yaml, and `nines` as the program that a user would run there.
//
//   prepare() ──► up() ──► status(), events(), back_up(), archives(), restore() ──► down()
//
// down() may come at any point, also after a cancelled or failed command, and leaves no process behind.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/control_client.h"
#include "app/lock.h"
#include "child.h"
#include "cli/status.h"

namespace nines::demo {

inline constexpr int kReplicas = 3;

struct Ports {
  std::uint16_t service = 8000;
  std::uint16_t dashboard = 9900;
};

// The nines.yaml of the demo.
std::string config_text(const Ports& ports);

struct ArchiveInfo {
  std::string file;
  std::uint64_t bytes = 0;
  bool verified = false;
};
// What `nines backup list --json` says.
Result<std::vector<ArchiveInfo>> parse_archives(std::string_view json);

class Service {
 public:
  struct Options {
    std::string programs;  // the folder that nines and language-id are in
    std::string folder;
    Ports ports;                                   // or the next free ones
    std::function<void(const std::string&)> note;  // what a person should know
  };
  Service(net::EpollLoop& loop, Options options) : loop_(loop), options_(std::move(options)) {}

  // Ends what an earlier demo left running here, and begins afresh.
  Task<Result<>> prepare();
  // What `nines up --detach` said.
  Task<Result<std::string>> up();
  // What `nines backup now` said.
  Task<Result<std::string>> back_up();
  Task<Result<std::vector<ArchiveInfo>>> archives();
  // What `nines restore --yes` said.
  Task<Result<std::string>> restore();
  // What `nines down` said; empty when there was nothing to end.
  Task<Result<std::string>> down();

  Task<Result<cli::ServiceStatus>> status();
  // From number `from` on, oldest first.
  Task<Result<std::vector<cli::PastEvent>>> events(std::uint64_t from);

  // Whether something of it may be running.
  bool begun() const { return begun_; }
  const std::string& folder() const { return options_.folder; }
  std::string database() const { return options_.folder + "/data/ai_api.db"; }
  std::string ledger() const { return paths_.ledger_file(); }
  std::uint16_t port() const { return options_.ports.service; }
  std::string address() const { return "127.0.0.1:" + std::to_string(options_.ports.service); }
  std::string dashboard() const { return "http://127.0.0.1:" + std::to_string(options_.ports.dashboard); }

 private:
  Result<> find_programs() const;
  std::string lock_file() const;
  Result<> make_folder();
  Task<Result<>> end_earlier();
  Result<> choose_ports();
  Result<Fd> take_port(std::uint16_t& port) const;
  Result<> begin_afresh();
  Task<Result<std::string>> command(std::vector<std::string> words);
  Task<Result<std::string>> run_down();
  Task<Result<>> end_by_force();
  std::string pids_left() const;
  std::string nines() const { return options_.programs + "/nines"; }

  net::EpollLoop& loop_;
  Options options_;
  app::Paths paths_;
  std::optional<app::StateLock> lock_;  // one demo at a time in the folder
  std::unique_ptr<Child> running_;      // a command, until it has ended
  bool begun_ = false;
};

}  // namespace nines::demo
