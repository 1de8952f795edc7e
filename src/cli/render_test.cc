#include "cli/render.h"

#include <doctest/doctest.h>

namespace nines::cli {
namespace {

const WallTime kNow{1'000'000h};

PastEvent past(Duration age, plane::EventKind kind, const char* replica, const char* text, std::int64_t a = 0,
               std::int64_t b = 0) {
  PastEvent event{.at = kNow - age, .event = {.kind = kind, .a = a, .b = b}, .kind = "", .replica = replica};
  event.event.set_text(text);
  return event;
}

ServiceStatus healthy() {
  return {.service = "language-id",
          .objective = 0.999,
          .state = "running",
          .uptime = 76h,
          .listen = {"http://127.0.0.1:8000"},
          .config = "/srv/ai/nines.yaml",
          .folder = "/srv/ai",
          .anchor_pid = 4710,
          .supervisor_pid = 4711,
          .gateway_pid = 4712,
          .keeper_pid = 4713,
          .requests = 1'234'567,
          .errors = 12,
          .replayed = 5,
          .latency = {1200us, 34ms},
          .replicas = {{.name = "language-id-1",
                        .state = "ready",
                        .pid = 4720,
                        .port = 20001,
                        .uptime = 76h,
                        .in_flight = 1,
                        .requests = 617'000,
                        .errors = 4,
                        .latency = {1200us, 3400us}},
                       {.name = "language-id-2",
                        .state = "ready",
                        .pid = 4728,
                        .port = 20013,
                        .uptime = 12s,
                        .restarts = 1,
                        .requests = 617'567,
                        .errors = 8,
                        .latency = {1300us, 3500us}}},
          .events = {past(13s, plane::EventKind::kExited, "language-id-2", "killed by SIGKILL (9)", 9, 1),
                     past(12s, plane::EventKind::kReady, "language-id-2", "", 84'000'000, 20013)}};
}

TEST_CASE("render: a healthy service") {
  CHECK(render_status(healthy(), {.now = kNow}) ==
        R"(language-id  ● running for 3 d 4 h, 2 of 2 ready
http://127.0.0.1:8000 · objective 99.9% · /srv/ai/nines.yaml
anchor 4710 · supervisor 4711 · gateway 4712 · keeper 4713

requests 1,234,567 · errors 12 (0.00097 %) · replayed 5 · p50 1.2 ms · p99 34 ms

  REPLICA        STATE   PID   PORT   UP FOR  RESTARTS  IN FLIGHT  REQUESTS  ERRORS     P50     P99
● language-id-1  ready  4720  20001  3 d 4 h         0          1   617,000       4  1.2 ms  3.4 ms
● language-id-2  ready  4728  20013     12 s         1          0   617,567       8  1.3 ms  3.5 ms

13 s ago  language-id-2 exited: killed by SIGKILL (9)
12 s ago  language-id-2 ready after 84 ms on port 20013
)");
}

TEST_CASE("render: nobody ready, nothing measured, a long name and what is unknown") {
  ServiceStatus status{.service = "s",
                       .state = "starting",
                       .listen = {"http://127.0.0.1:8000", "http://[::1]:8000"},
                       .folder = "/srv",
                       .anchor_pid = 9,
                       .supervisor_pid = 1,
                       .unroutable = 3,
                       .replicas = {{.name = "a-name-longer-than-any-other-1",
                                     .state = "unready",
                                     .pid = 2,
                                     .port = 20000,
                                     .uptime = 90s,
                                     .note = "GET /health answered 500\x1b"},
                                    {.name = "s-2", .state = "waiting", .restarts = 1'000'000}}};
  CHECK(render_status(status, {.now = kNow}) ==
        R"(s  ◔ starting, 0 of 2 ready
http://127.0.0.1:8000, http://[::1]:8000 · /srv
anchor 9 · supervisor 1 · gateway not running · keeper not running

requests 0 · errors 0 · replayed 0 · nobody ready for 3 · p50 – · p99 –

  REPLICA                         STATE    PID   PORT      UP FOR   RESTARTS  IN FLIGHT  REQUESTS  ERRORS  P50  P99
✗ a-name-longer-than-any-other-1  unready    2  20000  1 min 30 s          0          0         0       0    –    –
    GET /health answered 500?
◌ s-2                             waiting    –      –           –  1,000,000          0         0       0    –    –
)");
}

TEST_CASE("render: colours change nothing but colour") {
  const std::string plain = render_status(healthy(), {.now = kNow});
  std::string coloured = render_status(healthy(), {.colour = true, .now = kNow});
  CHECK(coloured.contains("\x1b[32m● running for 3 d 4 h, 2 of 2 ready\x1b[0m"));
  CHECK(coloured.contains("\x1b[31merrors 12 (0.00097 %)\x1b[0m"));
  for (auto at = coloured.find('\x1b'); at != std::string::npos; at = coloured.find('\x1b'))
    coloured.erase(at, coloured.find('m', at) + 1 - at);
  CHECK(coloured == plain);
}

TEST_CASE("render: the colour of a running service is that of its replicas") {
  ServiceStatus status = healthy();
  const auto head = [&] {
    const std::string text = render_status(status, {.colour = true, .now = kNow});
    return text.substr(0, text.find('\n'));
  };
  CHECK(head().contains("\x1b[32m●"));
  status.replicas[0].state = "unready";
  CHECK(head().contains("\x1b[33m●"));
  status.replicas[1].state = "unready";
  CHECK(head().contains("\x1b[31m●"));
}

TEST_CASE("render: errors as a share") {
  ServiceStatus status = healthy();
  const auto said = [&](std::uint64_t errors, std::uint64_t requests, const char* text) {
    status.errors = errors;
    status.requests = requests;
    return render_status(status, {.now = kNow}).contains(std::string(text) + " · replayed");
  };
  CHECK(said(0, 100, "errors 0"));
  CHECK(said(1, 200, "errors 1 (0.5 %)"));
  CHECK(said(150, 200, "errors 150 (75 %)"));
  CHECK(said(200, 200, "errors 200 (all)"));
  CHECK(said(5, 0, "errors 5"));
}

TEST_CASE("render: only the last events, and those of a later version by their names") {
  ServiceStatus status = healthy();
  status.events.clear();
  for (int i = 0; i < 9; ++i) status.events.push_back(past(9s - i * 1s, plane::EventKind::kListening, "a-1", "", i));
  status.events.push_back({.at = {}, .event = {}, .kind = "teleported", .replica = "a-1"});
  const std::string text = render_status(status, {.now = kNow});
  CHECK(text.ends_with(R"(
4 s ago  a-1 listens on port 5
3 s ago  a-1 listens on port 6
2 s ago  a-1 listens on port 7
1 s ago  a-1 listens on port 8
      –  a-1 teleported
)"));
}

TEST_CASE("render: processes") {
  ServiceStatus status = healthy();
  status.keeper_pid.reset();
  CHECK(render_processes(status, {.now = kNow}) ==
        R"(  REPLICA        STATE         PID   PORT   UP FOR  RESTARTS  IN FLIGHT  REQUESTS  ERRORS     P50     P99
● language-id-1  ready        4720  20001  3 d 4 h         0          1   617,000       4  1.2 ms  3.4 ms
● language-id-2  ready        4728  20013     12 s         1          0   617,567       8  1.3 ms  3.5 ms
● anchor         running      4710
● supervisor     running      4711
● gateway        running      4712
◌ keeper         not running     –
)");
}

}  // namespace
}  // namespace nines::cli
