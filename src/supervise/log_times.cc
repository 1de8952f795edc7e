#include "supervise/log_times.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

namespace nines::supervise {
namespace {

constexpr mode_t kMode = 0640;  // as the log's
constexpr auto kRecordBytes = static_cast<off_t>(sizeof(TimeRecord));
// A log that was modified so much later than its last record says has bytes without a record: the machine went down
// before the times were on disk, or somebody else wrote.
constexpr Duration kSlack = 1s;

}  // namespace

std::string times_file_of(const std::string& log) { return log + ".times"; }

void TimesWriter::open(const std::string& log, std::uint64_t size, WallTime modified) {
  path_ = times_file_of(log);
  count_ = 0;
  file_.reset(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kMode));
  if (trust_what_is_there(size, modified)) return;
  forget();
  if (size > 0) note(size, modified);
}

void TimesWriter::begin(const std::string& log) {
  path_ = times_file_of(log);
  forget();
}

// Takes over the records of bytes that are there, if they are about all of them.
bool TimesWriter::trust_what_is_there(std::uint64_t size, WallTime modified) {
  struct stat status{};
  if (!file_ || ::fstat(file_.get(), &status) != 0) return false;
  TimesReader reader(Fd(::fcntl(file_.get(), F_DUPFD_CLOEXEC, 3)));
  std::uint64_t read = 0;
  for (; const auto record = reader.next(); ++read) {
    if (record->offset >= size) continue;
    last_ = *record;
    count_ = read + 1;
  }
  const bool in_order = read == static_cast<std::uint64_t>(status.st_size / kRecordBytes);
  if (!in_order || count_ == 0 || modified - last_.at > kTimesSpan + kSlack) return false;
  return ::ftruncate(file_.get(), static_cast<off_t>(count_) * kRecordBytes) == 0;
}

void TimesWriter::note(std::uint64_t offset, WallTime at) {
  if (covers(at) && offset >= last_.offset) return;
  const bool lost = count_ > 0 && (count_ >= records_max_ || offset < last_.offset || was_removed());
  if (!file_ || lost) forget();
  // A record whose bytes could not be written makes room for this one: a full disk must not fill up with times. But a
  // first one that stands for what was there before says when that ended.
  const bool has_no_bytes = count_ > 0 && last_.offset == offset && (count_ > 1 || offset == 0);
  const std::uint64_t index = has_no_bytes ? count_ - 1 : count_;
  if (!write({offset, at}, index)) return forget();
  last_ = {offset, at};
  count_ = index + 1;
}

bool TimesWriter::was_removed() const {
  struct stat status{};
  return ::fstat(file_.get(), &status) != 0 || status.st_nlink == 0;
}

bool TimesWriter::write(TimeRecord record, std::uint64_t index) {
  if (!file_) return false;
  ssize_t size = 0;
  do size = ::pwrite(file_.get(), &record, sizeof record, static_cast<off_t>(index) * kRecordBytes);
  while (size < 0 && errno == EINTR);
  return size == kRecordBytes;
}

void TimesWriter::forget() {
  count_ = 0;
  file_.reset(::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, kMode));
  if (!file_) ::unlink(path_.c_str());  // no times are better than wrong ones
}

std::optional<TimeRecord> TimesReader::next() {
  if (broken_ || (taken_ == filled_ && !fill())) return std::nullopt;
  const TimeRecord record = buffer_[taken_++];
  constexpr std::uint64_t kOffsetMax = std::numeric_limits<off_t>::max();
  const bool possible = record.offset <= kOffsetMax && record.at > WallTime{} && record.at < WallTime::max() - 24h;
  broken_ = record.offset < offset_ || !possible;
  if (broken_) return std::nullopt;
  offset_ = record.offset;
  return record;
}

void TimesReader::rewind() {
  at_ = 0;
  taken_ = filled_ = 0;
  offset_ = 0;
  broken_ = false;
}

bool TimesReader::was_cut() const {
  struct stat status{};
  return file_ && ::fstat(file_.get(), &status) == 0 && status.st_size < at_;
}

bool TimesReader::fill() {
  if (!file_) return false;
  ssize_t size = 0;
  do size = ::pread(file_.get(), buffer_.data(), sizeof buffer_, at_);
  while (size < 0 && errno == EINTR);
  if (size < kRecordBytes) return false;
  taken_ = 0;
  filled_ = static_cast<std::size_t>(size / kRecordBytes);
  at_ += size / kRecordBytes * kRecordBytes;  // half a record is read again once it is whole
  return true;
}

void LineClock::refresh() {
  if (reader_.was_cut()) rewind();
  more_ = true;
}

std::optional<WallTime> LineClock::at(std::uint64_t offset) {
  while (true) {
    if (!next_ && more_) {
      next_ = reader_.next();
      more_ = next_.has_value();
    }
    if (!next_ || next_->offset > offset) break;
    current_ = std::exchange(next_, std::nullopt);
  }
  return current_ ? std::optional(current_->at) : std::nullopt;
}

void LineClock::rewind() {
  reader_.rewind();
  current_.reset();
  next_.reset();
  more_ = true;
}

}  // namespace nines::supervise
