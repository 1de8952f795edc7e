#include "app/deployment.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/check.h"

namespace nines::app {

using plane::EventKind;
using supervise::Stage;

namespace {

constexpr Duration kLook = 250ms;

// The file, or a folder above it, is one of replicas.files.
bool is_guarded(const config::Launch& launch, const std::string& path) {
  return std::ranges::any_of(launch.files, [&](const std::string& entry) {
    return path == entry || path.starts_with(entry.ends_with('/') ? entry : entry + "/");
  });
}

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
  if (first) forget_staged();
  const SharedRelease before = active();
  const bool other = !before || (first && !releases_.rollout && before->launch != configured);
  if (const SharedRelease bad = other && before ? rolled_back(configured) : nullptr) {
    hooks_.warn("nines.yaml says what release " + std::to_string(bad->number) + " was, which was rolled back (" +
                bad->why + "); goes on with release " + std::to_string(before->number) +
                ". `nines deploy` tries it again");
  } else if (other) {
    Release release{.launch = configured,
                    .what = before ? difference(before->launch, configured) : "",
                    .by = "nines up",
                    .at = now,
                    .outcome = Release::Outcome::kDone,
                    .ended = now};
    if (before) release.files = before->files, release.staged = before->staged;
    // What is not guarded any more is nobody's business.
    std::erase_if(release.files, [&](const auto& file) { return !is_guarded(configured, file.first); });
    std::erase_if(release.staged, [&](const std::string& path) { return !release.files.contains(path); });
    const SharedRelease added = releases_.find(releases_.add(std::move(release)).number);
    releases_.active = added->number;
    if (auto staged = stage(*added); !staged) hooks_.warn(staged.error().text());
  }
  if (!before || first || releases_.active != before->number) (void)keep();
  if (releases_.rollout) begin(*releases_.rollout);
}

// What deploys have left that are over.
void Deployment::forget_staged() const {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(service_.paths.state + "/staged", error)) {
    const std::string name = entry.path().filename().native();
    const bool needed = name == std::to_string(releases_.active) ||
                        (releases_.rollout && name == std::to_string(releases_.rollout->to));
    if (!needed) std::filesystem::remove_all(entry.path(), error);
  }
}

// The last one with this launch, if it was rolled back.
SharedRelease Deployment::rolled_back(const config::Launch& launch) const {
  SharedRelease last;
  for (const SharedRelease& release : releases_.all())
    if (release->launch == launch) last = release;
  return last && last->outcome == Release::Outcome::kRolledBack ? last : nullptr;
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

Result<ReleaseNumber> Deployment::deploy(Wanted wanted, const std::string& by) {
  // One that is being taken back may wait for an old release that cannot start any more: a new one need not.
  if (under_way() && !(releases_.rollout->undone() && releases_.rollout->from != releases_.rollout->to))
    return failure(Code::kExists, "the deploy of release " + std::to_string(releases_.rollout->to) +
                                      " is under way; `nines rollback` ends it");
  if (std::ranges::none_of(units_, [](const auto& unit) { return !unit->spare() && unit->held_by().empty(); }))
    return failure(Code::kRefused, "every replica is stopped, so nothing could be seen of a new release; start one");
  const SharedRelease present = active();
  if (auto stays = stays_in_place(present->launch, wanted.launch); !stays) return failure(std::move(stays.error()));
  if (wanted.launch.container && !wanted.files.empty())
    return failure(Code::kRefused, "what is in a container comes with its image: deploy another image");
  Release release{.launch = std::move(wanted.launch), .files = present->files, .staged = present->staged, .by = by};
  std::erase_if(release.files, [&](const auto& file) { return !is_guarded(release.launch, file.first); });
  std::erase_if(release.staged, [&](const std::string& path) { return !release.files.contains(path); });
  release.what = difference(present->launch, release.launch);
  for (const auto& [path, digest] : wanted.files) {
    if (!release.files.contains(path))
      return failure(Code::kNotFound, path + " is not (yet) one of the files that are guarded (replicas.files): " +
                                          "name it there, or wait until it has been read");
    if (release.files[path] == digest) continue;
    release.files[path] = digest;
    release.staged.insert(path);
    release.what += (release.what.empty() ? "" : ", ") + path;
  }
  if (release.what.empty() && !wanted.again)
    return failure(Code::kInvalid,
                   "nothing to deploy: command, environment, files and the rest are as in release " +
                       std::to_string(present->number) +
                       "; --again replaces the replicas all the same, for code that changed behind the same command");
  if (release.what.empty()) release.what = "the same again";
  return start(std::move(release), true);
}

Result<ReleaseNumber> Deployment::start(Release release, bool judged) {
  const Releases before = releases_;
  release.at = net::wall_time();
  // One that is being taken back gives way, but only now that this one can begin.
  if (releases_.rollout)
    releases_.end(releases_.rollout->to, Release::Outcome::kRolledBack, releases_.rollout->why, release.at);
  const ReleaseNumber number = releases_.add(std::move(release)).number;
  releases_.rollout = supervise::RolloutMemory{.from = releases_.active, .to = number, .judged = judged};
  auto begun = stage(*releases_.find(number));
  if (begun && !keep()) begun = failure(Code::kIo, problem_);
  if (!begun) {
    releases_ = before;
    return failure(std::move(begun.error()));
  }
  const SharedRelease one = releases_.find(number);
  note(EventKind::kDeployBegan, number, one->what + ", by " + one->by);
  begin(*releases_.rollout);
  step();
  return number;
}

Result<> Deployment::stage(const Release& release) const {
  if (release.staged.empty()) return {};
  const Paths& paths = service_.paths;
  if (release.launch.user)
    return failure(Code::kRefused, "another user than nines' own (replicas.user) cannot read the copies in " +
                                       paths.state +
                                       ", from which a new file is tried out; stop the service, replace it, start it");
  const std::string into = paths.staged_files(release.number);
  if (auto staged = stage_files(release, paths.folder, backup::FileStore(paths.file_store()), into); !staged)
    return staged;
  const auto launch = launch_with_staged(release, paths.folder, into);
  return launch ? Result<>() : failure(launch.error());
}

Result<ReleaseNumber> Deployment::roll_back(std::optional<ReleaseNumber> number, const std::string& by) {
  const SharedRelease present = active();
  if (under_way() && !number) {
    const ReleaseNumber to = releases_.rollout->to;
    if (!rollout_->give_up("by " + by))
      return failure(Code::kRefused,
                     "release " + std::to_string(to) + " is the one already; once what helped is stopped, ask again");
    step();
    return releases_.rollout ? releases_.rollout->from : present->number;
  }
  if (under_way()) return failure(Code::kExists, "a deploy is under way; `nines rollback` without a number ends it");
  const SharedRelease back = number ? releases_.find(*number) : releases_.before(present->number);
  if (!back || back->number == present->number)
    return failure(Code::kNotFound, number ? "release " + std::to_string(*number) +
                                                 (back ? " is the present one" : " is not known (any more)")
                                           : "there is no release before the present one");
  Release release{.launch = back->launch,
                  .files = back->files,
                  .staged = present->staged,
                  .what = "back to release " + std::to_string(back->number),
                  .by = by};
  for (const auto& [path, digest] : back->files) {
    const auto now = present->files.find(path);
    if (now == present->files.end() || now->second != digest) release.staged.insert(path);
  }
  return start(std::move(release), false);
}

void Deployment::files_known(ReleaseNumber seen, const std::map<std::string, std::string>& digests) {
  if (seen != releases_.active) return;  // said before another became the one: at the next look
  releases_.change(releases_.active, [&](Release& release) {
    for (const auto& [path, digest] : digests) {
      release.files[path] = digest;
      release.staged.erase(path);
    }
  });
  (void)keep();
  renew_units();
}

void Deployment::file_placed(const std::string& path, const std::string& digest) {
  for (const SharedRelease& release : releases_.all()) {
    const auto found = release->files.find(path);
    if (found == release->files.end() || found->second != digest || !release->staged.contains(path)) continue;
    releases_.change(release->number, [&](Release& placed) { placed.staged.erase(path); });
    break;
  }
  (void)keep();
  renew_units();
}

// A release that was changed is another object: who will start by it is told.
void Deployment::renew_units() {
  for (const auto& unit : units_) unit->renew(releases_);
}

void Deployment::file_was_damaged(const std::string& path, Instant from, Instant until, std::uint64_t inode) {
  bool any = false;
  for (const auto& unit : units_) {
    if (unit->pid() == 0 || !unit->has_loaded(path, from, until, inode)) continue;
    any = releases_.spoiled.insert(unit->route().incarnation).second || any;
  }
  if (any) (void)keep();
  mend_spoiled();
}

// Those who have loaded a damaged file are replaced as in a deploy of the same release: each when others can be spared
// it.
void Deployment::mend_spoiled() {
  if (under_way() || suspended_ || releases_.spoiled.empty()) return;
  const std::size_t before = releases_.spoiled.size();
  std::erase_if(releases_.spoiled, [&](std::uint64_t incarnation) {
    return std::ranges::none_of(units_, [&](const auto& unit) {
      return !unit->spare() && unit->pid() != 0 && unit->route().incarnation == incarnation;
    });
  });
  if (releases_.spoiled.empty()) {
    if (before != 0) (void)keep();
    return;
  }
  releases_.rollout =
      supervise::RolloutMemory{.from = releases_.active, .to = releases_.active, .stage = Stage::kAll, .judged = false};
  if (!keep()) {
    releases_.rollout.reset();
    return;
  }
  begin(*releases_.rollout);
}

std::vector<supervise::Member> Deployment::members() const {
  std::vector<supervise::Member> all;
  for (std::size_t slot = 0; slot < units_.size(); ++slot) {
    all.push_back(units_[slot]->member(seen_of(table_.observed[slot])));
    if (units_[slot]->pid() != 0 && releases_.spoiled.contains(units_[slot]->route().incarnation))
      all.back().release = 0;
  }
  return all;
}

void Deployment::step() {
  if (!under_way() || suspended_) return;
  // At most a few rounds: a step may make the next one possible.
  for (int round = 0; round < 4 && under_way(); ++round) {
    const auto orders = rollout_->next(members(), loop_.now());
    const supervise::RolloutMemory before = *releases_.rollout;
    const bool changed = before != rollout_->memory();
    const bool rollout_undone = rollout_->memory().undone();
    if (changed) take(before);
    // First written down, then done.
    // But going back needs no disk: where there is no room, a bad release must not stay for it.
    if ((changed || !problem_.empty()) && !keep() && !rollout_undone) return;
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
  // A person's rollback says of what it replaced that it was bad, too.
  if (!back && !memory.judged && memory.from != memory.to)
    releases_.end(memory.from, Release::Outcome::kRolledBack, "by " + releases_.find(memory.to)->by, net::wall_time());
  // What mended the same release has no outcome of its own.
  if (memory.from != memory.to)
    releases_.end(memory.to, back ? Release::Outcome::kRolledBack : Release::Outcome::kDone, memory.why,
                  net::wall_time());
  std::error_code ignored;
  const ReleaseNumber left = back ? memory.to : memory.from;
  if (left != releases_.active) std::filesystem::remove_all(service_.paths.staged_files(left), ignored);
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
    mend_spoiled();
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
