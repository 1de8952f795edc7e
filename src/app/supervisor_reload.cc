// The part of the supervisor that goes on with another configuration. A reload is a succession: the anchor gets the
// snapshot and the listening sockets of the next supervisor in one message, and from then on that is the service,
// whoever dies. Before it, nothing has changed.
#include <algorithm>

#include "app/descriptors.h"
#include "app/estate.h"
#include "app/listeners.h"
#include "app/process_contract.h"
#include "app/supervisor.h"

namespace nines::app {

using plane::EventKind;

// What is active: a deploy may have replaced what the snapshot says replicas are started from.
config::Config Supervisor::running_config() const {
  config::Config running = service_.config;
  if (const SharedRelease active = deployment_.active())
    static_cast<config::Launch&>(running.replicas) = active->launch;
  return running;
}

Result<> Supervisor::may_reload() const {
  if (phase_ == Phase::kStopping) return failure(Code::kRefused, "the service is going down");
  if (phase_ == Phase::kLeaving || !inherited_)
    return failure(Code::kUnavailable, "another supervisor is taking over: ask again");
  if (reload_) return failure(Code::kExists, "a reload is under way");
  if (deployment_.under_way())
    return failure(Code::kExists, "a deploy is under way; reload when it is over, or end it with `nines rollback`");
  if (anchor_gone_)
    return failure(Code::kRefused, "the anchor is gone: `nines upgrade` puts another in its place, then reload");
  return {};
}

// Those behind the first `count` are stopped before the others are known to serve.
Result<> Supervisor::may_shrink_to(std::size_t count) const {
  const auto serves = [](const auto& r) {
    return r->machine().state() == supervise::State::kReady && r->route().weight > 0;
  };
  if (!endpoints_.empty()) return {};  // nobody here stops them
  const auto present = std::span(replicas_).first(static_cast<std::size_t>(service_.config.replicas.count));
  if (count >= present.size()) return {};
  if (std::ranges::any_of(present.first(count), serves) || std::ranges::none_of(present.subspan(count), serves))
    return {};
  return failure(Code::kRefused, "replicas.count: with " + std::to_string(count) + " nobody would serve, since " +
                                     replicas_.front()->name() + (count > 1 ? " and those behind it are" : " is") +
                                     " not ready");
}

// The sockets of `wanted`, in order: those that are there stay, the others are opened.
Result<> Supervisor::open_sockets(const config::Config& wanted, Reload& reload) const {
  for (const config::Address& at : wanted.listen) {
    const auto& present = service_.config.listen;
    const auto same = std::ranges::find(present, at);
    if (same != present.end()) {
      reload.sockets.push_back(listeners_[static_cast<std::size_t>(same - present.begin())]);
      continue;
    }
    const auto covering = std::ranges::find(present, at.port, &config::Address::port);
    auto socket = open_listener(at);
    if (!socket && socket.error().code() == Code::kExists && covering != present.end())
      return failure(Code::kExists, "listen: " + at.text() + " cannot be opened while " + covering->text() +
                                        " is; reload to another port first, or `nines down`, then `nines up`");
    if (!socket) return failure(std::move(socket.error()).in("listen"));
    reload.sockets.push_back(socket->get());
    reload.opened.push_back(std::move(*socket));
  }
  return {};
}

Result<ReloadPlan> Supervisor::wish_reload(config::Config wanted, const std::string& who, bool only_ask) {
  if (auto may = may_reload(); !may) return failure(std::move(may.error()));
  auto plan = plan_reload(running_config(), std::move(wanted));
  if (!plan) return plan;
  Reload reload{.who = who, .snapshot = {}, .sockets = {}, .opened = {}};
  reload.replicas = static_cast<std::size_t>(plan->config.replicas.count);
  if (auto may = may_shrink_to(reload.replicas); !may) return failure(std::move(may.error()));
  if (auto opened = open_sockets(plan->config, reload); !opened) return failure(std::move(opened.error()));
  if (only_ask) return plan;
  auto snapshot = snapshot_of(plan->config);
  if (!snapshot) return failure(std::move(snapshot.error()));
  reload.snapshot = std::move(*snapshot);
  // So that a successor takes nobody's stop below for a person's.
  if (auto kept = changed(true); !kept) return failure(std::move(kept.error()));
  std::string keys;
  for (const config::Change& change : plan->changes) keys += (keys.empty() ? "; " : ", ") + change.key;
  plane::Event event{.kind = EventKind::kReloadWished, .a = static_cast<std::int64_t>(plan->changes.size())};
  event.set_text(who + keys);
  note(event);
  reload_ = std::move(reload);
  tasks_.start(reload_now());
  return plan;
}

bool Supervisor::is_surplus(std::size_t slot) const {
  return reload_ && slot >= reload_->replicas && slot < replicas_.size() && !replicas_[slot]->spare();
}

Task<void> Supervisor::reload_now() {
  std::vector<ReplicaUnit*> surplus, retired;
  for (std::size_t slot = 0; slot < replicas_.size(); ++slot)
    if (is_surplus(slot)) surplus.push_back(replicas_[slot].get());
  for (ReplicaUnit* unit : surplus) {
    if (!unit->held_by().empty()) continue;
    retired.push_back(unit);
    unit->retire(reload_->who);
  }
  while (!std::ranges::all_of(surplus, &ReplicaUnit::stopped) && phase_ != Phase::kStopping) {
    if (!co_await changed_.wait(Instant::never()) && (co_await current_scope())->cancelled()) co_return;
  }
  if (phase_ == Phase::kStopping || phase_ == Phase::kLeaving) co_return;
  std::vector<int> descriptors = {reload_->snapshot.get()};
  descriptors.insert(descriptors.end(), reload_->sockets.begin(), reload_->sockets.end());
  const auto sent = send_descriptors(kSuccession, descriptors, ::getpid());
  if (!sent) {
    warn("not reloaded: the anchor does not take the configuration: " + sent.error().text());
    reload_.reset();
    for (ReplicaUnit* unit : retired) (void)unit->start("nines, since the reload failed");
    co_return;
  }
  phase_ = Phase::kLeaving;
  deployment_.suspend();
  changed_.notify_all();
}

}  // namespace nines::app
