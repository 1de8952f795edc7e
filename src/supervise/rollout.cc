#include "supervise/rollout.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace nines::supervise {
namespace {

using What = RolloutOrder::What;

// A new replica that was ready may stumble once, as old ones may: somebody kills it, a check times out.
constexpr int kCrashesMost = 2;
constexpr Duration kUnreadyMost = 10s;
constexpr double kTrialPart = 0.05;
constexpr int kPieces = 5;  // of the time that two releases are compared
constexpr Duration kPieceMin = 500ms;
constexpr int kSlowInRow = 2;
constexpr int kPatience = 3;  // times the time that they are to be compared

bool coming(const Member& member) {
  return member.state == State::kWaiting || member.state == State::kStarting || member.state == State::kUnready ||
         member.state == State::kDraining || member.state == State::kStopping;
}

bool is_base(const Member& member) { return !member.spare && member.wanted; }

std::size_t base_count(std::span<const Member> members) {
  return static_cast<std::size_t>(std::ranges::count_if(members, is_base));
}

std::size_t ready_count(std::span<const Member> members) {
  return static_cast<std::size_t>(std::ranges::count(members, State::kReady, &Member::state));
}

// The one that is tried out: a spare. Without spares one that has the new release already, else one that serves nobody
// anyway, else the first.
std::optional<std::size_t> trial_of(std::span<const Member> members, ReleaseNumber to) {
  std::optional<std::size_t> best;
  int best_rank = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& one = members[i];
    const int rank = one.spare ? 4 : !one.wanted ? 0 : one.release == to ? 3 : one.state != State::kReady ? 2 : 1;
    if (rank <= best_rank) continue;
    best = i;
    best_rank = rank;
  }
  return best;
}

}  // namespace

std::string_view name_of(Stage stage) {
  switch (stage) {
    case Stage::kTrial: return "trial";
    case Stage::kHalf: return "half";
    case Stage::kAll: return "all";
    case Stage::kTidy: return "tidy";
    case Stage::kBack: return "back";
    case Stage::kEnded: return "ended";
  }
  return "unknown";
}

std::optional<Stage> stage_named(std::string_view name) {
  for (const Stage stage : {Stage::kTrial, Stage::kHalf, Stage::kAll, Stage::kTidy, Stage::kBack, Stage::kEnded}) {
    if (name_of(stage) == name) return stage;
  }
  return std::nullopt;
}

int trial_share(int others) {
  const double of_plain = others * kTrialPart / (1 - kTrialPart);
  return others == 0 ? 100 : std::clamp(static_cast<int>(std::lround(of_plain)), 1, 100);
}

bool Rollout::give_up(std::string why) {
  if (!memory_.forward()) return memory_.stage == Stage::kBack;
  memory_.why = std::move(why);
  enter(Stage::kBack);
  return true;
}

void Rollout::enter(Stage stage) {
  memory_.stage = stage;
  window_.reset();
}

std::vector<RolloutOrder> Rollout::next(Members members, Instant now) {
  Orders orders;
  const std::size_t all = base_count(members);
  if (memory_.forward()) {
    if (auto why = failure_of(members, now)) give_up(*std::move(why));
    // Nobody is to stand in for them, and nothing can be seen of the new release.
    if (all == 0) give_up("every replica is stopped");
  }
  // With a spare, the new release has one place more than the replicas say.
  const std::size_t half = limits_.surge > 0 ? all / 2 : (all + 1) / 2;
  if (memory_.stage == Stage::kTrial) try_out(members, now, orders);
  if (memory_.stage == Stage::kHalf) {
    const bool spares = run_spares(members, memory_.to, orders);
    if (converge(members, memory_.to, half, spares, orders) && spares && compared(members, now)) enter(Stage::kAll);
  }
  if (memory_.stage == Stage::kAll) {
    const bool spares = run_spares(members, memory_.to, orders);
    if (converge(members, memory_.to, all, spares, orders) && spares) enter(Stage::kTidy);
  }
  if (memory_.stage == Stage::kBack) {
    const auto replaced = [&](const Member& m) { return is_base(m) && m.release != memory_.from; };
    // As long as some are to be put back, a spare with the old release helps. One with the new release goes at once,
    // whatever becomes of the others.
    const bool helps = std::ranges::any_of(members, replaced);
    if (helps) run_spares(members, memory_.from, orders);
    const bool back = converge(members, memory_.from, all, true, orders) && !helps;
    if (!helps && retire_spares(members, back ? 0 : memory_.from, orders) && back) enter(Stage::kEnded);
  }
  if (memory_.stage == Stage::kTidy && retire_spares(members, 0, orders)) enter(Stage::kEnded);
  share(members, orders);
  return orders;
}

void Rollout::try_out(Members members, Instant now, Orders& orders) {
  const auto trial = trial_of(members, memory_.to);
  if (!memory_.judged || !trial) return enter(Stage::kAll);
  const Member& one = members[*trial];
  if (one.release != memory_.to || !one.wanted) {
    // With no spare, one of the replicas is missing meanwhile: not while another one is.
    if (!one.spare && one.state == State::kReady && ready_count(members) < base_count(members)) return;
    orders.push_back({one.spare ? What::kRun : What::kReplace, *trial, memory_.to});
    return;
  }
  if (one.state == State::kReady && compared(members, now)) enter(Stage::kHalf);
}

bool Rollout::run_spares(Members members, ReleaseNumber release, Orders& orders) {
  bool ready = true;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& one = members[i];
    if (!one.spare) continue;
    if (!one.wanted) {
      if (!coming(one)) orders.push_back({What::kRun, i, release});
    } else if (one.release != release &&
               !(one.next == release && (one.state == State::kDraining || one.state == State::kStopping))) {
      orders.push_back({What::kReplace, i, release});
    }
    ready = ready && one.wanted && one.release == release && one.state == State::kReady;
  }
  return ready;
}

bool Rollout::retire_spares(Members members, ReleaseNumber but, Orders& orders) {
  bool gone = true;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (!members[i].spare || members[i].state == State::kStopped) continue;
    if (but != 0 && members[i].release == but) continue;
    if (members[i].wanted) orders.push_back({What::kRetire, i});
    gone = false;
  }
  return gone;
}

bool Rollout::converge(Members members, ReleaseNumber target, std::size_t goal, bool may_spare, Orders& orders) {
  const std::size_t all = base_count(members);
  std::size_t have = 0, settled = 0, under_way = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& one = members[i];
    // What a person keeps stopped takes no part, and gets the release for when it is started again.
    if (!one.spare && !one.wanted && goal == all && one.next != target) orders.push_back({What::kReplace, i, target});
    if (!is_base(one)) continue;
    if (one.state == State::kDraining || one.state == State::kStopping) {
      // It is being replaced already, whoever wished it; what comes after it is ours.
      if (one.next != target && (goal == all || one.release == target)) orders.push_back({What::kReplace, i, target});
      ++have;
      ++under_way;
    } else if (one.release == target) {
      ++have;
      // The old release may have become unwell meanwhile, a database be gone: that is no matter of the deploy, and a
      // next one must not wait for it.
      const bool unwell = memory_.stage == Stage::kBack &&
                          (one.crashes > 0 || one.state == State::kUnready || one.state == State::kStopped);
      ++(one.state == State::kReady || unwell ? settled : under_way);
    }
  }
  const std::size_t at_a_time = static_cast<std::size_t>(std::max(limits_.surge, 1));
  // A spare of another release is about to go.
  auto ready = static_cast<std::size_t>(std::ranges::count_if(members, [target](const Member& one) {
    return one.state == State::kReady && (!one.spare || one.release == target);
  }));
  // Never below all but one, and never below one where a spare can stand in.
  const std::size_t enough = std::max<std::size_t>(all, limits_.surge > 0 ? 2 : 1) - 1;
  // Those that serve nobody go first: nothing is lost by them.
  for (const bool serving : {false, true}) {
    for (std::size_t i = 0; i < members.size() && have < goal && under_way < at_a_time; ++i) {
      const Member& one = members[i];
      if (!is_base(one) || one.release == target || one.state == State::kDraining || one.state == State::kStopping ||
          (one.state == State::kReady) != serving)
        continue;
      if (serving && (!may_spare || ready < enough + 1)) break;
      orders.push_back({What::kReplace, i, target});
      if (serving) --ready;
      ++have;
      ++under_way;
    }
  }
  return have >= goal && under_way == 0 && settled >= std::min(goal, all);
}

bool Rollout::compared(Members members, Instant now) {
  if (!memory_.judged) return true;
  std::vector<Evidence> seen;
  for (const Member& one : members) seen.push_back(one.seen);
  if (!window_ || window_->before.size() != seen.size())
    window_ = Window{.since = now, .before = seen, .piece_since = now, .piece_before = seen};
  const auto of_release = [&](const std::vector<Evidence>& before, bool fresh) {
    Evidence sum;
    for (std::size_t i = 0; i < members.size(); ++i)
      if ((members[i].release == memory_.to) == fresh) sum += seen[i] - before[i];
    return sum;
  };
  const Evidence old = of_release(window_->before, false);
  auto why = more_errors(old, of_release(window_->before, true), limits_.tolerance);
  const Duration piece = std::max<Duration>(limits_.bake / kPieces, kPieceMin);
  const Evidence fresh = of_release(window_->piece_before, true);
  if (!why && now - window_->piece_since >= piece && enough_to_compare(fresh)) {
    const auto slow = slower(of_release(window_->piece_before, false), fresh, limits_.tolerance);
    window_->slow_in_row = slow ? window_->slow_in_row + 1 : 0;
    if (window_->slow_in_row == kSlowInRow) why = slow;
    window_->judged = true;
    window_->piece_since = now;
    window_->piece_before = std::move(seen);
  }
  if (why) return give_up(*std::move(why)), false;
  // Where requests come, but few, a judgement is worth waiting for; and one that looks slow is looked at once more.
  const bool settled = (window_->judged && window_->slow_in_row == 0) || old.requests == 0;
  return now - window_->since >= (settled ? limits_.bake : limits_.bake * kPatience);
}

std::optional<std::string> Rollout::failure_of(Members members, Instant now) const {
  for (const Member& one : members) {
    if (one.release != memory_.to || !one.wanted) continue;
    const std::string detail = one.trouble.empty() ? "" : ": " + one.trouble;
    if (one.answers_wrong) return "a new replica answers its canary wrongly" + detail;
    if (one.crashes >= (one.was_ready ? kCrashesMost : 1)) return "a new replica does not stay up" + detail;
    if (one.state == State::kStopped) return "a new replica ended" + detail;
    if (one.state == State::kUnready && now - one.since >= kUnreadyMost)
      return "a new replica is not ready any more" + detail;
  }
  return std::nullopt;
}

void Rollout::share(Members members, Orders& orders) const {
  const auto trial = memory_.stage == Stage::kTrial ? trial_of(members, memory_.to) : std::nullopt;
  for (std::size_t i = 0; i < members.size(); ++i) {
    int others = 0;
    for (std::size_t other = 0; other < members.size(); ++other)
      if (other != i && is_base(members[other])) others += members[other].weight;
    const int percent = trial == i && memory_.judged ? trial_share(others) : 100;
    // Before it is started, so that it never gets more.
    orders.insert(orders.begin(), {What::kShare, i, 0, percent});
  }
}

std::string Rollout::progress(Members members) const {
  const ReleaseNumber target = memory_.stage == Stage::kBack ? memory_.from : memory_.to;
  const auto done = std::ranges::count_if(
      members, [&](const Member& one) { return is_base(one) && one.release == target && one.state == State::kReady; });
  const std::string counted = std::to_string(done) + " of " + std::to_string(base_count(members)) + " replicas";
  switch (memory_.stage) {
    case Stage::kTrial: return window_ ? "a new replica gets 5 % of the requests" : "a new replica is started";
    case Stage::kHalf: return counted + " are new" + (window_ ? ", and compared with the old ones" : "");
    case Stage::kAll: return counted + " are new";
    case Stage::kTidy: return "all replicas are new; what helped is stopped";
    case Stage::kBack: return counted + " have the old release";
    case Stage::kEnded: return memory_.undone() ? "rolled back" : "done";
  }
  return "";
}

}  // namespace nines::supervise
