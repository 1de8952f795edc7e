#include "gateway/access_log.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"

namespace nines::gateway {
namespace {

constexpr char kHex[] = "0123456789abcdef";

void write_escaped(std::string& out, std::string_view text) {
  const bool cut = text.size() > kTextMax;
  for (const char c : text.substr(0, kTextMax)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20) {
      out += "\\u00";
      out += {kHex[byte >> 4], kHex[byte & 15]};
    } else if (byte >= 0x7f) {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += c;
    }
  }
  if (cut) out += "...";
}

void write_number(std::string& out, std::uint64_t number) {
  char text[20];
  out.append(text, std::to_chars(std::begin(text), std::end(text), number).ptr);
}

// Milliseconds to the microsecond: 12.345, 0.4, 12.
void write_ms(std::string& out, Duration d) {
  const auto us = static_cast<std::uint64_t>(std::max<Duration::rep>(d / 1us, 0));
  write_number(out, us / 1000);
  const std::uint64_t parts = us % 1000;
  if (parts == 0) return;
  char digits[4] = {'.', static_cast<char>('0' + parts / 100), static_cast<char>('0' + parts / 10 % 10),
                    static_cast<char>('0' + parts % 10)};
  std::size_t size = 4;
  while (digits[size - 1] == '0') --size;
  out.append(digits, size);
}

// `key` brings its punctuation: `,"id":`
void write_text(std::string& out, std::string_view key, std::string_view text) {
  if (text.empty()) return;
  out += key;
  out += '"';
  write_escaped(out, text);
  out += '"';
}

void write_attempts(std::string& out, std::span<const AccessAttempt> attempts) {
  if (attempts.empty()) return;
  out += ",\"attempts\":[";
  for (const AccessAttempt& attempt : attempts) {
    if (&attempt != &attempts.front()) out += ',';
    out += "{\"replica\":\"";
    write_escaped(out, attempt.replica);
    out += "\",\"outcome\":\"";
    write_escaped(out, attempt.outcome);
    out += "\",\"ms\":";
    write_ms(out, attempt.took);
    out += '}';
  }
  out += ']';
}

bool is_lower_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

bool is_problem(const AccessRecord& record) {
  return record.status == 0 || record.status >= 500 || !record.cause.empty() || record.attempts.size() > 1;
}

std::string_view trace_id(std::string_view traceparent) {
  // version-traceid-parentid-flags: 2, 32, 16 and 2 digits; a later version may have more behind it.
  constexpr std::size_t kSize = 55;
  if (traceparent.size() < kSize || !is_lower_hex(traceparent.substr(0, 2))) return {};
  const std::string_view version = traceparent.substr(0, 2), id = traceparent.substr(3, 32);
  const bool right_size = traceparent.size() == kSize || (version != "00" && traceparent[kSize] == '-');
  const bool dashes = traceparent[2] == '-' && traceparent[35] == '-' && traceparent[52] == '-';
  if (version == "ff" || !right_size || !dashes || !is_lower_hex(id)) return {};
  return id.find_first_not_of('0') == std::string_view::npos ? std::string_view() : id;
}

void write_access_line(std::string& out, const AccessRecord& record) {
  out += "{\"time\":\"";
  out += format_rfc3339(record.at);
  out += '"';
  write_text(out, ",\"id\":", record.id);
  write_text(out, ",\"client\":", record.client);
  write_text(out, ",\"method\":", record.method);
  write_text(out, ",\"path\":", record.target.substr(0, record.target.find('?')));
  if (record.status != 0) {
    out += ",\"status\":";
    write_number(out, static_cast<std::uint64_t>(record.status));
  }
  out += ",\"bytes_in\":";
  write_number(out, record.bytes_in);
  out += ",\"bytes_out\":";
  write_number(out, record.bytes_out);
  out += ",\"ms\":";
  write_ms(out, record.total);
  if (record.first_byte) {
    out += ",\"first_byte_ms\":";
    write_ms(out, *record.first_byte);
  }
  write_text(out, ",\"replica\":", record.replica);
  write_attempts(out, record.attempts);
  write_text(out, ",\"cause\":", record.cause);
  write_text(out, ",\"trace\":", trace_id(record.traceparent));
  out += "}\n";
}

void AccessLog::add(const AccessRecord& record) {
  if (!on() || (options_.what == AccessLogged::kProblems && !is_problem(record))) return;
  line_.clear();
  write_access_line(line_, record);
  bool first = false;
  {
    const std::scoped_lock lock(mutex_);
    if (line_.size() > options_.buffer_bytes - std::min(lines_.size(), options_.buffer_bytes)) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    first = lines_.empty();
    lines_ += line_;
  }
  if (first && options_.on_first) options_.on_first();
}

void AccessLog::take(std::string& lines) {
  INVARIANT(lines.empty());
  const std::scoped_lock lock(mutex_);
  lines_.swap(lines);
}

}  // namespace nines::gateway
