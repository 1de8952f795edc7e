// A strict server of S3 for tests, in this process, on loopback. It believes nothing: signature, time, payload hash,
// length and MD5 are checked, and computed here from what came over the wire. It fails as it is told to.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/text.h"
#include "fetch/digest.h"
#include "fetch/test_support.h"

namespace nines::storage::testing {

using fetch::testing::Answer;
using fetch::testing::Asked;

class S3Server {
 public:
  static constexpr const char* kBucket = "test-bucket";
  static constexpr const char* kAccessKey = "test";
  static constexpr const char* kSecretKey = "testing";
  static constexpr const char* kDate = "Fri, 24 May 2013 00:00:00 GMT";  // the clock stands
  static constexpr std::size_t kPage = 3;                                // keys in a page of a list

  struct Upload {
    std::string key;
    std::string initiated = "2013-05-24T00:00:00.000Z";
    std::map<int, std::string> parts;
  };
  // What becomes of a request: kLose does it and resets; others of Fault's kind do not do it.
  enum class Trouble { kNone, kSlowDown, kResetBefore, kResetMidBody, kTruncate, kHang, kLose, kPretend };

  S3Server() : http_([this](const Asked& asked) { return serve(asked); }) {}

  std::string url() const { return http_.url(); }

  // Asked for each request that is in order; for the tests' thread all below is guarded by `mutex`.
  std::function<Trouble(const Asked&)> trouble = [](const Asked&) { return Trouble::kNone; };
  bool knows_conditions = true;
  bool checks_time = true;
  std::string region = "us-east-1";
  std::optional<std::map<std::string, std::string>> stale;  // what lists show instead
  std::map<std::string, std::string> objects;
  std::map<std::string, Upload> uploads;
  std::vector<std::string> log;  // "PUT /test-bucket/a?partNumber=1…"
  std::mutex mutex;

 private:
  using Query = std::map<std::string, std::string>;

  static std::string decoded(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '%' && i + 2 < text.size()) {
        plain += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
      } else {
        plain += text[i];
      }
    }
    return plain;
  }

  static Answer error(int status, const std::string& code, const std::string& more = "") {
    return {
        .status = status,
        .body = "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>as told</Message>" + more + "</Error>",
        .headers = {{"Date", kDate}}};
  }

  static std::string header(const Asked& asked, const std::string& name) {
    const auto found = asked.headers.find(name);
    return found == asked.headers.end() ? "" : found->second;
  }

  static std::string between(const std::string& text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    if (at == std::string::npos) return "";
    return text.substr(at + from.size(), text.find(to, at + from.size()) - at - from.size());
  }

  // As the reference has it: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
  std::optional<Answer> refused(const Asked& asked) const {
    const std::string authorization = header(asked, "authorization"), date = header(asked, "x-amz-date");
    const std::string hash = header(asked, "x-amz-content-sha256");
    const std::string scope = date.substr(0, 8) + "/" + region + "/s3/aws4_request";
    if (between(authorization, "Credential=", "/") != kAccessKey) return error(403, "InvalidAccessKeyId");
    const std::string their_region =
        between(authorization, "Credential=" + std::string(kAccessKey) + "/" + date.substr(0, 8) + "/", "/");
    if (their_region != region) return error(400, "AuthorizationHeaderMalformed", "<Region>" + region + "</Region>");
    if (checks_time && date != "20130524T000000Z") return error(403, "RequestTimeTooSkewed");
    const std::string names = between(authorization, "SignedHeaders=", ",");
    std::string headers;
    for (std::size_t at = 0; at <= names.size();) {
      const std::size_t end = std::min(names.find(';', at), names.size());
      const std::string name = names.substr(at, end - at);
      headers += name + ":" + header(asked, name) + "\n";
      at = end + 1;
    }
    for (const char* must : {"host", "x-amz-date", "x-amz-content-sha256"})
      if (!headers.contains(std::string(must) + ":")) return error(403, "AccessDenied");
    // All that changes what is done is to be signed.
    for (const auto& [name, value] : asked.headers)
      if ((name.starts_with("if-") || name.starts_with("x-amz-") || name == "content-md5") &&
          !headers.contains(name + ":"))
        return error(403, "AccessDenied");
    const auto question = asked.target.find('?');
    const std::string query = question == std::string::npos ? "" : asked.target.substr(question + 1);
    const std::string canonical = asked.method + "\n" + asked.target.substr(0, question) + "\n" + query + "\n" +
                                  headers + "\n" + names + "\n" + hash;
    std::string key = "AWS4" + std::string(kSecretKey);
    for (const std::string& part : {date.substr(0, 8), region, std::string("s3"), std::string("aws4_request")})
      key = fetch::hmac_sha256(key, part);
    const std::string text = "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + fetch::hex(fetch::sha256(canonical));
    if (authorization.substr(authorization.find("Signature=") + 10) != fetch::hex(fetch::hmac_sha256(key, text)))
      return error(403, "SignatureDoesNotMatch");
    if (hash != fetch::hex(fetch::sha256(asked.body))) return error(400, "XAmzContentSHA256Mismatch");
    const bool has_body = asked.method == "PUT" || asked.method == "POST";
    if (has_body && !asked.headers.contains("content-length")) return error(411, "MissingContentLength");
    const std::string md5 = header(asked, "content-md5");
    if (!md5.empty() && md5 != fetch::base64(fetch::md5(asked.body))) return error(400, "BadDigest");
    return std::nullopt;
  }

  Answer serve(const Asked& asked) {
    const std::lock_guard lock(mutex);
    log.push_back(asked.method + " " + asked.target);
    if (auto no = refused(asked)) return *no;
    using Fault = Answer::Fault;
    const Trouble trouble_now = trouble(asked);
    switch (trouble_now) {
      case Trouble::kSlowDown: return error(503, "SlowDown");
      case Trouble::kResetBefore: return {.fault = Fault::kResetBefore};
      case Trouble::kHang: return {.fault = Fault::kHang};
      case Trouble::kPretend: return {.headers = {{"ETag", "\"lost\""}}};
      default: break;
    }
    Answer answer = perform(asked);
    if (trouble_now == Trouble::kLose) answer.fault = Fault::kResetBefore;
    if (trouble_now == Trouble::kResetMidBody) answer.fault = Fault::kResetMidBody;
    if (trouble_now == Trouble::kTruncate) answer.body.resize(answer.body.size() / 2);
    return answer;
  }

  Answer perform(const Asked& asked) {
    const auto question = asked.target.find('?');
    const std::string path = decoded(asked.target.substr(0, question));
    Query query;
    for (std::string rest = question == std::string::npos ? "" : asked.target.substr(question + 1); !rest.empty();) {
      const std::string one = rest.substr(0, rest.find('&'));
      const auto equals = one.find('=');
      query[decoded(one.substr(0, equals))] = decoded(one.substr(equals + 1));
      rest.erase(0, one.size() + 1);
    }
    const std::string bucket = std::string("/") + kBucket + "/";
    if (!path.starts_with(bucket)) return error(404, "NoSuchBucket");
    const std::string key = path.substr(bucket.size());
    if (key.empty()) return query.contains("uploads") ? list_uploads(query) : list(query);
    if (query.contains("uploads") || query.contains("uploadId")) return multipart(asked, key, query);
    if (asked.method == "PUT") return store(asked, key, asked.body);
    const auto found = objects.find(key);
    if (asked.method == "DELETE") {
      objects.erase(key);
      return {.status = 204};
    }
    if (found == objects.end()) return error(404, "NoSuchKey");
    return content(asked, found->second);
  }

  static std::string etag(const std::string& content) { return "\"" + fetch::hex(fetch::md5(content)) + "\""; }

  Answer store(const Asked& asked, const std::string& key, const std::string& content) {
    const std::string none = header(asked, "if-none-match"), match = header(asked, "if-match");
    if (!knows_conditions && !(none + match).empty()) return error(501, "NotImplemented");
    const auto found = objects.find(key);
    if (none == "*" && found != objects.end()) return error(412, "PreconditionFailed");
    if (!match.empty() && found == objects.end()) return error(404, "NoSuchKey");
    if (!match.empty() && etag(found->second) != match) return error(412, "PreconditionFailed");
    objects[key] = content;
    return {.headers = {{"ETag", etag(content)}}};
  }

  static Answer content(const Asked& asked, const std::string& content) {
    const std::string match = header(asked, "if-match");
    if (!match.empty() && match != etag(content)) return error(412, "PreconditionFailed");
    Answer answer{.body = content, .headers = {{"ETag", etag(content)}, {"Last-Modified", kDate}}};
    if (asked.method == "HEAD") {
      answer.headers.emplace_back("Content-Length", std::to_string(content.size()));
      return answer;
    }
    const std::string range = header(asked, "range");
    if (range.empty()) return answer;
    const std::size_t from = std::stoul(range.substr(6)), to = std::stoul(range.substr(range.find('-') + 1));
    if (from >= content.size()) return error(416, "InvalidRange");
    answer.status = 206;
    answer.body = content.substr(from, to - from + 1);
    return answer;
  }

  Answer list(const Query& query) const {
    if (!query.contains("list-type")) return error(400, "InvalidRequest");
    const std::string prefix = query.at("prefix");
    const auto token = query.find("continuation-token");
    std::string items, next;
    std::size_t count = 0;
    for (const auto& [key, content] : stale ? *stale : objects) {
      if (!key.starts_with(prefix) || key.find('/', prefix.size()) != std::string::npos) continue;
      if (token != query.end() && key < token->second) continue;
      if (count++ == kPage) {
        next = key;
        break;
      }
      items += "<Contents><Key>" + escaped(key) + "</Key><LastModified>2013-05-24T00:00:00.123Z</LastModified><Size>" +
               std::to_string(content.size()) + "</Size></Contents>";
    }
    return {.body = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" + items + "<IsTruncated>" +
                    (next.empty() ? "false" : "true") + "</IsTruncated>" +
                    (next.empty() ? "" : "<NextContinuationToken>" + escaped(next) + "</NextContinuationToken>") +
                    "</ListBucketResult>"};
  }

  static std::string escaped(const std::string& text) {
    std::string safe;
    for (const char c : text) {
      if (c == '&')
        safe += "&amp;";
      else if (c == '<')
        safe += "&lt;";
      else
        safe += c;
    }
    return safe;
  }

  Answer list_uploads(const Query& query) const {
    std::string items;
    for (const auto& [id, upload] : uploads)
      if (upload.key.starts_with(query.at("prefix")))
        items += "<Upload><Key>" + upload.key + "</Key><UploadId>" + id + "</UploadId><Initiated>" + upload.initiated +
                 "</Initiated></Upload>";
    return {.body = "<ListMultipartUploadsResult>" + items + "</ListMultipartUploadsResult>"};
  }

  Answer multipart(const Asked& asked, const std::string& key, const Query& query) {
    if (query.contains("uploads")) {
      const std::string id = "id/" + std::to_string(++ids_) + "+=";  // as odd as AWS's
      uploads[id] = {.key = key, .parts = {}};
      return {.body = "<InitiateMultipartUploadResult><UploadId>" + id + "</UploadId></InitiateMultipartUploadResult>"};
    }
    const auto upload = uploads.find(query.at("uploadId"));
    if (upload == uploads.end() || upload->second.key != key) return error(404, "NoSuchUpload");
    if (asked.method == "DELETE") {
      uploads.erase(upload);
      return {.status = 204};
    }
    if (asked.method == "PUT") {
      upload->second.parts[std::stoi(query.at("partNumber"))] = asked.body;
      return {.headers = {{"ETag", etag(asked.body)}}};
    }
    std::string all, wanted;
    for (const auto& [number, part] : upload->second.parts) {
      all += part;
      wanted += "<Part><PartNumber>" + std::to_string(number) + "</PartNumber><ETag>" + etag(part) + "</ETag></Part>";
    }
    if (asked.body != "<CompleteMultipartUpload>" + wanted + "</CompleteMultipartUpload>")
      return error(400, "InvalidPart");
    Answer answer = store(asked, key, all);
    if (answer.status != 200) return answer;
    uploads.erase(upload);
    answer.body = "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>";  // as radosgw's
    return answer;
  }

  int ids_ = 0;
  fetch::testing::HttpServer http_;  // the last: its threads end before the rest goes
};

}  // namespace nines::storage::testing
