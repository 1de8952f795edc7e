#include "storage/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace nines::storage {
namespace {

std::unexpected<Error> os_failure(int errnum, std::string_view what) {
  // The quota's and the limit's errors mean the same to whoever reads them: nothing more fits.
  if (errnum == EDQUOT || errnum == EFBIG) {
    const char* const why = errnum == EDQUOT ? "the disk quota is used up" : "the file may not grow any further";
    return failure(Code::kLimit, std::string(what) + ": " + why);
  }
  return failure(os_error(errnum, what));
}

}  // namespace

Result<> write_all(int fd, std::string_view bytes, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return os_failure(errno, what);
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<> sync_folder(const std::string& folder) {
  const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return failure(os_error(errno, "open the folder " + folder));
  // Some network file systems refuse it, and then there is nothing to be had.
  if (::fsync(fd.get()) != 0 && errno != EINVAL) return failure(os_error(errno, "sync the folder " + folder));
  return {};
}

Result<> write_file_atomically(const std::string& path, std::string_view content, unsigned mode) {
  const std::string fresh = path + ".new";
  Fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, static_cast<mode_t>(mode)));
  if (!fd) return failure(os_error(errno, "write " + fresh));
  auto written = write_all(fd.get(), content, "write " + fresh);
  if (written && ::fsync(fd.get()) != 0) written = os_failure(errno, "sync " + fresh);
  if (written && ::rename(fresh.c_str(), path.c_str()) != 0) written = failure(os_error(errno, "rename " + fresh));
  if (!written) {
    ::unlink(fresh.c_str());
    return written;
  }
  return sync_folder(folder_of(path));
}

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return failure(os_error(errno, "read " + path));
  std::string text;
  char buffer[16 * 1024];
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(os_error(errno, "read " + path));
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > max_bytes)
      return failure(Code::kLimit, path + " is larger than " + std::to_string(max_bytes) + " bytes");
  }
}

}  // namespace nines::storage
