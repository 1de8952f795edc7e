#include "storage/s3.h"

#include <doctest/doctest.h>

#include "storage/test_support.h"

namespace nines::storage {
namespace {

using std::chrono::sys_days;
using testing::Asked;
using testing::S3Server;
using Trouble = S3Server::Trouble;

const WallTime kNow = sys_days(std::chrono::year(2013) / 5 / 24);

struct Stage {
  S3Server server;
  WallTime now = kNow;
  Duration paused{0};
  S3Options options{.bucket = S3Server::kBucket,
                    .prefix = "a b/ä",
                    .endpoint = server.url(),
                    .credentials = {S3Server::kAccessKey, S3Server::kSecretKey, ""},
                    .part_bytes = 10,
                    .retry = {.attempts = 3},
                    .time_outs = {.total = 10s},
                    .wall = [this] { return now; },
                    .pause = [this](Duration d) { paused += d; }};
  std::unique_ptr<Destination> destination = open_s3(options);

  void reopen() { destination = open_s3(options); }

  Result<Object> put(const std::string& name, std::string_view content) {
    auto upload = destination->put(name);
    if (!upload) return failure(upload.error());
    if (auto written = (*upload)->write(content); !written) return failure(written.error());
    return (*upload)->commit();
  }
  Result<std::string> get(const std::string& name) {
    auto download = destination->open(name);
    if (!download) return failure(download.error());
    std::string all;
    char buffer[7];
    while (true) {
      const auto got = (*download)->read(buffer);
      if (!got) return failure(got.error());
      if (*got == 0) return all;
      all.append(buffer, *got);
    }
  }
  // The next `times` requests that begin so end so.
  void fail(const std::string& method, Trouble trouble, int times, const std::string& part = "") {
    const std::lock_guard lock(server.mutex);
    server.trouble = [=](const Asked& asked) mutable {
      if (asked.method != method || !asked.target.contains(part) || times == 0) return Trouble::kNone;
      --times;
      return trouble;
    };
  }
  int requests(const std::string& begin) {
    const std::lock_guard lock(server.mutex);
    return static_cast<int>(
        std::ranges::count_if(server.log, [&](const auto& line) { return line.starts_with(begin); }));
  }
};

TEST_CASE("s3: objects of every size around the part size come back as they went") {
  Stage stage;
  CHECK(stage.destination->list()->empty());
  for (const std::size_t size : {0UL, 1UL, 9UL, 10UL, 11UL, 20UL, 21UL, 95UL}) {
    CAPTURE(size);
    std::string content;
    for (std::size_t i = 0; i < size; ++i) content += static_cast<char>('a' + i % 23);
    const std::string name = "backup-" + std::to_string(size) + " +&.zst";
    const auto object = stage.put(name, content);
    REQUIRE_MESSAGE(object, object.error().text());
    CHECK(object->bytes == size);
    CHECK(stage.server.objects["a b/ä/" + name] == content);
    CHECK(stage.get(name) == content);
    const auto listed = stage.destination->list();
    REQUIRE_MESSAGE(listed, listed.error().text());
    const auto found = std::ranges::find(*listed, name, &Object::name);
    REQUIRE(found != listed->end());
    CHECK(found->bytes == object->bytes);
    CHECK(found->modified == object->modified);  // else a proof would not be found again
  }
  CHECK(stage.destination->list()->size() == 8);  // of three pages
  CHECK(stage.server.uploads.empty());
  CHECK(stage.paused == 0ns);
}

TEST_CASE("s3: what others put below or beside the prefix is not listed") {
  Stage stage;
  stage.server.objects = {
      {"a b/ä/backup-1", "x"}, {"a b/ä/sub/backup-2", ""}, {"a b/äx", ""}, {"backup-3", ""}, {"a b/ä/.hidden", ""}};
  REQUIRE(stage.destination->list());
  CHECK(stage.destination->list()->size() == 1);
  CHECK(stage.destination->where() == "s3://test-bucket/a b/ä");
  stage.options.prefix = "";
  stage.reopen();
  CHECK(stage.destination->list()->size() == 1);
  CHECK(stage.destination->where("x") == "s3://test-bucket/x");
}

TEST_CASE("s3: nothing is overwritten") {
  for (const bool knows_conditions : {true, false}) {
    for (const std::string content : {"small", "larger than a part"}) {
      CAPTURE(knows_conditions);
      Stage stage;
      stage.server.knows_conditions = knows_conditions;
      REQUIRE(stage.put("backup-1", content));
      CHECK(stage.destination->put("backup-1").error().code() == Code::kExists);
      auto late = stage.destination->put("backup-2");
      REQUIRE(late);
      REQUIRE((*late)->write(content));
      stage.server.objects["a b/ä/backup-2"] = "of another";
      CHECK((*late)->commit().error().code() == Code::kExists);
      late->reset();
      CHECK(stage.server.objects["a b/ä/backup-2"] == "of another");
      CHECK(stage.server.uploads.empty());
    }
  }
}

TEST_CASE("s3: an upload that is not committed leaves nothing") {
  Stage stage;
  {
    auto upload = stage.destination->put("backup-1");
    REQUIRE(upload);
    REQUIRE((*upload)->write("more than one part of it"));
    CHECK(stage.server.uploads.size() == 1);
  }
  CHECK(stage.server.uploads.empty());
  CHECK(stage.server.objects.empty());
}

TEST_CASE("s3: what a dead writer left is swept, what may be alive or somebody else's is not") {
  Stage stage;
  stage.server.uploads = {{"old", {.key = "a b/ä/backup-1", .initiated = "2013-05-22T23:00:00.000Z", .parts = {}}},
                          {"new", {.key = "a b/ä/backup-2", .initiated = "2013-05-23T00:00:01.000Z", .parts = {}}},
                          {"video", {.key = "a b/ä/video", .initiated = "2013-05-22T23:00:00.000Z", .parts = {}}}};
  REQUIRE(stage.put("backup-3", "x"));
  CHECK(!stage.server.uploads.contains("old"));
  CHECK(stage.server.uploads.size() == 2);
}

TEST_CASE("s3: removing") {
  Stage stage;
  REQUIRE(stage.put("backup-1", "x"));
  CHECK(stage.destination->remove("backup-1"));
  CHECK(stage.destination->remove("backup-1").error().code() == Code::kNotFound);
  CHECK(stage.destination->open("backup-1").error().code() == Code::kNotFound);
  CHECK(stage.destination->remove("../x").error().code() == Code::kInvalid);
  REQUIRE(stage.put("backup-2", "x"));
  stage.fail("DELETE", Trouble::kPretend, 1);
  CHECK(stage.destination->remove("backup-2").error().code() == Code::kIo);
}

TEST_CASE("s3: troubles that pass are waited out, and those that stay are told") {
  for (const Trouble trouble : {Trouble::kSlowDown, Trouble::kResetBefore}) {
    for (const std::string content : {"small", "larger than a part"}) {
      CAPTURE(static_cast<int>(trouble));
      Stage stage;
      stage.fail("PUT", trouble, 2);
      CHECK(stage.put("backup-1", content));
      CHECK(stage.paused > 0ns);
      stage.fail("GET", trouble, 2);
      CHECK(stage.get("backup-1") == content);
      stage.fail("PUT", trouble, 3);
      CHECK(!stage.put("backup-2", content));
      CHECK(!stage.server.objects.contains("a b/ä/backup-2"));
      CHECK(stage.server.uploads.empty());
    }
  }
}

TEST_CASE("s3: a write whose answer was lost counts when it is there, and is ours") {
  for (const std::string content : {"small", "larger than a part"}) {
    for (const int lost : {1, 3}) {
      CAPTURE(content);
      CAPTURE(lost);
      Stage stage;
      const bool small = content == "small";
      stage.fail(small ? "PUT" : "POST", Trouble::kLose, lost, small ? "backup-1" : "uploadId");
      const auto object = stage.put("backup-1", content);
      REQUIRE_MESSAGE(object, object.error().text());
      CHECK(stage.get("backup-1") == content);
      CHECK(stage.server.uploads.empty());
    }
  }
  Stage stage;
  auto upload = stage.destination->put("backup-1");
  REQUIRE((*upload)->write("ours"));
  stage.server.objects["a b/ä/backup-1"] = "else";
  stage.fail("PUT", Trouble::kResetBefore, 1);
  CHECK((*upload)->commit().error().code() == Code::kExists);
}

TEST_CASE("s3: an acknowledged write that is not there is an error") {
  Stage stage;
  stage.fail("PUT", Trouble::kPretend, 1);
  CHECK(stage.put("backup-1", "x").error().code() == Code::kNotFound);
}

TEST_CASE("s3: reading ends with the whole, or with an error") {
  Stage stage;
  REQUIRE(stage.put("backup-1", "larger than a part"));
  stage.fail("GET", Trouble::kResetMidBody, 1);
  CHECK(stage.get("backup-1") == "larger than a part");
  stage.fail("GET", Trouble::kTruncate, 1, "backup-1");
  CHECK(stage.get("backup-1").error().code() == Code::kProtocol);
  stage.fail("GET", Trouble::kNone, 0);
  auto download = stage.destination->open("backup-1");
  REQUIRE(download);
  char buffer[10];
  REQUIRE((*download)->read(buffer));
  stage.server.objects["a b/ä/backup-1"] = "larger than a PART";
  CHECK((*download)->read(buffer).error().code() == Code::kInvalid);
}

TEST_CASE("s3: a server that hangs costs the time-out, not more") {
  Stage stage;
  stage.options.time_outs.total = 100ms;
  stage.reopen();
  stage.fail("GET", Trouble::kHang, 9);
  const auto listed = stage.destination->list();
  CHECK(listed.error().code() == Code::kTimedOut);
  CHECK(stage.requests("GET") == 3);
}

TEST_CASE("s3: a list that lags shows what it shows") {
  Stage stage;
  REQUIRE(stage.put("backup-1", "x"));
  stage.server.stale.emplace();
  CHECK(stage.destination->list()->empty());
  CHECK(stage.get("backup-1") == "x");
  CHECK(stage.destination->put("backup-1").error().code() == Code::kExists);
}

TEST_CASE("s3: a clock that is wrong is corrected by the server's") {
  Stage stage;
  stage.now = kNow - 3h;
  CHECK(stage.destination->list());
  CHECK(stage.requests("GET") == 2);
  CHECK(stage.put("backup-1", "x"));
}

TEST_CASE("s3: errors say what to do, and nothing that is secret") {
  struct Row {
    const char* says;
    std::function<void(Stage&)> mistake;
  };
  const Row rows[] = {
      {"there is no bucket \"other\"", [](Stage& s) { s.options.bucket = "other"; }},
      {"set `region: us-east-1`", [](Stage& s) { s.options.region = "eu-north-1"; }},
      {"the access key is not known there", [](Stage& s) { s.options.credentials.access_key = "who"; }},
      {"the secret key does not fit", [](Stage& s) { s.options.credentials.secret_key = "wrong-secret"; }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.says);
    Stage stage;
    row.mistake(stage);
    stage.reopen();
    const auto listed = stage.destination->list();
    REQUIRE(!listed);
    CHECK(listed.error().code() == Code::kRefused);
    CHECK_MESSAGE(listed.error().text().contains(row.says), listed.error().text());
    CHECK(!listed.error().text().contains(stage.options.credentials.secret_key));
  }
}

TEST_CASE("s3: limits") {
  Stage stage;
  stage.options.parts_max = 2;
  stage.options.objects_max = 2;
  stage.reopen();
  REQUIRE(stage
              .put("backup-1",
                   "twenty bytes, no more"
                   "")
              .error()
              .code() == Code::kLimit);
  CHECK(stage.server.uploads.empty());
  REQUIRE(stage.put("backup-2", "twenty bytes, not so"));
  REQUIRE(stage.put("backup-3", ""));
  CHECK(stage.destination->list());
  REQUIRE(stage.put("backup-4", ""));
  CHECK(stage.destination->list().error().code() == Code::kLimit);
}

TEST_CASE("s3: urls") {
  CHECK(parse_s3("s3://bucket/a/b/") == S3Place{"bucket", "a/b"});
  CHECK(parse_s3("s3://my.bucket-1") == S3Place{"my.bucket-1", ""});
  CHECK(parse_s3("s3://bucket/") == S3Place{"bucket", ""});
  for (const char* bad :
       {"s3://", "s3:///a", "s3://ab", "s3://Bucket", "s3://bucket//a", "s3://bucket/a//b", "backups/"}) {
    CAPTURE(bad);
    CHECK(!parse_s3(bad));
  }
}

}  // namespace
}  // namespace nines::storage
