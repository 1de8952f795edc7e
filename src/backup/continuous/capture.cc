#include "backup/continuous/capture.h"

#include <fcntl.h>

#include <cerrno>
#include <map>

#include "base/check.h"
#include "base/fd.h"
#include "storage/files.h"

namespace nines::backup::continuous {
namespace {

constexpr std::size_t kLedgerBytesMax = std::size_t{1} << 36;
// Two changes within one tick of the file system's clock look the same.
constexpr Duration kStampSettles = 50ms;

template <class T>
std::unexpected<Error> passed_on(const Result<T>& result) {
  return failure(Error(result.error()));
}

}  // namespace

struct Capture::Tail {
  std::map<std::uint32_t, std::string> pages;
  std::uint32_t database_pages = 0;
  std::uint64_t commits = 0;
  WalPlace place;
};

Result<Capture> Capture::open(CaptureOptions options) {
  auto lock = RunLock::take(options.state);
  if (!lock) return failure(std::move(lock.error()));
  return Capture(std::move(options), std::move(*lock));
}

// The ledger as of some segment, and what the chain says has happened since.
Result<> Capture::resume() {
  std::string why = "the first of this database";
  const auto bytes = storage::read_file(ledger_path(), kLedgerBytesMax);
  if (!bytes && bytes.error().code() != Code::kNotFound) return passed_on(bytes);
  auto loaded = bytes ? Replay::load(*bytes) : failure(Code::kNotFound, "");
  if (bytes && !loaded) why = loaded.error().text();
  if (loaded) {
    const SegmentHeader head = loaded->head();
    const auto names = list_segments(*options_.destination);
    if (!names) return passed_on(names);
    auto way = select(*names, {.lineage = head.lineage, .epoch = head.epoch, .next = head.last + 1});
    Result<> applied = way ? Result<>() : passed_on(way);
    for (std::size_t i = 0; applied && i < way->size(); ++i)
      applied = loaded->apply(*options_.destination, (*way)[i], options_.key);
    const Code code = applied ? Code::kInvalid : applied.error().code();
    if (!applied && code != Code::kInvalid && code != Code::kNotFound) return applied;
    if (applied) {
      chain_ = std::move(*loaded);
      lineage_ = head.lineage;
      epoch_ = head.epoch;
      position_ = chain_.head().position;
      resumed_ = true;
      return {};
    }
    return begin_epoch(head.lineage, head.epoch + 1, "the chain cannot be continued: " + applied.error().text());
  }
  return begin_epoch(options_.new_lineage(), 1, why);
}

Result<> Capture::begin_epoch(std::uint64_t lineage, std::uint64_t number, const std::string& why) {
  // A number whose manifest is there already was begun, and died before its snapshot was in the ledger.
  Result<> stored;
  do {
    stored = store_epoch(*options_.destination, {.lineage = lineage,
                                                 .number = number,
                                                 .source = options_.database,
                                                 .why = why,
                                                 .begun = options_.clock.wall()});
  } while (!stored && stored.error().code() == Code::kExists && ++number < 0xffffffff);
  if (!stored) return stored;
  lineage_ = lineage;
  epoch_ = number;
  chain_ = {};
  position_ = {};
  compared_.reset();
  pace_ = {};
  resumed_ = true;
  return {};
}

Result<StepReport> Capture::step() {
  if (!resumed_) {
    if (auto done = resume(); !done) return passed_on(done);
  }
  auto sight = look();
  if (!sight) return passed_on(sight);
  if (file_.page_size == 0) return StepReport{};  // an empty file is no database yet
  if (!chain_.began()) return compare(false);
  if (file_.page_size != chain_.head().page_size) {
    // In WAL mode the file's header is old until a checkpoint; the comparison finds that out as well.
    if (auto begun = begin_epoch(lineage_, epoch_ + 1, "the page size was changed"); !begun) return passed_on(begun);
    return compare(false);
  }
  const Order order = decide(*sight, position_, pace_, options_.clock.boot());
  switch (order) {
    case Order::kNothing: return StepReport{};
    case Order::kWait: return StepReport{.what = StepReport::What::kWaiting};
    case Order::kCompare: return compare(false);
    case Order::kCompareForked: return compare(true);
    case Order::kReadOn:
    case Order::kReadNext: break;
  }
  auto tail = read_tail(order == Order::kReadNext);
  if (!tail) return passed_on(tail);
  if (!*tail) {
    if (options_.clock.boot() < pace_.not_before) return StepReport{.what = StepReport::What::kWaiting};
    return compare(false);
  }
  if ((*tail)->commits == 0) return StepReport{};
  return ship(std::move(**tail));
}

Result<Sight> Capture::look() {
  const Fd fd(::open(options_.database.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return failure(os_error(errno, options_.database));
  auto file = look_at(fd.get(), options_.database);
  if (!file) return passed_on(file);
  file_ = *file;
  Sight sight{.wal_mode = file_.wal_mode,
              .file_changed = !compared_ || *compared_ != file_.stamp,
              .change_counter = file_.change_counter};
  if (!file_.wal_mode) return sight;
  auto log = WalFile::open(options_.database);
  if (!log && log.error().code() == Code::kNotFound) return sight;
  if (!log) return passed_on(log);
  const auto header = log->header();
  if (!header) return passed_on(header);
  sight.log = *header;
  if (!*header || position_.kind != Position::Kind::kWal) return sight;
  const WalPlace& place = position_.wal;
  if (place.frames == 0) {
    sight.last_there = start_of(**header) == place;
    return sight;
  }
  // Behind the last one first: the log is overwritten from its beginning, so if the last one is there afterwards, what
  // is behind it had not been touched either.
  const std::size_t frame_bytes = kFrameHeaderBytes + (*header)->page_size;
  const std::uint64_t end = kWalHeaderBytes + place.frames * frame_bytes;
  const auto bytes = log->bytes();
  if (!bytes) return passed_on(bytes);
  std::string frame(frame_bytes, '\0');
  if (auto got = log->frame_uncached(place.frames, frame); !got) return passed_on(got);
  // A log that ends within a frame was cut (journal_size_limit): what was there is not known.
  const bool cut = *bytes > end && *bytes < end + frame_bytes;
  const WalHeader old{.big_endian_checksums = (*header)->big_endian_checksums,
                      .page_size = (*header)->page_size,
                      .salt1 = place.salt1,
                      .salt2 = place.salt2,
                      .checksum = {}};
  sight.more_behind = cut || WalScanner(old, place).next(frame).has_value();
  if (auto got = log->frame_uncached(place.frames - 1, frame); !got) return passed_on(got);
  sight.last_there = is_last_frame(frame, place);
  return sight;
}

// Nothing: pages have to be compared.
Result<std::optional<Capture::Tail>> Capture::read_tail(bool from_start) {
  Tail tail{.pages = {}, .database_pages = chain_.ledger().pages(), .commits = 0, .place = position_.wal};
  WalIndex index;
  const WalIndexState state = WalIndexFile(options_.database).read(index);
  if (state == WalIndexState::kChanging) return tail;
  auto log = WalFile::open(options_.database);
  if (!log) return std::optional<Tail>();
  const auto header = log->header();
  if (!header) return passed_on(header);
  if (!*header || (*header)->page_size != chain_.head().page_size) return std::optional<Tail>();
  const WalPlace from = from_start ? start_of(**header) : position_.wal;
  if ((*header)->salt1 != from.salt1 || (*header)->salt2 != from.salt2) return std::optional<Tail>();
  tail.place = from;
  WalScanner scanner(**header, from);
  // Only what its readers see: what is behind that, a process may have written that was killed before it told.
  const bool visible_known = state == WalIndexState::kThere;
  const bool same_generation = visible_known && index.salt1 == from.salt1 && index.salt2 == from.salt2;
  std::map<std::uint32_t, std::string> open;
  std::uint64_t held = 0;
  while (!same_generation || scanner.place().frames < index.frames) {
    const auto bytes = log->frame(scanner.place().frames, (*header)->page_size);
    if (!bytes) return passed_on(bytes);
    const auto frame = scanner.next(*bytes);
    if (!frame) break;
    held += frame->content.size();
    if (held > options_.tail_bytes_max) return std::optional<Tail>();
    open[frame->page] = frame->content;
    if (!frame->commits()) continue;
    for (auto& [page, content] : open) tail.pages[page] = std::move(content);
    open.clear();
    tail.database_pages = frame->database_pages;
    tail.pages.erase(tail.pages.upper_bound(tail.database_pages), tail.pages.end());
    ++tail.commits;
    tail.place = scanner.committed();
  }
  // The log was reset and not written since: of its tail nobody can say how much of it was ever visible.
  if (visible_known && !same_generation && tail.commits > 0) return std::optional<Tail>();
  for (std::uint32_t page = chain_.ledger().pages() + 1; page <= tail.database_pages; ++page) {
    if (page != lock_page((*header)->page_size) && !tail.pages.contains(page)) return std::optional<Tail>();
  }
  return tail;
}

SegmentHeader Capture::next_header() const {
  const SegmentHeader& head = chain_.head();
  const WallTime captured = std::max(options_.clock.wall(), head.captured);  // a clock set back reorders nothing
  return {.page_size = file_.page_size,
          .lineage = lineage_,
          .epoch = epoch_,
          .first = head.last + 1,
          .last = head.last + 1,
          .begun = captured,
          .captured = captured,
          .pages_before = chain_.ledger().pages(),
          .before = chain_.ledger().digest(),
          .previous = chain_.link()};
}

Result<StepReport> Capture::ship(Tail tail) {
  std::vector<PageHash> changes;
  for (const auto& [page, content] : tail.pages) changes.push_back({page, hash_page(page, content)});
  SegmentHeader header = next_header();
  header.page_size = chain_.head().page_size;
  header.commits = tail.commits;
  header.pages_after = tail.database_pages;
  header.after = digest_with(chain_.ledger(), changes, tail.database_pages);
  header.position = {.kind = Position::Kind::kWal, .wal = tail.place};
  header.pages = static_cast<std::uint32_t>(changes.size());
  auto written = write_segment(header, [&](SegmentWriter& writer) -> Result<> {
    for (const auto& [page, content] : tail.pages)
      if (auto added = writer.add(page, content); !added) return added;
    return {};
  });
  if (written) written = store(header);
  if (!written) return passed_on(written);
  return StepReport{.what = StepReport::What::kShipped, .commits = tail.commits, .pages = header.pages};
}

Result<StepReport> Capture::compare(bool forked) {
  const Instant began = options_.clock.boot();
  StepReport report{.what = StepReport::What::kCompared, .forked = forked};
  SegmentHeader header;
  Position position;
  bool differs = false;
  std::optional<FileStamp> stamp;
  {
    auto frozen = FrozenDatabase::freeze(options_.database, options_.clock, options_.busy_max);
    if (!frozen) return passed_on(frozen);
    file_ = frozen->file();
    if (chain_.began() && file_.page_size != chain_.head().page_size)
      return failure(Code::kUnavailable, "the page size of " + options_.database + " is being changed");
    std::vector<PageHash> changes;
    for (std::uint32_t page = 1; page <= frozen->pages(); ++page) {
      if (page == lock_page(file_.page_size)) continue;
      const auto content = frozen->page(page);
      if (!content) return passed_on(content);
      const Digest hash = hash_page(page, *content);
      const bool is_new = page > chain_.ledger().pages();
      if (is_new || chain_.ledger().at(page) != hash) changes.push_back({page, hash});
    }
    position = frozen->position();
    differs = !chain_.began() || !changes.empty() || frozen->pages() != chain_.ledger().pages();
    header = next_header();
    header.compared = true;
    header.fork = forked;
    header.pages_after = frozen->pages();
    header.after = digest_with(chain_.ledger(), changes, frozen->pages());
    header.position = position;
    header.pages = static_cast<std::uint32_t>(changes.size());
    if (differs) {
      auto written = write_segment(header, [&](SegmentWriter& writer) -> Result<> {
        for (const PageHash& change : changes) {
          const auto content = frozen->page(change.page);
          if (!content) return passed_on(content);
          if (auto added = writer.add(change.page, *content); !added) return added;
        }
        return {};
      });
      if (!written) return passed_on(written);
    }
    const bool settled = options_.clock.wall() - file_.stamp.modified > kStampSettles;
    if (settled) stamp = file_.stamp;
  }
  report.frozen = options_.clock.boot() - began;
  report.pages = header.pages;
  if (header.is_snapshot()) report.what = StepReport::What::kSnapshot;
  if (differs) {
    if (auto stored = store(header); !stored) return passed_on(stored);
  }
  position_ = position;
  compared_ = stamp;
  pace_.compared(options_.clock.boot(), report.frozen);
  return report;
}

Result<> Capture::write_segment(const SegmentHeader& header, const std::function<Result<>(SegmentWriter&)>& content) {
  const Fd fd(::open(spool_path().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return failure(os_error(errno, "write " + spool_path()));
  SegmentWriter writer(header, options_.key, [&](std::string_view bytes) {
    return storage::write_all(fd.get(), bytes, "write " + spool_path());
  });
  if (auto added = content(writer); !added) return added;
  auto finished = writer.finish();
  if (!finished) return passed_on(finished);
  return {};
}

// Captured becomes stored: the ledger moves on by what was read back, and by nothing else.
Result<> Capture::store(const SegmentHeader& header) {
  const SegmentName name = name_of(header);
  const Fd fd(::open(spool_path().c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return failure(os_error(errno, "read " + spool_path()));
  auto upload = options_.destination->put(object_name(name));
  std::string buffer(std::size_t{1} << 20, '\0');
  Result<> written = upload ? Result<>() : passed_on(upload);
  while (written) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(os_error(errno, "read " + spool_path()));
    if (got == 0) break;
    written = (*upload)->write({buffer.data(), static_cast<std::size_t>(got)});
  }
  if (!written) return written;
  resumed_ = false;  // from here on the destination knows better than we do, until it was read
  if (auto stored = (*upload)->commit(); !stored) return passed_on(stored);
  if (auto applied = chain_.apply(*options_.destination, name, options_.key); !applied) {
    // Not what was written: it must not stay where a restore would meet it.
    if (applied.error().code() == Code::kInvalid) (void)options_.destination->remove(object_name(name));
    return applied;
  }
  resumed_ = true;
  position_ = chain_.head().position;
  compared_.reset();
  if (header.is_snapshot() || ++since_save_ >= options_.segments_per_save) return save();
  return {};
}

Result<> Capture::save() {
  if (!chain_.began() || !resumed_) return {};
  since_save_ = 0;
  return storage::write_file_atomically(ledger_path(), chain_.save(), 0600);
}

Result<bool> Capture::audit() {
  if (!resumed_ || !chain_.began()) return false;
  auto frozen = FrozenDatabase::freeze(options_.database, options_.clock, options_.busy_max);
  if (!frozen) return passed_on(frozen);
  const Position& now = frozen->position();
  const bool same_generation = now.kind == Position::Kind::kWal && position_.kind == Position::Kind::kWal &&
                               now.wal.salt1 == position_.wal.salt1 && now.wal.salt2 == position_.wal.salt2 &&
                               now.wal.frames >= position_.wal.frames;
  if (!same_generation && now != position_) return false;
  const std::uint64_t known = same_generation ? position_.wal.frames : 0;
  const bool grown = same_generation && now.wal.frames > known;
  std::uint32_t differs = !grown && frozen->pages() != chain_.ledger().pages() ? frozen->pages() : 0;
  const std::uint32_t pages = std::min(frozen->pages(), chain_.ledger().pages());
  for (std::uint32_t page = 1; differs == 0 && page <= pages; ++page) {
    if (page == lock_page(chain_.head().page_size) || (grown && frozen->is_behind(page, known))) continue;
    const auto content = frozen->page(page);
    if (!content) return passed_on(content);
    if (hash_page(page, *content) != chain_.ledger().at(page)) differs = page;
  }
  if (differs == 0) return true;
  const std::string what = "audit: page " + std::to_string(differs) + " is another than the chain says";
  if (auto begun = begin_epoch(options_.new_lineage(), 1, what); !begun) return passed_on(begun);
  return failure(Code::kInvalid, what + "; a new lineage begins");
}

}  // namespace nines::backup::continuous
