#include "gateway/canary.h"

#include <boost/json.hpp>

#include <algorithm>

#include "base/check.h"

namespace nines::gateway {
namespace {

namespace json = boost::json;

// 1 and 1.0 are the same number, whoever wrote it down; everything else must be alike.
bool same(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
  if (a.is_array() && b.is_array()) {
    const json::array &x = a.get_array(), &y = b.get_array();
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), same);
  }
  if (a.is_object() && b.is_object()) {
    const json::object &x = a.get_object(), &y = b.get_object();
    return x.size() == y.size() && std::all_of(x.begin(), x.end(), [&](const auto& member) {
             const json::value* other = y.if_contains(member.key());
             return other != nullptr && same(member.value(), *other);
           });
  }
  return a == b;
}

Result<json::value> parse(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error) return failure(Code::kInvalid, "not JSON: " + error.message());
  return value;
}

bool is_json_pointer(std::string_view text) {
  if (!text.empty() && text.front() != '/') return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '~') continue;
    if (i + 1 == text.size() || (text[i + 1] != '0' && text[i + 1] != '1')) return false;
  }
  return true;
}

// For a person, and short: it ends up in a status line.
std::string shown(const json::value& value) {
  std::string text = json::serialize(value);
  constexpr std::size_t kMost = 40;
  if (text.size() <= kMost) return text;
  std::size_t cut = kMost;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0U) == 0x80U) --cut;
  return text.substr(0, cut) + "…";
}

}  // namespace

Result<> check_canary(const CanarySettings& settings) {
  if (!settings.expect) return {};
  const std::string& pointer = settings.expect->pointer;
  if (!is_json_pointer(pointer)) {
    return failure(Code::kInvalid, "\"" + pointer + "\" is no JSON pointer (RFC 6901), which looks like \"/label\"");
  }
  if (auto value = parse(settings.expect->equals); !value) return failure(std::move(value.error()).in("equals"));
  return {};
}

Result<> judge_canary(const CanarySettings& settings, int status, std::string_view body) {
  if (status < 200 || status > 299) return failure(Code::kUnavailable, "it answered " + std::to_string(status));
  if (!settings.expect) return {};
  const auto expected = parse(settings.expect->equals);
  INVARIANT(expected);
  const auto answer = parse(body);
  if (!answer) return failure(Code::kInvalid, "its answer is not JSON");
  const std::string& pointer = settings.expect->pointer;
  boost::system::error_code error;
  const json::value* found = answer->find_pointer(pointer, error);
  const std::string place = pointer.empty() ? "its answer" : pointer;
  if (found == nullptr) return failure(Code::kInvalid, "its answer has no " + place);
  if (!same(*found, *expected)) {
    return failure(Code::kInvalid, place + " is " + shown(*found) + " instead of " + shown(*expected));
  }
  return {};
}

// As seen by this look, nothing has come for `stall` though something was asked for all the time.
bool CanaryWatch::silence_lasts(Instant now, bool outstanding, Instant progress) {
  if (outstanding && !busy_) busy_since_ = now;
  busy_ = outstanding;
  return busy_ && now - std::max({busy_since_, progress, passed_}) >= settings_.stall;
}

bool CanaryWatch::look(Instant now, bool outstanding, Instant progress) {
  const bool silent = silence_lasts(now, outstanding, progress);
  if (down_) {
    if (under_way_ > 0 || (last_sent_ && now - *last_sent_ < settings_.down_pause)) return false;
  } else {
    if (!silent) failed_ = 0;
    if (!silent || under_way_ + failed_ >= settings_.failures) return false;
    if (under_way_ + failed_ > 0 && now - *last_sent_ < settings_.apart) return false;
  }
  ++under_way_;
  last_sent_ = now;
  return true;
}

bool CanaryWatch::on_result(Outcome outcome, Instant sent, Instant now, Instant progress) {
  --under_way_;
  const bool was_down = down_;
  if (outcome == Outcome::kPassed) {
    passed_ = now;
    failed_ = 0;
    down_ = false;
  } else if (outcome == Outcome::kWrong) {
    down_ = true;
  } else if (std::max(progress, passed_) >= sent) {
    failed_ = 0;  // it works, and had no time for this one
  } else if (++failed_ >= settings_.failures) {
    down_ = true;
  }
  return down_ != was_down;
}

}  // namespace nines::gateway
