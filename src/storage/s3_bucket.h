// Signed calls to one bucket: where they go, what is tried again, and what an error means to a person. For s3.cc.
#pragma once

#include <atomic>
#include <string>

#include "base/random.h"
#include "storage/s3.h"

namespace nines::storage {

struct S3Call {
  std::string method = "GET";
  std::string key;  // empty: the bucket itself
  fetch::Fields query = {};
  fetch::Fields headers = {};
  std::string_view body = {};
  std::uint64_t max_answer = 8 << 20;  // a list of 1,000 keys of 1 KiB, with what is said about each
  int attempts = 0;                    // 0: as the options say
};

struct S3Answer {
  fetch::Response response;
  std::string code;       // S3's word for an error, "NoSuchKey"; empty: none, or it had no body
  bool doubtful = false;  // an earlier try may have done what was asked
  bool well() const { return response.status >= 200 && response.status <= 299 && code.empty(); }
};

class S3Bucket {
 public:
  explicit S3Bucket(S3Options options);

  // An answer of any kind; an error where there was none. `unknown`, where given, is set when a try may have been done.
  Result<S3Answer> call(const S3Call& call, bool* unknown = nullptr);
  // The same, and anything but 2xx is an error in words.
  Result<fetch::Response> ask(const S3Call& call);
  Error explained(const S3Call& call, const S3Answer& answer) const;

  const S3Options& options() const { return options_; }
  std::string key_of(const std::string& name) const;
  std::string where(const std::string& key) const { return "s3://" + options_.bucket + "/" + key; }

  std::atomic<bool> conditional = true;  // the server knows If-None-Match, as far as is known

 private:
  Result<fetch::Response> send(const S3Call& call);
  bool learn_skew(const fetch::Response& response);

  const S3Options options_;
  std::string origin_;  // https://HOST
  std::string host_;
  std::string base_;                       // path of the bucket
  std::atomic<Duration::rep> skew_ns_{0};  // the server's clock is so far ahead
  std::atomic<std::uint64_t> calls_{0};
};

}  // namespace nines::storage
