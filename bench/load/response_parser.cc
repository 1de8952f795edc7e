#include "load/response_parser.h"

#include <algorithm>

#include "base/text.h"

namespace nines::load {
namespace {

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || kMarks.contains(c);
  });
}

// Field values and reason phrases: visible bytes, space and tab; obs-text too.
bool is_text(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
  });
}

bool lists(std::string_view list, std::string_view wanted) {
  while (true) {
    const auto comma = list.find(',');
    if (equals_ignoring_case(trim(list.substr(0, comma)), wanted)) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void ResponseParser::begin(std::string_view method) {
  state_ = State::kStatusLine;
  started_ = false;
  to_head_ = method == "HEAD";
  close_ = false;
  status_ = 0;
  interim_ = 0;
  left_ = 0;
  body_size_ = 0;
  line_.clear();
  body_start_.clear();
  error_.clear();
  fields_.clear();
}

std::size_t ResponseParser::feed(std::string_view bytes) {
  const std::size_t given = bytes.size();
  while (!bytes.empty() && !done() && !broken()) {
    started_ = true;
    bytes.remove_prefix(in_body() ? take_body(bytes) : take_line(bytes));
  }
  return given - bytes.size();
}

bool ResponseParser::end_of_stream() {
  if (state_ == State::kBodyUntilClose) state_ = State::kDone;
  return done();
}

std::string_view ResponseParser::field(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (equals_ignoring_case(key, name)) return value;
  }
  return {};
}

std::size_t ResponseParser::take_line(std::string_view bytes) {
  const auto newline = bytes.find('\n');
  const std::size_t taken = newline == std::string_view::npos ? bytes.size() : newline + 1;
  line_.append(bytes.substr(0, taken));
  if (line_.size() > kLineMax) {
    break_off("a line of more than " + std::to_string(kLineMax) + " bytes");
    return taken;
  }
  if (newline == std::string_view::npos) return taken;
  if (line_.size() < 2 || line_[line_.size() - 2] != '\r') {
    break_off("a line that ends with LF instead of CRLF");
    return taken;
  }
  on_line(std::string_view(line_).substr(0, line_.size() - 2));
  line_.clear();
  return taken;
}

std::size_t ResponseParser::take_body(std::string_view bytes) {
  const bool until_close = state_ == State::kBodyUntilClose;
  const std::size_t taken =
      until_close ? bytes.size() : static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
  if (body_start_.size() < kBodyKept)
    body_start_.append(bytes.substr(0, std::min(taken, kBodyKept - body_start_.size())));
  body_size_ += taken;
  if (body_size_ > kBodyMax) {
    break_off("a body of more than " + std::to_string(kBodyMax) + " bytes");
    return taken;
  }
  if (until_close) return taken;
  left_ -= taken;
  if (left_ == 0) on_body_piece_end();
  return taken;
}

void ResponseParser::on_body_piece_end() { state_ = state_ == State::kChunkData ? State::kChunkEnd : State::kDone; }

void ResponseParser::on_line(std::string_view line) {
  switch (state_) {
    case State::kStatusLine: return on_status_line(line);
    case State::kFields: return line.empty() ? on_head_end() : on_field(line);
    case State::kChunkSize: return on_chunk_size(line);
    case State::kChunkEnd:
      if (!line.empty()) return break_off("a chunk longer than its stated size");
      state_ = State::kChunkSize;
      return;
    case State::kTrailers:
      if (line.empty()) {
        state_ = State::kDone;
        return;
      }
      return on_field(line);
    default: return break_off("a line where none belongs");
  }
}

void ResponseParser::on_status_line(std::string_view line) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  if (!line.starts_with(kVersion)) return break_off("not an HTTP/1.1 status line");
  line.remove_prefix(kVersion.size());
  if (line.size() < 4 || !std::ranges::all_of(line.substr(0, 3), is_digit) || line[3] != ' ' ||
      !is_text(line.substr(4))) {
    return break_off("a malformed status line");
  }
  status_ = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (status_ < 100 || status_ > 599) return break_off("a status outside 100 to 599");
  state_ = State::kFields;
}

void ResponseParser::on_field(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return break_off("a malformed field name");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = line.substr(colon + 1);
  if (!is_text(value)) return break_off("a control byte in a field value");
  if (fields_.size() == kFieldsMax) return break_off("more than " + std::to_string(kFieldsMax) + " fields");

  const bool framing = equals_ignoring_case(name, "content-length") || equals_ignoring_case(name, "transfer-encoding");
  if (framing && state_ == State::kTrailers) return break_off("framing in a trailer");
  if (framing && !field(name).empty()) return break_off("a second " + std::string(name));
  if (framing && trim(value).empty()) return break_off("an empty " + std::string(name));
  if (equals_ignoring_case(name, "connection") && lists(value, "close")) close_ = true;
  fields_.emplace_back(name, trim(value));
}

void ResponseParser::on_head_end() {
  if (status_ < 200) {
    if (status_ == 101) return break_off("an upgrade nobody asked for");
    if (++interim_ > kInterimMax) return break_off("more than " + std::to_string(kInterimMax) + " interim responses");
    if (!field("content-length").empty() || !field("transfer-encoding").empty()) {
      return break_off("an interim response with a body");
    }
    fields_.clear();
    status_ = 0;
    state_ = State::kStatusLine;
    return;
  }

  const std::string_view length = field("content-length");
  const std::string_view coding = field("transfer-encoding");
  if (!length.empty() && !coding.empty()) return break_off("both Content-Length and Transfer-Encoding");
  if (!coding.empty() && !equals_ignoring_case(coding, "chunked")) return break_off("an unknown Transfer-Encoding");
  const auto size = parse_unsigned(length);
  if (!length.empty() && !size) return break_off("a Content-Length that is not a number");
  if (size && *size > kBodyMax) return break_off("a body of more than " + std::to_string(kBodyMax) + " bytes");

  if (status_ == 204 && (size || !coding.empty())) return break_off("a 204 with a body");
  if (to_head_ || status_ == 204 || status_ == 304) {
    state_ = State::kDone;
  } else if (!coding.empty()) {
    state_ = State::kChunkSize;
  } else if (size) {
    left_ = *size;
    state_ = left_ == 0 ? State::kDone : State::kFixedBody;
  } else if (close_) {
    state_ = State::kBodyUntilClose;
  } else {
    break_off("a body without Content-Length, Transfer-Encoding or Connection: close");
  }
}

void ResponseParser::on_chunk_size(std::string_view line) {
  const std::string_view digits = line.substr(0, line.find_first_not_of("0123456789abcdefABCDEF"));
  const std::string_view extension = line.substr(digits.size());
  if (digits.empty() || digits.size() > 8) return break_off("a malformed chunk size");
  if (!extension.empty() && (!extension.starts_with(';') || !is_text(extension))) {
    return break_off("a malformed chunk extension");
  }
  left_ = 0;
  for (const char c : digits) left_ = left_ * 16 + static_cast<unsigned>(hex_value(c));
  state_ = left_ == 0 ? State::kTrailers : State::kChunkData;
}

void ResponseParser::break_off(std::string why) {
  error_ = std::move(why);
  state_ = State::kBroken;
}

}  // namespace nines::load
