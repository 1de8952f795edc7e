#include "config/changes.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "config/document.h"

namespace nines::config {
namespace {

using Leaves = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kSecretive = "replicas.env.";
constexpr const char* kHidden = "…";

// A list, and what is in it, on one line.
std::string inline_text(const Node& node) {
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  switch (node.kind) {
    case Node::Kind::kNull: return "";
    case Node::Kind::kScalar: return node.text;
    case Node::Kind::kSequence:
      for (const Node* item : node.items) add(inline_text(*item));
      return "[" + text + "]";
    case Node::Kind::kMap:
      for (const Node::Entry& entry : node.entries) add(entry.key->text + ": " + inline_text(*entry.value));
      return "{" + text + "}";
  }
  return text;
}

void collect(const Node& node, const std::string& key, Leaves& leaves) {
  if (node.kind != Node::Kind::kMap) {
    leaves.emplace_back(key, key.starts_with(kSecretive) ? kHidden : inline_text(node));
    return;
  }
  for (const Node::Entry& entry : node.entries)
    collect(*entry.value, key.empty() ? entry.key->text : key + "." + entry.key->text, leaves);
}

Leaves leaves_of(const Config& config) {
  const std::string text = to_yaml(config);
  const auto document = read_document(text, Lines(text));
  INVARIANT(document.has_value());
  Leaves leaves;
  if (document->root != nullptr) collect(*document->root, "", leaves);
  return leaves;
}

std::string in_words(const std::string& value) { return value.empty() ? "nothing" : value; }

}  // namespace

std::vector<Change> changes(const Config& before, const Config& after) {
  std::vector<Change> all;
  const Leaves old_leaves = leaves_of(before), new_leaves = leaves_of(after);
  for (const auto& [key, value] : new_leaves) {
    const auto was = std::ranges::find(old_leaves, key, &Leaves::value_type::first);
    if (was == old_leaves.end()) {
      all.push_back({key, "", value});
    } else if (was->second != value) {
      all.push_back({key, was->second, value});
    }
  }
  for (const auto& [key, value] : old_leaves) {
    if (std::ranges::find(new_leaves, key, &Leaves::value_type::first) == new_leaves.end())
      all.push_back({key, value, ""});
  }
  // Hidden values are compared here, where they are known.
  for (const auto& [name, value] : after.replicas.env) {
    const auto was = before.replicas.env.find(name);
    if (was != before.replicas.env.end() && was->second != value)
      all.push_back({std::string(kSecretive) + name, kHidden, kHidden});
  }
  return all;
}

std::string text_of(const Change& change) {
  return change.key + ": " + in_words(change.before) + " -> " + in_words(change.after);
}

}  // namespace nines::config
