// For the tests of this folder that meet real processes and files: waiting for a condition instead of sleeping,
// a folder that goes away, a process that is ended whatever the test does.
#pragma once

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "base/test_support.h"
#include "supervise/process.h"

namespace nines::supervise::testing {

using nines::testing::eventually;
using nines::testing::Folder;

inline std::string read_all(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Running {
  Process process;

  explicit Running(Result<Process> spawned) : process(std::move(spawned).value()) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    process.kill_group();
    if (!process.reaped()) wait();
  }

  Process* operator->() { return &process; }
  std::optional<Exit> wait() {
    std::optional<Exit> exit;
    eventually([&] { return (exit = process.try_reap()).has_value(); });
    return exit;
  }
};

inline Command shell(const std::string& script) { return {.argv = {"sh", "-c", script}}; }

}  // namespace nines::supervise::testing
