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

#include "supervise/process.h"

namespace nines::supervise::testing {

// True as soon as the condition holds; false after 20 s, which only a failure should take.
template <class Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

class Folder {
 public:
  Folder() : path_((std::filesystem::temp_directory_path() / "nines-test-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::string file(const std::string& name, const std::string& content, int mode = 0755) const {
    std::ofstream(*this / name) << content;
    std::filesystem::permissions(*this / name, static_cast<std::filesystem::perms>(mode));
    return *this / name;
  }

 private:
  std::string path_;
};

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
