// Writes HTTP/1.1 heads and chunks into a buffer of the caller's, in the one form every parser agrees on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "http/field_name.h"

namespace nines::http {

void write_request_line(std::string& out, std::string_view method, std::string_view target);
void write_status_line(std::string& out, int status);
// REQUIRES: name is a token and value has no CR, LF or NUL: text from outside passes is_field_value() first.
void write_field(std::string& out, std::string_view name, std::string_view value);
void write_field(std::string& out, std::string_view name, std::uint64_t value);
inline void end_head(std::string& out) { out += "\r\n"; }

// What stands before a chunk of that size: "1a\r\n". A chunk ends with "\r\n", the body with kLastChunk.
class ChunkHead {
 public:
  explicit ChunkHead(std::size_t size);
  std::string_view view() const { return {text_, length_}; }

 private:
  char text_[20];
  std::size_t length_;
};
inline constexpr std::string_view kChunkEnd = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

std::string_view reason_of(int status);

// Tue, 24 Nov 2026 08:00:00 GMT
std::string http_date(WallTime t);

// An error as the clients of AI APIs know it: {"error":{"message":…,"type":…,"param":null,"code":…}}.
std::string error_body(std::string_view message, std::string_view type, std::string_view code);
// A JSON string with its quotes.
std::string json_quoted(std::string_view text);

}  // namespace nines::http
