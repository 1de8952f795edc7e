#include "backup/continuous/wal_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

namespace nines::backup::continuous {
namespace {

constexpr std::size_t kReadAhead = 1 << 20;

// As many bytes as there are.
Result<std::size_t> read_at(int fd, char* to, std::size_t size, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd, to + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(os_error(errno, "read the write-ahead log"));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

}  // namespace

Result<WalFile> WalFile::open(const std::string& database) {
  Fd fd(::open((database + "-wal").c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return failure(os_error(errno, "read " + database + "-wal"));
  return WalFile(std::move(fd));
}

Result<std::optional<WalHeader>> WalFile::header() const {
  std::array<char, kWalHeaderBytes> bytes{};
  const auto got = read_at(fd_.get(), bytes.data(), bytes.size(), 0);
  if (!got) return failure(got.error());
  const auto parsed = parse_wal_header({bytes.data(), *got});
  return parsed ? std::optional(*parsed) : std::nullopt;
}

Result<std::string_view> WalFile::frame(std::uint64_t index, std::uint32_t page_size) {
  const std::size_t size = kFrameHeaderBytes + page_size;
  const auto there = [&]() -> std::string_view {
    if (index < buffer_first_) return {};
    const std::uint64_t from = (index - buffer_first_) * size;
    return from < buffer_.size() ? std::string_view(buffer_).substr(from, size) : std::string_view();
  };
  if (const auto found = there(); found.size() == size) return found;
  buffer_first_ = index;
  buffer_.resize(std::max<std::size_t>(kReadAhead / size, 1) * size);
  const auto got = read_at(fd_.get(), buffer_.data(), buffer_.size(), kWalHeaderBytes + index * size);
  buffer_.resize(got ? *got : 0);
  if (!got) return failure(got.error());
  return there();
}

Result<> WalFile::frame_uncached(std::uint64_t index, std::span<char> into) const {
  const auto got = read_at(fd_.get(), into.data(), into.size(), kWalHeaderBytes + index * into.size());
  if (!got) return failure(got.error());
  if (*got < into.size()) std::ranges::fill(into, '\0');
  return {};
}

Result<std::uint64_t> WalFile::bytes() const {
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0) return failure(os_error(errno, "look at the write-ahead log"));
  return static_cast<std::uint64_t>(status.st_size);
}

WalIndexFile::WalIndexFile(const std::string& database)
    : fd_(::open((database + "-shm").c_str(), O_RDONLY | O_CLOEXEC)) {}

WalIndexState WalIndexFile::read(WalIndex& index) const {
  // https://www.sqlite.org/walformat.html#the_wal_index_header: 48 bytes, twice, in the machine's own byte order.
  constexpr std::size_t kHeader = 48, kInitialised = 12, kFrames = 16, kSalts = 32;
  if (!fd_) return WalIndexState::kNone;
  std::array<char, 2 * kHeader> bytes{};
  const auto got = read_at(fd_.get(), bytes.data(), bytes.size(), 0);
  if (!got || *got < bytes.size() || bytes[kInitialised] == 0) return WalIndexState::kNone;
  if (std::memcmp(bytes.data(), bytes.data() + kHeader, kHeader) != 0) return WalIndexState::kChanging;
  std::uint32_t frames = 0;
  std::memcpy(&frames, bytes.data() + kFrames, sizeof frames);
  // The salts alone are copied from the log as they stand there.
  const std::string_view all(bytes.data(), bytes.size());
  const auto salt = [&](std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, all.data() + at, sizeof value);
    return std::endian::native == std::endian::little ? std::byteswap(value) : value;
  };
  index = {.salt1 = salt(kSalts), .salt2 = salt(kSalts + 4), .frames = frames};
  return WalIndexState::kThere;
}

}  // namespace nines::backup::continuous
