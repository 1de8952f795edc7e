#include "gateway/client_address.h"

#include <doctest/doctest.h>

namespace nines::gateway {
namespace {

Networks networks(std::initializer_list<std::pair<const char*, int>> all) {
  Networks result;
  for (const auto& [ip, prefix] : all) REQUIRE(result.add(ip, prefix));
  return result;
}

TEST_CASE("client address: what a network contains") {
  struct Row {
    const char* network;
    int prefix;
    const char* ip;
    bool inside;
  };
  const Row rows[] = {
      {"10.0.0.0", 8, "10.255.0.1", true},    {"10.0.0.0", 8, "11.0.0.1", false},
      {"10.0.0.128", 25, "10.0.0.200", true}, {"10.0.0.128", 25, "10.0.0.127", false},
      {"10.0.0.1", 32, "10.0.0.1", true},     {"10.0.0.1", 32, "10.0.0.0", false},
      {"0.0.0.0", 0, "203.0.113.9", true},    {"0.0.0.0", 0, "2001:db8::1", false},
      {"::", 0, "2001:db8::1", true},         {"fd00::", 8, "fd12::1", true},
      {"fd00::", 8, "fe80::1", false},        {"10.0.0.0", 8, "::ffff:10.1.1.1", true},
      {"10.0.0.0", 8, "unix:", false},        {"::", 0, "", false},
      {"::", 0, "10.0.0.1.5", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.network);
    CAPTURE(row.ip);
    CHECK(networks({{row.network, row.prefix}}).contain(row.ip) == row.inside);
  }
  Networks bad;
  CHECK_FALSE(bad.add("10.0.0.0", 33));
  CHECK_FALSE(bad.add("::", 129));
  CHECK_FALSE(bad.add("::", -1));
  CHECK_FALSE(bad.add("example.org", 8));
  CHECK(bad.empty());
}

TEST_CASE("client address: only what a trusted proxy has added is believed") {
  const Networks ours = networks({{"10.0.0.0", 24}, {"fd00::", 16}});
  struct Row {
    std::string why, peer, forwarded, client;
  };
  const Row rows[] = {
      {"a stranger says nothing that counts", "203.0.113.9", "1.2.3.4", "203.0.113.9"},
      {"one proxy", "10.0.0.8", "203.0.113.9", "203.0.113.9"},
      {"two proxies, and a lie", "10.0.0.8", "1.2.3.4, 203.0.113.9, 10.0.0.7", "203.0.113.9"},
      {"proxies only: the first of them asked", "10.0.0.8", "10.0.0.6,10.0.0.7", "10.0.0.6"},
      {"nothing was added", "10.0.0.8", "", "10.0.0.8"},
      {"no address", "10.0.0.8", "203.0.113.9, unknown", "10.0.0.8"},
      {"no address behind a proxy", "10.0.0.8", "x, 10.0.0.7", "10.0.0.7"},
      {"empty places", "10.0.0.8", "203.0.113.9, ", "10.0.0.8"},
      {"with a port", "10.0.0.8", "203.0.113.9:4711", "203.0.113.9"},
      {"IPv6", "fd00::1", "2001:db8::7", "2001:db8::7"},
      {"IPv6 with a port", "fd00::1", "[2001:db8::7]:80", "2001:db8::7"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(client_address(row.peer, row.forwarded, ours) == row.client);
  }
  CHECK(client_address("10.0.0.8", "203.0.113.9", Networks()) == "10.0.0.8");
}

TEST_CASE("client address: what is handed on") {
  const Networks ours = networks({{"10.0.0.0", 24}});
  CHECK(hands_on_forwarded("203.0.113.9", Networks()));
  CHECK(hands_on_forwarded("10.0.0.8", ours));
  CHECK_FALSE(hands_on_forwarded("203.0.113.9", ours));
  CHECK_FALSE(hands_on_forwarded("unix:", ours));
}

}  // namespace
}  // namespace nines::gateway
