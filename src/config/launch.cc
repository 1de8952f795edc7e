#include "config/launch.h"

#include <algorithm>

#include "base/text.h"
#include "config/container.h"
#include "config/protection.h"
#include "config/values.h"

namespace nines::config {
namespace {

constexpr Key kLimitsKeys[] = {{"files"}, {"processes"}, {"core"}, {"memory"}, {"cpu_weight"}};

// `[server, --port, {port}]` without quotes is the mistake everybody makes once: YAML reads {port} as a mapping.
bool is_unquoted_placeholder(const Node& node) {
  return node.kind == Node::Kind::kMap && node.entries.size() == 1 && node.entries[0].value->kind == Node::Kind::kNull;
}

}  // namespace

void read_words(Section& replicas, std::string_view key, std::vector<std::string>& command,
                Checked<> (*check)(const std::vector<std::string>&)) {
  const Node* const node = replicas.value(key);
  if (node == nullptr) return;
  const std::string what = replicas.dotted(key);
  std::vector<std::string> words;
  std::size_t failures = 0;
  const auto check_one = [&](const Node& at, std::string_view word) {
    if (auto checked = check_text(word); !checked) ++failures, replicas.complain(at.at, what, checked.error());
  };
  if (node->kind == Node::Kind::kScalar) {
    auto split = split_words(node->text);
    if (!split) return replicas.complain(node->at, what, split.error());
    words = *std::move(split);
    for (const std::string& word : words) check_one(*node, word);
  } else if (node->kind == Node::Kind::kSequence) {
    for (const Node* const item : node->items) {
      if (is_unquoted_placeholder(*item)) {
        const std::string name = "{" + item->entries[0].key->text + "}";
        ++failures;
        replicas.complain(item->at, what,
                          {quoted(name) + " without quotes is a mapping in YAML", "write " + quoted(name)});
        continue;
      }
      if (item->kind != Node::Kind::kScalar) {
        ++failures;
        replicas.expected(*item, "an argument of " + what, "text; quote it if it contains {, [, : or #");
        continue;
      }
      check_one(*item, item->text);
      words.push_back(item->text);
    }
  } else {
    return replicas.expected(*node, what, std::string("a list or one string, such as ") + std::string(kCommandExample));
  }
  if (failures > 0) return;  // what is left may well lack {port}, and that would be news about our reading only
  if (auto checked = check(words); !checked) return replicas.complain(node->at, what, checked.error());
  command = std::move(words);
}

namespace {

void read_environment(Section& replicas, std::map<std::string, EnvironmentValue>& env) {
  const Node* const node = replicas.value("env");
  if (node == nullptr) return;
  auto section = replicas.section("env", {});
  if (!section || section->too_many(*node, section->name(), section->entries().size(), bounds::kVariables)) return;
  for (const Node::Entry& entry : section->entries()) {
    const std::string& name = entry.key->text;
    if (auto checked = check_variable_name(name); !checked) {
      section->complain(entry.key->at, section->name(), checked.error());
    } else if (entry.value->kind == Node::Kind::kNull) {
      section->complain(entry.key->at,
                        {section->dotted(name) + " has no value", "write \"\" for an empty one, or remove the key"});
    } else {
      EnvironmentValue value;
      section->read_node(*entry.value, section->dotted(name), value, parse_environment_value);
      env.emplace(name, std::move(value));
    }
  }
}

void read_env_files(Section& replicas, std::vector<std::string>& files) {
  read_paths(replicas, {"env_file", "server.env", bounds::kEnvFiles, check_file_name}, files);
}

// Octal, as for the command of this name: 027, "0027".
Checked<std::optional<int>> parse_umask(std::string_view text) {
  const bool octal =
      !text.empty() && text.size() <= 4 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '7'; });
  int mask = 0;
  for (const char c : text) mask = mask * 8 + (c - '0');
  if (!octal || mask > 0777) return wrong(quoted(text) + " is no umask", "write it in octal, such as \"027\"");
  return mask;
}

// "api", "1000", "api:models". Whether there is such a user, only the machine knows.
Checked<std::optional<std::string>> parse_user(std::string_view text) {
  const auto is_name = [](std::string_view name) {
    return !name.empty() && name.size() <= 32 && name.front() != '-' && std::ranges::all_of(name, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
             c == '.';
    });
  };
  const auto colon = text.find(':');
  const bool good =
      is_name(text.substr(0, colon)) && (colon == std::string_view::npos || is_name(text.substr(colon + 1)));
  if (!good)
    return wrong(quoted(text) + " is no user",
                 "write a name or a number, and perhaps a group behind a colon: api, \"1000:1000\"");
  return std::string(text);
}

void read_number(Section& limits, std::string_view key, std::optional<std::uint64_t>& field,
                 Bounds<std::uint64_t> bounds) {
  limits.read(key, field, [&](std::string_view text) -> Checked<std::optional<std::uint64_t>> {
    const auto number = parse_unsigned(text);
    if (number && *number >= bounds.min && *number <= bounds.max) return number;
    return wrong(quoted(text) + (number ? " is out of bounds" : " is not a whole number"),
                 "write one from " + std::to_string(bounds.min) + " to " + std::to_string(bounds.max));
  });
}

void read_bytes(Section& limits, std::string_view key, std::optional<std::uint64_t>& field,
                Bounds<std::uint64_t> bounds) {
  limits.read(key, field, [&](std::string_view text) -> Checked<std::optional<std::uint64_t>> {
    const auto size = parse_size(text);
    if (!size) return std::unexpected(size.error());
    if (*size < bounds.min || *size > bounds.max)
      return wrong(quoted(text) + " is out of bounds",
                   "write one from " + write_size(bounds.min) + " to " + write_size(bounds.max));
    return *size;
  });
}

void read_limits(Section& replicas, ProcessLimits& limits) {
  auto section = replicas.section("limits", kLimitsKeys);
  if (!section) return;
  read_number(*section, "files", limits.files, bounds::kOpenFiles);
  read_number(*section, "processes", limits.processes, bounds::kLimit);
  read_bytes(*section, "core", limits.core, bounds::kLimit);
  read_bytes(*section, "memory", limits.memory, bounds::kMemory);
  if (!section->has("cpu_weight")) return;
  int weight = 100;
  section->read("cpu_weight", weight, bounds::kCpuWeight);
  limits.cpu_weight = weight;
}

Checked<Need> parse_need(std::string_view text) {
  constexpr std::string_view kHttp = "http://";
  const std::string fix = "write IP:PORT for a TCP connect, or http://IP:PORT/PATH";
  std::string_view rest = text;
  Need need;
  if (text.starts_with(kHttp)) {
    rest = text.substr(kHttp.size());
    const auto slash = rest.find('/');
    need.path = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
    if (auto checked = check_request_path(*need.path); !checked) return std::unexpected(checked.error());
    rest = rest.substr(0, slash);
  }
  auto address = parse_endpoint(rest);
  if (!address) return wrong(address.error().what, fix);
  need.at = *std::move(address);
  return need;
}

}  // namespace

std::string Need::text() const { return path ? "http://" + at.text() + *path : at.text(); }

void read_launch(Section& replicas, Launch& launch) {
  read_words(replicas, "command", launch.command, check_command);
  read_environment(replicas, launch.env);
  read_container(replicas, launch);
  read_env_files(replicas, launch.env_file);
  replicas.read("directory", launch.directory, checked_by(check_file_path));
  replicas.read("user", launch.user, parse_user);
  replicas.read("umask", launch.umask, parse_umask);
  read_limits(replicas, launch.limits);
}

void read_needs(Section& replicas, std::vector<Need>& needs) {
  const Node* const node = replicas.value("needs");
  if (node == nullptr) return;
  const std::string what = replicas.dotted("needs");
  const std::vector<const Node*> items = Section::items_of(*node);
  if (replicas.too_many(*node, what, items.size(), bounds::kNeeds)) return;
  for (const Node* const item : items) {
    Need need;
    replicas.read_node(*item, what, need, parse_need);
    if (need.at.port == 0) continue;
    if (std::ranges::find(needs, need) != needs.end()) {
      replicas.complain(item->at, what, {quoted(need.text()) + " is named already", "remove one"});
    } else {
      needs.push_back(std::move(need));
    }
  }
}

}  // namespace nines::config
