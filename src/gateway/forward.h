// What changes in a head on its way through: fields that belong to one connection are left out, what the other side
// needs to know about the first is added. Pure.
//
// What a replica is told of the client (each address is only as true as whoever wrote it; the last one is ours):
//
//   X-Forwarded-For    the client's, if any, ", " and the address of this connection
//   X-Forwarded-Proto  the client's, or how this connection came
//   X-Forwarded-Host   the client's, or the host it asked for
//   Forwarded          (RFC 7239) continued if the client sent one, otherwise not begun
//   Via                passed on, not added: it keeps some servers from compressing
//   X-Request-Id       Hop::request_id
//
// Where it is known which proxies are to be believed, what anybody else says of those before it is left out
// (Hop::believed).
//
// Fields that a server would mistake for these or for those that frame a message (`X_Forwarded_For`, see
// http::Name::kDisguised) are left out of requests.
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
  std::string_view proto = "http";
  bool believed = true;  // what the client says of those before it is handed on
};

// The head as the replica gets it. `body_length`: the whole body is known; nullopt: chunked if the request was.
// A request with upgrade() asks the replica to switch, too.
void write_upstream_head(std::string& out, const http::Head& request, const Hop& hop,
                         std::optional<std::uint64_t> body_length);

enum class BodyCoding : std::uint8_t { kNone, kLength, kChunked, kUntilClose };

// The head as the client gets it. `chunked` where the length is not known and the client speaks 1.1. An answer with
// upgrade() tells the client that the protocol is switched.
void write_client_head(std::string& out, const http::Head& response, const Hop& hop, BodyCoding coding,
                       bool keep_alive);

// A request id is taken over when it is 1 to 128 visible ASCII characters.
bool is_sane_request_id(std::string_view id);

}  // namespace nines::gateway
