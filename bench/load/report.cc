#include "load/report.h"

#include <boost/json.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace nines::load {
namespace {

constexpr std::size_t kFailuresShown = 10;

double milliseconds(Duration d) { return std::chrono::duration<double, std::milli>(d).count(); }
double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

boost::json::object json_of(const Failure& failure) {
  return {{"at", format_rfc3339(failure.at)},
          {"after_s", seconds(failure.after)},
          {"lasted_ms", milliseconds(failure.lasted)},
          {"kind", name_of(failure.kind)},
          {"status", failure.status},
          {"method", failure.method},
          {"path", printable(failure.path)},
          {"detail", failure.detail},
          {"body", printable(failure.body)},
          {"request_id", printable(failure.request_id)},
          {"connection", failure.connection}};
}

std::string line_of(const Failure& failure) {
  char start[96];
  std::snprintf(start, sizeof start, "  %s (%.3f s)  ", format_rfc3339(failure.at).c_str(), seconds(failure.after));
  std::string line = start + std::string(name_of(failure.kind)) + "  " + failure.method + " " + failure.path + "  " +
                     failure.detail + " after " + format_duration(failure.lasted);
  if (!failure.request_id.empty()) line += "  x-request-id " + printable(failure.request_id);
  if (!failure.body.empty()) line += "\n      " + printable(failure.body);
  return line + "\n";
}

}  // namespace

std::string printable(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '\\') {
      text += c;
    } else {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", byte);
      text += escaped;
    }
  }
  return text;
}

std::string text_report(const Snapshot& s) {
  std::string text = std::to_string(s.requests()) + " requests in " + format_duration(s.elapsed) + " (" +
                     std::to_string(std::llround(s.per_second())) + "/s) over " + std::to_string(s.opened) +
                     " connections: " + std::to_string(s.ok) + " ok, " + std::to_string(s.failed) + " failed\n";
  if (s.ok > 0) {
    text += "latency   p50 " + format_duration(s.p50) + ", p99 " + format_duration(s.p99) + ", p99.9 " +
            format_duration(s.p999) + ", max " + format_duration(s.max) + "\n";
  }
  text += "longest time without a success: " + format_duration(s.longest_gap) + ", from " +
          format_duration(s.longest_gap_after) + " after the start\n";
  for (const auto& [value, count] : s.values) text += "  " + printable(value) + ": " + std::to_string(count) + "\n";
  if (s.failed == 0) return text;

  text += "failures by kind:";
  for (const auto& [kind, count] : s.by_kind) text += " " + std::string(name_of(kind)) + " " + std::to_string(count);
  text += "\nresponses by status:";
  for (const auto& [status, count] : s.by_status) text += " " + std::to_string(status) + ": " + std::to_string(count);
  text += "\nfirst failures:\n";
  for (std::size_t i = 0; i < std::min(kFailuresShown, s.failures.size()); ++i) text += line_of(s.failures[i]);
  return text;
}

std::string json_report(const Snapshot& s) {
  boost::json::object by_kind, by_status, values;
  for (const auto& [kind, count] : s.by_kind) by_kind[name_of(kind)] = count;
  for (const auto& [status, count] : s.by_status) by_status[std::to_string(status)] = count;
  for (const auto& [value, count] : s.values) values[printable(value)] = count;
  boost::json::array failures;
  for (const auto& failure : s.failures) failures.push_back(json_of(failure));
  const boost::json::object report{
      {"ok", s.ok},
      {"failed", s.failed},
      {"requests", s.requests()},
      {"per_second", s.per_second()},
      {"elapsed_s", seconds(s.elapsed)},
      {"opened", s.opened},
      {"started", format_rfc3339(s.started)},
      {"by_kind", by_kind},
      {"by_status", by_status},
      {"latency_ms",
       {{"p50", milliseconds(s.p50)},
        {"p99", milliseconds(s.p99)},
        {"p99_9", milliseconds(s.p999)},
        {"max", milliseconds(s.max)}}},
      {"longest_gap_ms", milliseconds(s.longest_gap)},
      {"longest_gap_after_s", seconds(s.longest_gap_after)},
      {"values", values},
      {"failures", failures},
  };
  return boost::json::serialize(report);
}

}  // namespace nines::load
