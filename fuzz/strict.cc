#include "strict.h"

namespace nines::fuzz {
namespace {

// A position in the bytes; every take_… either advances over exactly what it names or leaves the reader failed.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : rest_(bytes) {}

  bool at_end() const { return rest_.empty(); }

  // Up to CRLF, which is taken too. nullopt: not there yet.
  std::optional<std::string> take_line() {
    const auto end = rest_.find("\r\n");
    if (end == std::string_view::npos) return std::nullopt;
    std::string line(rest_.substr(0, end));
    rest_.remove_prefix(end + 2);
    return line;
  }
  std::optional<std::string> take(std::uint64_t count) {
    if (rest_.size() < count) return std::nullopt;
    std::string bytes(rest_.substr(0, count));
    rest_.remove_prefix(count);
    return bytes;
  }
  std::string take_rest() { return std::string(std::exchange(rest_, {})); }

 private:
  std::string_view rest_;
};

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  if (text.empty()) return false;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && kMarks.find(c) == std::string_view::npos) return false;
  }
  return true;
}

bool has_control(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) return true;
  }
  return false;
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

std::optional<std::uint64_t> number(std::string_view digits, unsigned base) {
  if (digits.empty() || digits.size() > 15) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    const unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a') + 10
                           : c >= 'A' && c <= 'F' ? static_cast<unsigned>(c - 'A') + 10
                                                  : 99;
    if (digit >= base) return std::nullopt;
    value = value * base + digit;
  }
  return value;
}

struct Trouble {
  End end;
  std::string why;
};

Trouble cut() { return {End::kCut, ""}; }
Trouble wrong(std::string why) { return {End::kWrong, std::move(why)}; }

std::optional<Trouble> read_fields(Cursor& cursor, Message& message) {
  while (true) {
    const auto line = cursor.take_line();
    if (!line) return cut();
    if (line->empty()) return std::nullopt;
    if (line->find('\n') != std::string::npos || has_control(*line)) return wrong("a control character in a field");
    const auto colon = line->find(':');
    if (colon == std::string::npos || !is_token(line->substr(0, colon))) return wrong("a bad field name: " + *line);
    std::string value = line->substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.erase(0, 1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.pop_back();
    message.fields.emplace_back(lower(line->substr(0, colon)), value);
  }
}

std::vector<std::string> values_of(const Message& message, std::string_view name) {
  std::vector<std::string> values;
  for (const auto& [known, value] : message.fields) {
    if (known == name) values.push_back(value);
  }
  return values;
}

std::optional<Trouble> read_chunks(Cursor& cursor, Message& message) {
  while (true) {
    const auto line = cursor.take_line();
    if (!line) return cut();
    const auto size = number(*line, 16);
    if (!size) return wrong("a bad chunk size: " + *line);
    if (*size == 0) {
      Message trailers;
      return read_fields(cursor, trailers);
    }
    auto data = cursor.take(*size);
    if (!data) return cut();
    message.body += *data;
    const auto end = cursor.take(2);
    if (!end) return cut();
    if (*end != "\r\n") return wrong("a chunk that does not end where it should");
  }
}

enum class NoLength { kNoBody, kUntilClose };

std::optional<Trouble> read_body(Cursor& cursor, Message& message, NoLength otherwise, bool closed_cleanly) {
  const auto lengths = values_of(message, "content-length");
  const auto codings = values_of(message, "transfer-encoding");
  if (!lengths.empty() && !codings.empty()) return wrong("both Content-Length and Transfer-Encoding");
  if (lengths.size() > 1 || codings.size() > 1) return wrong("a framing field twice");
  if (!codings.empty()) return lower(codings[0]) == "chunked" ? read_chunks(cursor, message) : wrong("an odd coding");
  if (!lengths.empty()) {
    const auto length = number(lengths[0], 10);
    if (!length) return wrong("a bad length: " + lengths[0]);
    auto body = cursor.take(*length);
    if (!body) return cut();
    message.body = std::move(*body);
    return std::nullopt;
  }
  if (otherwise == NoLength::kNoBody) return std::nullopt;
  message.body = cursor.take_rest();
  return closed_cleanly ? std::nullopt : std::optional(cut());
}

Reading finish(Reading reading, Trouble trouble) {
  reading.end = trouble.end;
  reading.why = std::move(trouble.why);
  return reading;
}

}  // namespace

Reading read_requests(std::string_view bytes) {
  Reading reading;
  Cursor cursor(bytes);
  while (!cursor.at_end()) {
    Message message;
    const auto line = cursor.take_line();
    if (!line) return finish(std::move(reading), cut());
    const auto first = line->find(' '), last = line->rfind(' ');
    if (first == std::string::npos || first == last) return finish(std::move(reading), wrong("no request line"));
    message.first = line->substr(0, first);
    message.second = line->substr(first + 1, last - first - 1);
    if (!is_token(message.first)) return finish(std::move(reading), wrong("a bad method"));
    if (line->substr(last + 1) != "HTTP/1.1") return finish(std::move(reading), wrong("a bad version"));
    const bool origin = message.second.starts_with('/') || message.second == "*";
    if (!origin || message.second.find(' ') != std::string::npos || has_control(message.second))
      return finish(std::move(reading), wrong("a bad target"));
    if (auto trouble = read_fields(cursor, message)) return finish(std::move(reading), *trouble);
    if (values_of(message, "host").size() != 1) return finish(std::move(reading), wrong("not exactly one Host"));
    if (auto trouble = read_body(cursor, message, NoLength::kNoBody, true)) return finish(std::move(reading), *trouble);
    reading.messages.push_back(std::move(message));
  }
  return reading;
}

Reading read_responses(std::string_view bytes, const std::vector<std::string>& methods, bool closed_cleanly) {
  Reading reading;
  Cursor cursor(bytes);
  while (!cursor.at_end()) {
    Message message;
    const auto line = cursor.take_line();
    if (!line) return finish(std::move(reading), cut());
    const auto space = line->find(' ');
    const auto status = space == std::string::npos ? std::nullopt : number(line->substr(space + 1, 3), 10);
    if (!line->starts_with("HTTP/1.1 ") || !status || *status < 100 || *status > 999 || has_control(*line))
      return finish(std::move(reading), wrong("a bad status line: " + *line));
    message.first = "HTTP/1.1";
    message.second = line->substr(space + 1, 3);
    if (auto trouble = read_fields(cursor, message)) return finish(std::move(reading), *trouble);
    const bool interim = *status < 200;
    const std::size_t answered = reading.messages.size();
    const bool head = answered < methods.size() && methods[answered] == "HEAD";
    if (interim) continue;
    if (!head && *status != 204 && *status != 304) {
      if (auto trouble = read_body(cursor, message, NoLength::kUntilClose, closed_cleanly))
        return finish(std::move(reading), *trouble);
    }
    reading.messages.push_back(std::move(message));
  }
  return reading;
}

}  // namespace nines::fuzz
