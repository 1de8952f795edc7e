#include "app/measurement.h"

#include <algorithm>
#include <ranges>

#include "app/process_contract.h"
#include "app/state_file.h"
#include "ledger/reader.h"

namespace nines::app {
namespace {

constexpr std::int64_t kToldAfterwards = 1;  // plane::EventKind::kServiceStopping

// An outage that the record has not seen the end of: it was told by a keeper of another table.
std::optional<ledger::Row> open_outage(const ledger::Reader& reader) {
  std::optional<ledger::Row> last;
  for (const char* const kind : {"service_down", "service_degraded", "service_up"}) {
    const auto rows = reader.rows({.kind = kind, .limit = 1, .newest = true});
    if (rows && !rows->empty() && (!last || last->seq < rows->front().seq)) last = rows->front();
  }
  return last && last->event.kind != "service_up" ? last : std::nullopt;
}

// Who ended the service before this table, if nothing was started since.
std::optional<Remains::Stop> last_stop(const ledger::Reader& reader, std::uint64_t this_table) {
  const auto stops = reader.rows({.kind = "service_stopping", .limit = 1, .newest = true});
  const auto starts = reader.rows({.kind = "service_started", .limit = 2, .newest = true});
  if (!stops || stops->empty() || !starts) return std::nullopt;
  const ledger::Row& stop = stops->front();
  // The present start may be in the record already.
  const bool started = std::ranges::any_of(
      *starts, [&](const ledger::Row& row) { return row.event.table_id != this_table && row.seq > stop.seq; });
  if (started || stop.event.a == kToldAfterwards) return std::nullopt;
  return Remains::Stop{stop.event.text, stop.event.table_id};
}

std::string stop_in(const plane::Table& table) {
  const auto events = table.log.read(1).events;
  for (const plane::Event& event : events | std::views::reverse)
    if (event.kind == plane::EventKind::kServiceStopping) return event.text;
  return "nobody knows whom";
}

}  // namespace

Measurement::Measurement(net::EpollLoop& loop, plane::Table& table, Prober& prober, Recorder& recorder,
                         const Paths& paths)
    : loop_(loop),
      table_(table),
      prober_(prober),
      recorder_(recorder),
      beacon_file_(paths.beacon()),
      boot_id_(this_boot()),
      meter_(plane::metered_in(table).value_or(plane::Metered{})) {
  // What a predecessor had written down and not told any more.
  table_.keeper_events.publish(meter_.memory().told);
  if (meter_.memory().version != 0) return;
  Remains remains;
  bool in_trouble = false;
  // There may be none yet; or the recorder will say what is wrong with it.
  if (const auto reader = ledger::Reader::open(paths.ledger_file())) {
    if (const auto outage = open_outage(*reader)) {
      meter_.begin_in_trouble(outage->event.b, outage->event.kind == "service_down");
      in_trouble = true;
    }
    remains.last = reader->latest_sampled().value_or(std::nullopt);
    remains.stop = last_stop(*reader, table_.header.id);
  }
  if (auto sign = read_sign_of_life(beacon_file_)) remains.sign = std::move(*sign);
  // The table before ended as this one began; or it is this one, and its memory is gone.
  if (table_.header.carried != 0 || (remains.last && remains.last->table_id == table_.header.id)) return;
  const auto absence = absence_of(remains, boot_id_, loop_.wall_now());
  if (!absence) return;
  std::vector<Meter::Told> told;
  if (absence->why == Absence::Why::kStopped && !remains.stop)
    told.push_back({plane::EventKind::kServiceStopping, kToldAfterwards, 0, remains.sign->stopped_by, absence->from});
  if (absence->why != Absence::Why::kStopped) told.push_back({plane::EventKind::kHostDown, 0, 0, absence->text, {}});
  told.push_back({plane::EventKind::kServiceDown, absence->from - 1, absence->from, absence->text, {}});
  meter_.begin_after(absence->from, absence->to, std::move(told));
  if (!in_trouble) meter_.begin_in_trouble(absence->from, true);
}

Task<void> Measurement::run() {
  constexpr auto kSecond = Duration(1s);
  do {
    look();
    // On the second, so that a slice has ten of them.
    const Duration past = loop_.wall_now().time_since_epoch() % kSecond;
    if (!co_await loop_.sleep(kSecond - past + 1ms)) break;
  } while (true);
  happen(meter_.close(outcomes()));
}

std::array<std::uint64_t, plane::kOutcomes> Measurement::outcomes() const {
  std::array<std::uint64_t, plane::kOutcomes> counts{};
  for (std::size_t i = 0; i < plane::kOutcomes; ++i)
    counts[i] = table_.service.outcomes[i].load(std::memory_order_relaxed);
  return counts;
}

void Measurement::look() {
  const Prober::Counts probes = prober_.take_counts();
  // The second that has just passed.
  const std::int64_t second = std::chrono::floor<std::chrono::seconds>(loop_.wall_now()).time_since_epoch().count() - 1;
  Meter::Look look{.at = loop_.now(),
                   .wall = loop_.wall_now(),
                   .outcomes = outcomes(),
                   .given_up = table_.service.given_up.load(std::memory_order_relaxed),
                   .probe = prober_.last(),
                   .probes_good = probes.good,
                   .probes_bad = probes.bad,
                   .why = prober_.why(),
                   .maintenance = recorder_.in_maintenance(second)};
  happen(meter_.look(look));
}

// All of it at once: when the table keeps the memory.
void Measurement::happen(const Meter::Findings& findings) {
  plane::Metered& memory = meter_.memory();
  std::uint64_t slice = memory.slices - findings.closed.size();
  for (const plane::MeasuredSlice& closed : findings.closed) table_.slices[++slice % plane::kSlicesMax].store(closed);
  std::uint64_t number = memory.told - findings.told.size();
  for (const Meter::Told& told : findings.told) {
    const Duration ago = told.at_s ? loop_.wall_now() - WallTime(std::chrono::seconds(*told.at_s)) : 0ns;
    plane::Event event{.at_ns = (loop_.now().since_boot - ago).count(), .kind = told.kind, .a = told.a, .b = told.b};
    event.set_text(told.text);
    table_.keeper_events.prepare(event, ++number);
  }
  plane::keep(table_, memory);
  table_.keeper_events.publish(memory.told);
  if (!findings.told.empty()) net::Doorbell::ring(kBellToSupervisor);
  if (!findings.closed.empty()) recorder_.wake();
  give_sign_of_life();
}

void Measurement::give_sign_of_life() {
  if (!beacon_) {
    auto opened = Beacon::open(beacon_file_);
    if (!opened) return;  // no room, or no right to it: the recorder says the same of the ledger
    beacon_.emplace(std::move(*opened));
  }
  const bool stopping = table_.header.stopping != 0;
  if (!beacon_->renew({table_.header.id, boot_id_, meter_.memory().until_s, stopping ? stop_in(table_) : ""}))
    beacon_.reset();
}

}  // namespace nines::app
