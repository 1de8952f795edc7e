#include "storage/s3.h"

#include <algorithm>
#include <pugixml.hpp>
#include <vector>

#include "base/text.h"
#include "fetch/digest.h"
#include "storage/s3_bucket.h"

namespace nines::storage {
namespace {

constexpr std::string_view kOurs = "backup-";  // what the names of our unfinished uploads begin with
constexpr std::size_t kPagesMax = 10'000;
constexpr std::size_t kErrorBytes = 64 << 10;  // what may come in place of content

std::unexpected<Error> unreadable(const S3Bucket& bucket, std::string_view what) {
  return failure(Code::kProtocol, "the server of s3://" + bucket.options().bucket + " sent " + std::string(what) +
                                      ": is `endpoint:` one of S3?");
}

Result<pugi::xml_document> parse(const S3Bucket& bucket, const std::string& body, std::string_view root) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size()) || document.document_element().name() != root)
    return unreadable(bucket, "no " + std::string(root));
  return document;
}

// "2026-11-24T02:00:00.123Z", to the second: HEAD tells no more, and both must agree.
std::optional<WallTime> parse_time(std::string_view text) {
  if (text.size() < 20 || text[10] != 'T' || !text.ends_with('Z')) return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t digits) { return parse_unsigned(text.substr(at, digits)); };
  const auto year = number(0, 4), month = number(5, 2), day = number(8, 2), hour = number(11, 2),
             minute = number(14, 2), second = number(17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second);
}

struct Head {
  std::uint64_t bytes = 0;
  WallTime modified{};
  std::string etag;
};

Result<Head> head(S3Bucket& bucket, const std::string& key) {
  auto response = bucket.ask({.method = "HEAD", .key = key});
  if (!response) return failure(std::move(response.error()));
  const auto bytes = parse_unsigned(response->header("content-length"));
  const auto modified = fetch::parse_http_date(response->header("last-modified"));
  const std::string_view etag = response->header("etag");
  if (!bytes || !modified || etag.empty()) return unreadable(bucket, "an object without length, date or ETag");
  return Head{*bytes, *modified, std::string(etag)};
}

// Bytes [from, from + size) of the version with this ETag.
Result<std::string> range(S3Bucket& bucket, const std::string& key, const Head& of, std::uint64_t from,
                          std::uint64_t size) {
  const S3Call call{.key = key,
                    .headers = {{"Range", "bytes=" + std::to_string(from) + "-" + std::to_string(from + size - 1)},
                                {"If-Match", of.etag}},
                    .max_answer = size + kErrorBytes};
  auto answer = bucket.call(call);
  if (!answer) return failure(std::move(answer.error()));
  if (answer->response.status == 412)
    return failure(Code::kInvalid, bucket.where(key) + " was replaced by another while it was read");
  if (!answer->well()) return failure(bucket.explained(call, *answer));
  const bool whole = from == 0 && size == of.bytes;
  if (answer->response.body.size() != size || (answer->response.status != 206 && !whole))
    return unreadable(bucket, "another part of " + key + " than it was asked for");
  return std::move(answer->response.body);
}

class S3Download final : public Download {
 public:
  S3Download(std::shared_ptr<S3Bucket> bucket, std::string key, Head of)
      : bucket_(std::move(bucket)), key_(std::move(key)), of_(std::move(of)) {}

  Result<std::size_t> read(std::span<char> buffer) override {
    if (given_ == piece_.size()) {
      const std::uint64_t size = std::min<std::uint64_t>(bucket_->options().part_bytes, of_.bytes - at_);
      if (size == 0) return std::size_t{0};
      auto piece = range(*bucket_, key_, of_, at_, size);
      if (!piece) return failure(std::move(piece.error()));
      piece_ = std::move(*piece);
      at_ += size;
      given_ = 0;
    }
    const std::size_t count = piece_.copy(buffer.data(), buffer.size(), given_);
    given_ += count;
    return count;
  }

 private:
  const std::shared_ptr<S3Bucket> bucket_;
  const std::string key_;
  const Head of_;
  std::uint64_t at_ = 0;
  std::string piece_;
  std::size_t given_ = 0;
};

class S3Upload final : public Upload {
 public:
  S3Upload(std::shared_ptr<S3Bucket> bucket, std::string name)
      : bucket_(std::move(bucket)), name_(std::move(name)), key_(bucket_->key_of(name_)) {}
  S3Upload(const S3Upload&) = delete;
  S3Upload& operator=(const S3Upload&) = delete;
  ~S3Upload() override {
    // What cannot be aborted now, a later put sweeps.
    if (!id_.empty() && !committed_)
      (void)bucket_->call({.method = "DELETE", .key = key_, .query = {{"uploadId", id_}}, .attempts = 1});
  }

  Result<> write(std::string_view bytes) override {
    const std::size_t part = bucket_->options().part_bytes;
    while (buffer_.size() + bytes.size() > part) {  // the last part stays here, full or not, until commit
      const std::size_t room = part - buffer_.size();
      buffer_ += bytes.substr(0, room);
      bytes.remove_prefix(room);
      if (auto sent = send_part(); !sent) return sent;
    }
    buffer_ += bytes;
    return {};
  }

  Result<Object> commit() override {
    if (!id_.empty()) {
      if (auto sent = send_part(); !sent) return failure(std::move(sent.error()));
    } else {
      hashes_.push_back(fetch::sha256(buffer_));
      bytes_ = buffer_.size();
    }
    if (auto made = make_visible(); !made) return failure(std::move(made.error()));
    committed_ = true;
    const auto stored = head(*bucket_, key_);
    if (!stored)
      return failure(Error(stored.error()).in("the upload of " + bucket_->where(key_) + " was acknowledged"));
    if (stored->bytes != bytes_)
      return failure(Code::kIo, bucket_->where(key_) + " has " + std::to_string(stored->bytes) + " bytes instead of " +
                                    std::to_string(bytes_));
    return Object{name_, stored->bytes, stored->modified};
  }

 private:
  Result<> send_part() {
    if (id_.empty()) {
      if (auto begun = begin(); !begun) return begun;
    }
    if (etags_.size() >= bucket_->options().parts_max)
      return failure(Code::kLimit, "an archive for S3 may have " + std::to_string(bucket_->options().parts_max) +
                                       " parts of " + std::to_string(bucket_->options().part_bytes) + " bytes at most");
    auto response = bucket_->ask({.method = "PUT",
                                  .key = key_,
                                  .query = {{"partNumber", std::to_string(etags_.size() + 1)}, {"uploadId", id_}},
                                  .body = buffer_});
    if (!response) return failure(std::move(response.error()));
    if (response->header("etag").empty()) return unreadable(*bucket_, "no ETag for a part");
    etags_.emplace_back(response->header("etag"));
    hashes_.push_back(fetch::sha256(buffer_));
    bytes_ += buffer_.size();
    buffer_.clear();
    return {};
  }

  Result<> begin() {
    auto response = bucket_->ask({.method = "POST", .key = key_, .query = {{"uploads", ""}}});
    if (!response) return failure(std::move(response.error()));
    auto document = parse(*bucket_, response->body, "InitiateMultipartUploadResult");
    if (!document) return failure(std::move(document.error()));
    id_ = document->document_element().child_value("UploadId");
    if (id_.empty()) return unreadable(*bucket_, "no UploadId");
    return {};
  }

  Result<> make_visible() {
    std::string complete;
    S3Call call{.method = "PUT", .key = key_, .body = buffer_};
    if (!id_.empty()) {
      complete = "<CompleteMultipartUpload>";
      for (std::size_t i = 0; i < etags_.size(); ++i)
        complete += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>" + etags_[i] + "</ETag></Part>";
      complete += "</CompleteMultipartUpload>";
      call = {.method = "POST", .key = key_, .query = {{"uploadId", id_}}, .body = complete};
    }
    const bool conditional = bucket_->conditional;
    if (conditional) call.headers.emplace_back("If-None-Match", "*");
    // Ceph heeds the condition on a PUT, and not where a multipart upload is completed; others heed none.
    if (!conditional || !id_.empty()) {
      const auto there = head(*bucket_, key_);
      if (there) return failure(Code::kExists, bucket_->where(key_) + " exists already");
      if (there.error().code() != Code::kNotFound) return failure(there.error());
    }
    bool unknown = false;
    const auto answer = bucket_->call(call, &unknown);
    if (answer && answer->well()) return {};
    if (answer && answer->response.status == 501 && conditional) {
      bucket_->conditional = false;
      return make_visible();
    }
    const auto reason = [&] { return answer ? bucket_->explained(call, *answer) : answer.error(); };
    // An earlier try may have been done though its answer was lost; then the next one finds the name taken, or its
    // upload finished.
    if (unknown && is_stored()) return {};
    return failure(reason());
  }

  bool is_stored() {
    const auto stored = head(*bucket_, key_);
    if (!stored || stored->bytes != bytes_) return false;
    const std::uint64_t part = bucket_->options().part_bytes;
    std::uint64_t from = 0;
    for (const std::string& hash : hashes_) {
      const std::uint64_t size = std::min(part, bytes_ - from);
      auto piece = size == 0 ? Result<std::string>("") : range(*bucket_, key_, *stored, from, size);
      if (!piece || fetch::sha256(*piece) != hash) return false;
      from += size;
    }
    return true;
  }

  const std::shared_ptr<S3Bucket> bucket_;
  const std::string name_, key_;
  std::string buffer_;
  std::string id_;                   // of the multipart upload; empty: there is none
  std::vector<std::string> etags_;   // of its parts
  std::vector<std::string> hashes_;  // SHA-256 of each part
  std::uint64_t bytes_ = 0;          // in the parts
  bool committed_ = false;
};

class S3 final : public Destination {
 public:
  explicit S3(S3Options options) : bucket_(std::make_shared<S3Bucket>(std::move(options))) {}

  Result<std::unique_ptr<Upload>> put(const std::string& name) override {
    if (auto checked = check_name(name); !checked) return failure(std::move(checked.error()));
    sweep();
    const auto there = head(*bucket_, bucket_->key_of(name));
    if (there) return failure(Code::kExists, where(name) + " exists already");
    if (there.error().code() != Code::kNotFound) return failure(there.error());
    return std::make_unique<S3Upload>(bucket_, name);
  }

  Result<std::unique_ptr<Download>> open(const std::string& name) override {
    if (auto checked = check_name(name); !checked) return failure(std::move(checked.error()));
    auto of = head(*bucket_, bucket_->key_of(name));
    if (!of) return failure(std::move(of.error()));
    return std::make_unique<S3Download>(bucket_, bucket_->key_of(name), std::move(*of));
  }

  Result<std::vector<Object>> list() override {
    std::vector<Object> objects;
    std::string token;
    const std::string folder = bucket_->key_of("");
    for (std::size_t pages = 0; pages < kPagesMax; ++pages) {
      fetch::Fields query = {{"list-type", "2"}, {"delimiter", "/"}, {"prefix", folder}};
      if (!token.empty()) query.emplace_back("continuation-token", token);
      auto response = bucket_->ask({.query = std::move(query)});
      if (!response) return failure(std::move(response.error()));
      auto document = parse(*bucket_, response->body, "ListBucketResult");
      if (!document) return failure(std::move(document.error()));
      const pugi::xml_node root = document->document_element();
      for (const pugi::xml_node item : root.children("Contents")) {
        std::string name = item.child_value("Key");
        const auto bytes = parse_unsigned(item.child_value("Size"));
        const auto modified = parse_time(item.child_value("LastModified"));
        if (!name.starts_with(folder) || !bytes || !modified) return unreadable(*bucket_, "a list that makes no sense");
        name.erase(0, folder.size());
        if (check_name(name)) objects.push_back({std::move(name), *bytes, *modified});
      }
      if (objects.size() > bucket_->options().objects_max)
        return failure(Code::kLimit, where() + " holds more than " + std::to_string(bucket_->options().objects_max) +
                                         " objects: name a prefix of its own in `to:`");
      if (std::string_view(root.child_value("IsTruncated")) != "true") {
        std::ranges::sort(objects, {}, &Object::name);
        return objects;
      }
      const std::string next = root.child_value("NextContinuationToken");
      if (next.empty() || next == token) return unreadable(*bucket_, "a list without an end");
      token = next;
    }
    return failure(Code::kLimit, where() + " has too many pages of objects: name a prefix of its own in `to:`");
  }

  // DELETE says nothing about whether there was one, or is one still, so HEAD is asked before and after.
  Result<> remove(const std::string& name) override {
    if (auto checked = check_name(name); !checked) return failure(std::move(checked.error()));
    const std::string key = bucket_->key_of(name);
    if (auto there = head(*bucket_, key); !there) return failure(std::move(there.error()));
    if (auto removed = bucket_->ask({.method = "DELETE", .key = key}); !removed)
      return failure(std::move(removed.error()));
    const auto after = head(*bucket_, key);
    if (after) return failure(Code::kIo, where(name) + " is there still, though its deletion was acknowledged");
    if (after.error().code() != Code::kNotFound) return failure(after.error());
    return {};
  }

  std::string where() const override {
    const S3Options& options = bucket_->options();
    return "s3://" + options.bucket + (options.prefix.empty() ? "" : "/" + options.prefix);
  }
  std::string where(const std::string& name) const override { return where() + "/" + name; }

 private:
  // What dead writers left costs money and is seen by nobody; nobody depends on its success.
  void sweep() {
    const std::string ours = bucket_->key_of(std::string(kOurs));
    const auto response = bucket_->ask({.query = {{"uploads", ""}, {"prefix", ours}}, .attempts = 1});
    if (!response) return;
    const auto document = parse(*bucket_, response->body, "ListMultipartUploadsResult");
    if (!document) return;
    const WallTime now = bucket_->options().wall();
    for (const pugi::xml_node item : document->document_element().children("Upload")) {
      const std::string key = item.child_value("Key"), id = item.child_value("UploadId");
      const auto begun = parse_time(item.child_value("Initiated"));
      if (!key.starts_with(ours) || id.empty() || !begun || now - *begun < bucket_->options().orphan_age) continue;
      (void)bucket_->call({.method = "DELETE", .key = key, .query = {{"uploadId", id}}, .attempts = 1});
    }
  }

  const std::shared_ptr<S3Bucket> bucket_;
};

class S3Conditions final : public ConditionalStore {
 public:
  explicit S3Conditions(S3Options options) : bucket_(std::move(options)) {}

  Result<Versioned> read(const std::string& name) override {
    auto response = bucket_.ask({.key = bucket_.key_of(name), .max_answer = kErrorBytes});
    if (!response) return failure(std::move(response.error()));
    std::string etag(response->header("etag"));
    if (etag.empty()) return unreadable(bucket_, "an object without an ETag");
    return Versioned{std::move(response->body), std::move(etag)};
  }
  Result<std::string> create(const std::string& name, std::string_view content) override {
    return write(name, content, {"If-None-Match", "*"});
  }
  Result<std::string> replace(const std::string& name, std::string_view content, const std::string& version) override {
    return write(name, content, {"If-Match", version});
  }

 private:
  Result<std::string> write(const std::string& name, std::string_view content, fetch::Fields::value_type condition) {
    const S3Call call{.method = "PUT", .key = bucket_.key_of(name), .headers = {std::move(condition)}, .body = content};
    bool unknown = false;
    auto answer = bucket_.call(call, &unknown);
    if (answer && answer->well()) {
      std::string etag(answer->response.header("etag"));
      if (etag.empty()) return unreadable(bucket_, "no ETag for a new object");
      return etag;
    }
    // Contents are written once only, so what is there with ours is of this write.
    if (unknown) {
      if (auto stored = read(name); stored && stored->content == content) return std::move(stored->version);
    }
    return failure(answer ? bucket_.explained(call, *answer) : std::move(answer.error()));
  }

  S3Bucket bucket_;
};

}  // namespace

std::optional<S3Place> parse_s3(std::string_view url) {
  constexpr std::string_view kScheme = "s3://";
  if (!url.starts_with(kScheme)) return std::nullopt;
  url.remove_prefix(kScheme.size());
  const auto slash = url.find('/');
  S3Place place{std::string(url.substr(0, slash)),
                slash == std::string_view::npos ? "" : std::string(url.substr(slash + 1))};
  while (place.prefix.ends_with('/')) place.prefix.pop_back();
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
  const auto may_be_in_it = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  const std::string& bucket = place.bucket;
  if (bucket.size() < 3 || bucket.size() > 63 || !std::ranges::all_of(bucket, may_be_in_it)) return std::nullopt;
  // Names below it stay within S3's 1024 bytes for a key.
  if (place.prefix.starts_with('/') || place.prefix.contains("//") || place.prefix.size() > 800) return std::nullopt;
  return place;
}

std::unique_ptr<Destination> open_s3(S3Options options) { return std::make_unique<S3>(std::move(options)); }

std::unique_ptr<ConditionalStore> open_s3_conditions(S3Options options) {
  return std::make_unique<S3Conditions>(std::move(options));
}

}  // namespace nines::storage
