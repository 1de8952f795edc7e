#include "backup/continuous/restore_chain.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ranges>

#include "backup/sqlite_file.h"
#include "base/fd.h"

namespace nines::backup::continuous {
namespace {

Result<> write_at(int fd, std::string_view bytes, std::uint64_t offset, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return failure(os_error(errno, "write " + path));
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
    offset += static_cast<std::uint64_t>(wrote);
  }
  return {};
}

Result<std::vector<SegmentName>> choose(storage::Destination& destination, const RestoreRequest& request) {
  const auto epochs = list_epochs(destination);
  if (!epochs) return failure(epochs.error());
  const auto names = list_segments(destination);
  if (!names) return failure(names.error());
  bool known = false;
  for (const Epoch& epoch : *epochs | std::views::reverse) {
    if (epoch.source != request.source || (request.lineage && *request.lineage != epoch.lineage) ||
        (request.epoch && *request.epoch != epoch.number))
      continue;
    known = true;
    auto way = select(*names, {.lineage = epoch.lineage, .epoch = epoch.number, .until = request.at});
    if (!way || !way->empty()) return way;
  }
  const std::string what = known ? " by that time" : "";
  return failure(Code::kNotFound,
                 "nothing of " + request.source + " was captured" + what + " in " + destination.where());
}

Result<> build(storage::Destination& destination, const RestoreRequest& request, int fd, const std::string& path,
               Replay& replay) {
  const auto way = choose(destination, request);
  if (!way) return failure(way.error());
  for (const SegmentName& name : *way) {
    std::uint64_t page_size = 0;
    const auto applied =
        replay.apply(destination, name, request.key, [&](std::uint32_t page, std::string_view content) {
          page_size = content.size();
          return write_at(fd, content, std::uint64_t{page - 1} * page_size, path);
        });
    if (!applied) return applied;
    // A page that is cut off and comes again is empty in between.
    const std::uint64_t size = std::uint64_t{replay.ledger().pages()} * replay.head().page_size;
    if (::ftruncate(fd, static_cast<off_t>(size)) != 0) return failure(os_error(errno, "shorten " + path));
  }
  return {};
}

// What lies on the disk, not what was meant to.
Result<> verify(int fd, const std::string& path, const Replay& replay) {
  const SegmentHeader& head = replay.head();
  if (::fsync(fd) != 0) return failure(os_error(errno, "sync " + path));
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  std::string content(head.page_size, '\0');
  Digest digest;
  for (std::uint32_t page = 1; page <= head.pages_after; ++page) {
    if (page == lock_page(head.page_size)) continue;
    std::size_t done = 0;
    while (done < content.size()) {
      const std::uint64_t at = std::uint64_t{page - 1} * head.page_size + done;
      const ssize_t got = ::pread(fd, content.data() + done, content.size() - done, static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failure(os_error(errno, "read " + path));
      if (got == 0) return failure(Code::kInvalid, path + " is shorter than what was written to it");
      done += static_cast<std::size_t>(got);
    }
    digest += hash_page(page, content);
  }
  if (digest != head.after) return failure(Code::kInvalid, path + " is not what was captured: its digest is another");
  return check_integrity(path);
}

}  // namespace

Result<Rebuilt> rebuild(storage::Destination& destination, const RestoreRequest& request) {
  Staged staged{.kind = Kind::kSqlite,
                .name = request.source,
                .path = request.to,
                .staged = request.to + ".restoring",
                .bytes = 0};
  ::unlink(staged.staged.c_str());
  const Fd fd(::open(staged.staged.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return failure(os_error(errno, "write " + staged.staged));
  Replay replay;
  auto built = build(destination, request, fd.get(), staged.staged, replay);
  if (built) built = verify(fd.get(), staged.staged, replay);
  if (built) built = sync_staged(staged);
  if (!built) {
    ::unlink(staged.staged.c_str());
    return failure(std::move(built.error()));
  }
  staged.bytes = std::uint64_t{replay.head().pages_after} * replay.head().page_size;
  return Rebuilt{.staged = std::move(staged), .head = replay.head()};
}

Result<RestoredChain> restore_chain(storage::Destination& destination, const RestoreRequest& request,
                                    const std::string& stamp) {
  auto rebuilt = rebuild(destination, request);
  if (!rebuilt) return failure(std::move(rebuilt.error()));
  auto swapped = swap({&rebuilt->staged, 1}, stamp);
  if (!swapped) {
    ::unlink(rebuilt->staged.staged.c_str());
    return failure(std::move(swapped.error()));
  }
  return RestoredChain{.head = rebuilt->head, .swapped = std::move(swapped->front())};
}

}  // namespace nines::backup::continuous
