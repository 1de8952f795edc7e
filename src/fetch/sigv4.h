// AWS Signature Version 4, for S3 and what speaks like it. Pure. By "Authenticating Requests: Using the Authorization
// Header (AWS Signature Version 4)" of the Amazon S3 API reference. libcurl 7.88 has a signer of its own, which neither
// sorts the query, nor encodes the path, nor sends the payload's hash.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"

namespace nines::fetch {

using Fields = std::vector<std::pair<std::string, std::string>>;

// Of somebody's account. Never printed, never part of an error.
struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty: there is none
};

struct Unsigned {
  std::string method;
  std::string path = "/";      // encoded already, as it goes over the wire
  Fields query;                // not encoded; any order
  Fields headers;              // all that are to be signed, `host` among them; any order, any case
  std::string payload_sha256;  // hexadecimal
};

struct Scope {
  std::string region;
  std::string service = "s3";
  WallTime time{};
};

// RFC 3986: all but letters, digits and -_.~ as %XX; a path keeps its slashes.
std::string encode_component(std::string_view text);
std::string encode_path(std::string_view path);
// a=1&b=2, encoded, and sorted as the signature wants it.
std::string encode_query(const Fields& query);

std::string amz_date(WallTime t);  // 20130524T000000Z

std::string canonical_request(const Unsigned& request);
// The value of the header Authorization.
std::string authorization(const Unsigned& request, const Scope& scope, const Credentials& credentials);

}  // namespace nines::fetch
