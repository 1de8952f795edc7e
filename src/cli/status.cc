#include "cli/status.h"

#include <boost/json.hpp>
#include <chrono>
#include <cmath>

#include "base/text.h"
#include "plane/event_text.h"

namespace nines::cli {
namespace {

namespace json = boost::json;

// A place in the answer that may not be there.
class Place {
 public:
  explicit Place(const json::value* value) : value_(value) {}

  Place operator[](std::string_view key) const {
    if (value_ == nullptr || !value_->is_object()) return Place(nullptr);
    return Place(value_->as_object().if_contains(key));
  }
  std::string text() const {
    return value_ != nullptr && value_->is_string() ? std::string(value_->as_string()) : std::string();
  }
  std::optional<double> number() const {
    if (value_ == nullptr || !value_->is_number()) return std::nullopt;
    const double number = value_->to_number<double>();
    return std::isfinite(number) ? std::optional(number) : std::nullopt;
  }
  // Integers above 2^53 come as strings.
  std::optional<std::int64_t> integer() const {
    if (value_ == nullptr) return std::nullopt;
    if (value_->is_int64()) return value_->as_int64();
    if (value_->is_uint64()) return static_cast<std::int64_t>(value_->as_uint64());
    if (!value_->is_string()) return std::nullopt;
    const std::string digits = text();
    const bool negative = digits.starts_with('-');
    const auto size = parse_unsigned(std::string_view(digits).substr(negative ? 1 : 0));
    if (!size) return std::nullopt;
    return negative ? -static_cast<std::int64_t>(*size) : static_cast<std::int64_t>(*size);
  }
  std::optional<std::uint64_t> count() const {
    const auto number = integer();
    return number ? std::optional(static_cast<std::uint64_t>(*number)) : std::nullopt;
  }
  // Seconds or milliseconds with a fraction, by what one of them is.
  std::optional<Duration> duration(Duration one) const {
    const auto amount = number();
    const double ns = amount.value_or(-1) * static_cast<double>(one.count());
    if (ns < 0 || ns > static_cast<double>(Duration::max().count()) / 2) return std::nullopt;
    return Duration(std::llround(ns));
  }
  bool truth() const { return value_ != nullptr && value_->is_bool() && value_->as_bool(); }
  template <class F>
  void for_each(F f) const {
    if (value_ == nullptr || !value_->is_array()) return;
    for (const json::value& element : value_->as_array()) f(Place(&element));
  }

 private:
  const json::value* value_;
};

Latency latency_of(Place latency) { return {latency["p50"].duration(1ms), latency["p99"].duration(1ms)}; }

ReplicaStatus replica_of(Place from) {
  return {.name = from["name"].text(),
          .state = from["state"].text(),
          .pid = from["pid"].count(),
          .port = from["port"].count(),
          .address = from["address"].text(),
          .uptime = from["uptime_s"].duration(1s),
          .restarts = from["restarts"].count().value_or(0),
          .in_flight = from["in_flight"].count().value_or(0),
          .requests = from["requests"].count().value_or(0),
          .errors = from["errors"].count().value_or(0),
          .latency = latency_of(from["latency_ms"]),
          .log = from["log"].text(),
          .note = from["note"].text(),
          .held_by = from["held_by"].text(),
          .drained_by = from["drained_by"].text(),
          .weight = from["weight"].count().value_or(100),
          .weight_wished = from["weight_wished"].count()};
}

PastEvent event_of(Place from) {
  PastEvent past{.at = parse_rfc3339(from["at"].text()),
                 .event = {},
                 .kind = from["kind"].text(),
                 .replica = from["replica"].text()};
  past.event.number = from["number"].count().value_or(0);
  past.event.kind = plane::event_kind(past.kind).value_or(plane::EventKind{});
  past.event.pid = static_cast<std::uint32_t>(from["pid"].count().value_or(0));
  past.event.incarnation = from["incarnation"].count().value_or(0);
  past.event.a = from["a"].integer().value_or(0);
  past.event.b = from["b"].integer().value_or(0);
  past.event.set_text(from["text"].text());
  return past;
}

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  const auto number = at + count <= text.size() ? parse_unsigned(text.substr(at, count)) : std::nullopt;
  return number ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

}  // namespace

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  constexpr std::string_view kShape = "0000-00-00T00:00:00";
  if (text.size() <= kShape.size() || !text.ends_with('Z')) return std::nullopt;
  for (const std::size_t at : {4UL, 7UL, 10UL, 13UL, 16UL}) {
    if (text[at] != kShape[at]) return std::nullopt;
  }
  const auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  WallTime time = std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
                  std::chrono::seconds(*second);
  std::string fraction(text.substr(kShape.size(), text.size() - kShape.size() - 1));
  if (fraction.empty()) return time;
  if (fraction.front() != '.' || fraction.size() < 2) return std::nullopt;
  fraction.erase(0, 1);
  fraction.resize(9, '0');
  const auto ns = parse_unsigned(fraction);
  if (!ns) return std::nullopt;
  return time + std::chrono::nanoseconds(static_cast<std::int64_t>(*ns));
}

Result<ServiceStatus> parse_status(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_object()) return failure(Code::kProtocol, "the service answered something that is no status");
  const Place from(&value);
  const Place gateway = from["gateway"];
  ServiceStatus status{.service = from["service"].text(),
                       .objective = from["objective"].number(),
                       .state = from["state"].text(),
                       .uptime = from["uptime_s"].duration(1s),
                       .config = from["config"].text(),
                       .folder = from["folder"].text(),
                       .anchor_pid = from["anchor"]["pid"].count(),
                       .supervisor_pid = from["supervisor"]["pid"].count(),
                       .gateway_pid = gateway["pid"].count(),
                       .keeper_pid = from["keeper"]["pid"].count(),
                       .version = from["version"].text(),
                       .dashboard = from["dashboard"].text(),
                       .renewing = from["renewing"].truth(),
                       .configuration = from["configuration"].text(),
                       .reloading = from["reloading"].truth(),
                       .requests = gateway["requests"].count().value_or(0),
                       .errors = gateway["errors"].count().value_or(0),
                       .replayed = gateway["replayed"].count().value_or(0),
                       .unroutable = gateway["unroutable"].count().value_or(0),
                       .connections = gateway["connections"].count().value_or(0),
                       .latency = latency_of(gateway["latency_ms"])};
  from["listen"].for_each([&](Place url) { status.listen.push_back(url.text()); });
  from["problems"].for_each([&](Place problem) { status.problems.push_back(problem.text()); });
  from["replicas"].for_each([&](Place replica) { status.replicas.push_back(replica_of(replica)); });
  from["events"].for_each([&](Place event) { status.events.push_back(event_of(event)); });
  return status;
}

}  // namespace nines::cli
