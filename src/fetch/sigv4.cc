#include "fetch/sigv4.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "fetch/digest.h"

namespace nines::fetch {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '~';
}

std::string encode(std::string_view text, bool keep_slash) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (is_unreserved(c) || (keep_slash && c == '/')) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

// Without spaces around it, and with one where there are several.
std::string folded(std::string_view value) {
  std::string text;
  for (const char c : trim(value))
    if (c != ' ' || !text.ends_with(' ')) text += c;
  return text;
}

struct Canonical {
  std::string headers;  // "host:example.com\nx-amz-date:…\n"
  std::string names;    // "host;x-amz-date"
};

Canonical canonical_headers(const Fields& headers) {
  std::multimap<std::string, std::string> sorted;  // those of one name stay in their order
  for (const auto& [name, value] : headers) sorted.emplace(lower(name), folded(value));
  Canonical canonical;
  std::string last;
  for (const auto& [name, value] : sorted) {
    if (name == last) {  // a header that is there twice counts as a list
      canonical.headers.back() = ',';
      canonical.headers += value + "\n";
      continue;
    }
    canonical.headers += name + ":" + value + "\n";
    canonical.names += (canonical.names.empty() ? "" : ";") + name;
    last = name;
  }
  return canonical;
}

}  // namespace

std::string encode_component(std::string_view text) { return encode(text, false); }
std::string encode_path(std::string_view path) { return encode(path, true); }

std::string encode_query(const Fields& query) {
  Fields encoded;
  for (const auto& [name, value] : query) encoded.emplace_back(encode_component(name), encode_component(value));
  std::ranges::sort(encoded);
  std::string text;
  for (const auto& [name, value] : encoded) text += (text.empty() ? "" : "&") + name + "=" + value;
  return text;
}

std::string amz_date(WallTime t) {
  std::string date;
  for (const char c : format_rfc3339(t).substr(0, 19))  // 2013-05-24T00:00:00
    if (c != '-' && c != ':') date += c;
  return date + "Z";
}

std::string canonical_request(const Unsigned& request) {
  const Canonical canonical = canonical_headers(request.headers);
  return request.method + "\n" + request.path + "\n" + encode_query(request.query) + "\n" + canonical.headers + "\n" +
         canonical.names + "\n" + request.payload_sha256;
}

std::string authorization(const Unsigned& request, const Scope& scope, const Credentials& credentials) {
  const std::string date = amz_date(scope.time);
  const std::string day = date.substr(0, 8);
  const std::string where = day + "/" + scope.region + "/" + scope.service + "/aws4_request";
  const std::string text =
      std::string(kAlgorithm) + "\n" + date + "\n" + where + "\n" + hex(sha256(canonical_request(request)));
  std::string key = "AWS4" + credentials.secret_key;
  for (const std::string_view part : {std::string_view(day), std::string_view(scope.region),
                                      std::string_view(scope.service), std::string_view("aws4_request")})
    key = hmac_sha256(key, part);
  return std::string(kAlgorithm) + " Credential=" + credentials.access_key + "/" + where +
         ",SignedHeaders=" + canonical_headers(request.headers).names + ",Signature=" + hex(hmac_sha256(key, text));
}

}  // namespace nines::fetch
