#include "app/recorder.h"

#include <fcntl.h>

#include "app/state_file.h"
#include "ledger/reader.h"
#include "net/timeout.h"
#include "plane/event_text.h"

namespace nines::app {
namespace {

constexpr Duration kTryAgain = 1s;  // after an error
constexpr Duration kPruneEvery = 1h;

Task<Result<>> rung(net::Doorbell& bell) { co_return co_await bell.rung(); }

}  // namespace

std::string bytes_of(const Counters& counters) {
  std::string bytes;
  const auto put = [&bytes](std::uint64_t number) {
    for (unsigned shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(number >> shift & 0xff);
  };
  for (const std::uint64_t number : counters.outcomes) put(number);
  for (const std::uint64_t number : counters.latency) put(number);
  return bytes;
}

std::optional<Counters> counters_of(std::string_view bytes) {
  Counters counters;
  if (bytes.size() != 8 * (counters.outcomes.size() + counters.latency.size())) return std::nullopt;
  const auto take = [&bytes] {
    std::uint64_t number = 0;
    for (unsigned i = 0; i < 8; ++i)
      number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << 8 * i;
    bytes.remove_prefix(8);
    return number;
  };
  for (std::uint64_t& number : counters.outcomes) number = take();
  for (std::uint64_t& number : counters.latency) number = take();
  return counters;
}

ledger::Slice slice_of(const Measured& measured, const Counters& before) {
  const auto since = [](std::uint64_t now, std::uint64_t then) { return now >= then ? now - then : 0; };
  const auto outcome = [&](plane::Outcome which) {
    const auto i = static_cast<std::size_t>(which);
    return since(measured.counters.outcomes[i], before.outcomes[i]);
  };
  const Meter::Closed& closed = measured.slice;
  ledger::Slice slice{.start = closed.start,
                      .good = outcome(plane::Outcome::kGood),
                      .bad = outcome(plane::Outcome::kBad),
                      .excluded = outcome(plane::Outcome::kExcluded),
                      .aborted = outcome(plane::Outcome::kAborted),
                      .probes_good = closed.probes[0],
                      .probes_bad = closed.probes[1],
                      .up = closed.seconds[0],
                      .degraded = closed.seconds[1],
                      .down = closed.seconds[2],
                      .maintenance_up = closed.seconds[3],
                      .maintenance_degraded = closed.seconds[4],
                      .maintenance_down = closed.seconds[5],
                      .latency = {}};
  for (std::size_t bucket = 0; bucket < plane::kLatencyBuckets; ++bucket) {
    const std::uint64_t count = since(measured.counters.latency[bucket], before.latency[bucket]);
    if (count > 0) slice.latency[static_cast<std::uint16_t>(bucket)] = count;
  }
  return slice;
}
static_assert(plane::kLatencyBuckets <= ledger::kBucketsMax);

void advance(Counters& base, const Counters& now) {
  const auto at_least = [](std::uint64_t& old, std::uint64_t current) { old = std::max(old, current); };
  for (std::size_t i = 0; i < base.outcomes.size(); ++i) at_least(base.outcomes[i], now.outcomes[i]);
  for (std::size_t i = 0; i < base.latency.size(); ++i) at_least(base.latency[i], now.latency[i]);
}

Recorder::Recorder(plane::Table& table, const Paths& paths, std::vector<std::string> replicas)
    : table_(table),
      file_(paths.ledger_file()),
      replicas_(std::move(replicas)),
      boot_id_(this_boot()),
      bell_(net::Doorbell::make()),
      thread_([this] { loop_.run(run().under(until_stopped_)); }) {}

Recorder::~Recorder() {
  loop_.post([this] { until_stopped_.cancel(); });
  thread_.join();
}

void Recorder::wake() { net::Doorbell::ring(bell_.get()); }

void Recorder::add(const Measured& measured) {
  {
    const std::lock_guard lock(mutex_);
    if (measured_.size() >= kWaitingMax) {  // the oldest becomes unknown; what was counted in it goes to the next
      measured_.pop_front();
      ++slices_dropped_;
    }
    measured_.push_back(measured);
  }
  wake();
}

void Recorder::tell(plane::Event event) {
  {
    const std::lock_guard lock(mutex_);
    if (told_.size() >= kWaitingMax) told_.pop_front();
    told_.push_back(event);
  }
  wake();
}

bool Recorder::in_maintenance(std::int64_t second) const {
  const std::lock_guard lock(mutex_);
  return maintenance_.covers(second);
}

web::LedgerFacts Recorder::facts() const {
  const std::lock_guard lock(mutex_);
  return facts_;
}

Task<void> Recorder::run() {
  net::Doorbell bell(loop_, Fd(::fcntl(bell_.get(), F_DUPFD_CLOEXEC, 3)));
  while (true) {
    const auto taken = take();
    const auto size = ledger_ ? ledger_->size() : failure(Code::kUnavailable, "");
    {
      const std::lock_guard lock(mutex_);
      facts_.problem = taken ? "" : taken.error().text();
      facts_.slices_dropped = slices_dropped_;
      facts_.rows = size ? std::optional(size->rows) : std::nullopt;
    }
    if ((co_await current_scope())->cancelled()) co_return;
    // Also without a ring now and then: whoever should have rung may have died just before.
    (void)co_await net::within(loop_, taken ? Duration(10s) : kTryAgain, rung(bell));
  }
}

Result<> Recorder::open() {
  const ledger::Moment now{boot_id_, loop_.now(), loop_.wall_now()};
  auto opened = ledger::Ledger::open_or_set_aside(file_, now);
  if (!opened) return failure(std::move(opened.error()));
  ledger_.emplace(std::move(*opened));
  // What a keeper before this one has heard of.
  const auto reader = ledger::Reader::open(file_);
  auto declared = reader ? reader->maintenance() : failure(reader.error());
  const std::lock_guard lock(mutex_);
  if (declared) maintenance_ = std::move(*declared);
  return {};
}

Result<> Recorder::take() {
  if (!ledger_) {
    if (auto opened = open(); !opened) return opened;
  }
  const std::uint64_t table = table_.header.id;
  const auto position = ledger_->position(table);
  if (!position) return failure(position.error());
  const auto read = table_.log.read(*position + 1);
  std::vector<ledger::Event> events;
  for (const plane::Event& event : read.events) events.push_back(recorded(event));
  if (!events.empty()) {
    if (const auto appended = ledger_->append(events); !appended) {
      if (appended.error().code() == Code::kInvalid) ledger_.reset();
      return failure(appended.error());
    }
    {
      const std::lock_guard lock(mutex_);
      for (const ledger::Event& event : events) maintenance_.add(event);
    }
    table_.header.log_lost += *position == 0 ? 0 : read.lost;
    table_.header.log_taken = events.back().number;
  }
  if (auto told = take_told(); !told) return told;
  if (auto down = take_down(); !down) return down;
  if (auto measured = take_measured(); !measured) return measured;
  if (pruned_ == Instant{} || loop_.now() - pruned_ >= kPruneEvery) {
    const auto pruned = ledger_->prune({}, {boot_id_, loop_.now(), loop_.wall_now()});
    if (!pruned) return failure(pruned.error());
    if (!pruned->more) pruned_ = loop_.now();
  }
  return {};
}

Result<> Recorder::take_told() {
  std::vector<ledger::Event> events;
  {
    const std::lock_guard lock(mutex_);
    for (const plane::Event& event : told_) {
      events.push_back(recorded(event));
      events.back().table_id = 0;  // it is in no log
    }
  }
  if (events.empty()) return {};
  if (const auto appended = ledger_->append(events); !appended) {
    if (appended.error().code() == Code::kInvalid) ledger_.reset();
    return failure(appended.error());
  }
  const std::lock_guard lock(mutex_);
  told_.erase(told_.begin(), told_.begin() + static_cast<std::ptrdiff_t>(std::min(events.size(), told_.size())));
  return {};
}

void Recorder::add_down(std::int64_t from, std::int64_t to) {
  const std::lock_guard lock(mutex_);
  down_ = {from, to};
}

Result<> Recorder::take_down() {
  std::optional<std::pair<std::int64_t, std::int64_t>> down;
  {
    const std::lock_guard lock(mutex_);
    down = down_;
  }
  if (!down) return {};
  const auto added = ledger_->add_down(down->first, down->second, {boot_id_, loop_.now(), loop_.wall_now()});
  // A keeper before this one has said it already.
  if (!added && added.error().code() != Code::kLimit) {
    if (added.error().code() == Code::kInvalid) ledger_.reset();
    return added;
  }
  const std::lock_guard lock(mutex_);
  down_.reset();
  return {};
}

// What the counters were when the last slice of the record ended.
Result<Counters> Recorder::counters_before() {
  auto sampled = ledger_->sampled(table_.header.id);
  if (!sampled) return failure(std::move(sampled.error()));
  // A table of another layout, to which the counters of the one before were carried over.
  if (!*sampled && table_.header.carried != 0) sampled = ledger_->latest_sampled();
  if (!sampled) return failure(std::move(sampled.error()));
  if (!*sampled) return Counters{};
  return counters_of((*sampled)->counters).value_or(Counters{});
}

Result<> Recorder::take_measured() {
  std::vector<Measured> measured;
  {
    const std::lock_guard lock(mutex_);
    constexpr std::size_t kAtOnce = 500;
    measured.assign(measured_.begin(),
                    measured_.begin() + static_cast<std::ptrdiff_t>(std::min(measured_.size(), kAtOnce)));
  }
  if (measured.empty()) return {};
  auto added = add_to_ledger(measured);
  std::size_t taken = measured.size(), dropped = 0;
  if (!added && added.error().code() == Code::kLimit) {
    // Seconds of one of them are in the record already, and are not told again: what was counted in it goes to the
    // next.
    added = add_to_ledger(std::span(measured).first(1));
    taken = 1;
    if (!added && added.error().code() == Code::kLimit) {
      added = {};
      dropped = 1;
    }
  }
  if (!added) {
    if (added.error().code() == Code::kInvalid) ledger_.reset();
    return added;
  }
  {
    const std::lock_guard lock(mutex_);
    slices_dropped_ += dropped;
    measured_.erase(measured_.begin(),
                    measured_.begin() + static_cast<std::ptrdiff_t>(std::min(taken, measured_.size())));
  }
  if (taken < measured.size()) wake();
  return {};
}

Result<> Recorder::add_to_ledger(std::span<const Measured> measured) {
  auto before = counters_before();
  if (!before) return failure(std::move(before.error()));
  std::vector<ledger::Slice> slices;
  for (const Measured& one : measured) {
    slices.push_back(slice_of(one, *before));
    advance(*before, one.counters);
  }
  return ledger_->add(slices, {.table_id = table_.header.id,
                               .counters = bytes_of(*before),
                               .until = measured.back().until,
                               .boot_id = boot_id_});
}

ledger::Event Recorder::recorded(const plane::Event& event) const {
  std::string target = event.replica < replicas_.size() ? replicas_[event.replica] : std::string();
  if (target.empty()) target = plane::text_of(event, "").subject;
  return {.table_id = table_.header.id,
          .number = event.number,
          .when = {boot_id_, event.at(), loop_.wall_now() - (loop_.now() - event.at())},
          .kind = std::string(plane::name_of(event.kind)),
          .target = std::move(target),
          .pid = event.pid,
          .incarnation = event.incarnation,
          .a = event.a,
          .b = event.b,
          .text = event.text};
}

}  // namespace nines::app
