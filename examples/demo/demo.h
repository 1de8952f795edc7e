// The demo as a story: start, ask, kill, back up, judge, destroy, restore, stay, stop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "claims.h"
#include "cli/terminal.h"
#include "experiment.h"
#include "sentences.h"
#include "service.h"

namespace nines::demo {

struct Options {
  std::string programs;  // where nines and language-id are
  std::string folder;    // where the service lives
  Ports ports;
  Plan plan;
  bool stays = false;  // until Ctrl-C, with a live status
};

class Demo {
 public:
  Demo(net::EpollLoop& loop, const Options& options, cli::Style style);

  // 0: everything claimed held. 1: something did not, or could not be tried; it was said what. 128 + the signal that
  // ended it before all claims were judged. Whatever it started is stopped.
  Task<int> run();

 private:
  Task<void> hear_signals(net::Signals& signals, CancelScope& acting);
  Task<Result<>> act();
  Task<Result<>> start();
  Task<Result<>> ask();
  Task<Result<>> use_and_kill();
  Task<Result<>> destroy_and_restore();
  Result<> judge(const std::vector<Claim>& claims);
  void say_command(const std::string& command);
  Task<Result<>> stay();
  Task<bool> stop();

  net::EpollLoop& loop_;
  const Options& options_;
  cli::Style style_;
  Service service_;
  std::uint64_t samples_ = 0;
  Backup backup_;
  bool judged_ = false;  // every claim, one way or the other
  std::optional<int> signal_;
};

}  // namespace nines::demo
