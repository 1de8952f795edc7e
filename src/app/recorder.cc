#include "app/recorder.h"

#include <fcntl.h>

#include "app/state_file.h"
#include "net/timeout.h"
#include "plane/event_text.h"

namespace nines::app {
namespace {

constexpr Duration kTryAgain = 1s;  // after an error
constexpr Duration kPruneEvery = 1h;

Task<Result<>> rung(net::Doorbell& bell) { co_return co_await bell.rung(); }

}  // namespace

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

web::LedgerFacts Recorder::facts() const {
  const std::lock_guard lock(mutex_);
  return facts_;
}

Task<void> Recorder::run() {
  net::Doorbell bell(loop_, Fd(::fcntl(bell_.get(), F_DUPFD_CLOEXEC, 3)));
  while (true) {
    const auto taken = take();
    {
      const std::lock_guard lock(mutex_);
      facts_.problem = taken ? "" : taken.error().text();
      const auto size = ledger_ ? ledger_->size() : failure(Code::kUnavailable, "");
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
    table_.header.log_lost += *position == 0 ? 0 : read.lost;
    table_.header.log_taken = events.back().number;
  }
  if (pruned_ == Instant{} || loop_.now() - pruned_ >= kPruneEvery) {
    const auto pruned = ledger_->prune({}, {boot_id_, loop_.now(), loop_.wall_now()});
    if (!pruned) return failure(pruned.error());
    if (!pruned->more) pruned_ = loop_.now();
  }
  return {};
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
