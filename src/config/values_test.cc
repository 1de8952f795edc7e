#include "config/values.h"

#include <doctest/doctest.h>

#include "base/random.h"

namespace nines::config {
namespace {

TEST_CASE("values: a duration is one number and one unit, exactly") {
  struct Row {
    std::string text;
    Duration is;
    const char* written;
  };
  const Row rows[] = {
      {"250ms", 250ms, "250ms"},
      {"1.5s", 1500ms, "1500ms"},
      {"10m", 10min, "10m"},
      {"2h", 2h, "2h"},
      {"7d", 7 * 24h, "7d"},
      {"0s", 0s, "0s"},
      {"30 s", 30s, "30s"},
      {"90s", 90s, "90s"},
      {"60s", 60s, "1m"},
      {"0.001ms", 1us, "0.001ms"},
      {"1.000001ms", 1'000'001ns, "1.000001ms"},
      {"0.000000001s", 1ns, "0.000001ms"},
      {"0.1d", 144min, "144m"},
      {"106751d", 106'751 * 24h, "106751d"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto parsed = parse_duration(row.text);
    REQUIRE(parsed);
    CHECK((*parsed == row.is));
    CHECK(write_duration(*parsed) == row.written);
  }
}

TEST_CASE("values: what is no duration says what is missing") {
  struct Row {
    std::string text;
    const char* what;
  };
  const Row rows[] = {
      {"5", "has no unit; add one, such as \"5s\""},
      {"1.5", "has no unit"},
      {"", "is not a duration"},
      {"s", "is not a duration"},
      {"-5s", "is negative"},
      {"+5s", "is not a duration"},
      {"1.s", "is not a duration"},
      {".5s", "is not a duration"},
      {"1.2.3s", "is not a duration"},
      {"0x10s", "no unit known here, \"x10s\""},
      {"1e3s", "no unit known here"},
      {"10min", "no unit known here, \"min\""},
      {"10S", "no unit known here"},
      {"1m30s", "no unit known here"},
      {"1 000s", "no unit known here"},
      {"0.0000000001s", "finer than a nanosecond"},
      {"0.0000001ms", "finer than a nanosecond"},
      {"106752d", "longer than 292 years"},
      {"18446744073709551615d", "longer than 292 years"},
      {"18446744073709551616s", "is not a duration"},
      {"inf s", "is not a duration"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto parsed = parse_duration(row.text);
    REQUIRE(!parsed);
    CHECK(parsed.error().text().contains(row.what));
    CHECK(!parsed.error().fix.empty());
  }
}

TEST_CASE("values: every duration survives being written") {
  for (std::uint64_t seed = 1; seed <= 5'000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const Duration d{static_cast<Duration::rep>(random.next() >> (1 + random.below(63)))};
    const auto parsed = parse_duration(write_duration(d));
    REQUIRE(parsed);
    REQUIRE((*parsed == d));
  }
}

TEST_CASE("values: an objective is the double next to the decimal fraction") {
  struct Row {
    std::string text;
    double fraction;
    const char* written;
  };
  const Row rows[] = {{"99.9%", 0.999, "99.9%"},
                      {"99.9 %", 0.999, "99.9%"},
                      {" 99.99%", 0.9999, "99.99%"},
                      {"99.999%", 0.99999, "99.999%"},
                      {"99.9990%", 0.99999, "99.999%"},
                      {"50%", 0.5, "50%"},
                      {"5%", 0.05, "5%"},
                      {"0.5%", 0.005, "0.5%"},
                      {"00099%", 0.99, "99%"},
                      {"99.95%", 0.9995, "99.95%"}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto parsed = parse_objective(row.text);
    REQUIRE(parsed);
    CHECK(*parsed == row.fraction);
    CHECK(write_objective(*parsed) == row.written);
  }
  for (const std::string bad : {"99.9", "0.999", "", "%", "100%", "0%", "100.1%", "-1%", "nan%", "1e1%", "99,9%",
                                "99.9%%", ".%", "9.%", ".9%", "9.9.9%", "99.99999999999999999999%"}) {
    CAPTURE(bad);
    const auto parsed = parse_objective(bad);
    REQUIRE(!parsed);
    CHECK(parsed.error().fix.contains("99.9%"));
  }
}

TEST_CASE("values: where to listen") {
  struct Row {
    std::string text;
    const char* is;  // ip and port, or part of the complaint
  };
  const Row good[] = {
      {"127.0.0.1:8000", "127.0.0.1:8000"},
      {":8000", "0.0.0.0:8000"},
      {"localhost:80", "127.0.0.1:80"},
      {"[::1]:8000", "[::1]:8000"},
      {"[::]:1", "[::]:1"},
      {"[2001:DB8:0:0::1]:65535", "[2001:db8::1]:65535"},
      {"0.0.0.0:65535", "0.0.0.0:65535"},
  };
  for (const Row& row : good) {
    CAPTURE(row.text);
    const auto parsed = parse_address(row.text);
    REQUIRE(parsed);
    CHECK(parsed->text() == row.is);
    CHECK((parse_address(parsed->text()) == *parsed));
  }
  const Row bad[] = {
      {"8000", "is only a port"},
      {"127.0.0.1", "has no port"},
      {"[::1]", "has no port"},
      {"127.0.0.1:0", "port 0"},
      {"127.0.0.1:65536", "not a port"},
      {"127.0.0.1:", "not a port"},
      {"127.0.0.1:+1", "not a port"},
      {"::1:8000", "write IPv6 as"},
      {"http://127.0.0.1:80", "is a URL"},
      {"example.org:80", "names are not"},
      {"[127.0.0.1]:80", "not an IP"},
      {"127.1:80", "not an IP"},
      {"256.0.0.1:80", "not an IP"},
      {"[::1%lo]:80", "not an IP"},
      {"", "has no port"},
      {"[]:80", "not an IP"},
  };
  for (const Row& row : bad) {
    CAPTURE(row.text);
    const auto parsed = parse_address(row.text);
    REQUIRE(!parsed);
    CHECK(parsed.error().text().contains(row.is));
    CHECK(!parsed.error().fix.empty());
  }
}

TEST_CASE("values: a service name is a DNS label") {
  for (const std::string& good :
       {std::string("a"), std::string("0-9"), std::string("language-id"), std::string(63, 'x')}) {
    CAPTURE(good);
    CHECK(check_service_name(good));
  }
  for (const std::string& bad : {std::string(), std::string("-a"), std::string("A"), std::string("a_b"),
                                 std::string("a b"), std::string("ä"), std::string(64, 'x')}) {
    CAPTURE(bad);
    CHECK(!check_service_name(bad));
  }
}

TEST_CASE("values: a command in one string is split like a shell would, and never expanded") {
  struct Row {
    std::string why;
    std::string text;
    std::vector<std::string> words;
  };
  const Row good[] = {
      {"blanks separate", " a  b\tc\nd ", {"a", "b", "c", "d"}},
      {"single quotes keep everything", "a 'b $c | \\'", {"a", "b $c | \\"}},
      {"double quotes keep blanks and operators", "a \"b | c;  d*~#\"", {"a", "b | c;  d*~#"}},
      {"quotes join", "a'b'\"c\"d", {"abcd"}},
      {"an empty word is a word", "a '' \"\"", {"a", "", ""}},
      {"a backslash takes the next as it is", "a\\ b \\$x \\\\", {"a b", "$x", "\\"}},
      {"between double quotes, only where it matters", R"("\"\\\$\`\n")", {"\"\\$`\\n"}},
      {"a quote inside the other quote", R"('"' "'")", {"\"", "'"}},
      {"~ and # inside a word are text", "a~b c#d", {"a~b", "c#d"}},
      {"braces are text", "serve --port={port} {a,b}", {"serve", "--port={port}", "{a,b}"}},
      {"nothing", "", {}},
  };
  for (const Row& row : good) {
    CAPTURE(row.why);
    const auto words = split_words(row.text);
    REQUIRE(words);
    CHECK((*words == row.words));
  }
  for (const std::string bad : {"a $b", "a \"$b\"", "a `b`", "a \"`b`\"", "a | b", "a & b", "a; b", "a < b", "a > b",
                                "a *.txt", "a ?", "a [b]", "(a)", "~/a", "#a", "a #b"}) {
    CAPTURE(bad);
    const auto words = split_words(bad);
    REQUIRE(!words);
    CHECK(words.error().fix.contains(R"(["sh", "-c", "…"])"));
  }
  for (const std::string open : {"a 'b", "a \"b", "a \"b\\\"", "a \\"}) {
    CAPTURE(open);
    CHECK(!split_words(open));
  }
}

TEST_CASE("values: paths") {
  for (const std::string good : {"/", "/classify", "/a/b%20c", "/a;b=1"}) {
    CAPTURE(good);
    CHECK(check_route_path(good));
  }
  CHECK(check_request_path("/health?deep=1"));
  CHECK(check_request_path("/" + std::string(bounds::kPathBytes - 1, 'x')));
  for (const std::string& bad :
       {std::string(), std::string("a"), std::string("/a b"), std::string("/ä"), std::string("/a#b"),
        std::string("/a\r\n"), std::string("/\x7f"), "/" + std::string(bounds::kPathBytes, 'x')}) {
    CAPTURE(bad);
    CHECK(!check_request_path(bad));
    CHECK(!check_route_path(bad));
  }
  CHECK(!check_route_path("/a?b"));
}

TEST_CASE("values: sizes") {
  struct Row {
    std::string text;
    std::uint64_t bytes;
  };
  const Row rows[] = {{"0B", 0},          {"512B", 512},        {"32KiB", 32768},    {"32 KiB", 32768},
                      {"64MiB", 1 << 26}, {"1GiB", 1ULL << 30}, {"2TiB", 2ULL << 40}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(parse_size(row.text) == row.bytes);
    CHECK(parse_size(write_size(row.bytes)) == row.bytes);
  }
  CHECK(write_size(32768) == "32KiB");
  CHECK(write_size(32769) == "32769B");
  for (const std::string wrong :
       {"", "KiB", "1.5MiB", "-1B", "1kB", "1K", "1 M", "16777216TiB", "99999999999999999999B"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_size(wrong));
  }
}

TEST_CASE("values: networks") {
  struct Row {
    std::string text, written;
  };
  const Row rows[] = {{"10.0.0.0/8", "10.0.0.0/8"}, {"10.1.2.3", "10.1.2.3/32"},  {"0.0.0.0/0", "0.0.0.0/0"},
                      {"fd00::/8", "fd00::/8"},     {"FD00:0::1", "fd00::1/128"}, {"10.0.0.128/25", "10.0.0.128/25"}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    REQUIRE(parse_network(row.text));
    CHECK(parse_network(row.text)->text() == row.written);
    CHECK(*parse_network(row.written) == *parse_network(row.text));
  }
  for (const std::string wrong : {"", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.1/8", "10.0.0.128/24", "fd00::1/64",
                                  "10.0.0.0/", "10.0.0.0/-1", "localhost", "10.0.0.0/8/8"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_network(wrong));
  }
}

TEST_CASE("values: header names, content types, JSON pointers, percentages") {
  for (const std::string good : {"X-Session-Id", "a", "_~!"}) CHECK(check_field_name(good));
  for (const std::string& wrong :
       {std::string(), std::string("a b"), std::string("a:"), std::string("ä"), std::string(65, 'a')})
    CHECK_FALSE(check_field_name(wrong));
  CHECK(check_content_type("text/plain; charset=utf-8"));
  for (const std::string wrong : {"", "text", " text/x", "text/x\n"}) CHECK_FALSE(check_content_type(wrong));
  for (const std::string good : {"", "/", "/a/0", "/a~0b~1c"}) CHECK(check_json_pointer(good));
  for (const std::string wrong : {"a", "/~", "/~2", "/a~"}) CHECK_FALSE(check_json_pointer(wrong));
  CHECK(parse_percent("20 %", {0, 100}) == 20);
  for (const std::string wrong : {"", "%", "20", "-1%", "1.5%", "101%"}) CHECK_FALSE(parse_percent(wrong, {0, 100}));
}

TEST_CASE("values: environment values are text or references, and a reference has no value to leak") {
  const auto text = parse_environment_value("plain");
  REQUIRE(text);
  CHECK(std::get<std::string>(*text) == "plain");
  const auto variable = parse_environment_value("env:TOKEN");
  REQUIRE(variable);
  CHECK((*variable == EnvironmentValue(Secret(Secret::Source::kEnvironment, "TOKEN"))));
  const auto file = parse_environment_value("file:keys/token");
  REQUIRE(file);
  CHECK(std::get<Secret>(*file).reference() == "file:keys/token");
  CHECK(std::get<Secret>(*file).name() == "keys/token");
  for (const std::string& bad :
       {std::string("env:"), std::string("env:A B"), std::string("env:1"), std::string("file:"), std::string("a\0b", 3),
        std::string(bounds::kTextBytes + 1, 'x')}) {
    CAPTURE(bad.substr(0, 20));
    CHECK(!parse_environment_value(bad));
  }
  CHECK(parse_environment_value(std::string(bounds::kTextBytes, 'x')));
}

}  // namespace
}  // namespace nines::config
