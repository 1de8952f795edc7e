#include "gateway/upstreams.h"

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

Attempt::Attempt(Upstreams& upstreams, std::size_t slot, CancelScope* parent)
    : upstreams_(upstreams),
      slot_(slot),
      incarnation_(upstreams.replicas_[slot].route.incarnation),
      scope_(parent),
      in_flight_(upstreams.table_, upstreams.table_.observed[slot].in_flight, upstreams.settings_.epoch) {
  upstreams_.replicas_[slot].attempts.push_back(*this);
}

void Attempt::sent(bool movable) {
  if (!replica_gone()) upstreams_.guard_.begin(slot_, waiter_, movable);
}

void Attempt::progress() {
  upstreams_.table_.observed[slot_].progress_ns.store(upstreams_.loop_.now().since_boot.count(),
                                                      std::memory_order_relaxed);
}

void Attempt::answered(int status, Duration to_first_byte) {
  plane::Observed& observed = upstreams_.table_.observed[slot_];
  observed.requests.fetch_add(1, std::memory_order_relaxed);
  if (status >= 500) observed.errors.fetch_add(1, std::memory_order_relaxed);
  observed.latency.record(to_first_byte);
  waiter_.unlink();
  progress();
  Upstreams::Replica& replica = upstreams_.replicas_[slot_];
  if (replica.route.incarnation == incarnation_) replica.latency.record(to_first_byte, upstreams_.loop_.now());
}

void Attempt::failed() {
  plane::Observed& observed = upstreams_.table_.observed[slot_];
  observed.requests.fetch_add(1, std::memory_order_relaxed);
  observed.errors.fetch_add(1, std::memory_order_relaxed);
}

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
      replica.name = now.name;
      replica.address = address_of(now);
      replica.routable = now.wanted == Wanted::kServe && replica.address.is_set() &&
                         replica.verdict.incarnation == now.incarnation && replica.verdict.health == Health::kUp;
      guard_.on_route(slot, now.incarnation, replica.address, replica.routable);
      if (replica.verdict.hung != 0 && replica.verdict.incarnation == now.incarnation)
        guard_.take_away(slot, replica.verdict.reason);
    }
  }
}

// The process is gone, and so are its sockets: attempts learn it from their streams, which may still hold an answer
// that was sent before the end. Only where a stream stays open all the same (a child of the process holds it) is the
// attempt ended from here.
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

Pick Upstreams::pick(std::span<const std::uint64_t> tried) {
  if (table_.header.routes_version.load(std::memory_order_acquire) != version_) refresh();
  const Instant now = loop_.now();
  bool any_routable = false, any_room = false;
  candidates_.clear();
  for (std::size_t slot = 0; slot < replicas_.size(); ++slot) {
    const Replica& replica = replicas_[slot];
    Candidate candidate;
    if (replica.routable && !hangs(table_.observed[slot])) {
      any_routable = true;
      candidate.in_flight = plane::total(table_.observed[slot].in_flight);
      candidate.latency_ns = replica.latency.nanoseconds(now);
      const bool room = candidate.in_flight < settings_.admission.in_flight;
      any_room = any_room || room;
      candidate.allowed = room && std::find(tried.begin(), tried.end(), replica.route.incarnation) == tried.end();
    }
    candidates_.push_back(candidate);
  }
  if (const auto slot = gateway::choose(candidates_, random_)) return {Pick::What::kSlot, *slot};
  return {any_room ? Pick::What::kTriedAll : any_routable ? Pick::What::kFull : Pick::What::kNobody};
}

Instant Upstreams::first_byte_deadline(std::size_t slot, Instant sent_at) const {
  const auto& passed = table_.observed[slot].passed_ns;
  return gateway::first_byte_deadline(settings_.patience, sent_at,
                                      Instant{Duration(passed.load(std::memory_order_relaxed))});
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
  if (attempt.replica_gone() || replica.idle.size() >= settings_.upstream_idle_kept) return;
  // More than the answer has come: the next request must not get it for its own.
  if (connection->stream->may_have_input() || connection->reader.has_more()) return;
  connection->idle_since = loop_.now();
  connection->reader.release_buffer();
  connection->stream->read_deadline(Instant::never());
  connection->stream->write_deadline(Instant::never());
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
