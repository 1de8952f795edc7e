#include "backup/continuous/policy.h"

namespace nines::backup::continuous {
namespace {

bool is_same_generation(const WalHeader& log, const WalPlace& place) {
  return log.salt1 == place.salt1 && log.salt2 == place.salt2;
}

Order in_log(const Sight& sight, const WalPlace& place) {
  if (!sight.log) return Order::kCompare;
  if (is_same_generation(*sight.log, place)) return sight.last_there ? Order::kReadOn : Order::kCompareForked;
  const bool next_generation = sight.log->salt1 == place.salt1 + 1;
  return next_generation && sight.last_there && !sight.more_behind ? Order::kReadNext : Order::kCompare;
}

// The log was empty: `place` has the salts that its next generation will have, as far as that was known.
Order at_empty_log(const Sight& sight, const WalPlace& place) {
  const bool still_old = !sight.log || sight.log->salt1 + 1 == place.salt1;
  if (still_old) return sight.file_changed ? Order::kCompare : Order::kNothing;
  return is_same_generation(*sight.log, place) ? Order::kReadNext : Order::kCompare;
}

Order wanted(const Sight& sight, const Position& position) {
  const bool was_wal = position.kind != Position::Kind::kRollback;
  if (sight.wal_mode != was_wal) return Order::kCompare;
  if (position.kind == Position::Kind::kWal) return in_log(sight, position.wal);
  if (position.kind == Position::Kind::kWalEmpty) return at_empty_log(sight, position.wal);
  // It counts up with each transaction, and around after four billion.
  const auto ahead = static_cast<std::int32_t>(sight.change_counter - position.change_counter);
  if (ahead < 0) return Order::kCompareForked;
  return ahead > 0 || sight.file_changed ? Order::kCompare : Order::kNothing;
}

}  // namespace

Order decide(const Sight& sight, const Position& position, const Pace& pace, Instant now) {
  const Order order = wanted(sight, position);
  const bool compares = order == Order::kCompare || order == Order::kCompareForked;
  return compares && now < pace.not_before ? Order::kWait : order;
}

}  // namespace nines::backup::continuous
