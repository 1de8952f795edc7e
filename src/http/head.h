// The head of an HTTP/1.1 message: start line and fields, in one piece of text it owns. Reused from message to
// message without allocating once it has grown to its usual size.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nines::http {

struct Field {
  std::string_view name;
  std::string_view value;  // without the white space around it
};

// How the end of the body is known.
enum class Framing : std::uint8_t { kNone, kLength, kChunked, kUntilClose };

class Head {
 public:
  // Requests: the target as it was sent ("/classify?x=1", "*"), its path and its query (without '?').
  std::string_view method() const { return method_; }
  std::string_view target() const { return view(start_); }
  std::string_view path() const;
  std::string_view query() const;

  // Responses.
  int status() const { return status_; }
  std::string_view reason() const { return view(start_); }

  int minor_version() const { return minor_version_; }
  Framing framing() const { return framing_; }
  std::uint64_t content_length() const { return content_length_; }  // with kLength
  bool keep_alive() const { return keep_alive_; }
  bool expects_continue() const { return expects_continue_; }

  std::size_t field_count() const { return fields_.size(); }
  Field field(std::size_t i) const { return {view(fields_[i].name), view(fields_[i].value)}; }
  // The first field of that name, any case.
  std::optional<std::string_view> find(std::string_view name) const;
  // Whether a comma-separated field of that name, in any of its lines, has the token (any case).
  bool has_token(std::string_view name, std::string_view token) const;

  void clear();

 private:
  friend class MessageReader;
  struct Span {
    std::uint32_t at = 0, length = 0;
  };
  struct FieldSpans {
    Span name, value;
  };
  std::string_view view(Span s) const { return std::string_view(text_).substr(s.at, s.length); }

  std::string text_;
  std::vector<FieldSpans> fields_;
  std::string_view method_;  // a literal
  Span start_;               // target or reason
  int status_ = 0;
  int minor_version_ = 1;
  Framing framing_ = Framing::kNone;
  std::uint64_t content_length_ = 0;
  bool keep_alive_ = true;
  bool expects_continue_ = false;
};

// The value of one parameter of a query string, percent-decoded; nullopt when it is not there.
std::optional<std::string> query_parameter(std::string_view query, std::string_view name);

}  // namespace nines::http
