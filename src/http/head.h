// The head of an HTTP/1.1 message: start line and fields, in one piece of text it owns. Reused from message to
// message without allocating once it has grown to its usual size.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/field_name.h"

namespace nines::http {

struct Field {
  std::string_view name;
  std::string_view value;  // without the white space around it
  Name known = Name::kOther;
};

// How the end of the body is known.
enum class Framing : std::uint8_t { kNone, kLength, kChunked, kUntilClose };

class Head {
 public:
  // Requests: the method as it was sent, known or not; the target, always in origin form ("/classify?x=1") or "*", its
  // path and its query (without '?').
  std::string_view method() const { return view(method_); }
  std::string_view target() const { return view(start_); }
  std::string_view path() const;
  std::string_view query() const;
  // From an absolute target, whatever Host says (RFC 9112, 3.2.2), else from Host; empty where HTTP/1.0 sent neither.
  std::string_view host() const;

  // Responses.
  int status() const { return status_; }
  std::string_view reason() const { return view(start_); }

  int minor_version() const { return minor_version_; }
  Framing framing() const { return framing_; }
  std::uint64_t content_length() const { return content_length_; }  // with kLength
  bool keep_alive() const { return keep_alive_; }
  bool expects_continue() const { return expects_continue_; }  // and has a body to wait with
  // A request: asks for WebSocket, and has no body. A response: has switched protocols (101). Nothing else is upgraded:
  // a connection that a replica has switched to h2c would carry requests nobody here looks at.
  bool upgrade() const { return upgrade_; }

  std::size_t field_count() const { return fields_.size(); }
  Field field(std::size_t i) const { return {view(fields_[i].name), view(fields_[i].value), fields_[i].known}; }
  // The first field of that name; by text: any case.
  std::optional<std::string_view> find(Name name) const;
  std::optional<std::string_view> find(std::string_view name) const;
  bool has(Name name) const { return first_[static_cast<std::size_t>(name)] != 0; }
  // Whether a comma-separated field of that name, in any of its lines, has the token (any case).
  bool has_token(std::string_view name, std::string_view token) const;
  // Whether a field is of this connection only (RFC 9110, 7.6.1): by its name, or because Connection names it. Host
  // never is, whatever Connection says.
  bool is_of_connection(const Field& field) const;

  void clear();

 private:
  friend class HeadParser;
  struct Span {
    std::uint32_t at = 0, length = 0;
  };
  struct FieldSpans {
    Span name, value;
    Name known;
  };
  std::string_view view(Span s) const { return std::string_view(text_).substr(s.at, s.length); }

  std::string text_;
  std::vector<FieldSpans> fields_;
  std::array<std::uint16_t, kNameCount> first_{};  // of each known name the first field, counted from 1; 0: none
  std::uint32_t named_ = 0;                        // known names in Connection, a bit for each
  bool names_others_ = false;                      // and some that are not known
  Span method_;
  Span start_;      // target or reason
  Span authority_;  // of an absolute target
  int status_ = 0;
  int minor_version_ = 1;
  Framing framing_ = Framing::kNone;
  std::uint64_t content_length_ = 0;
  bool keep_alive_ = true;
  bool expects_continue_ = false;
  bool upgrade_ = false;
};

// The value of one parameter of a query string, percent-decoded; nullopt when it is not there.
std::optional<std::string> query_parameter(std::string_view query, std::string_view name);

}  // namespace nines::http
