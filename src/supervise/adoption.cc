#include "supervise/adoption.h"

#include <algorithm>
#include <utility>

namespace nines::supervise {
namespace {

bool is_the_one(const Found& found, const Expected& expected) {
  if (found.pid != expected.pid) return false;
  return expected.start_time != 0 ? found.start_time == expected.start_time : found.incarnation == expected.incarnation;
}

// Of the same incarnation, the first process began before what it started itself.
bool is_later(const Found& a, const Found& b) {
  if (a.incarnation != b.incarnation) return a.incarnation > b.incarnation;
  return std::pair(a.start_time, a.pid) < std::pair(b.start_time, b.pid);
}

std::optional<Found> choose(const Expected& expected, std::span<const Found> found) {
  std::optional<Found> latest;
  for (const Found& process : found) {
    if (process.part != expected.part || !process.leader) continue;
    if (is_the_one(process, expected)) return process;
    // What carries the book's own incarnation, or an older one, is left of a process that has ended.
    if (process.incarnation <= expected.incarnation) continue;
    if (!latest || is_later(process, *latest)) latest = process;
  }
  return latest;
}

}  // namespace

AdoptionPlan plan_adoption(std::span<const Expected> expected, std::span<const Found> found) {
  AdoptionPlan plan;
  for (const Expected& part : expected) {
    Adoption adoption{.process = choose(part, found)};
    adoption.exit_due = part.pid != 0 && !(adoption.process && is_the_one(*adoption.process, part));
    plan.parts.push_back(std::move(adoption));
  }
  for (const Found& process : found) {
    plan.incarnations = std::max(plan.incarnations, process.incarnation);
    // The first process itself, and what it has started, also in a session of its own.
    const bool adopted = std::ranges::any_of(plan.parts, [&](const Adoption& adoption) {
      return adoption.process && adoption.process->part == process.part &&
             adoption.process->incarnation == process.incarnation;
    });
    if (!adopted) plan.end.push_back(process);
  }
  return plan;
}

}  // namespace nines::supervise
