// The part of the supervisor that goes on with another configuration. A reload is a succession: the anchor gets the
// snapshot and the listening sockets of the next supervisor in one message, and from then on that is the service,
// whoever else dies. Before it, nothing has changed.
#include <sys/stat.h>

#include <algorithm>

#include "app/descriptors.h"
#include "app/estate.h"
#include "app/listeners.h"
#include "app/process_contract.h"
#include "app/supervisor.h"

namespace nines::app {

using plane::EventKind;

namespace {

bool serves(const ReplicaUnit& replica) {
  return replica.machine().state() == supervise::State::kReady && replica.route().weight > 0;
}

bool is_socket(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

// Nobody can listen at one of them while somebody does at the other.
bool overlap(const config::Address& a, const config::Address& b) {
  const auto any = [](const config::Address& at) { return at.ip == "0.0.0.0" || at.ip == "::"; };
  return a.port == b.port && (a.ip == b.ip || any(a) || any(b));
}

}  // namespace

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
  if (anchor_gone_ || !is_socket(kSuccession))
    return failure(Code::kRefused,
                   "no anchor is there to take another configuration; `nines upgrade` puts one in place");
  // What a gateway has open it could not count any more.
  const std::uint64_t newest = table_->header.gateway_epoch;
  if (std::ranges::any_of(gateway_epochs_, [&](const auto& one) { return one.second + plane::kGauges <= newest + 1; }))
    return failure(Code::kExists, "requests still run that began " + std::to_string(plane::kGauges - 1) +
                                      " reloads ago; reload when they have ended");
  return {};
}

// Those that stay must be known to serve before others are let go.
Result<> Supervisor::anybody_serves(const config::Replicas& wanted) const {
  bool before = false, after = false;
  for (const Endpoint& endpoint : endpoints_) {
    const bool stays = std::ranges::any_of(
        wanted.endpoints, [&](const config::Endpoint& one) { return one.at.text() == endpoint.address(); });
    before = before || endpoint.ready();
    after = after || (endpoint.ready() && stays);
  }
  for (std::size_t slot = 0; slot < replicas_.size(); ++slot) {
    if (replicas_[slot]->spare() || !serves(*replicas_[slot])) continue;
    before = true;
    after = after || slot < static_cast<std::size_t>(wanted.count);
  }
  if (after || !before) return {};
  if (!endpoints_.empty())
    return failure(Code::kRefused,
                   "replicas.endpoints: nobody would serve, since none of those that are ready stays; add the new ones "
                   "first, and take the old ones away when they are ready");
  return failure(Code::kRefused, "replicas.count: with " + std::to_string(wanted.count) +
                                     " nobody would serve, since " + replicas_.front()->name() +
                                     (wanted.count > 1 ? " and those behind it are" : " is") + " not ready");
}

// The sockets of `wanted`, in order: those that are there stay, the others are opened.
Result<> Supervisor::open_sockets(const config::Config& wanted, Reload& reload) const {
  const auto& present = service_.config.listen;
  for (const config::Address& at : wanted.listen) {
    const auto same = std::ranges::find(present, at);
    if (same != present.end()) {
      reload.sockets.push_back(listeners_[static_cast<std::size_t>(same - present.begin())]);
      continue;
    }
    const auto covering = std::ranges::find_if(present, [&](const config::Address& one) { return overlap(one, at); });
    if (covering != present.end())
      return failure(Code::kExists, "listen: " + at.text() + " cannot be opened while " + covering->text() +
                                        " is; reload to another port first, or `nines down`, then `nines up`");
    auto socket = open_listener(at);
    if (!socket) return failure(std::move(socket.error()));
    reload.sockets.push_back(socket->get());
    reload.opened.push_back(std::move(*socket));
  }
  return {};
}

Result<ReloadPlan> Supervisor::wish_reload(config::Config wanted, const std::string& who, bool only_ask) {
  if (auto may = may_reload(); !may) return failure(std::move(may.error()));
  auto plan = plan_reload(running_config(), std::move(wanted));
  if (!plan) return plan;
  if (auto may = anybody_serves(plan->config.replicas); !may) return failure(std::move(may.error()));
  if (only_ask) return plan;
  Reload reload{.who = who, .snapshot = {}, .sockets = {}, .opened = {}, .wishes_before = {}, .retired = {}};
  if (auto opened = open_sockets(plan->config, reload); !opened) return failure(std::move(opened.error()));
  auto snapshot = snapshot_of(plan->config);
  if (!snapshot) return failure(std::move(snapshot.error()));
  reload.snapshot = std::move(*snapshot);
  // So that a successor takes nobody's stop below for a person's.
  if (auto kept = changed(true); !kept) return failure(std::move(kept.error()));
  for (std::size_t slot = static_cast<std::size_t>(plan->config.replicas.count); slot < replicas_.size(); ++slot)
    if (!replicas_[slot]->spare()) reload.wishes_before[slot] = replicas_[slot]->wish();
  std::string keys;
  for (const config::Change& change : plan->changes) keys += (keys.empty() ? "; " : ", ") + change.key;
  plane::Event event{.kind = EventKind::kReloadWished, .a = static_cast<std::int64_t>(plan->changes.size())};
  event.set_text(who + keys);
  note(event);
  reload_ = std::move(reload);
  tasks_.start(reload_now());
  return plan;
}

const Wish* Supervisor::wish_before_reload(std::size_t slot) const {
  if (!reload_) return nullptr;
  const auto found = reload_->wishes_before.find(slot);
  return found == reload_->wishes_before.end() ? nullptr : &found->second;
}

bool Supervisor::is_surplus(const ReplicaUnit& replica) const {
  for (std::size_t slot = 0; slot < replicas_.size(); ++slot)
    if (replicas_[slot].get() == &replica) return wish_before_reload(slot) != nullptr;
  return false;
}

Task<void> Supervisor::reload_now() {
  for (const auto& [slot, wish] : reload_->wishes_before) {
    if (replicas_[slot]->stopped()) continue;
    if (wish.stopped_by.empty()) reload_->retired.push_back(slot);
    replicas_[slot]->retire(reload_->who);
  }
  const auto all_stopped = [&] {
    return std::ranges::all_of(reload_->wishes_before,
                               [&](const auto& one) { return replicas_[one.first]->stopped(); });
  };
  while (!all_stopped() && phase_ != Phase::kStopping && phase_ != Phase::kLeaving) {
    if (!co_await changed_.wait(Instant::never()) && (co_await current_scope())->cancelled()) co_return;
  }
  if (phase_ == Phase::kStopping || phase_ == Phase::kLeaving) co_return;
  std::vector<int> descriptors = {reload_->snapshot.get()};
  descriptors.insert(descriptors.end(), reload_->sockets.begin(), reload_->sockets.end());
  if (const auto sent = send_descriptors(kSuccession, descriptors, ::getpid()); !sent) {
    give_up_reload("the anchor does not take the configuration: " + sent.error().text());
    co_return;
  }
  phase_ = Phase::kLeaving;
  deployment_.suspend();
  changed_.notify_all();
}

// As it was before.
void Supervisor::give_up_reload(const std::string& why) {
  warn("not reloaded: " + why);
  const Reload reload = *std::exchange(reload_, std::nullopt);
  for (const std::size_t slot : reload.retired) (void)replicas_[slot]->start("nines, since the reload was given up");
}

}  // namespace nines::app
