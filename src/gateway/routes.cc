#include "gateway/routes.h"

#include <algorithm>

namespace nines::gateway {

RouteTable::RouteTable(std::vector<RouteRule> rules) : rules_(std::move(rules)) {
  for (RouteRule& rule : rules_) {
    while (rule.path.size() > 1 && rule.path.ends_with('/')) rule.path.pop_back();
  }
  std::sort(rules_.begin(), rules_.end(),
            [](const RouteRule& a, const RouteRule& b) { return a.path.size() > b.path.size(); });
  if (rules_.empty() || rules_.back().path != "/") rules_.push_back({});
}

const RouteRule& RouteTable::match(std::string_view path) const {
  for (const RouteRule& rule : rules_) {
    if (rule.path == "/") return rule;
    if (!path.starts_with(rule.path)) continue;
    if (path.size() == rule.path.size() || path[rule.path.size()] == '/') return rule;
  }
  return rules_.back();
}

}  // namespace nines::gateway
