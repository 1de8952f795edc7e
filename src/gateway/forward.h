// What changes in a head on its way through: fields that belong to one connection are left out, what the other side
// needs to know about the first is added. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/head.h"

namespace nines::gateway {

struct Hop {
  std::string_view client;      // address without port
  std::string_view request_id;  // of this request, from the client if it was sane
  bool old_client = false;      // of HTTP/1.0: it has to be told that the connection stays
};

// The head as the replica gets it. `body_length`: the whole body is known; nullopt: chunked if the request was.
void write_upstream_head(std::string& out, const http::Head& request, const Hop& hop,
                         std::optional<std::uint64_t> body_length);

enum class BodyCoding : std::uint8_t { kNone, kLength, kChunked, kUntilClose };

// The head as the client gets it. `chunked` where the length is not known and the client speaks 1.1.
void write_client_head(std::string& out, const http::Head& response, const Hop& hop, BodyCoding coding,
                       bool keep_alive);

// A request id is taken over when it is 1 to 128 visible ASCII characters.
bool is_sane_request_id(std::string_view id);

// Why the target cannot be forwarded, or null. Only the origin form ("/path?query") and "*" of OPTIONS are.
const char* target_problem(const http::Head& request);

}  // namespace nines::gateway
