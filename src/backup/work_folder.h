// A folder for work in progress, empty at first and gone at the end. What a dead run left in it goes first: its owner
// holds the run lock, so nobody else is at work there.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>

#include "base/error.h"

namespace nines::backup {

class WorkFolder {
 public:
  static Result<WorkFolder> make(const std::string& path) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (!error) std::filesystem::create_directories(path, error);
    if (!error) std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
    if (error) return failure(os_error(error.value(), "make the folder " + path));
    return WorkFolder(path);
  }
  WorkFolder(WorkFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  WorkFolder& operator=(WorkFolder&&) = delete;
  ~WorkFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  explicit WorkFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace nines::backup
