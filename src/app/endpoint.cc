#include "app/endpoint.h"

#include <string_view>
#include <utility>

#include "supervise/replica.h"

namespace nines::app {

using plane::EventKind;
using supervise::State;

Endpoint::Endpoint(plane::Table& table, std::size_t slot, std::string name, const config::Endpoint& at)
    : table_(table), slot_(slot), name_(std::move(name)), at_(at) {}

void Endpoint::begin(const std::optional<plane::Route>& before, Wish wish, Instant now) {
  const bool same = before && before->incarnation != 0 && before->host == at_.at.ip && before->port == at_.at.port;
  heard_ = same;
  if (same) {
    route_ = *before;
  } else {
    plane::forget_counts(table_.observed[slot_]);
    route_ = plane::Route{.incarnation = table_.header.next_incarnation.fetch_add(1),
                          .since_ns = now.since_boot.count(),
                          .port = at_.at.port,
                          .wanted = plane::Wanted::kServe,
                          .state = static_cast<std::uint8_t>(State::kUnready),
                          .listening = 1};
    plane::set_field(route_.host, at_.at.ip);
  }
  plane::set_field(route_.name, name_);
  route_.tier = static_cast<std::uint8_t>(at_.tier);
  share(std::move(wish));
}

void Endpoint::share(Wish wish) {
  wish_ = std::move(wish);
  route_.weight = static_cast<std::uint16_t>(wish_.percent(at_.weight));
  publish();
}

std::optional<plane::Event> Endpoint::look(Instant now) {
  const auto verdict = table_.observed[slot_].verdict.load();
  if (!verdict || verdict->incarnation != route_.incarnation || verdict->health == plane::Health::kUnknown)
    return std::nullopt;
  const bool up = verdict->health == plane::Health::kUp;
  const auto state = static_cast<std::uint8_t>(up ? State::kReady : State::kUnready);
  // The first verdict is news, also when it is that the server is not there.
  const bool first = !std::exchange(heard_, true);
  if (route_.state == state && !first) return std::nullopt;
  if (route_.state != state) route_.since_ns = now.since_boot.count();
  route_.state = state;
  publish();
  plane::Event event{.at_ns = now.since_boot.count(),
                     .kind = up ? EventKind::kReady : EventKind::kUnready,
                     .replica = static_cast<std::uint16_t>(slot_),
                     .incarnation = route_.incarnation,
                     .a = first && !up ? 1 : 0};
  event.set_text(up ? std::string_view() : std::string_view(verdict->reason));
  return event;
}

bool Endpoint::ready() const { return static_cast<State>(route_.state) == State::kReady; }

void Endpoint::publish() {
  table_.routes[slot_].store(route_);
  table_.header.routes_version.fetch_add(1);
}

}  // namespace nines::app
