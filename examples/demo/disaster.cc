#include "disaster.h"

namespace nines::demo {
namespace {

constexpr Duration kNoticing = 500ms;  // for the server to find that it cannot write
constexpr Duration kBetweenLooks = 20ms;

}  // namespace

Task<Result<Damage>> Disaster::strike() {
  const auto destroyed = destroy_middle(service_.database());
  if (!destroyed) co_return failure(destroyed.error());
  Damage damage{.destroyed = *destroyed, .integrity = integrity_of(service_.database())};
  const auto answers = co_await ask_all(loop_, service_);
  damage.asked = answers.size();
  damage.answered = right_ones(answers);
  for (const Instant until = loop_.now() + kNoticing;;) {
    auto found = co_await trouble();
    if (!found) co_return failure(std::move(found.error()));
    damage.trouble = std::move(*found);
    if (!damage.trouble.words.empty() || loop_.now() >= until) co_return damage;
    if (auto slept = co_await loop_.sleep(kBetweenLooks); !slept) co_return failure(slept.error());
  }
}

Task<Result<Repair>> Disaster::repair(const Backup& backup) {
  Repair repair{.before = backup.before};
  auto said = co_await service_.restore();
  if (!said) co_return failure(std::move(said.error()));
  repair.said = std::move(*said);
  repair.integrity = integrity_of(service_.database());
  const auto kept = rows_until(service_.database(), backup.before.last);
  const auto rows = rows_of(service_.database());
  if (!kept || !rows) co_return failure(kept ? rows.error() : kept.error());
  repair.kept = *kept;
  const auto answers = co_await ask_all(loop_, service_);
  repair.asked = answers.size();
  repair.answered = right_ones(answers);
  const auto status = co_await service_.status();
  if (!status) co_return failure(status.error());
  const auto count =
      co_await count_history(loop_, service_.database(), ready_ports(*status), rows->count + answers.size());
  if (!count) co_return failure(count.error());
  repair.added = count->rows - rows->count;
  co_return repair;
}

Task<Result<Trouble>> Disaster::trouble() {
  const auto status = co_await service_.status();
  if (!status) co_return failure(status.error());
  co_return co_await trouble_at(loop_, ready_ports(*status));
}

}  // namespace nines::demo
