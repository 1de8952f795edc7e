#include "fetch/sigv4.h"

#include <doctest/doctest.h>

#include "fetch/digest.h"

namespace nines::fetch {
namespace {

using std::chrono::sys_days;

std::string signature(const Unsigned& request, const Scope& scope, const Credentials& credentials) {
  const std::string all = authorization(request, scope, credentials);
  return all.substr(all.find("Signature=") + 10);
}

TEST_CASE("sigv4: AWS's test suite") {
  const Credentials credentials{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
  const Scope scope{
      .region = "us-east-1", .service = "service", .time = sys_days(std::chrono::year(2015) / 8 / 30) + 12h + 36min};
  struct Row {
    const char* name;
    const char* method;
    std::string path;
    Fields query;
    const char* signature;
  };
  const std::string unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const Row rows[] = {
      {"get-vanilla", "GET", "/", {}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"post-vanilla", "POST", "/", {}, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"get-vanilla-query-order-key-case",
       "GET",
       "/",
       {{"Param2", "value2"}, {"Param1", "value1"}},
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-query-unreserved",
       "GET",
       "/",
       {{unreserved, unreserved}},
       "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
      {"get-space",
       "GET",
       encode_path("/example space/"),
       {},
       "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
      {"get-utf8",
       "GET",
       encode_path("/\u1234"),
       {},
       "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(signature({.method = row.method,
                     .path = row.path,
                     .query = row.query,
                     .headers = {{"X-Amz-Date", amz_date(scope.time)}, {"Host", "example.amazonaws.com"}},
                     .payload_sha256 = hex(sha256(""))},
                    scope, credentials) == row.signature);
  }
}

TEST_CASE("sigv4: the examples of the S3 reference") {
  const Credentials credentials{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
  const Scope scope{.region = "us-east-1", .time = sys_days(std::chrono::year(2013) / 5 / 24)};
  struct Row {
    const char* method;
    const char* path;
    Fields query;
    Fields headers;
    const char* payload;
    const char* signature;
  };
  const Row rows[] = {
      {"GET",
       "/test.txt",
       {},
       {{"Range", "bytes=0-9"}},
       "",
       "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
      {"PUT",
       "/test$file.text",
       {},
       {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
       "Welcome to Amazon S3.",
       "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
      {"GET", "/", {{"lifecycle", ""}}, {}, "", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
      {"GET",
       "/",
       {{"max-keys", "2"}, {"prefix", "J"}},
       {},
       "",
       "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.path);
    Unsigned request{.method = row.method,
                     .path = encode_path(row.path),
                     .query = row.query,
                     .headers = row.headers,
                     .payload_sha256 = hex(sha256(row.payload))};
    request.headers.emplace_back("Host", "examplebucket.s3.amazonaws.com");
    request.headers.emplace_back("x-amz-date", amz_date(scope.time));
    request.headers.emplace_back("x-amz-content-sha256", request.payload_sha256);
    CHECK(signature(request, scope, credentials) == row.signature);
  }
}

TEST_CASE("sigv4: what is canonical") {
  CHECK(encode_path("/a b/c+d%/\xc3\xa9~") == "/a%20b/c%2Bd%25/%C3%A9~");
  CHECK(encode_component("a/b") == "a%2Fb");
  CHECK(encode_query({{"b", "1"}, {"a", "2"}, {"a", "1"}, {"A", ""}}) == "A=&a=1&a=2&b=1");
  CHECK(canonical_request({.method = "GET",
                           .headers = {{"My-Header", "  a   b "}, {"host", "h"}, {"my-header", "c"}},
                           .payload_sha256 = "0"}) == "GET\n/\n\nhost:h\nmy-header:a b,c\n\nhost;my-header\n0");
}

TEST_CASE("digest: known answers") {
  CHECK(hex(md5("")) == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(base64("any carnal pleas") == "YW55IGNhcm5hbCBwbGVhcw==");
  CHECK(base64("") == "");
  // RFC 4231, test case 2.
  CHECK(hex(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace nines::fetch
