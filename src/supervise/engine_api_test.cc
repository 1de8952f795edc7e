// The requests as an engine gets them, and its answers: recorded from Docker 20.10 (API 1.41) where they are long, and
// such as no engine should ever give.
#include "supervise/engine_api.h"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <map>

#include "base/random.h"

namespace nines::supervise {
namespace {

namespace json = boost::json;
using namespace std::string_view_literals;

constexpr ApiVersion kApi{1, 41};

constexpr std::string_view kVersionAnswer =
    R"({"Platform":{"Name":""},"Components":[{"Name":"Engine","Version":"20.10.24+dfsg1","Details":{"ApiVersion":"1.41"}}],)"
    R"("Version":"20.10.24+dfsg1","ApiVersion":"1.41","MinAPIVersion":"1.12","GitCommit":"5d6db84","Os":"linux"})";
constexpr std::string_view kRunning =
    R"({"Id":"93eeb0b3","Created":"2026-11-27T05:29:37.923905045Z","Path":"/srv","Args":[],"State":{"Status":"running",)"
    R"("Running":true,"Paused":false,"Restarting":false,"OOMKilled":false,"Dead":false,"Pid":24336,"ExitCode":0,)"
    R"("Error":"","StartedAt":"2026-11-27T05:29:38.422418559Z","FinishedAt":"0001-01-01T00:00:00Z"},"Name":"/ca",)"
    R"("Config":{"Cmd":["/srv"],"Labels":{"nines.tag":"nines-ab/x-1/1/20000"},"StopSignal":"SIGQUIT"},"NetworkSettings":{"Ports":{"8000/tcp":[)"
    R"({"HostIp":"127.0.0.1","HostPort":"20000"}],"9/udp":null,"7/tcp":[{"HostPort":7},3]}}})";
constexpr std::string_view kOutOfMemory =
    R"({"Id":"de9e38ca","State":{"Status":"exited","Running":false,"Paused":false,"Restarting":false,"OOMKilled":true,)"
    R"("Dead":false,"Pid":0,"ExitCode":137,"Error":""},"Config":{"Labels":{}}})";
constexpr std::string_view kList =
    R"([{"Id":"93eeb0b3","Names":["/ca"],"Labels":{"nines.tag":"nines-ab/x-1/1/20000"},"State":"running"},)"
    R"({"Id":"1","Names":["/cb"],"Labels":{"nines.tag":"nines-ab/x-2/7/0"},"State":"exited"},)"
    R"({"Id":"2","Names":["/cc"],"Labels":{"nines.tag":"nines-cd/x-1/1/20000"},"State":"running"},)"
    R"({"Id":"3","Names":["/cd"],"Labels":null,"State":"running"}])";

ContainerSpec spec() {
  return {.name = "nines-api-api-1-7",
          .image = "my-ai:v1",
          .command = {"/srv", "--port", "20000"},
          .environment = {{"KEY", "a=b"}},
          .tag = "nines-ab/api-1/7/20000",
          .binds = {"/data:/data:ro"},
          .image_port = 8000,
          .host_port = 20000,
          .memory = 64 << 20,
          .cpu_percent = 150};
}

TEST_CASE("engine: a container is created as it is described") {
  const EngineRequest request = ask_create(kApi, spec());
  CHECK(request.method == "POST");
  CHECK(request.target == "/v1.41/containers/create?name=nines-api-api-1-7");
  const json::value body = json::parse(request.body);
  CHECK(body.at("Image") == "my-ai:v1");
  CHECK(body.at("Cmd") == json::array{"/srv", "--port", "20000"});
  CHECK(body.at("Env") == json::array{"KEY=a=b"});
  CHECK(body.at("Labels").at("nines.tag") == "nines-ab/api-1/7/20000");
  const json::object& host = body.at("HostConfig").as_object();
  CHECK(host.at("RestartPolicy").at("Name") == "no");
  CHECK(host.at("NetworkMode") == "bridge");
  CHECK(host.at("Memory") == 64 << 20);
  CHECK(host.at("MemorySwap") == 64 << 20);
  CHECK(host.at("NanoCpus") == 1'500'000'000);
  CHECK(host.at("Binds") == json::array{"/data:/data:ro"});
  CHECK(host.at("OomScoreAdj") == 500);
  CHECK(host.at("PortBindings").at("8000/tcp").at(0).at("HostIp") == "127.0.0.1");
  CHECK(host.at("PortBindings").at("8000/tcp").at(0).at("HostPort") == "20000");
}

TEST_CASE("engine: with the host's network nothing is published, and what is not said is not sent") {
  const EngineRequest request = ask_create(kApi, {.name = "n", .image = "i", .tag = "t", .host_network = true});
  const json::object body = json::parse(request.body).as_object();
  CHECK(body.at("HostConfig").at("NetworkMode") == "host");
  for (const char* const key : {"Cmd", "Env", "ExposedPorts"}) CHECK_FALSE(body.contains(key));
  for (const char* const key : {"PortBindings", "Memory", "MemorySwap", "NanoCpus", "Binds"})
    CHECK_FALSE(body.at("HostConfig").as_object().contains(key));
}

TEST_CASE("engine: the other requests") {
  struct Row {
    EngineRequest request;
    std::string method, target;
  };
  const Row rows[] = {
      {ask_version(), "GET", "/version"},
      {ask_start(kApi, "ab12"), "POST", "/v1.41/containers/ab12/start"},
      {ask_kill(kApi, "ab12", "SIGTERM"), "POST", "/v1.41/containers/ab12/kill?signal=SIGTERM"},
      {ask_kill(kApi, "ab12", "RTMIN+3"), "POST", "/v1.41/containers/ab12/kill?signal=RTMIN%2B3"},
      {ask_wait(kApi, "ab12"), "POST", "/v1.41/containers/ab12/wait?condition=not-running"},
      {ask_inspect(kApi, "ab12"), "GET", "/v1.41/containers/ab12/json"},
      {ask_remove(kApi, "ab12"), "DELETE", "/v1.41/containers/ab12?force=1&v=1"},
      {ask_image(kApi, "r:5000/my ai@sha256:1"), "GET", "/v1.41/images/r:5000/my%20ai%40sha256:1/json"},
      {ask_list(kApi), "GET", "/v1.41/containers/json?all=1&filters=%7B%22label%22:%5B%22nines.tag%22%5D%7D"},
      {ask_logs(kApi, "ab12", 1'795'757'378'000'000'042), "GET",
       "/v1.41/containers/ab12/logs?follow=1&stdout=1&stderr=1&timestamps=1&since=1795757378.000000042"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.target);
    CHECK(row.request.method == row.method);
    CHECK(row.request.target == row.target);
    CHECK(row.request.body.empty());
  }
}

TEST_CASE("engine: the version is the newest of both") {
  struct Row {
    std::string_view newest, oldest, agreed;  // empty: none
  };
  const Row rows[] = {
      {"1.41", "1.12", "1.41"}, {"1.39", "1.12", "1.39"},  {"1.43", "1.24", "1.43"}, {"1.51", "1.24", "1.43"},
      {"1.60", "1.50", "1.50"}, {"1.38", "1.12", ""},      {"0.99", "", ""},         {"1.41", "", "1.41"},
      {"1.9", "1.1", ""},       {"2.0", "1.24", "1.43"},   {"x", "1.12", ""},        {"1.", "1.12", ""},
      {"1.-1", "1.12", ""},     {"99999999999.1", "", ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.newest);
    const json::object answer{{"ApiVersion", row.newest}, {"MinAPIVersion", row.oldest}};
    const auto version = read_version(200, json::serialize(answer));
    CHECK(version.has_value() == !row.agreed.empty());
    if (version) CHECK(version->text() == row.agreed);
  }
  CHECK(read_version(200, kVersionAnswer)->text() == "1.41");
}

TEST_CASE("engine: what a state says") {
  const auto running = read_state(200, kRunning);
  REQUIRE(running);
  CHECK(*running == ContainerState{.id = "93eeb0b3",
                                   .tag = "nines-ab/x-1/1/20000",
                                   .running = true,
                                   .pid = 24336,
                                   .exit_code = 0,
                                   .oom = false,
                                   .error = "",
                                   .stop_signal = "SIGQUIT",
                                   .published = {20000}});
  const auto ended = read_state(200, kOutOfMemory);
  REQUIRE(ended);
  CHECK_FALSE(ended->running);
  CHECK(ended->oom);
  CHECK(ended->exit() == Exit{.kind = Exit::Kind::kSignal, .value = 9});
}

TEST_CASE("engine: statuses above 128 are signals, as far as there are signals") {
  struct Row {
    int code;
    Exit::Kind kind;
    int value;
  };
  const Row rows[] = {
      {0, Exit::Kind::kStatus, 0},     {3, Exit::Kind::kStatus, 3},     {128, Exit::Kind::kStatus, 128},
      {137, Exit::Kind::kSignal, 9},   {143, Exit::Kind::kSignal, 15},  {192, Exit::Kind::kSignal, 64},
      {193, Exit::Kind::kStatus, 193}, {255, Exit::Kind::kStatus, 255}, {-1, Exit::Kind::kStatus, -1},
  };
  for (const Row& row : rows) {
    CAPTURE(row.code);
    CHECK(ContainerState{.id = "", .tag = "", .exit_code = row.code, .error = "", .stop_signal = "", .published = {}}
              .exit() == Exit{.kind = row.kind, .value = row.value});
  }
}

TEST_CASE("engine: only containers of this service are listed") {
  const auto list = read_list(200, kList, "nines-ab/");
  REQUIRE(list);
  CHECK(*list ==
        std::vector<ListedContainer>{{"93eeb0b3", "nines-ab/x-1/1/20000", true}, {"1", "nines-ab/x-2/7/0", false}});
  CHECK(read_list(200, "[]\n", "")->empty());
}

TEST_CASE("engine: a refusal says what to do") {
  struct Row {
    Error error;
    Code code;
    std::string_view says;
  };
  const std::string missing = R"({"message":"No such image: my-ai:v1"})";
  const std::string no_file =
      R"({"message":"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/nosuch\": stat /nosuch: no such file or directory: unknown"})";
  const std::string taken =
      R"({"message":"driver failed programming external connectivity on endpoint x: Bind for 127.0.0.1:20000 failed: port is already allocated"})";
  const Row rows[] = {
      {read_created(404, missing, spec()).error(), Code::kNotFound, "docker pull my-ai:v1"},
      {read_created(409, R"({"message":"Conflict."})", spec()).error(), Code::kExists,
       "docker rm -f nines-api-api-1-7"},
      {read_created(400, R"({"message":"Minimum memory limit allowed is 6MB"})", spec()).error(), Code::kInvalid,
       "6MB"},
      {read_created(500, R"({"cause":"x","message":"no space left on device"})", spec()).error(), Code::kUnavailable,
       "no space left"},
      {read_created(201, "{}", spec()).error(), Code::kProtocol, "\"Id\""},
      {read_started(400, no_file, spec()).error(), Code::kInvalid, "/nosuch"},
      {read_started(500, no_file, spec()).error(), Code::kInvalid, "/nosuch"},
      {read_started(500, taken, spec()).error(), Code::kExists, "already allocated"},
      {read_started(500, "oops\x01\n", spec()).error(), Code::kUnavailable, "500: oops"},
      {read_killed(409, R"({"message":"is not running"})").error(), Code::kNotFound, "has ended"},
      {read_killed(404, "").error(), Code::kNotFound, "has ended"},
      {read_killed(500, "").error(), Code::kUnavailable, "does not say why"},
      {read_image(404, missing, "my-ai:v1").error(), Code::kNotFound, "docker pull my-ai:v1"},
      {read_state(404, R"({"message":"No such container: a"})").error(), Code::kNotFound, "No such container"},
      {read_version(400, "client version 1.10 is too old.").error(), Code::kInvalid, "too old"},
      {cannot_reach_engine("/x.sock", Error(Code::kNotFound, "")), Code::kRefused, "systemctl start docker"},
      {cannot_reach_engine("/x.sock", Error(Code::kTimedOut, "late")), Code::kTimedOut, "/x.sock: late"},
      {cannot_reach_engine("/x.sock", Error(Code::kRefused, "no")), Code::kRefused, "usermod -aG docker"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.error.text());
    CHECK(row.error.code() == row.code);
    CHECK(row.error.text().find(row.says) != std::string::npos);
    CHECK(row.error.text().find('\n') == std::string::npos);
  }
  CHECK(read_started(304, "", spec()));
  CHECK(read_started(204, "", spec()));
  CHECK(read_removed(404, ""));
  CHECK(read_removed(409, ""));
  CHECK_FALSE(read_removed(500, ""));
  CHECK(*read_created(201, R"({"Id":"ab","Warnings":[]})", spec()) == "ab");
}

TEST_CASE("engine: an answer of the wrong shape is an error") {
  const std::string_view states[] = {
      "",
      "null",
      "[]",
      "{}",
      "{",
      "\xff\xfe",
      R"({"Id":"a"})",
      R"({"Id":"a","State":[]})",
      R"({"Id":"a","State":{}})",
      R"({"Id":7,"State":{"Running":true,"Pid":1,"ExitCode":0}})",
      R"({"State":{"Running":true,"Pid":1,"ExitCode":0}})",
      R"({"Id":"a","State":{"Running":"yes","Pid":1,"ExitCode":0}})",
      R"({"Id":"a","State":{"Running":true,"Pid":"1","ExitCode":0}})",
      R"({"Id":"a","State":{"Running":true,"Pid":-1,"ExitCode":0}})",
      R"({"Id":"a","State":{"Running":true,"Pid":99999999999,"ExitCode":0}})",
      R"({"Id":"a","State":{"Running":true,"Pid":1.5,"ExitCode":0}})",
      R"({"Id":"a","State":{"Running":false,"Pid":0,"ExitCode":1e300}})",
  };
  for (const std::string_view body : states) {
    CAPTURE(body);
    const auto state = read_state(200, body);
    REQUIRE_FALSE(state);
    CHECK(state.error().code() == Code::kProtocol);
  }
  const std::string_view lists[] = {"",
                                    "{}",
                                    "[1]",
                                    "null",
                                    R"([{"Id":"a","Labels":{"nines.tag":"t/"}}])",
                                    R"([{"Id":[],"State":"running","Labels":{"nines.tag":"t/"}}])"};
  for (const std::string_view body : lists) {
    CAPTURE(body);
    CHECK_FALSE(read_list(200, body, "t/"));
  }
  // Odd, but of no matter: what is left can be relied on.
  CHECK(read_state(200, R"({"Id":"a","State":{"Running":true,"Pid":1,"ExitCode":0,"OOMKilled":3},"Config":7})"));
  CHECK(read_state(200, R"({"Id":"a","State":{"Running":true,"Pid":1,"ExitCode":0},"Config":{"StopSignal":15}})")
            ->stop_signal == "15");
  CHECK(read_list(200, R"([{"Labels":[]},{"Labels":{"nines.tag":7}}])", "")->empty());
  const std::string deep(100'000, '[');
  CHECK_FALSE(read_list(200, deep, ""));
  CHECK_FALSE(read_version(200, R"({"ApiVersion":1.41})"));
}

// --- the log ---

std::string frame(std::string_view text, char stream = 1) {
  std::string out = {stream, 0, 0, 0};
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(text.size() >> shift & 0xff);
  return out + std::string(text);
}

std::string two_lines() {
  return frame("2026-11-27T05:29:38.416191739Z hello out\n") + frame("2026-11-27T05:29:38.416331813Z hello err\n", 2);
}

TEST_CASE("engine: frames become text and a time, wherever they are cut") {
  const std::string bytes = two_lines();
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    CAPTURE(cut);
    LogFrames frames;
    std::string text;
    REQUIRE(frames.take(std::string_view(bytes).substr(0, cut), text));
    REQUIRE(frames.take(std::string_view(bytes).substr(cut), text));
    CHECK(text == "hello out\nhello err\n");
    CHECK(frames.last() == 1'795'757'378'416'331'813);
  }
  LogFrames frames;
  std::string text;
  for (const char byte : bytes) REQUIRE(frames.take({&byte, 1}, text));
  CHECK(text == "hello out\nhello err\n");
}

TEST_CASE("engine: the time is of the last frame that has ended") {
  const std::string bytes = two_lines();
  LogFrames frames;
  std::string text;
  REQUIRE(frames.take(std::string_view(bytes).substr(0, bytes.size() - 1), text));
  CHECK(text == "hello out\nhello err");
  CHECK(frames.last() == 1'795'757'378'416'191'739);
}

TEST_CASE("engine: a frame without a time is text") {
  struct Row {
    std::string_view payload, text;
  };
  const Row rows[] = {
      {"", ""},
      {"x", "x"},
      {" x", " x"},
      {"hello world\n", "hello world\n"},
      {"2026-13-27T05:29:38Z x", "2026-13-27T05:29:38Z x"},
      {"2026-11-27T05:29:38.1Z", "2026-11-27T05:29:38.1Z"},
      {"2026-11-27T05:29:38.416191739+01:00 x", "x"},
      {"2026-11-27T05:29:38Z ", ""},
      {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b",
       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.payload);
    LogFrames frames;
    std::string text;
    REQUIRE(frames.take(frame(row.payload) + frame("2026-11-27T05:29:38Z end"), text));
    CHECK(text == std::string(row.text) + "end");
  }
}

TEST_CASE("engine: what is no frame is said at once, and a giant one costs nothing") {
  for (const std::string_view bytes : {"HTTP/1.1 200 OK\r\n"sv, "\3\0\0\0\0\0\0\1x"sv, "\1\0\1\0\0\0\0\1x"sv}) {
    LogFrames frames;
    std::string text;
    const auto taken = frames.take(std::string(bytes) + std::string(8, '!'), text);
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code() == Code::kProtocol);
  }
  LogFrames frames;
  std::string text;
  REQUIRE(frames.take(std::string_view("\1\0\0\0\xff\xff\xff\xff", 8), text));
  CHECK(text.capacity() < 1024);
  REQUIRE(frames.take("2026-11-27T05:29:38Z as much as there is", text));
  CHECK(text == "as much as there is");
  CHECK(frames.last() == 0);  // it has not ended
}

TEST_CASE("engine: any bytes are text or refused, however they come") {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    std::string bytes;
    for (std::uint32_t i = random.below(6); i > 0; --i) {
      std::string payload(random.below(80), 'x');
      for (char& c : payload) c = static_cast<char>(random.below(256));
      bytes += frame(payload, static_cast<char>(random.below(3)));
    }
    for (std::uint32_t i = random.below(3); i > 0 && !bytes.empty(); --i)
      bytes[random.below(static_cast<std::uint32_t>(bytes.size()))] = static_cast<char>(random.below(256));
    LogFrames whole, pieces;
    std::string at_once, by_piece;
    const bool taken = whole.take(bytes, at_once).has_value();
    bool all = true;
    for (std::size_t at = 0; at < bytes.size() && all;) {
      const std::size_t size = 1 + random.below(20);
      all = pieces.take(std::string_view(bytes).substr(at, size), by_piece).has_value();
      at += size;
    }
    CHECK(taken == all);
    CHECK(at_once == by_piece);
    CHECK(at_once.size() <= bytes.size());
  }
}

TEST_CASE("engine: times of a log") {
  CHECK(parse_log_time("1970-01-01T00:00:00Z") == 0);
  CHECK(parse_log_time("1970-01-01T01:00:00.5+01:00") == 500'000'000);
  CHECK(parse_log_time("2026-11-27T05:29:38.416191739Z") == 1'795'757'378'416'191'739);
  for (const std::string_view bad :
       {"", "Z", "2026-11-27", "2026-11-27T05:29:38", "2026-11-27 05:29:38Z", "2026-02-30T05:29:38Z",
        "9999-11-27T05:29:38Z", "0001-01-01T00:00:00Z", "2026-11-27T24:29:38Z", "2026-11-27T05:29:38+1:00",
        "2026-11-27T05:29:38.Zx", "-026-11-27T05:29:38Z", "2026-11-27T05:29:38+01:0x"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_log_time(bad));
  }
}

TEST_CASE("engine: where its socket is") {
  std::map<std::string, std::string> environment;
  std::vector<std::string> files;
  const auto find = [&](const std::string& configured) {
    return find_engine_socket(
        configured, [&](const char* name) { return environment[name]; },
        [&](const std::string& path) { return std::ranges::find(files, path) != files.end(); });
  };
  CHECK(*find("") == "/var/run/docker.sock");
  files = {"/run/podman/podman.sock"};
  CHECK(*find("") == "/run/podman/podman.sock");
  environment["XDG_RUNTIME_DIR"] = "/run/user/7";
  files.emplace_back("/run/user/7/docker.sock");
  CHECK(*find("") == "/run/user/7/docker.sock");
  files.emplace_back("/var/run/docker.sock");
  CHECK(*find("") == "/var/run/docker.sock");
  environment["DOCKER_HOST"] = "unix:///x.sock";
  CHECK(*find("") == "/x.sock");
  CHECK(*find("/y.sock") == "/y.sock");
  environment["DOCKER_HOST"] = "tcp://10.0.0.1:2375";
  CHECK(*find("/y.sock") == "/y.sock");
  CHECK(find("").error().text().find("tcp://10.0.0.1:2375") != std::string::npos);
}

}  // namespace
}  // namespace nines::supervise
