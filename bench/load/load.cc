#include "load/load.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "load/connection.h"
#include "load/histogram.h"

namespace nines::load {
namespace {

constexpr unsigned kConnectionsMax = 10'000;
constexpr std::uint64_t kWeightMax = 10'000;
// How far behind its schedule a rate-limited run may fall and still catch up.
constexpr Duration kCatchUpMax = 50ms;

std::chrono::steady_clock::time_point time_point_of(Instant t) {
  return std::chrono::steady_clock::time_point(t.since_boot);
}

std::string bytes_of(const RequestTemplate& request, const std::string& host) {
  std::string bytes = request.method + " " + request.path + " HTTP/1.1\r\nHost: " + host +
                      "\r\nUser-Agent: nines-load\r\nAccept: */*\r\n";
  if (!request.body.empty()) bytes += "Content-Type: " + request.content_type + "\r\n";
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    bytes += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  return bytes + "\r\n" + request.body;
}

bool fits_one_line(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Result<> check(const Options& options) {
  if (options.connections == 0 || options.connections > kConnectionsMax) {
    return failure(Code::kInvalid, "connections must be from 1 to " + std::to_string(kConnectionsMax));
  }
  if (options.timeout <= 0ns) return failure(Code::kInvalid, "the time-out must be more than nothing");
  if (options.rate_max < 0) return failure(Code::kInvalid, "the rate cannot be negative");
  std::uint64_t weights = 0;
  for (const auto& request : options.templates) {
    weights += request.weight;
    if (request.weight == 0) return failure(Code::kInvalid, "a request's weight must be at least 1");
    if (!request.path.starts_with('/') || !fits_one_line(request.path) || request.path.contains(' ')) {
      return failure(Code::kInvalid, "`" + request.path + "` is not a path: it starts with / and has no space");
    }
    if (request.method.empty() || !fits_one_line(request.method) || request.method.contains(' ') ||
        !fits_one_line(request.content_type)) {
      return failure(Code::kInvalid, "a method or content type that is none");
    }
  }
  if (weights > kWeightMax) return failure(Code::kInvalid, "weights add up to more than " + std::to_string(kWeightMax));
  return {};
}

// Smooth weighted round robin: 1:1 alternates, 2:1 plays A B A, never a block of one kind.
class Rotation {
 public:
  Rotation(const std::vector<RequestTemplate>& templates, unsigned skipped) : templates_(templates) {
    due_.resize(templates.size());
    for (const auto& request : templates) total_ += request.weight;
    for (unsigned i = 0; i < skipped % total_; ++i) next();
  }

  std::size_t next() {
    for (std::size_t i = 0; i < due_.size(); ++i) due_[i] += templates_[i].weight;
    const auto most = std::ranges::max_element(due_);
    *most -= total_;
    return static_cast<std::size_t>(most - due_.begin());
  }

 private:
  const std::vector<RequestTemplate>& templates_;
  std::vector<std::int64_t> due_;
  std::int64_t total_ = 0;
};

}  // namespace

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::kRefused: return "refused";
    case Kind::kConnect: return "connect";
    case Kind::kTimedOut: return "timed_out";
    case Kind::kReset: return "reset";
    case Kind::kClosed: return "closed";
    case Kind::kTruncated: return "truncated";
    case Kind::kClosedIdle: return "closed_idle";
    case Kind::kProtocol: return "protocol";
    case Kind::kStatus: return "status";
  }
  return "unknown";
}

double Snapshot::per_second() const {
  const double seconds = std::chrono::duration<double>(elapsed).count();
  return seconds > 0 ? static_cast<double>(requests()) / seconds : 0;
}

struct Load::Run {
  Options options;
  Address address;
  std::vector<std::string> bytes;  // of each template
  WallTime started_wall;
  Instant started, end;
  Duration interval{0};  // between two requests of a rate-limited run

  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  // Guarded by mutex:
  bool stopping = false;
  std::uint64_t begun = 0;
  unsigned active = 0;
  Instant next_slot, last_success, finished_at;
  Snapshot tally;
  Histogram latencies;

  std::vector<std::jthread> threads;  // last: joined before what they use goes

  void user(unsigned index);
  bool begin_request();
  void record(unsigned index, const RequestTemplate& request, const Connection& connection,
              const std::optional<Fault>& fault, Instant began);
  void pause(Duration d);
};

// Waits for this request's turn; false when no more are to be sent.
bool Load::Run::begin_request() {
  std::unique_lock lock(mutex);
  if (stopping || begun == options.requests || now() >= end) return false;
  ++begun;
  if (interval == 0ns) return true;
  const Instant slot = std::max(next_slot, now() + -std::max(interval, kCatchUpMax));
  next_slot = slot + interval;
  if (changed.wait_until(lock, time_point_of(std::min(slot, end)), [this] { return stopping; })) return false;
  return slot < end;
}

void Load::Run::pause(Duration d) {
  std::unique_lock lock(mutex);
  changed.wait_until(lock, time_point_of(std::min(now() + d, end)), [this] { return stopping; });
}

void Load::Run::user(unsigned index) {
  Connection connection(address, options.timeout);
  Rotation rotation(options.templates, index);
  while (begin_request()) {
    const std::size_t which = rotation.next();
    const RequestTemplate& request = options.templates[which];
    const std::uint64_t opened = connection.opened();
    const Instant began = now();
    const auto fault = connection.exchange(request.method, bytes[which]);
    {
      const std::scoped_lock lock(mutex);
      tally.opened += connection.opened() - opened;
      record(index, request, connection, fault, began);
    }
    if (fault && (fault->kind == Kind::kRefused || fault->kind == Kind::kConnect)) pause(options.pause_after_refusal);
  }
  const std::scoped_lock lock(mutex);
  if (--active > 0) return;
  finished_at = now();
  changed.notify_all();
}

void Load::Run::record(unsigned index, const RequestTemplate& request, const Connection& connection,
                       const std::optional<Fault>& fault, Instant began) {
  const ResponseParser& response = connection.response();
  const Instant ended = now();
  if (response.done()) {
    ++tally.by_status[response.status()];
    const std::string_view value = options.count_header.empty() ? "" : response.field(options.count_header);
    if (!value.empty()) {
      const auto known = tally.values.find(std::string(value));
      if (known != tally.values.end()) {
        ++known->second;
      } else if (tally.values.size() < Snapshot::kValuesMax) {
        tally.values.emplace(value, 1);
      }
    }
  }
  if (!fault && response.status() == 200) {
    ++tally.ok;
    latencies.add(ended - began);
    if (ended - last_success > tally.longest_gap) {
      tally.longest_gap = ended - last_success;
      tally.longest_gap_after = last_success - started;
    }
    last_success = std::max(last_success, ended);
    return;
  }

  const Kind kind = fault ? fault->kind : Kind::kStatus;
  ++tally.failed;
  ++tally.by_kind[kind];
  if (tally.failures.size() == Snapshot::kFailuresMax) return;
  tally.failures.push_back({.at = started_wall + (ended - started),
                            .after = ended - started,
                            .lasted = ended - began,
                            .kind = kind,
                            .status = response.status(),
                            .method = request.method,
                            .path = request.path,
                            .detail = fault ? fault->detail : "status " + std::to_string(response.status()),
                            .body = response.body_start(),
                            .request_id = std::string(response.field("x-request-id")),
                            .connection = index});
}

Result<Load> Load::start(Options options) {
  if (auto checked = check(options); !checked) return failure(checked.error());
  auto address = Address::parse(options.address);
  if (!address) return failure(address.error());
  if (options.templates.empty()) options.templates.emplace_back();

  auto run = std::make_unique<Run>();
  run->options = std::move(options);
  run->address = *address;
  for (const auto& request : run->options.templates) run->bytes.push_back(bytes_of(request, run->options.address));
  if (run->options.rate_max > 0) {
    run->interval = Duration(std::max<std::int64_t>(1, static_cast<std::int64_t>(1e9 / run->options.rate_max)));
  }
  run->started_wall = std::chrono::system_clock::now();
  run->started = run->next_slot = run->last_success = now();
  run->end = run->started + run->options.duration;
  run->active = run->options.connections;
  run->threads.reserve(run->options.connections);
  for (unsigned i = 0; i < run->options.connections; ++i) {
    run->threads.emplace_back([r = run.get(), i] { r->user(i); });
  }
  return Load(std::move(run));
}

Load::Load(std::unique_ptr<Run> run) : run_(std::move(run)) {}
Load::Load(Load&&) noexcept = default;
Load& Load::operator=(Load&& other) noexcept {
  if (this == &other) return *this;
  if (run_) stop();
  run_ = std::move(other.run_);
  return *this;
}
Load::~Load() {
  if (run_) stop();
}

Snapshot Load::snapshot() const {
  Histogram latencies;
  Snapshot result;
  Instant last_success;
  Instant until;
  {
    const std::scoped_lock lock(run_->mutex);
    result = run_->tally;
    latencies = run_->latencies;
    last_success = run_->last_success;
    result.finished = run_->active == 0;
    until = result.finished ? run_->finished_at : now();
  }
  result.started = run_->started_wall;
  result.elapsed = until - run_->started;
  if (until - last_success > result.longest_gap) {
    result.longest_gap = until - last_success;
    result.longest_gap_after = last_success - run_->started;
  }
  result.p50 = latencies.percentile(0.5);
  result.p99 = latencies.percentile(0.99);
  result.p999 = latencies.percentile(0.999);
  result.max = latencies.max();
  return result;
}

bool Load::finished() const {
  const std::scoped_lock lock(run_->mutex);
  return run_->active == 0;
}

void Load::wait() const {
  std::unique_lock lock(run_->mutex);
  run_->changed.wait(lock, [this] { return run_->active == 0; });
}

Snapshot Load::stop() {
  {
    const std::scoped_lock lock(run_->mutex);
    run_->stopping = true;
    run_->changed.notify_all();
  }
  run_->threads.clear();
  return snapshot();
}

}  // namespace nines::load
