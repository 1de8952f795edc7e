// Which route a request belongs to. A route is a path prefix that ends at a segment border: "/classify" takes
// "/classify", "/classify/" and "/classify/x", not "/classifying". The longest wins; "/" takes everything.
// Pure and immutable after construction.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace nines::gateway {

struct RouteRule {
  std::string path = "/";
  bool replay_safe = false;  // sending a request twice does no more than sending it once
  // Requests with the same value of this field go to the same replica, if it has room; empty: any replica will do.
  std::string hash_header{};
  // In place of what Settings says.
  std::optional<Duration> first_byte{}, stream_idle{};
  std::optional<std::size_t> body_bytes{};
};

class RouteTable {
 public:
  explicit RouteTable(std::vector<RouteRule> rules = {});
  // Never null: what no rule takes falls to a rule "/" that declares nothing.
  const RouteRule& match(std::string_view path) const;

 private:
  std::vector<RouteRule> rules_;  // longest path first, "/" last
};

}  // namespace nines::gateway
