#include "gateway/upstreams.h"

#include <algorithm>

#include "gateway/consistent_hash.h"

namespace nines::gateway {

using plane::Health;
using plane::Wanted;

net::Address address_of(const plane::Route& route) {
  if (route.socket[0] != '\0') return net::Address::unix_path(route.socket).value_or(net::Address());
  if (route.port == 0) return {};
  if (const std::string_view host(route.host, ::strnlen(route.host, sizeof route.host)); !host.empty()) {
    const bool ipv6 = host.contains(':');
    const std::string ip = ipv6 ? "[" + std::string(host) + "]" : std::string(host);
    return net::Address::parse(ip + ":" + std::to_string(route.port)).value_or(net::Address());
  }
  if (route.ipv6 != 0) return net::Address::parse("[::1]:" + std::to_string(route.port)).value_or(net::Address());
  return net::Address::loopback(route.port);
}

namespace {

void add_one(std::atomic<std::uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

// A gauge that was decremented once too often, by a process that died between two of its writes, is 0.
std::uint64_t in_flight(const plane::Observed& observed) {
  const std::uint64_t sum = plane::total(observed.in_flight);
  return sum > (1ULL << 63) ? 0 : sum;
}

// Another worker's loop may be ahead, and several calls in a turn are one.
void raise(std::atomic<std::int64_t>& time, Instant now) {
  const std::int64_t ns = now.since_boot.count();
  if (time.load(std::memory_order_relaxed) < ns) time.store(ns, std::memory_order_relaxed);
}

// Written only when it changes: the line is shared by all workers.
void end_row(std::atomic<std::uint32_t>& row) {
  if (row.load(std::memory_order_relaxed) != 0) row.store(0, std::memory_order_relaxed);
}

}  // namespace

Attempt::Attempt(Upstreams& upstreams, std::size_t slot, CancelScope* parent, Blame* blame)
    : upstreams_(upstreams),
      slot_(slot),
      incarnation_(upstreams.replicas_[slot].route.incarnation),
      scope_(parent),
      in_flight_(upstreams.table_, upstreams.table_.observed[slot].in_flight, upstreams.settings_.epoch),
      blame_(blame) {
  upstreams_.replicas_[slot].attempts.push_back(*this);
}

void Attempt::sent(bool movable) {
  if (!ours_ && !replica_gone()) upstreams_.guard_.begin(slot_, waiter_, movable);
}

Attempt::~Attempt() {
  if (!well_ || replica_gone()) return;
  end_row(observed().connect_failures_in_row);
  end_row(observed().gateway_errors_in_row);
  raise(observed().well_ns, upstreams_.loop_.now());
  if (blame_ != nullptr) blame_->answered_well();
}

plane::Observed& Attempt::observed() const { return upstreams_.table_.observed[slot_]; }

void Attempt::answered(int status, bool retry_after, Duration to_first_byte) {
  waiter_.unlink();
  progress();
  if (ours_) return;
  add_one(observed().requests);
  counted_ = true;
  erred_ = status >= 500;
  if (erred_) add_one(observed().errors);
  observed().latency.record(to_first_byte);
  Upstreams::Replica& replica = upstreams_.replicas_[slot_];
  if (replica.route.incarnation == incarnation_) replica.latency.record(to_first_byte, upstreams_.loop_.now());
  well_ = proves_well(status);
  if (is_gateway_error(status, retry_after)) blame(Failure::kGatewayStatus);
}

void Attempt::failed(Failure failure) {
  if (ours_) return;
  if (!counted_) add_one(observed().requests);
  if (!erred_) add_one(observed().errors);
  counted_ = erred_ = true;
  well_ = false;
  blame(failure);
}

void Attempt::blame(Failure failure) {
  if (failure == Failure::kNotItsFault) return;
  add_one(failure == Failure::kConnect ? observed().connect_failures : observed().gateway_errors);
  // Its process is gone, and everybody knows.
  if (replica_gone()) return;
  const Blame::Blamed blamed{slot_, incarnation_, failure};
  if (blame_ != nullptr) {
    blame_->failed(blamed);
  } else {
    upstreams_.count_failure(blamed);
  }
}

void Attempt::progress() {
  // A health page that answers says nothing of the engine behind it: whether that moves, clients' requests tell.
  if (!ours_) raise(observed().progress_ns, upstreams_.loop_.now());
}

bool Attempt::is_supervised() const { return upstreams_.replicas_[slot_].route.pid != 0; }

bool Attempt::replica_gone() const {
  const plane::Route& route = upstreams_.replicas_[slot_].route;
  return route.incarnation != incarnation_ || route.wanted == Wanted::kAbsent;
}

Upstreams::Upstreams(net::Loop& loop, plane::Table& table, const Settings& settings, std::uint64_t seed)
    : loop_(loop),
      table_(table),
      settings_(settings),
      random_(seed),
      guard_(loop, table, settings),
      replicas_(plane::kReplicasMax) {
  wanted_.reserve(plane::kReplicasMax);
  candidates_.reserve(plane::kReplicasMax);
  refresh();
}

Upstreams::~Upstreams() = default;

Task<void> Upstreams::drain() {
  co_await guard_.stop();
  background_.cancel();
  co_await background_.join();
}

// Reads the records of one replica again. True when they have changed.
bool Upstreams::reload(std::size_t slot) {
  Replica& replica = replicas_[slot];
  const std::uint32_t route_sequence = table_.routes[slot].sequence();
  const std::uint32_t verdict_sequence = table_.observed[slot].verdict.sequence();
  if (route_sequence == replica.route_sequence && verdict_sequence == replica.verdict_sequence) return false;
  const auto route = table_.routes[slot].load();
  const auto verdict = table_.observed[slot].verdict.load();
  if (!route || !verdict)
    return false;  // a writer died in the middle: the last good copy holds until somebody mends it
  replica.route_sequence = route_sequence;
  replica.verdict_sequence = verdict_sequence;
  replica.route = *route;
  replica.verdict = *verdict;
  return true;
}

void Upstreams::refresh() {
  // Before the routes: what changes while they are read is read again.
  version_ = table_.header.routes_version.load(std::memory_order_acquire);
  panic_ = table_.header.panic.load(std::memory_order_acquire) != 0;
  wanted_.clear();
  for (std::size_t slot = 0; slot < replicas_.size(); ++slot) {
    Replica& replica = replicas_[slot];
    const plane::Route before = replica.route;
    if (reload(slot)) {
      const plane::Route& now = replica.route;
      const bool gone = before.incarnation != now.incarnation || now.wanted == Wanted::kAbsent;
      if (gone && before.incarnation != 0 && before.wanted != Wanted::kAbsent) {
        replica.idle.clear();
        if (!replica.attempts.empty()) background_.start(give_up_lost(slot, before.incarnation));
      }
      if (before.incarnation != now.incarnation) replica.latency = PeakEwma();
      judge(replica);
      const bool hung = replica.verdict.hung != 0 && replica.verdict.incarnation == now.incarnation;
      guard_.on_route(slot, {.incarnation = now.incarnation,
                             .address = replica.address,
                             .routable = replica.wanted && replica.up,
                             .hung = hung ? replica.verdict.reason : ""});
    }
    if (replica.wanted) wanted_.push_back(slot);
  }
}

// What its records mean, but for what time and panic change.
void Upstreams::judge(Replica& replica) {
  const plane::Route& route = replica.route;
  const plane::Verdict& verdict = replica.verdict;
  const bool current = verdict.incarnation == route.incarnation;
  replica.name = route.name;
  replica.address = address_of(route);
  replica.wanted = route.wanted == Wanted::kServe && route.weight > 0 && replica.address.is_set();
  replica.up = current && verdict.health == Health::kUp;
  replica.last_resort = current && verdict.health == Health::kDown && verdict.hung == 0;
  replica.ejected_until = current ? Instant{Duration(verdict.ejected_until_ns)} : Instant{};
  replica.routable_since = std::max(Instant{Duration(verdict.since_ns)}, replica.ejected_until);
}

bool Upstreams::routable(const Replica& replica, Instant now) const {
  return replica.wanted && replica.up && (panic_ || now >= replica.ejected_until);
}

// The process is gone, and so are its sockets: attempts learn it from their streams, which may still hold an answer
// that was sent before the end. Only where a stream stays open all the same (a child of the process holds it) is the
// attempt ended from here; an answer that has begun then gets what still comes (relay.h).
Task<void> Upstreams::give_up_lost(std::size_t slot, std::uint64_t incarnation) {
  if (!co_await loop_.sleep(settings_.gone_grace)) co_return;
  // Cancelling completes operations but runs nobody, so the list does not change under us.
  IntrusiveList<ListLink> keep;
  Replica& replica = replicas_[slot];
  while (!replica.attempts.empty()) {
    auto& attempt = static_cast<Attempt&>(replica.attempts.pop_front());
    if (attempt.incarnation_ == incarnation) attempt.scope_.cancel();
    keep.push_back(attempt);
  }
  replica.attempts.take_all(keep);
}

// Puts those of the lowest tier that `takes` and that have room into candidates_; if there are none, says why.
template <class Takes>
Pick::What Upstreams::gather(std::span<const std::uint64_t> tried, Instant now, Takes takes) {
  bool any = false, any_room = false;
  std::uint8_t tier = 0;
  candidates_.clear();
  for (const std::size_t slot : wanted_) {
    const Replica& replica = replicas_[slot];
    if (!takes(replica) || hangs(table_.observed[slot])) continue;
    any = true;
    const std::uint64_t load = in_flight(table_.observed[slot]);
    if (load >= settings_.admission.in_flight) continue;
    any_room = true;
    if (std::ranges::find(tried, replica.route.incarnation) != tried.end()) continue;
    if (!candidates_.empty() && replica.route.tier > tier) continue;
    if (!candidates_.empty() && replica.route.tier < tier) candidates_.clear();
    tier = replica.route.tier;
    candidates_.push_back(
        {.slot = slot,
         .in_flight = load,
         .weight = effective_weight(settings_.slow_start, replica.route.weight, replica.routable_since, now),
         .latency = &replica.latency});
  }
  if (!candidates_.empty()) return Pick::What::kSlot;
  return any_room ? Pick::What::kTriedAll : any ? Pick::What::kFull : Pick::What::kNobody;
}

Pick Upstreams::pick(std::span<const std::uint64_t> tried, std::optional<std::uint64_t> hash_key) {
  if (table_.header.routes_version.load(std::memory_order_acquire) != version_) refresh();
  const Instant now = loop_.now();
  Pick::What what = gather(tried, now, [&](const Replica& replica) { return routable(replica, now); });
  if (what == Pick::What::kNobody) {
    // Those that are ejected have not heard yet that they are needed.
    what = gather(tried, now, [](const Replica& replica) { return replica.up || replica.last_resort; });
    // One that is down and has failed this request is no reason to wait for it.
    if (what != Pick::What::kSlot) what = Pick::What::kNobody;
  }
  if (what != Pick::What::kSlot) return {what, 0};
  const auto chosen = hash_key ? choose_by_hash(candidates_, *hash_key) : gateway::choose(candidates_, now, random_);
  return {Pick::What::kSlot, candidates_[*chosen].slot};
}

Instant Upstreams::first_byte_deadline(std::size_t slot, const PatienceLimits& patience, Instant sent_at) const {
  const auto& passed = table_.observed[slot].passed_ns;
  return gateway::first_byte_deadline(patience, sent_at, Instant{Duration(passed.load(std::memory_order_relaxed))});
}

void Upstreams::report(const Blame& blame) {
  blame.for_each([this](const Blame::Blamed& blamed) { count_failure(blamed); });
}

void Upstreams::count_failure(const Blame::Blamed& blamed) {
  const Replica& replica = replicas_[blamed.slot];
  // What was in flight when it was ejected, or taken out, is old news.
  if (!replica.wanted || replica.route.incarnation != blamed.incarnation) return;
  if (loop_.now() < replica.ejected_until) return;
  plane::Observed& observed = table_.observed[blamed.slot];
  const bool connect = blamed.failure == Failure::kConnect;
  std::atomic<std::uint32_t>& row = connect ? observed.connect_failures_in_row : observed.gateway_errors_in_row;
  const std::uint32_t limit = connect ? settings_.outlier.connect_failures : settings_.outlier.gateway_errors;
  const std::uint32_t length = row.fetch_add(1, std::memory_order_relaxed) + 1;
  if (!connect && length == 1)
    observed.failing_since_ns.store(loop_.now().since_boot.count(), std::memory_order_relaxed);
  // Again and again: the fleet may not have been able to spare it the last time.
  if (length % limit == 0 && suspicious_) suspicious_();
}

std::unique_ptr<UpstreamConnection> Upstreams::take(std::size_t slot) {
  auto& idle = replicas_[slot].idle;
  while (!idle.empty()) {
    auto connection = std::move(idle.back());
    idle.pop_back();
    const bool fresh = loop_.now() - connection->idle_since < settings_.upstream_idle;
    if (fresh && !connection->stream->may_have_input() && !connection->reader.has_more()) return connection;
  }
  return nullptr;
}

void Upstreams::give_back(const Attempt& attempt, std::unique_ptr<UpstreamConnection> connection) {
  Replica& replica = replicas_[attempt.slot()];
  if (attempt.replica_gone() || settings_.upstream_idle_kept == 0) return;
  // More than the answer has come: the next request must not get it for its own.
  if (connection->stream->may_have_input() || connection->reader.has_more()) return;
  connection->idle_since = loop_.now();
  connection->reader.release_buffer();
  connection->stream->read_deadline(Instant::never());
  connection->stream->write_deadline(Instant::never());
  // The one that has been idle for longest is the least likely to live.
  if (replica.idle.size() >= settings_.upstream_idle_kept) replica.idle.erase(replica.idle.begin());
  replica.idle.push_back(std::move(connection));
}

void Upstreams::prune() {
  for (Replica& replica : replicas_) {
    std::erase_if(replica.idle, [&](const auto& connection) {
      return loop_.now() - connection->idle_since >= settings_.upstream_idle || connection->stream->may_have_input();
    });
  }
}

}  // namespace nines::gateway
