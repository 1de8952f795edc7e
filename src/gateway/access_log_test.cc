#include "gateway/access_log.h"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

namespace nines::gateway {
namespace {

AccessRecord good() {
  return {.at = WallTime{} + 1h,
          .id = "r1",
          .client = "10.0.0.7",
          .method = "GET",
          .target = "/x",
          .status = 200,
          .total = 2ms};
}

std::string line_of(const AccessRecord& record) {
  std::string line;
  write_access_line(line, record);
  return line;
}

// What stands for the path in the line.
std::string path_in_line(std::string_view target) {
  AccessRecord record = good();
  record.target = target;
  const std::string line = line_of(record), key = "\"path\":\"";
  const std::size_t begin = line.find(key) + key.size();
  return line.substr(begin, line.find("\",\"status\"", begin) - begin);
}

TEST_CASE("access log: a line says what is known, and nothing else") {
  CHECK(
      line_of(good()) ==
      "{\"time\":\"1970-01-01T01:00:00.000Z\",\"id\":\"r1\",\"client\":\"10.0.0.7\",\"method\":\"GET\",\"path\":\"/x\","
      "\"status\":200,\"bytes_in\":0,\"bytes_out\":0,\"ms\":2}\n");
  const AccessAttempt attempts[] = {{"a-1", "closed", 400us}, {"a-2", "answered", 11'650us}};
  AccessRecord full = good();
  full.method = "POST";
  full.bytes_in = 27;
  full.bytes_out = 18'446'744'073'709'551'615U;
  full.total = 12'345'678ns;
  full.first_byte = 12ms + 30us;
  full.replica = "a-2";
  full.attempts = attempts;
  full.cause = "closed";
  full.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  CHECK(line_of(full) ==
        "{\"time\":\"1970-01-01T01:00:00.000Z\",\"id\":\"r1\",\"client\":\"10.0.0.7\",\"method\":\"POST\",\"path\":\"/"
        "x\","
        "\"status\":200,\"bytes_in\":27,\"bytes_out\":18446744073709551615,\"ms\":12.345,\"first_byte_ms\":12.03,"
        "\"replica\":\"a-2\",\"attempts\":[{\"replica\":\"a-1\",\"outcome\":\"closed\",\"ms\":0.4},"
        "{\"replica\":\"a-2\",\"outcome\":\"answered\",\"ms\":11.65}],\"cause\":\"closed\","
        "\"trace\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}\n");
  AccessRecord nothing;
  nothing.total = -1ms;  // a clock that is wrong makes no line that is no JSON
  CHECK(line_of(nothing) == "{\"time\":\"1970-01-01T00:00:00.000Z\",\"bytes_in\":0,\"bytes_out\":0,\"ms\":0}\n");
}

TEST_CASE("access log: whatever a client sends, a line stays one line of JSON in ASCII") {
  struct Row {
    std::string why, target, written;
  };
  using namespace std::string_literals;
  const Row rows[] = {
      {"the query may carry secrets", "/x?key=secret", "/x"},
      {"also behind a second mark", "/x?a?b", "/x"},
      {"a quotation mark ends no text", "/\",\"status\":200", "/\\\",\\\"status\\\":200"},
      {"nor does a backslash", "/\\", "/\\\\"},
      {"a line's end", "/\r\n{}", "/\\u000d\\u000a{}"},
      {"NUL and escape", "/\0\x1b[2J"s, "/\\u0000\\u001b[2J"},
      {"delete", "/\x7f", "/%7f"},
      {"UTF-8", "/\xc3\xbc", "/%c3%bc"},
      {"what is no UTF-8", "/\xff\xc0\x80", "/%ff%c0%80"},
      {"percent signs stay", "/%41%zz", "/%41%zz"},
      {"a long one is cut", std::string(kTextMax + 1, 'a'), std::string(kTextMax, 'a') + "..."},
      {"one that just fits is not", std::string(kTextMax, 'a'), std::string(kTextMax, 'a')},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(path_in_line(row.target) == row.written);
  }
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  AccessRecord record = good();
  record.id = record.client = record.method = record.target = record.replica = record.cause = every_byte;
  const AccessAttempt attempt{every_byte, every_byte, 0ns};
  record.attempts = {&attempt, 1};
  std::string line = line_of(record);
  CHECK(line.ends_with("}\n"));
  line.pop_back();
  for (const char c : line) CHECK((c >= ' ' && c < 0x7f));
}

TEST_CASE("access log: the trace id of a traceparent, or none") {
  const std::string id = "4bf92f3577b34da6a3ce929d0e0e4736", rest = "-00f067aa0ba902b7-01";
  struct Row {
    std::string traceparent, found;
  };
  const Row rows[] = {
      {"00-" + id + rest, id},
      {"01-" + id + rest, id},
      {"01-" + id + rest + "-more", id},
      {"00-" + id + rest + "-more", ""},
      {"01-" + id + rest + "more", ""},
      {"ff-" + id + rest, ""},
      {"0g-" + id + rest, ""},
      {"00-" + std::string(32, '0') + rest, ""},
      {"00-4BF92F3577B34DA6A3CE929D0E0E4736" + rest, ""},
      {"00_" + id + rest, ""},
      {"00-" + id + "-00f067aa0ba902b7_01", ""},
      {"00-" + id + "_00f067aa0ba902b7-01", ""},
      {"00-" + id, ""},
      {"", ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.traceparent);
    CHECK(trace_id(row.traceparent) == row.found);
  }
}

TEST_CASE("access log: what is a problem") {
  const AccessAttempt twice[] = {{"a", "closed", 0ns}, {"b", "answered", 0ns}};
  struct Row {
    std::string why;
    AccessRecord record;
    bool problem;
  };
  Row rows[] = {
      {"an ordinary answer", good(), false},
      {"not found is an answer", good(), false},
      {"an error of the server", good(), true},
      {"no answer", good(), true},
      {"a cause", good(), true},
      {"one attempt", good(), false},
      {"two attempts", good(), true},
  };
  rows[1].record.status = 404;
  rows[2].record.status = 500;
  rows[3].record.status = 0;
  rows[4].record.cause = "client_left";
  rows[5].record.attempts = std::span(twice).first(1);
  rows[6].record.attempts = twice;
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(is_problem(row.record) == row.problem);
  }
}

TEST_CASE("access log: each line is taken once, what finds no room is counted") {
  const std::size_t size = line_of(good()).size();
  int woken = 0;
  AccessLog log({.what = AccessLogged::kAll, .buffer_bytes = 2 * size, .on_first = [&] { ++woken; }});
  log.add(good());
  log.add(good());
  CHECK(woken == 1);
  CHECK(log.dropped() == 0);
  log.add(good());
  CHECK(log.dropped() == 1);
  std::string lines;
  log.take(lines);
  CHECK(lines == line_of(good()) + line_of(good()));
  lines.clear();
  log.take(lines);
  CHECK(lines.empty());
  log.add(good());
  CHECK(woken == 2);
  log.take(lines);
  CHECK(lines == line_of(good()));
}

TEST_CASE("access log: only what is asked for") {
  AccessRecord bad = good();
  bad.status = 502;
  struct Row {
    AccessLogged what;
    bool on;
    std::string written;
  };
  const Row rows[] = {{AccessLogged::kNone, false, ""},
                      {AccessLogged::kProblems, true, line_of(bad)},
                      {AccessLogged::kAll, true, line_of(good()) + line_of(bad)}};
  for (const Row& row : rows) {
    AccessLog log({.what = row.what});
    CHECK(log.on() == row.on);
    log.add(good());
    log.add(bad);
    std::string lines;
    log.take(lines);
    CHECK(lines == row.written);
  }
}

TEST_CASE("access log: a worker adds while a writer takes") {
  AccessLog log({.what = AccessLogged::kAll});
  constexpr std::size_t kLines = 2000;
  const std::string line = line_of(good());
  std::thread worker([&] {
    for (std::size_t i = 0; i < kLines; ++i) log.add(good());
  });
  std::string all;
  while (all.size() < kLines * line.size() && log.dropped() == 0) {
    std::string lines;
    log.take(lines);
    all += lines;
    std::this_thread::yield();
  }
  worker.join();
  CHECK(log.dropped() == 0);
  CHECK(all.size() == kLines * line.size());
}

}  // namespace
}  // namespace nines::gateway
