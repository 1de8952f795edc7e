#include "app/recorder.h"

#include <fcntl.h>

#include <algorithm>

#include "app/absence.h"
#include "app/meter.h"
#include "app/state_file.h"
#include "ledger/reader.h"
#include "net/timeout.h"
#include "plane/event_text.h"

namespace nines::app {
namespace {

constexpr Duration kTryAgain = 1s;  // after an error
constexpr Duration kPruneEvery = 1h;

// What keepers before this one have heard of. nullopt: there is no record yet, or it cannot be read.
std::optional<ledger::Maintenance> declared_in(const std::string& file) {
  const auto reader = ledger::Reader::open(file);
  auto declared = reader ? reader->maintenance() : failure(reader.error());
  return declared ? std::optional(std::move(*declared)) : std::nullopt;
}

Task<Result<>> rung(net::Doorbell& bell) { co_return co_await bell.rung(); }

}  // namespace

std::string bytes_of(const Taken& taken) {
  std::string bytes;
  const auto put = [&bytes](std::uint64_t number) {
    for (unsigned shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(number >> shift & 0xff);
  };
  put(taken.slices);
  for (const std::uint64_t number : taken.outcomes) put(number);
  for (const std::uint64_t number : taken.latency) put(number);
  return bytes;
}

std::optional<Taken> taken_of(std::string_view bytes) {
  Taken taken;
  if (bytes.size() != 8 * (1 + taken.outcomes.size() + taken.latency.size())) return std::nullopt;
  const auto take = [&bytes] {
    std::uint64_t number = 0;
    for (unsigned i = 0; i < 8; ++i)
      number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << 8 * i;
    bytes.remove_prefix(8);
    return number;
  };
  taken.slices = take();
  for (std::uint64_t& number : taken.outcomes) number = take();
  for (std::uint64_t& number : taken.latency) number = take();
  return taken;
}

namespace {

std::uint64_t raise(std::uint64_t& before, std::uint64_t now) {
  const std::uint64_t more = now - std::min(now, before);
  before += more;
  return more;
}

}  // namespace

ledger::Slice slice_of(const plane::MeasuredSlice& measured, Taken& taken) {
  const auto outcome = [&](plane::Outcome which) {
    const auto i = static_cast<std::size_t>(which);
    return raise(taken.outcomes[i], measured.outcomes[i]);
  };
  return {.start = measured.start_s,
          .good = outcome(plane::Outcome::kGood),
          .bad = outcome(plane::Outcome::kBad),
          .excluded = outcome(plane::Outcome::kExcluded),
          .aborted = outcome(plane::Outcome::kAborted),
          .probes_good = measured.probes[0],
          .probes_bad = measured.probes[1],
          .up = measured.seconds[0],
          .degraded = measured.seconds[1],
          .down = measured.seconds[2],
          .maintenance_up = measured.seconds[3],
          .maintenance_degraded = measured.seconds[4],
          .maintenance_down = measured.seconds[5],
          .latency = {}};
}

void add_latency(ledger::Slice& slice, const plane::LatencyCounts& now, Taken& taken) {
  for (std::size_t bucket = 0; bucket < plane::kLatencyBuckets; ++bucket)
    if (const std::uint64_t count = raise(taken.latency[bucket], now[bucket]); count > 0)
      slice.latency[static_cast<std::uint16_t>(bucket)] += count;
}
static_assert(plane::kLatencyBuckets <= ledger::kBucketsMax);

Recorder::Recorder(plane::Table& table, const Paths& paths, std::vector<std::string> replicas)
    : table_(table),
      file_(paths.ledger_file()),
      replicas_(std::move(replicas)),
      boot_id_(this_boot()),
      maintenance_(declared_in(file_).value_or(ledger::Maintenance{})),
      bell_(net::Doorbell::make()),
      thread_([this] { loop_.run(run().under(until_stopped_)); }) {}

Recorder::~Recorder() {
  loop_.post([this] { until_stopped_.cancel(); });
  thread_.join();
}

void Recorder::wake() { net::Doorbell::ring(bell_.get()); }

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
    tell(taken);
    if ((co_await current_scope())->cancelled()) co_return;
    // Also without a ring now and then: whoever should have rung may have died just before.
    (void)co_await net::within(loop_, taken ? Duration(10s) : kTryAgain, rung(bell));
  }
}

void Recorder::tell(const Result<>& taken) {
  const auto size = ledger_ ? ledger_->size() : failure(Code::kUnavailable, "");
  const auto before = table_.record_problem.load().value_or(plane::Problem{});
  plane::Problem problem;
  if (!taken) {
    problem.since_ns = before.since_ns != 0 ? before.since_ns : loop_.now().since_boot.count();
    plane::set_field(problem.text, taken.error().text());
  }
  if (problem.since_ns != before.since_ns || std::string_view(problem.text) != before.text)
    table_.record_problem.store(problem);
  const std::lock_guard lock(mutex_);
  facts_.problem = taken ? "" : taken.error().text();
  facts_.slices_dropped = table_.header.slices_dropped;
  facts_.rows = size ? std::optional(size->rows) : std::nullopt;
}

Result<> Recorder::open() {
  auto opened = ledger::Ledger::open_or_set_aside(file_, now());
  if (!opened) return failure(std::move(opened.error()));
  ledger_.emplace(std::move(*opened));
  // A new one, in the place of one that was damaged, knows of none.
  auto declared = declared_in(file_);
  const std::lock_guard lock(mutex_);
  if (declared && maintenance_.windows().empty()) maintenance_ = std::move(*declared);
  return {};
}

// A damaged ledger is set aside by whoever opens it the next time.
Result<> Recorder::minded(Result<> result) {
  if (!result && result.error().code() == Code::kInvalid) ledger_.reset();
  return result;
}

Result<> Recorder::take() {
  if (!ledger_) {
    if (auto opened = open(); !opened) return opened;
  }
  if (auto taken = minded(take_log()); !taken) return taken;
  if (const auto metered = plane::metered_in(table_)) {
    if (auto taken = minded(take_gone(*metered)); !taken) return taken;
    if (auto taken = minded(take_slices(*metered)); !taken) return taken;
  }
  if (pruned_ != Instant{} && loop_.now() - pruned_ < kPruneEvery) return {};
  const auto pruned = ledger_->prune({}, now());
  if (!pruned) return minded(failure(pruned.error()));
  if (!pruned->more) pruned_ = loop_.now();
  return {};
}

Result<> Recorder::take_log() {
  const auto position = ledger_->position(table_.header.id);
  if (!position) return failure(position.error());
  const auto read = table_.log.read(*position + 1);
  std::vector<ledger::Event> events;
  for (const plane::Event& event : read.events) events.push_back(recorded(event));
  if (events.empty()) return {};
  if (const auto appended = ledger_->append(events); !appended) return failure(appended.error());
  {
    const std::lock_guard lock(mutex_);
    for (const ledger::Event& event : events) maintenance_.add(event);
  }
  table_.header.log_lost += *position == 0 ? 0 : read.lost;
  table_.header.log_taken = events.back().number;
  return {};
}

// The time in which nothing ran before this table: how far that is recorded is kept like how far slices are.
Result<> Recorder::take_gone(const plane::Metered& metered) {
  if (gone_taken_ || metered.gone_to_s == 0) return {};
  const auto sampled = ledger_->sampled(table_.header.id);
  if (!sampled) return failure(sampled.error());
  const auto taken = *sampled ? taken_of((*sampled)->counters) : std::nullopt;
  const bool begun = *sampled && taken && taken->slices == 0;
  const std::int64_t from = begun ? std::max((*sampled)->until, metered.gone_from_s) : metered.gone_from_s;
  if (*sampled && !begun) {
    gone_taken_ = true;  // there are slices already, which come after it
    return {};
  }
  ledger::Maintenance maintenance;
  {
    const std::lock_guard lock(mutex_);
    maintenance = maintenance_;
  }
  for (ledger::Stretch stretch : stretches_of(from, std::max(from, metered.gone_to_s), maintenance)) {
    ledger::Stretch step = stretch;
    while (step.from < stretch.to) {
      auto done = ledger_->fill(step, {table_.header.id, bytes_of({}), step.to, boot_id_}, now());
      const bool known = !done && done.error().code() == Code::kLimit;
      if (!done && !known) return failure(std::move(done.error()));
      const std::int64_t slice_end = ledger::start_of(ledger::Grain::kTenSeconds, step.from) + Meter::kSlice;
      // By a clock that was set back some of it is in the record already: slice by slice, as far as that goes.
      step.from = done ? *done : step.to > slice_end ? step.from : step.to;
      step.to = known && step.to > slice_end ? slice_end : stretch.to;
    }
  }
  gone_taken_ = true;
  return {};
}

namespace {

// One place is left to the slice that may be written meanwhile.
std::uint64_t oldest_of(const plane::Metered& metered) {
  return metered.slices - std::min<std::uint64_t>(metered.slices, plane::kSlicesMax - 1) + 1;
}

}  // namespace

// As of the last slice in the record.
Result<Taken> Recorder::taken_before(const plane::Metered& metered) {
  auto sampled = ledger_->sampled(table_.header.id);
  if (!sampled) return failure(std::move(sampled.error()));
  // A table of another layout, to which the counters of the one before were carried over.
  const bool carried = !*sampled && table_.header.carried != 0;
  if (carried) sampled = ledger_->latest_sampled();
  if (!sampled) return failure(std::move(sampled.error()));
  if (!*sampled) {
    const std::uint64_t oldest = oldest_of(metered);
    const auto slice = table_.slices[oldest % plane::kSlicesMax].load();
    // All slices of this table are here, and what was counted in it is theirs.
    if ((oldest == 1 && !carried) || metered.slices == 0 || !slice) return Taken{};
    // A record that was lost, of a table that is older than its slices: what was counted before them is nobody's.
    Taken taken{.slices = oldest, .latency = table_.service.latency.snapshot(), .until = slice->until_s};
    std::ranges::copy(slice->outcomes, taken.outcomes.begin());
    return taken;
  }
  auto taken = taken_of((*sampled)->counters);
  if (!taken) {  // of a version that counts otherwise: rather nothing than everything twice
    taken = Taken{.slices = carried ? 0 : metered.slices, .latency = table_.service.latency.snapshot()};
    for (std::size_t i = 0; i < plane::kOutcomes; ++i) taken->outcomes[i] = table_.service.outcomes[i];
  }
  taken->until = (*sampled)->until;
  if (carried) taken->slices = 0;
  return *taken;
}

Result<> Recorder::take_slices(const plane::Metered& metered) {
  auto taken = taken_before(metered);
  if (!taken) return failure(std::move(taken.error()));
  constexpr std::uint64_t kAtOnce = 500;
  while (taken->slices < metered.slices) {
    const std::uint64_t first = std::max(taken->slices + 1, oldest_of(metered));
    const std::uint64_t last = std::min(metered.slices, first + kAtOnce - 1);
    auto added = add_slices(*taken, first, last, last == metered.slices);
    if (added || added.error().code() != Code::kLimit) {
      if (!added) return added;
      continue;
    }
    // Seconds of one of them are in the record already, and are not told again: what was counted in it goes to the
    // next.
    added = add_slices(*taken, first, first, false);
    if (!added && added.error().code() == Code::kLimit) {
      taken->slices = first;
      added = keep({}, *taken);
      table_.header.slices_dropped += 1;
    }
    if (!added) return added;
  }
  return {};
}

// `taken` is as of their end when they are in the record, and else as it was.
Result<> Recorder::add_slices(Taken& taken, std::uint64_t first, std::uint64_t last, bool latencies) {
  std::vector<ledger::Slice> slices;
  Taken after = taken;
  for (std::uint64_t number = first; number <= last; ++number) {
    const auto measured = table_.slices[number % plane::kSlicesMax].load();
    if (!measured) continue;  // torn
    slices.push_back(slice_of(*measured, after));
    after.until = measured->until_s;
  }
  if (latencies && !slices.empty()) add_latency(slices.back(), table_.service.latency.snapshot(), after);
  after.slices = last;
  if (auto kept = keep(slices, after); !kept) return kept;
  table_.header.slices_dropped += last - taken.slices - slices.size();
  taken = after;
  return {};
}

Result<> Recorder::keep(std::span<const ledger::Slice> slices, const Taken& taken) {
  return ledger_->add(slices, {table_.header.id, bytes_of(taken), taken.until, boot_id_});
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
