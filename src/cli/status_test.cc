#include "cli/status.h"

#include <doctest/doctest.h>

namespace nines::cli {
namespace {

TEST_CASE("status: everything the control API says is read") {
  const auto status = parse_status(R"({"service":"a","objective":0.999,"state":"running","uptime_s":12.5,
    "listen":["http://127.0.0.1:8000","http://[::1]:8000"],"config":"/x/nines.yaml","folder":"/x",
    "supervisor":{"pid":1},"keeper":{"pid":2},
    "gateway":{"pid":3,"requests":"9007199254740993","errors":4,"client_errors":5,"replayed":6,"abandoned":7,
               "unroutable":8,"connections":9,"latency_ms":{"p50":1.25,"p99":null}},
    "replicas":[{"name":"a-1","pid":4,"port":20001,"state":"ready","uptime_s":1,"restarts":2,"in_flight":3,"requests":5,
                 "errors":6,"latency_ms":{"p50":null,"p99":2},"log":"/l","note":"n"},
                {"name":"a-2","pid":null,"port":null,"state":"stopped","uptime_s":null}],
    "events":[{"number":7,"at":"2026-11-23T18:37:25.120Z","kind":"exited","replica":"a-1","pid":4,"incarnation":2,
               "a":-9,"b":1,"text":"killed"},
              {"number":8,"at":"?","kind":"teleported","replica":"a-2","text":"far"}]})");
  REQUIRE(status);
  CHECK(status->service == "a");
  CHECK(status->objective == 0.999);
  CHECK(status->uptime == 12500ms);
  CHECK(status->listen == std::vector<std::string>{"http://127.0.0.1:8000", "http://[::1]:8000"});
  CHECK(status->config == "/x/nines.yaml");
  CHECK(status->supervisor_pid == 1);
  CHECK(status->keeper_pid == 2);
  CHECK(status->gateway_pid == 3);
  CHECK(status->requests == 9007199254740993U);
  CHECK(status->errors == 4);
  CHECK(status->replayed == 6);
  CHECK(status->unroutable == 8);
  CHECK(status->connections == 9);
  CHECK(status->latency.p50 == 1250us);
  CHECK(!status->latency.p99);
  REQUIRE(status->replicas.size() == 2);
  const ReplicaStatus& first = status->replicas[0];
  CHECK(first.name == "a-1");
  CHECK(first.pid == 4);
  CHECK(first.port == 20001);
  CHECK(first.uptime == 1s);
  CHECK(first.restarts == 2);
  CHECK(first.in_flight == 3);
  CHECK(first.requests == 5);
  CHECK(first.errors == 6);
  CHECK(first.latency.p99 == 2ms);
  CHECK(first.log == "/l");
  CHECK(first.note == "n");
  CHECK(!status->replicas[1].pid);
  CHECK(!status->replicas[1].uptime);
  REQUIRE(status->events.size() == 2);
  CHECK(status->events[0].event.kind == plane::EventKind::kExited);
  CHECK(status->events[0].event.number == 7);
  CHECK(status->events[0].event.incarnation == 2);
  CHECK(status->events[0].event.a == -9);
  CHECK(status->events[0].event.b == 1);
  CHECK(std::string_view(status->events[0].event.text) == "killed");
  CHECK(status->events[0].replica == "a-1");
  CHECK(status->events[0].at);
  CHECK(status->events[1].event.kind == plane::EventKind{});
  CHECK(status->events[1].kind == "teleported");
  CHECK(!status->events[1].at);
}

TEST_CASE("status: what is missing or of another type is not known, and no reason to fail") {
  for (const char* json :
       {"{}", R"({"gateway":7,"replicas":{},"events":null,"listen":"x","objective":"y","uptime_s":-1})"}) {
    const auto status = parse_status(json);
    REQUIRE(status);
    CHECK(status->replicas.empty());
    CHECK(!status->objective);
    CHECK(!status->uptime);
    CHECK(!status->gateway_pid);
  }
  for (const char* no_status : {"", "[]", "<html>", "{"}) CHECK(!parse_status(no_status));
}

TEST_CASE("status: times") {
  const WallTime time = WallTime{} + 1795459045s + 120ms;
  CHECK(parse_rfc3339(format_rfc3339(time)) == time);
  CHECK(parse_rfc3339("1970-01-01T00:00:00Z") == WallTime{});
  CHECK(parse_rfc3339("1970-01-01T00:00:00.000000001Z") == WallTime{1ns});
  for (const char* wrong : {"", "Z", "1970-01-01", "1970-13-01T00:00:00Z", "1970-01-01T24:00:00Z",
                            "1970-01-01T00:00:00", "1970-01-01T00:00:00.Z", "1970-01-01 00:00:00Z",
                            "1970-02-30T00:00:00Z", "x970-01-01T00:00:00Z", "1970-01-01T00:00:00.1x2Z"}) {
    CAPTURE(wrong);
    CHECK(!parse_rfc3339(wrong));
  }
}

}  // namespace
}  // namespace nines::cli
