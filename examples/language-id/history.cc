#include "history.h"

#include <utility>

namespace nines::language_id {
namespace {

// synchronous = NORMAL: a crash of any process loses nothing; a power cut may lose the last moments, never the file.
constexpr const char* kSchema = R"sql(
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS classifications (
    request_id TEXT PRIMARY KEY,
    time TEXT NOT NULL,
    text TEXT NOT NULL,
    label TEXT NOT NULL,
    confidence REAL NOT NULL,
    pid INTEGER NOT NULL
  );
  CREATE INDEX IF NOT EXISTS classifications_by_time ON classifications (time);
)sql";

constexpr const char* kInsert =
    "INSERT OR IGNORE INTO classifications (request_id, time, text, label, confidence, pid) VALUES (?, ?, ?, ?, ?, ?)";

constexpr const char* kNewest =
    "SELECT request_id, time, text, label, confidence, pid FROM classifications ORDER BY time DESC, rowid DESC LIMIT ?";

}  // namespace

History::History(HistoryOptions options) : options_(std::move(options)), thread_([this] { work(); }) {}

void History::add(HistoryRow row) {
  {
    const std::lock_guard lock(mutex_);
    if (closing_ || counts_.queued >= options_.queue_max) {
      ++counts_.dropped;
      return;
    }
    ++counts_.queued;
    queue_.push_back(std::move(row));
  }
  wake_.notify_one();
}

History::Counts History::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void History::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void History::work() {
  // Opening comes before the first row, so that trouble is known at once.
  if (auto opened = ensure_open(); !opened) on_trouble(opened.error());
  while (true) {
    const bool last = wait_for_rows();
    const auto written = write_batch();
    if (written) {
      on_written();
    } else {
      on_trouble(written.error());
    }
    if (last && (!written || counts().queued == 0)) break;
  }
  drop_rest();
}

// Returns when there is something to write, or to try again. True: we are closing.
bool History::wait_for_rows() {
  std::unique_lock lock(mutex_);
  if (counts_.trouble.empty()) {
    wake_.wait(lock, [this] { return closing_ || counts_.queued > 0; });
  } else {
    wake_.wait_for(lock, options_.retry_pause, [this] { return closing_; });
  }
  return closing_;
}

Result<> History::write_batch() {
  if (open_ && open_->database.moved()) open_.reset();
  if (auto opened = ensure_open(); !opened) return opened;
  {
    const std::lock_guard lock(mutex_);
    while (batch_.size() < options_.batch_max && !queue_.empty()) {
      batch_.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
  }
  if (batch_.empty()) return {};
  auto inserted = insert_batch();
  // Whatever it was, a new connection is a new start: the file may have been put back, or be another.
  if (!inserted) open_.reset();
  return inserted;
}

Result<> History::ensure_open() {
  if (open_) return {};
  auto database = Database::open(options_.path, Database::Access::kCreate, options_.busy_timeout);
  if (!database) return failure(std::move(database.error()));
  if (auto created = database->run(kSchema); !created) return created;
  auto insert = database->prepare(kInsert);
  if (!insert) return failure(std::move(insert.error()));
  open_.emplace(std::move(*database), std::move(*insert));
  return {};
}

Result<> History::insert_batch() {
  // Immediate: waiting for the lock happens here, where the busy timeout counts, and not in the middle.
  if (auto begun = open_->database.run("BEGIN IMMEDIATE"); !begun) return begun;
  for (const HistoryRow& row : batch_) {
    Statement& insert = open_->insert;
    insert.bind(1, row.request_id);
    insert.bind(2, row.time);
    insert.bind(3, row.text);
    insert.bind(4, row.label);
    insert.bind(5, row.confidence);
    insert.bind(6, row.pid);
    const auto stepped = insert.step();
    insert.reset();
    if (!stepped) return failure(stepped.error());
  }
  return open_->database.run("COMMIT");
}

void History::on_written() {
  {
    const std::lock_guard lock(mutex_);
    counts_.written += batch_.size();
    counts_.queued -= batch_.size();
    counts_.trouble.clear();
  }
  batch_.clear();
  failures_ = 0;
  if (std::exchange(said_, false)) options_.log("the history in " + options_.path + " can be written again");
}

void History::on_trouble(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    counts_.trouble = error.text();
  }
  // Replicas that create the file at the same moment lock each other out for an instant: no news yet.
  if (++failures_ == 1 && error.code() == Code::kUnavailable) return;
  if (std::exchange(said_, true)) return;
  options_.log("the history in " + options_.path + " cannot be written: " + error.text() + "; answers go on, up to " +
               std::to_string(options_.queue_max) + " rows wait");
}

void History::drop_rest() {
  std::uint64_t lost = 0;
  {
    const std::lock_guard lock(mutex_);
    lost = std::exchange(counts_.queued, 0);
    counts_.dropped += lost;
    queue_.clear();
  }
  batch_.clear();
  open_.reset();
  if (lost > 0) options_.log(std::to_string(lost) + " rows of the history could not be written and are lost");
}

Result<std::vector<HistoryRow>> History::newest(int limit) const {
  auto database = Database::open(options_.path, Database::Access::kExisting, options_.busy_timeout);
  if (!database) return failure(std::move(database.error()));
  auto select = database->prepare(kNewest);
  if (!select) return failure(std::move(select.error()));
  select->bind(1, std::int64_t{limit});
  std::vector<HistoryRow> rows;
  while (true) {
    auto row = select->step();
    if (!row) return failure(std::move(row.error()));
    if (!*row) return rows;
    rows.push_back({.request_id = select->text(0),
                    .time = select->text(1),
                    .text = select->text(2),
                    .label = select->text(3),
                    .confidence = select->real(4),
                    .pid = select->integer(5)});
  }
}

}  // namespace nines::language_id
