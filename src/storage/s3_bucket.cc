#include "storage/s3_bucket.h"

#include <pugixml.hpp>

#include "base/text.h"
#include "fetch/digest.h"

namespace nines::storage {
namespace {

// Of an <Error> document; empty when it is none. CompleteMultipartUpload sends one with status 200.
std::string error_field(const std::string& body, const char* name) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size())) return "";
  const pugi::xml_node root = document.document_element();
  return std::string_view(root.name()) == "Error" ? root.child_value(name) : "";
}

std::optional<Duration> retry_after(const fetch::Response& response) {
  const auto seconds = parse_unsigned(response.header("retry-after"));
  if (!seconds || *seconds > 3600) return std::nullopt;
  return std::chrono::seconds(*seconds);
}

}  // namespace

S3Bucket::S3Bucket(S3Options options) : options_(std::move(options)) {
  std::string endpoint = options_.endpoint;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (!endpoint.empty()) {
    base_ = "/" + options_.bucket;
  } else if (options_.bucket.contains('.')) {  // no certificate is good for a.b.s3.amazonaws.com
    endpoint = "https://s3." + options_.region + ".amazonaws.com";
    base_ = "/" + options_.bucket;
  } else {
    endpoint = "https://" + options_.bucket + ".s3." + options_.region + ".amazonaws.com";
  }
  origin_ = endpoint;
  host_ = endpoint.substr(endpoint.find("://") + 3);
}

std::string S3Bucket::key_of(const std::string& name) const {
  return options_.prefix.empty() ? name : options_.prefix + "/" + name;
}

Result<fetch::Response> S3Bucket::send(const S3Call& call) {
  const WallTime now = options_.wall() + Duration(skew_ns_);
  fetch::Unsigned request{.method = call.method,
                          .path = base_ + (call.key.empty() ? "/" : "/" + fetch::encode_path(call.key)),
                          .query = call.query,
                          .headers = call.headers,
                          .payload_sha256 = fetch::hex(fetch::sha256(call.body))};
  request.headers.emplace_back("Host", host_);
  request.headers.emplace_back("x-amz-date", fetch::amz_date(now));
  request.headers.emplace_back("x-amz-content-sha256", request.payload_sha256);
  if (!options_.credentials.session_token.empty())
    request.headers.emplace_back("x-amz-security-token", options_.credentials.session_token);
  const std::string signature =
      fetch::authorization(request, {.region = options_.region, .time = now}, options_.credentials);
  fetch::Request http{.method = call.method,
                      .url = origin_ + request.path,
                      .headers = std::move(request.headers),
                      .body = call.body,
                      .max_answer = call.max_answer,
                      .time_outs = options_.time_outs};
  if (!call.query.empty()) http.url += "?" + fetch::encode_query(call.query);
  http.headers.emplace_back("Authorization", signature);
  return fetch::Client().perform(http);
}

bool S3Bucket::learn_skew(const fetch::Response& response) {
  const auto theirs = fetch::parse_http_date(response.header("date"));
  if (!theirs) return false;
  skew_ns_ = Duration(*theirs - options_.wall()).count();
  return true;
}

Result<S3Answer> S3Bucket::call(const S3Call& call, bool* unknown) {
  Random random(options_.seed + calls_++);
  fetch::Retry retry = options_.retry;
  if (call.attempts > 0) retry.attempts = call.attempts;
  bool doubtful = false, skew_learnt = false;
  for (int made = 1;; ++made) {
    auto response = send(call);
    std::string code;
    // A key that is found is content, whatever it looks like.
    const bool document = response && (response->status > 299 || call.method == "POST");
    if (document) code = error_field(response->body, "Code");
    if (code == "RequestTimeTooSkewed" && !skew_learnt && learn_skew(*response)) {
      skew_learnt = true;
      continue;
    }
    const fetch::Outcome outcome =
        response ? fetch::Outcome{.status = response->status, .code = code, .retry_after = retry_after(*response)}
                 : fetch::Outcome{.error = response.error().code()};
    doubtful = doubtful || (response ? response->status >= 500 || code == "InternalError"
                                     : response.error().code() != Code::kUnavailable);
    if (unknown != nullptr) *unknown = doubtful;
    if (const auto wait = fetch::wait_before_retry(retry, made, outcome, random)) {
      options_.pause(*wait);
      continue;
    }
    if (!response)
      return failure(
          std::move(response.error())
              .in(origin_ + " did not answer, asked " + std::to_string(made) + (made == 1 ? " time" : " times")));
    return S3Answer{std::move(*response), std::move(code), doubtful};
  }
}

Result<fetch::Response> S3Bucket::ask(const S3Call& call) {
  auto answer = this->call(call);
  if (!answer) return failure(std::move(answer.error()));
  if (!answer->well()) return failure(explained(call, *answer));
  return std::move(answer->response);
}

Error S3Bucket::explained(const S3Call& call, const S3Answer& answer) const {
  const std::string& code = answer.code;
  const int status = answer.response.status;
  const std::string what = call.method + " " + where(call.key) + ": ";
  if (code == "NoSuchBucket")
    return {Code::kRefused, what + "there is no bucket \"" + options_.bucket + "\" at " + origin_ +
                                ": make it, or correct `to:` or `endpoint:`"};
  if (status == 404) return {Code::kNotFound, where(call.key) + " does not exist"};
  if (status == 412) return {Code::kExists, where(call.key) + " exists already, or was changed meanwhile"};
  std::string region(answer.response.header("x-amz-bucket-region"));
  if (region.empty()) region = error_field(answer.response.body, "Region");
  if (!region.empty() && region != options_.region)
    return {Code::kRefused, what + "the bucket lies in another region: set `region: " + region + "`"};
  if (status >= 300 && status < 400)
    return {Code::kRefused, what + "the bucket is served elsewhere: correct `endpoint:` or `region:`"};
  if (code == "RequestTimeTooSkewed")
    return {Code::kRefused, what + "the server finds this machine's clock wrong; its own says " +
                                std::string(answer.response.header("date")) + ": set the clock"};
  if (code == "InvalidAccessKeyId") return {Code::kRefused, what + "the access key is not known there"};
  if (code == "SignatureDoesNotMatch")
    return {Code::kRefused, what + "the secret key does not fit the access key, or `region:` is wrong"};
  if (code == "ExpiredToken") return {Code::kRefused, what + "the session token has expired: get a new one"};
  if (status == 401 || status == 403)
    return {Code::kRefused, what + "refused (" + std::to_string(status) + (code.empty() ? "" : " " + code) +
                                "): the key may not do that; it needs to list the bucket, and to get, put and delete "
                                "below the prefix"};
  if (code == "QuotaExceeded" || status == 507) return {Code::kLimit, what + "the quota of the bucket is used up"};
  const std::string said = error_field(answer.response.body, "Message").substr(0, 300);
  return {status >= 500 || status == 429 ? Code::kUnavailable : Code::kProtocol,
          what + "answered " + std::to_string(status) + (code.empty() ? "" : " " + code) +
              (said.empty() ? "" : ": " + said)};
}

}  // namespace nines::storage
