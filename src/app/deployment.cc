#include "app/deployment.h"

#include <algorithm>
#include <cstdio>

#include "base/check.h"

namespace nines::app {

using plane::EventKind;
using supervise::Stage;

namespace {

constexpr Duration kLook = 250ms;

supervise::RolloutLimits limits_of(const config::Deploy& deploy) {
  return {.surge = deploy.surge,
          .bake = deploy.bake,
          .tolerance = {.errors = deploy.errors_percent / 100.0, .latency = deploy.latency_percent / 100.0}};
}

supervise::Evidence seen_of(const plane::Observed& observed) {
  return {.requests = observed.requests, .errors = observed.errors, .latency = observed.latency.snapshot()};
}

}  // namespace

Deployment::Deployment(net::EpollLoop& loop, const Service& service, plane::Table& table,
                       const std::vector<std::unique_ptr<ReplicaUnit>>& units, Hooks hooks)
    : loop_(loop), service_(service), table_(table), units_(units), hooks_(std::move(hooks)) {}

void Deployment::inherit(bool first) {
  const std::string file = service_.paths.releases_file();
  const config::Launch& configured = service_.config.replicas;
  const WallTime now = net::wall_time();
  if (auto loaded = Releases::load(file)) {
    releases_ = *std::move(loaded);
  } else if (loaded.error().code() != Code::kNotFound) {
    std::rename(file.c_str(), (file + ".damaged").c_str());
    hooks_.warn(loaded.error().text() + "; kept as " + file + ".damaged. The history of deploys begins anew");
  }
  if (first && releases_.rollout) {
    supervise::RolloutMemory& memory = *releases_.rollout;
    const ReleaseNumber to = memory.to;
    if (memory.forward() && releases_.find(to)->launch == configured) {
      hooks_.warn("goes on with the deploy of release " + std::to_string(to) + ", which was broken off");
      memory.stage = Stage::kTrial;
    } else {
      const bool done = releases_.active == to && !memory.undone();
      releases_.end(to, done ? Release::Outcome::kDone : Release::Outcome::kRolledBack,
                    done              ? ""
                    : memory.undone() ? memory.why
                                      : "the service went down, and nines.yaml says something else by now",
                    now);
      releases_.rollout.reset();
    }
  }
  const SharedRelease before = active();
  if (!before || (first && !releases_.rollout && before->launch != configured)) {
    const ReleaseNumber number =
        releases_.add(configured, before ? difference(before->launch, configured) : "", "nines up", now)
            .number;  // end() puts another in its place
    releases_.end(number, Release::Outcome::kDone, "", now);
    releases_.active = number;
  }
  (void)keep();
  if (releases_.rollout) begin(*releases_.rollout);
}

void Deployment::begin(supervise::RolloutMemory memory) {
  rollout_.emplace(limits_of(service_.config.replicas.deploy), std::move(memory));
}

SharedRelease Deployment::release_of(const plane::Route& route) const {
  auto release = releases_.find(route.release);
  return release ? release : active();
}

// The book, on the disk. Without it nothing is done that a successor would have to know of.
bool Deployment::keep() {
  const auto saved = releases_.save(service_.paths.releases_file());
  if (!saved && problem_.empty()) hooks_.warn(saved.error().text());
  problem_ = saved ? "" : saved.error().text();
  return saved.has_value();
}

namespace {

// Who looks after the replicas, processes or an engine, is settled when the service is started.
Result<> stays_in_place(const config::Launch& before, const config::Launch& after) {
  if (before.container.has_value() != after.container.has_value())
    return failure(Code::kRefused,
                   "a deploy does not turn processes into containers, nor back: `nines down`, then `nines up`");
  if (before.container && before.container->engine != after.container->engine)
    return failure(Code::kRefused, "a deploy does not change the container engine: `nines down`, then `nines up`");
  return {};
}

}  // namespace

Result<ReleaseNumber> Deployment::deploy(config::Launch launch, bool again, const std::string& by) {
  if (under_way())
    return failure(Code::kExists, "the deploy of release " + std::to_string(releases_.rollout->to) +
                                      " is under way; `nines rollback` ends it");
  if (std::ranges::none_of(units_, [](const auto& unit) { return !unit->spare() && unit->held_by().empty(); }))
    return failure(Code::kRefused, "every replica is stopped, so nothing could be seen of a new release; start one");
  const SharedRelease present = active();
  if (auto stays = stays_in_place(present->launch, launch); !stays) return failure(std::move(stays.error()));
  const std::string what = difference(present->launch, launch);
  if (what.empty() && !again)
    return failure(Code::kInvalid,
                   "nothing to deploy: command, environment and the rest are as in release " +
                       std::to_string(present->number) +
                       "; --again replaces the replicas all the same, for code that changed behind the same command");
  const Releases before = releases_;
  const Release& release =
      releases_.add(std::move(launch), what.empty() ? "the same again" : what, by, net::wall_time());
  releases_.rollout = supervise::RolloutMemory{.from = present->number, .to = release.number};
  if (!keep()) {
    releases_ = before;
    return failure(Code::kIo, problem_);
  }
  note(EventKind::kDeployBegan, release.number, release.what + ", by " + by);
  begin(*releases_.rollout);
  step();
  return release.number;
}

Result<ReleaseNumber> Deployment::roll_back(std::optional<ReleaseNumber> number, const std::string& by) {
  const ReleaseNumber present = releases_.active;
  if (under_way() && !number) {
    const ReleaseNumber to = releases_.rollout->to;
    if (!rollout_->give_up("by " + by))
      return failure(Code::kRefused,
                     "release " + std::to_string(to) + " is the one already; once what helped is stopped, ask again");
    step();
    return releases_.rollout ? releases_.rollout->from : present;
  }
  if (under_way()) return failure(Code::kExists, "a deploy is under way; `nines rollback` without a number ends it");
  const SharedRelease back = number ? releases_.find(*number) : releases_.before(present);
  if (!back || back->number == present)
    return failure(Code::kNotFound, number ? "release " + std::to_string(*number) +
                                                 (back ? " is the present one" : " is not known (any more)")
                                           : "there is no release before the present one");
  if (auto stays = stays_in_place(active()->launch, back->launch); !stays) return failure(std::move(stays.error()));
  const Releases before = releases_;
  const Release& release =
      releases_.add(back->launch, "back to release " + std::to_string(back->number), by, net::wall_time());
  releases_.rollout = supervise::RolloutMemory{.from = present, .to = release.number, .judged = false};
  if (!keep()) {
    releases_ = before;
    return failure(Code::kIo, problem_);
  }
  note(EventKind::kDeployBegan, release.number, release.what + ", by " + by);
  begin(*releases_.rollout);
  step();
  return release.number;
}

std::vector<supervise::Member> Deployment::members() const {
  std::vector<supervise::Member> all;
  for (std::size_t slot = 0; slot < units_.size(); ++slot)
    all.push_back(units_[slot]->member(seen_of(table_.observed[slot])));
  return all;
}

void Deployment::step() {
  if (!under_way() || suspended_) return;
  // At most a few rounds: a step may make the next one possible.
  for (int round = 0; round < 4 && under_way(); ++round) {
    const auto orders = rollout_->next(members(), loop_.now());
    const supervise::RolloutMemory before = *releases_.rollout;
    const bool changed = before != rollout_->memory();
    if (changed) take(before);
    // First written down, then done.
    if ((changed || !problem_.empty()) && !keep()) return;
    for (const supervise::RolloutOrder& order : orders) perform(order);
    if (const std::string now = progress(); now != said_ && under_way()) {
      said_ = now;
      note(EventKind::kDeployMoved, releases_.rollout->to, now);
    }
    if (!changed) return;
  }
}

// What the rollout has decided, into the book.
void Deployment::take(const supervise::RolloutMemory& before) {
  const supervise::RolloutMemory memory = rollout_->memory();
  releases_.rollout = memory;
  const bool back = memory.undone();
  if (back && !before.undone()) note(EventKind::kDeployUndone, memory.to, memory.why);
  const bool decided = memory.stage == Stage::kTidy || memory.stage == Stage::kEnded;
  if (decided && !back && releases_.active != memory.to) {
    releases_.active = memory.to;
    note(EventKind::kDeployDone, memory.to, releases_.find(memory.to)->what);
  }
  if (!rollout_->ended()) return;
  releases_.end(memory.to, back ? Release::Outcome::kRolledBack : Release::Outcome::kDone, memory.why,
                net::wall_time());
  releases_.rollout.reset();
  rollout_.reset();
  said_.clear();
  for (const auto& unit : units_) unit->share_of_deploy(100);
}

void Deployment::perform(const supervise::RolloutOrder& order) {
  using What = supervise::RolloutOrder::What;
  ReplicaUnit& unit = *units_[order.member];
  const SharedRelease release = releases_.find(order.release);
  const std::string who = "the deploy of release " + std::to_string(releases_.rollout ? releases_.rollout->to : 0);
  switch (order.what) {
    case What::kShare: unit.share_of_deploy(order.percent); break;
    case What::kRetire: unit.retire(who); break;
    case What::kRun:
    case What::kReplace:
      INVARIANT(release);
      unit.replace(release, who);
      break;
  }
}

Task<void> Deployment::run() {
  while (co_await loop_.sleep(kLook)) {
    if (!under_way() && !problem_.empty()) (void)keep();
    step();
  }
}

std::string Deployment::progress() const { return rollout_ ? rollout_->progress(members()) : ""; }

void Deployment::note(EventKind kind, ReleaseNumber release, std::string_view text) {
  plane::Event event{.kind = kind, .a = static_cast<std::int64_t>(release)};
  event.set_text(text);
  hooks_.note(event);
}

}  // namespace nines::app
