#include "http/head_parser.h"

#include <algorithm>

#include "base/text.h"

namespace nines::http {
namespace {

// Heads are taken in steps of this size, so that little of a body that came with them is copied.
constexpr std::size_t kStep = 1024;
// RFC 9112, 2.2: some clients send an empty line after a body.
constexpr int kEmptyLinesMax = 4;

bool is_space(char c) { return c == ' ' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Visible ASCII without '#', which begins a fragment.
bool is_target_char(char c) { return c > 0x20 && c < 0x7f && c != '#'; }

bool is_host_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("-._~%!$&'()*+,;=").contains(c);
}

// host [":" port], the host a name, an IPv4 address or an IPv6 address in brackets; no user.
bool is_authority(std::string_view text) {
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return false;
    const std::string_view address = text.substr(1, close - 1);
    if (address.empty() || !std::ranges::all_of(address, [](char c) { return is_host_char(c) || c == ':'; }))
      return false;
    port = text.substr(close + 1);
  } else {
    const auto colon = std::min(text.find(':'), text.size());
    if (!std::ranges::all_of(text.substr(0, colon), is_host_char)) return false;
    if (colon == 0 && !text.empty()) return false;
    port = text.substr(colon);
  }
  if (port.empty()) return true;
  return port[0] == ':' && port.size() <= 6 && std::ranges::all_of(port.substr(1), is_digit);
}

// Without the scheme and "://"; nullopt: not absolute.
std::optional<std::string_view> after_scheme(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.size() >= scheme.size() && equals_ignoring_case(target.substr(0, scheme.size()), scheme))
      return target.substr(scheme.size());
  }
  return std::nullopt;
}

// What is wrong with a field's line, or null; then `name` is how long its name is.
const char* field_line_problem(std::string_view line, std::size_t& name) {
  name = 0;
  while (name < line.size() && is_token_char(line[name])) ++name;
  if (name == line.size()) return "a field without a colon";
  if (line[name] != ':') {
    if (name == 0 && is_space(line[0])) return "a folded field";
    return is_space(line[name]) ? "white space before a colon" : "a bad character in a field name";
  }
  if (name == 0) return "a field without a name";
  return is_field_value(line.substr(name + 1)) ? nullptr : "a control character in a field";
}

std::string_view without_space(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

void HeadParser::begin(Head& head, bool no_body) {
  head.clear();
  head_ = &head;
  no_body_ = no_body;
  line_at_ = scan_at_ = 0;
  empty_lines_ = 0;
  started_ = done_ = false;
  close_ = keep_alive_ = upgrade_ = false;
  target_prefix_ = {};
  refusal_ = 0;
}

bool HeadParser::begun() const { return !head_->text_.empty(); }

HeadParser::Problem HeadParser::refuse(int status, const char* why) {
  refusal_ = status;
  return why;
}

Head::Span HeadParser::span(std::string_view part) const {
  return {static_cast<std::uint32_t>(part.data() - head_->text_.data()), static_cast<std::uint32_t>(part.size())};
}

Result<std::size_t> HeadParser::feed(std::string_view bytes) {
  std::string& text = head_->text_;
  std::size_t taken = 0;
  while (taken < bytes.size() && !done_) {
    const std::string_view step = bytes.substr(taken, kStep);
    text += step;
    taken += step.size();
    Problem problem = take_lines();
    if (problem == nullptr && !done_ && text.size() >= limits_.head_bytes)
      problem = refuse(started_ ? 431 : 414, "the head is too long");
    if (problem != nullptr)
      return failure(refusal_ == 431 || refusal_ == 414 ? Code::kLimit : Code::kProtocol, problem);
  }
  if (!done_) return taken;
  const std::size_t beyond = text.size() - line_at_;
  text.resize(line_at_);
  rewrite_target();
  return taken - beyond;
}

HeadParser::Problem HeadParser::take_lines() {
  const std::string_view text = head_->text_;
  // What is no HTTP at all may have no line ends either: say so before the time is up.
  if (scan_at_ == 0 && !is_token_char(text[0]) && text[0] != '\r') return refuse(400, "it begins with no letter");
  while (!done_) {
    const auto lf = text.find('\n', scan_at_);
    if (lf == std::string_view::npos) {
      scan_at_ = text.size();
      return nullptr;
    }
    if (lf >= limits_.head_bytes) return refuse(started_ ? 431 : 414, "the head is too long");
    if (lf == line_at_ || text[lf - 1] != '\r') return refuse(400, "a line that ends without CR");
    const std::string_view line = text.substr(line_at_, lf - 1 - line_at_);
    if (const Problem problem = take_line(line)) return problem;
    line_at_ = scan_at_ = lf + 1;
  }
  return nullptr;
}

HeadParser::Problem HeadParser::take_line(std::string_view line) {
  if (line.empty()) {
    if (started_) return finish();
    if (side_ == Side::kResponses || ++empty_lines_ > kEmptyLinesMax) return refuse(400, "an empty line");
    return nullptr;
  }
  if (started_) return field_line(line);
  started_ = true;
  return side_ == Side::kRequests ? request_line(line) : status_line(line);
}

HeadParser::Problem HeadParser::request_line(std::string_view line) {
  const auto method_end = std::min(line.find(' '), line.size());
  const std::string_view method = line.substr(0, method_end);
  if (!is_token(method)) return refuse(400, "no method");
  const auto target_end = line.find(' ', method_end + 1);
  if (target_end == std::string_view::npos) return refuse(400, "a request line without a version");
  const std::string_view version = line.substr(target_end + 1);
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) || version[6] != '.' ||
      !is_digit(version[7]))
    return refuse(400, "a bad version");
  if (version[5] != '1' || version[7] > '1') return refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  if (method == "CONNECT") return refuse(501, "this is not a forward proxy: CONNECT is not served");
  head_->minor_version_ = version[7] - '0';
  head_->method_ = span(method);
  return target(line.substr(method_end + 1, target_end - method_end - 1));
}

HeadParser::Problem HeadParser::target(std::string_view target) {
  if (target.empty() || !std::ranges::all_of(target, is_target_char)) return refuse(400, "a bad target");
  if (const auto rest = after_scheme(target)) return absolute_target(*rest);
  if (!target.starts_with('/') && (target != "*" || head_->method() != "OPTIONS"))
    return refuse(400, "a target is a path, or an absolute http URL");
  head_->start_ = span(target);
  return nullptr;
}

HeadParser::Problem HeadParser::absolute_target(std::string_view rest) {
  const auto end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, end);
  if (authority.empty() || !is_authority(authority)) return refuse(400, "a bad host in the target");
  head_->authority_ = span(authority);
  head_->start_ = span(rest.substr(end));
  if (!head_->target().starts_with('/'))
    target_prefix_ = head_->method() == "OPTIONS" && end == rest.size() ? "*" : "/";  // RFC 9112, 3.2.4
  return nullptr;
}

// Once the text is complete: an absolute target becomes its origin form, and its host that of Host.
void HeadParser::rewrite_target() {
  Head& head = *head_;
  if (head.authority_.length == 0) return;
  if (const std::size_t host = head.first_[static_cast<std::size_t>(Name::kHost)]; host > 0)
    head.fields_[host - 1].value = head.authority_;
  if (target_prefix_.empty()) return;
  const std::size_t at = head.text_.size();
  head.text_ += target_prefix_;
  head.text_ += std::string(head.target());
  head.start_ = {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(head.text_.size() - at)};
}

HeadParser::Problem HeadParser::status_line(std::string_view line) {
  // A reason may be missing, and with it the space before it.
  const bool formed = line.size() >= 12 && line.starts_with("HTTP/1.") && (line[7] == '0' || line[7] == '1') &&
                      line[8] == ' ' && line[9] >= '1' && std::ranges::all_of(line.substr(9, 3), is_digit) &&
                      (line.size() == 12 || line[12] == ' ');
  if (!formed) return refuse(400, "a bad status line");
  head_->minor_version_ = line[7] - '0';
  head_->status_ = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  const std::string_view reason = line.size() > 13 ? line.substr(13) : line.substr(12, 0);
  if (!is_field_value(reason)) return refuse(400, "a control character in the reason");
  head_->start_ = span(reason);
  return nullptr;
}

HeadParser::Problem HeadParser::field_line(std::string_view line) {
  std::size_t colon = 0;
  if (const char* const problem = field_line_problem(line, colon)) return refuse(400, problem);
  if (head_->fields_.size() >= limits_.fields) return refuse(431, "too many fields");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = without_space(line.substr(colon + 1));
  const Name known = name_of_field(name);
  head_->fields_.push_back({span(name), span(value), known});
  auto& first = head_->first_[static_cast<std::size_t>(known)];
  const bool again = first != 0;
  if (!again) first = static_cast<std::uint16_t>(head_->fields_.size());
  if (again && known == Name::kHost) return refuse(400, "a request has exactly one Host");
  if (again && known == Name::kContentLength) return refuse(400, "Content-Length must be one plain number");
  if (again && known == Name::kTransferEncoding) return refuse(400, "the only transfer coding is chunked, once");
  return note(known, value);
}

HeadParser::Problem HeadParser::note(Name name, std::string_view value) {
  const bool request = side_ == Side::kRequests;
  switch (name) {
    case Name::kHost: return request && !is_authority(value) ? refuse(400, "a bad Host") : nullptr;
    case Name::kContentLength: {
      const auto length = parse_unsigned(value);
      if (!length) return refuse(400, "Content-Length must be one plain number");
      head_->content_length_ = *length;
      return nullptr;
    }
    case Name::kTransferEncoding:
      return equals_ignoring_case(value, "chunked") ? nullptr
                                                    : refuse(400, "the only transfer coding is chunked, once");
    case Name::kConnection: note_connection(value); return nullptr;
    case Name::kExpect:
      // HTTP/1.0 does not know it (RFC 9110, 10.1.1).
      if (!request || head_->minor_version_ == 0) return nullptr;
      if (!equals_ignoring_case(value, "100-continue")) return refuse(417, "the only expectation is 100-continue");
      head_->expects_continue_ = true;
      return nullptr;
    default: return nullptr;
  }
}

void HeadParser::note_connection(std::string_view tokens) {
  while (!tokens.empty()) {
    const auto comma = std::min(tokens.find(','), tokens.size());
    const std::string_view token = without_space(tokens.substr(0, comma));
    tokens.remove_prefix(std::min(comma + 1, tokens.size()));
    if (equals_ignoring_case(token, "close")) {
      close_ = true;
    } else if (equals_ignoring_case(token, "keep-alive")) {
      keep_alive_ = true;
    } else if (const Name name = name_of_field(token); name == Name::kOther || name == Name::kDisguised) {
      head_->names_others_ |= !token.empty();
    } else {
      upgrade_ |= name == Name::kUpgrade;
      head_->named_ |= 1U << static_cast<unsigned>(name);
    }
  }
}

// Decides how the body ends, and what the connection is good for.
HeadParser::Problem HeadParser::finish() {
  Head& head = *head_;
  const bool request = side_ == Side::kRequests;
  const bool modern = head.minor_version_ >= 1;
  const bool length = head.has(Name::kContentLength), coding = head.has(Name::kTransferEncoding);
  if (length && coding) return refuse(400, "both Content-Length and Transfer-Encoding");
  if (coding && !modern) return refuse(400, "HTTP/1.0 has no Transfer-Encoding");
  if (request && modern && !head.has(Name::kHost)) return refuse(400, "a request has exactly one Host");

  const bool bodiless = !request && (no_body_ || head.status_ < 200 || head.status_ == 204 || head.status_ == 304);
  if (bodiless) {
    head.framing_ = Framing::kNone;
  } else if (coding) {
    head.framing_ = Framing::kChunked;
  } else if (length) {
    head.framing_ = head.content_length_ > 0 || !request ? Framing::kLength : Framing::kNone;
  } else {
    head.framing_ = request ? Framing::kNone : Framing::kUntilClose;
  }

  head.keep_alive_ = (modern ? !close_ : keep_alive_ && !close_) && head.framing_ != Framing::kUntilClose;
  head.expects_continue_ = head.expects_continue_ && head.framing_ != Framing::kNone;
  const bool websocket = equals_ignoring_case(head.find(Name::kUpgrade).value_or(""), "websocket");
  head.upgrade_ = request ? upgrade_ && websocket && modern && head.framing_ == Framing::kNone && head.method() == "GET"
                          : head.status_ == 101;
  done_ = true;
  return nullptr;
}

}  // namespace nines::http
