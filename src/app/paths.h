// Where a service keeps its things. Everything follows from the configuration file and `--state`.
//
//   FOLDER/nines.yaml        the configuration; FOLDER is the working directory of the replicas
//   STATE (FOLDER/.nines)/   lock, state.json, wishes.json, releases.json, guard.json,
//                            store/, staged/, displaced/, ledger.db, alive, logs/REPLICA.log, logs/nines.log,
//   run -> RUN while there is one RUN/                     sockets, FIFOs, spools; short, for a socket's path has 107
//   bytes, and gone with the
//                            service
//
// RUN is $XDG_RUNTIME_DIR/nines-HASH if that folder is ours, or /run/nines-HASH for root, or /tmp/nines-UID-HASH, HASH
// being of STATE's real path. The link in STATE comes first: cron, sudo and a login shell have different environments,
// and whoever knows the state folder finds the sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"

namespace nines::app {

struct Paths {
  std::string config_file;  // absolute; empty for `nines run`
  std::string folder;       // absolute
  std::string state;        // absolute
  std::string run;          // absolute
  std::string control_socket() const { return run + "/control.sock"; }
  std::string handover_socket() const { return run + "/handover.sock"; }
  std::string lock_file() const { return state + "/lock"; }
  std::string state_file() const { return state + "/state.json"; }
  std::string wishes_file() const { return state + "/wishes.json"; }
  std::string releases_file() const { return state + "/releases.json"; }
  std::string file_store() const { return state + "/store"; }
  std::string staged_files(std::uint32_t release) const { return state + "/staged/" + std::to_string(release); }
  std::string guard_record() const { return state + "/guard.json"; }
  std::string displaced_files() const { return state + "/displaced"; }
  // Whoever replaces guarded files makes it first: as long as it is there, what is found is right. Empty, it holds for
  // one look; with something in it, until it is emptied, or for ten minutes.
  std::string trust_mark() const { return state + "/trust-files"; }
  std::string ledger_file() const { return state + "/ledger.db"; }
  std::string beacon() const { return state + "/alive"; }
  std::string logs() const { return state + "/logs"; }
  std::string replica_log(const std::string& replica) const { return logs() + "/" + replica + ".log"; }
  // Of one process of a replica, by the replica's number: fresh for each, so that nothing is ever in its way.
  std::string replica_socket(std::size_t replica, std::uint64_t incarnation) const {
    return run + "/" + std::to_string(replica) + "-" + std::to_string(incarnation) + ".sock";
  }
  std::string replica_fifo(const std::string& replica) const { return run + "/" + replica + ".log.fifo"; }
  std::string replica_spool(const std::string& replica) const { return run + "/" + replica + ".log.spool"; }
  // Which container engine may have containers of the service; see containers.h.
  std::string engine_file() const { return state + "/engine"; }
  std::string access_log() const { return logs() + "/access.log"; }
  std::string own_log() const { return logs() + "/nines.log"; }
};

// `config_file` may be relative; `state` empty: the default. Creates nothing.
Result<Paths> find_paths(const std::string& config_file, const std::string& state);
// For `nines run`, which has no file: FOLDER is the current one, STATE a folder below the user's own state directory,
// named after the current folder and the listen address, so that several can run side by side.
Result<Paths> paths_without_file(const std::string& state, const std::string& listen);

// Makes STATE, its logs folder and RUN (mode 0700; refused when RUN belongs to somebody else).
Result<> make_folders(const Paths& paths);
// Removes RUN with everything in it.
void remove_run_folder(const Paths& paths);

}  // namespace nines::app
