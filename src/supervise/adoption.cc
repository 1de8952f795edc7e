#include "supervise/adoption.h"

#include <algorithm>

namespace nines::supervise {
namespace {

bool is_the_one(const Found& found, const Expected& expected) {
  if (expected.pid != 0 && expected.start_time != 0)
    return found.pid == expected.pid && found.start_time == expected.start_time;
  if (expected.pid != 0) return found.pid == expected.pid && found.incarnation == expected.incarnation;
  return expected.incarnation != 0 && found.incarnation == expected.incarnation;
}

std::optional<Found> choose(const Expected& expected, std::span<const Found> found) {
  std::optional<Found> latest;
  for (const Found& process : found) {
    if (process.part != expected.part || !process.leader) continue;
    if (is_the_one(process, expected)) return process;
    if (!latest || process.incarnation > latest->incarnation) latest = process;
  }
  return latest;
}

}  // namespace

AdoptionPlan plan_adoption(std::span<const Expected> expected, std::span<const Found> found, pid_t self, pid_t anchor) {
  AdoptionPlan plan;
  for (const Expected& part : expected) {
    Adoption adoption{.process = choose(part, found)};
    adoption.exit_due = part.pid != 0 && !(adoption.process && is_the_one(*adoption.process, part));
    plan.parts.push_back(std::move(adoption));
  }
  for (const Found& process : found) {
    plan.incarnations = std::max(plan.incarnations, process.incarnation);
    if (process.pid == self || process.pid == anchor) continue;
    // The leader itself, and what it has started.
    const bool adopted = std::ranges::any_of(plan.parts, [&](const Adoption& adoption) {
      return adoption.process && adoption.process->part == process.part &&
             adoption.process->incarnation == process.incarnation &&
             (!process.leader || adoption.process->pid == process.pid);
    });
    if (!adopted) plan.end.push_back(process);
  }
  return plan;
}

}  // namespace nines::supervise
