#include "http/reader.h"

#include <llhttp.h>

#include <cstring>
#include <optional>

#include "base/text.h"

namespace nines::http {
namespace {

constexpr std::size_t kBufferBytes = 16 * 1024;

// Beyond the limit on what is kept of a head, for what is not: separators, white space, line ends, empty lines.
constexpr std::size_t kSeparatorsPerField = 16;

bool is_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }

}  // namespace

struct MessageReader::State {
  State(net::Stream& s, Side which, ReadLimits l) : stream(s), side(which), limits(l) { reset_parser(); }

  net::Stream& stream;
  const Side side;
  const ReadLimits limits;
  llhttp_t parser{};

  // [begin, end) of the buffer is received and not parsed yet.
  std::unique_ptr<char[]> buffer;
  std::size_t begin = 0, end = 0;

  Head* head = nullptr;  // where the head being read goes
  std::size_t head_bytes = 0;
  bool in_value = false;
  bool line_empty = true, text_seen = false;  // of the raw head so far: its present line, all of it
  bool no_body = false;
  bool head_done = false;
  bool message_done = true;
  std::optional<Error> broken;  // the body broke in the feed that completed the head: told when the body is asked for
  std::string_view piece;       // the body's bytes of the last feed, moved together
  char last_byte = 0;           // of the head, as far as it was looked at
  std::size_t name_bytes = 0;   // of the field name that is being read
  const char* problem = nullptr;
  Code problem_code = Code::kProtocol;

  void reset_parser();
  int refuse(const char* why, Code code = Code::kProtocol) {
    problem = why;
    problem_code = code;
    return HPE_USER;
  }
  int append(Head::Span& span, const char* at, std::size_t length);
  int on_headers_complete();
  const char* find_framing();

  const char* doubt_in_head();
  Result<> feed();
  Task<Result<bool>> fill();

  static State& of(llhttp_t* parser) { return *static_cast<State*>(parser->data); }
  static const llhttp_settings_t& settings();
};

const llhttp_settings_t& MessageReader::State::settings() {
  static const llhttp_settings_t kSettings = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_url =
        s.on_status = [](llhttp_t* p, const char* at, size_t n) { return of(p).append(of(p).head->start_, at, n); };
    s.on_header_field = [](llhttp_t* p, const char* at, size_t n) -> int {
      State& state = of(p);
      auto& fields = state.head->fields_;
      state.name_bytes += n;
      if (state.head_done) return HPE_OK;  // trailers are read and dropped
      if (state.in_value || fields.empty()) {
        if (fields.size() == state.limits.fields) return state.refuse("too many fields", Code::kLimit);
        fields.emplace_back();
        state.in_value = false;
      }
      return state.append(fields.back().name, at, n);
    };
    // The parser takes a line that begins with a colon for a field, which others take for a part of the one before.
    s.on_header_field_complete = [](llhttp_t* p) -> int {
      State& state = of(p);
      return std::exchange(state.name_bytes, 0) == 0 ? state.refuse("a field without a name") : HPE_OK;
    };
    s.on_header_value = [](llhttp_t* p, const char* at, size_t n) -> int {
      State& state = of(p);
      if (state.head_done) return HPE_OK;
      state.in_value = true;
      return state.append(state.head->fields_.back().value, at, n);
    };
    s.on_header_value_complete = [](llhttp_t* p) -> int {
      State& state = of(p);
      state.in_value = true;  // also when the value is empty and had no bytes to tell of
      if (state.head_done) return HPE_OK;
      Head::Span& value = state.head->fields_.back().value;
      while (value.length > 0 && (state.head->view(value).back() == ' ' || state.head->view(value).back() == '\t'))
        --value.length;
      return HPE_OK;
    };
    s.on_headers_complete = [](llhttp_t* p) { return of(p).on_headers_complete(); };
    s.on_body = [](llhttp_t* p, const char* at, size_t n) -> int {
      State& state = of(p);
      if (state.piece.empty()) {
        state.piece = {at, n};
      } else {
        // Chunk by chunk into one piece, over chunk heads that are parsed already.
        char* const to = const_cast<char*>(state.piece.data()) + state.piece.size();
        std::memmove(to, at, n);
        state.piece = {state.piece.data(), state.piece.size() + n};
      }
      return HPE_OK;
    };
    s.on_message_complete = [](llhttp_t* p) -> int {
      of(p).message_done = true;
      return HPE_PAUSED;  // what follows belongs to the next message
    };
    return s;
  }();
  return kSettings;
}

void MessageReader::State::reset_parser() {
  llhttp_init(&parser, side == Side::kRequests ? HTTP_REQUEST : HTTP_RESPONSE, &settings());
  parser.data = this;
}

int MessageReader::State::append(Head::Span& span, const char* at, std::size_t length) {
  if (head->text_.size() + length > limits.head_bytes) return refuse("the head is too long", Code::kLimit);
  if (span.length == 0) span.at = static_cast<std::uint32_t>(head->text_.size());
  head->text_.append(at, length);
  span.length += static_cast<std::uint32_t>(length);
  return HPE_OK;
}

int MessageReader::State::on_headers_complete() {
  head->minor_version_ = parser.http_minor;
  if (parser.http_major != 1) return refuse("only HTTP/1.0 and HTTP/1.1 are spoken here");
  if (side == Side::kRequests) {
    head->method_ = llhttp_method_name(static_cast<llhttp_method_t>(parser.method));
  } else {
    head->status_ = parser.status_code;
    if (std::ranges::any_of(head->reason(), is_control)) return refuse("a control character in the reason");
  }
  if (const char* const doubt = find_framing()) return refuse(doubt);

  const bool persistent =
      parser.http_minor >= 1 ? !head->has_token("connection", "close") : head->has_token("connection", "keep-alive");
  head->keep_alive_ = persistent && head->framing_ != Framing::kUntilClose;
  head->expects_continue_ =
      side == Side::kRequests && parser.http_minor >= 1 && head->has_token("expect", "100-continue");
  head_done = true;
  parser.upgrade = 0;  // what follows is an ordinary message: whoever wants to switch protocols asks the fields
  return side == Side::kResponses && head->framing_ == Framing::kNone ? 1 : 0;
}

// Decides how the body ends; returns what is doubtful about it, or null.
const char* MessageReader::State::find_framing() {
  int lengths = 0, codings = 0, hosts = 0;
  for (std::size_t i = 0; i < head->field_count(); ++i) {
    const Field field = head->field(i);
    if (equals_ignoring_case(field.name, "content-length")) {
      const auto length = parse_unsigned(field.value);
      if (!length || ++lengths > 1) return "Content-Length must be one plain number";
      head->content_length_ = *length;
    } else if (equals_ignoring_case(field.name, "transfer-encoding")) {
      if (!equals_ignoring_case(field.value, "chunked") || ++codings > 1)
        return "the only transfer coding is chunked, once";
    } else if (equals_ignoring_case(field.name, "host")) {
      ++hosts;
    }
  }
  if (lengths > 0 && codings > 0) return "both Content-Length and Transfer-Encoding";
  if (codings > 0 && parser.http_minor == 0) return "HTTP/1.0 has no Transfer-Encoding";

  const bool request = side == Side::kRequests;
  if (request && (hosts > 1 || (hosts == 0 && parser.http_minor >= 1))) return "a request has exactly one Host";
  const int status = head->status_;
  const bool bodiless = !request && (no_body || status < 200 || status == 204 || status == 304);
  if (bodiless) {
    head->framing_ = Framing::kNone;
  } else if (codings > 0) {
    head->framing_ = Framing::kChunked;
  } else if (lengths > 0) {
    head->framing_ = head->content_length_ > 0 || !request ? Framing::kLength : Framing::kNone;
  } else {
    head->framing_ = request ? Framing::kNone : Framing::kUntilClose;
  }
  return nullptr;
}

// What the parser lets pass and different programs read differently, so it has to be seen in the raw bytes: a line that
// begins with white space and continues the one before, and a line that ends without CR. The head ends with its first
// empty line; empty lines before it do not count. Null: nothing.
const char* MessageReader::State::doubt_in_head() {
  for (std::size_t i = begin; i != end; ++i) {
    const char c = buffer[i];
    const char before = std::exchange(last_byte, c);
    if (c == '\n') {
      if (before != '\r') return "a line that ends without CR";
      if (line_empty && text_seen) return nullptr;
      line_empty = true;
    } else if (c != '\r') {
      if (line_empty && text_seen && (c == ' ' || c == '\t')) return "a folded field";
      line_empty = false;
      text_seen = true;
    }
  }
  return nullptr;
}

Result<> MessageReader::State::feed() {
  piece = {};
  if (!head_done) {
    if (const char* const doubt = doubt_in_head()) return failure(Code::kProtocol, doubt);
  }
  const char* const from = buffer.get() + begin;
  const std::size_t length = end - begin;
  const bool was_in_head = !head_done;
  const llhttp_errno_t error = llhttp_execute(&parser, from, length);
  std::size_t used = length;
  if (error == HPE_PAUSED) {
    used = static_cast<std::size_t>(llhttp_get_error_pos(&parser) - from);
  } else if (error != HPE_OK) {
    return failure(problem_code, problem != nullptr ? problem : llhttp_get_error_reason(&parser));
  }
  begin += used;
  if (was_in_head && !head_done) {
    head_bytes += used;
    if (head_bytes > limits.head_bytes + limits.fields * kSeparatorsPerField)
      return failure(Code::kLimit, "the head is too long");
  }
  return {};
}

Task<Result<bool>> MessageReader::State::fill() {
  if (!buffer) buffer = std::make_unique_for_overwrite<char[]>(kBufferBytes);
  begin = end = 0;
  const auto n = co_await stream.read(std::span(buffer.get(), kBufferBytes));
  if (!n) co_return std::unexpected(n.error());
  end = *n;
  co_return *n > 0;
}

MessageReader::MessageReader(net::Stream& stream, Side side, ReadLimits limits)
    : state_(std::make_unique<State>(stream, side, limits)) {}
MessageReader::~MessageReader() = default;
MessageReader::MessageReader(MessageReader&&) noexcept = default;

Task<Result<bool>> MessageReader::head(Head& head) {
  State& s = *state_;
  INVARIANT(s.message_done);
  head.clear();
  s.reset_parser();
  s.head = &head;
  s.head_bytes = 0;
  s.line_empty = true;
  s.text_seen = false;
  s.in_value = s.head_done = s.message_done = false;
  s.name_bytes = 0;
  s.last_byte = 0;
  s.broken.reset();
  bool any = false;
  while (!s.head_done) {
    if (s.begin == s.end) {
      const auto filled = co_await s.fill();
      if (!filled) co_return std::unexpected(filled.error());
      if (!*filled) {
        s.message_done = true;
        if (!any) co_return false;
        co_return failure(Code::kClosed, "the connection ended in the middle of a head");
      }
    }
    any = true;
    if (auto fed = s.feed(); !fed) {
      if (!s.head_done) co_return std::unexpected(fed.error());
      s.broken = std::move(fed.error());
    }
  }
  s.no_body = false;
  co_return true;
}

void MessageReader::expect_no_body() { state_->no_body = true; }

Task<Result<std::string_view>> MessageReader::body() {
  State& s = *state_;
  while (true) {
    if (!s.piece.empty()) co_return std::exchange(s.piece, {});
    if (s.broken) co_return failure(*s.broken);
    if (s.message_done) co_return std::string_view();
    if (s.begin == s.end) {
      const auto filled = co_await s.fill();
      if (!filled) co_return std::unexpected(filled.error());
      if (!*filled) {
        if (s.head->framing() != Framing::kUntilClose) {
          co_return failure(Code::kClosed, "the connection ended in the middle of a body");
        }
        s.message_done = true;
        continue;
      }
    }
    if (auto fed = s.feed(); !fed) co_return std::unexpected(fed.error());
  }
}

bool MessageReader::message_done() const { return state_->message_done && state_->piece.empty(); }
bool MessageReader::has_more() const { return state_->begin != state_->end; }

void MessageReader::release_buffer() {
  if (!has_more() && state_->piece.empty()) state_->buffer.reset();
}

}  // namespace nines::http
