#include "config/reader.h"

#include <algorithm>

#include "base/text.h"
#include "config/values.h"

namespace nines::config {
namespace {

std::string names_of(std::span<const Key> keys) {
  std::string names;
  for (const Key& key : keys) {
    if (key.is == Key::Is::kRead) names += (names.empty() ? "" : ", ") + std::string(key.name);
  }
  return names;
}

template <class T, class Write>
Complaint out_of(Bounds<T> bounds, std::string_view text, Write write) {
  return {quoted(text) + " is out of bounds",
          "it must be from " + std::string(write(bounds.min)) + " to " + std::string(write(bounds.max))};
}

}  // namespace

Complaint not_yet(std::string_view what, std::string_view advice) {
  return {quoted(what) + " is not part of this version of nines yet", std::string(advice)};
}

Section::Section(std::vector<Problem>& problems, const Node& node, std::string name, std::span<const Key> keys,
                 Position at)
    : problems_(problems), name_(std::move(name)), at_(at) {
  if (node.kind != Node::Kind::kMap) {
    expected(node, name_.empty() ? "the file" : name_,
             keys.empty() ? "a mapping of NAME: VALUE" : "a mapping with keys of: " + names_of(keys));
    return;
  }
  entries_ = node.entries;
  if (keys.empty()) return;
  for (const Node::Entry& entry : entries_) check_key(*entry.key, keys);
}

void Section::check_key(const Node& key, std::span<const Key> keys) {
  const auto known = std::ranges::find(keys, std::string_view(key.text), &Key::name);
  if (known != keys.end() && known->is == Key::Is::kRead) return;
  if (known != keys.end() && known->is == Key::Is::kElsewhere) {
    return complain(key.at, {quoted(key.text) + " is no key at this level", std::string(known->advice)});
  }
  if (known != keys.end()) {
    const std::string besides = known->advice.empty() ? "" : ", and " + std::string(known->advice);
    return complain(key.at, not_yet(key.text, "remove the key" + besides));
  }
  if (key.text == "<<") return complain(key.at, {"merge keys (<<) are not read here", "write the keys out"});
  std::vector<std::string_view> names;
  for (const Key& k : keys) names.push_back(k.name);
  const auto meant = nearest(key.text, names);
  if (!meant) {
    const std::string place = name_.empty() ? "" : " in " + name_;
    return complain(key.at, {"unknown key " + quoted(key.text) + place, "known here: " + names_of(keys)});
  }
  const auto near = std::ranges::find(keys, *meant, &Key::name);
  const std::string place = near->is == Key::Is::kElsewhere ? " Then " + std::string(near->advice) : "";
  complain(key.at, {"unknown key " + quoted(key.text), "did you mean " + quoted(*meant) + "?" + place});
}

const Node::Entry* Section::find(std::string_view key) const {
  const auto found = std::ranges::find_if(entries_, [&](const Node::Entry& entry) { return entry.key->text == key; });
  return found == entries_.end() ? nullptr : &*found;
}

const Node* Section::value(std::string_view key) {
  const Node::Entry* const entry = find(key);
  if (entry == nullptr) return nullptr;
  if (entry->value->kind != Node::Kind::kNull) return entry->value;
  // At the key: for YAML, a missing value is wherever the next word happens to stand.
  complain(entry->key->at, {dotted(key) + " has no value", "write one, or remove the key"});
  return nullptr;
}

std::optional<Section> Section::section(std::string_view key, std::span<const Key> keys) {
  const Node* const node = value(key);
  if (node == nullptr) return std::nullopt;
  Section section(problems_, *node, dotted(key), keys, find(key)->key->at);
  if (node->kind != Node::Kind::kMap) return std::nullopt;
  return section;
}

void Section::read(std::string_view key, int& field, Bounds<int> bounds) {
  read(key, field, [&](std::string_view text) -> Checked<int> {
    const auto write = [](int n) { return std::to_string(n); };
    const bool negative = text.size() > 1 && text.front() == '-' && parse_unsigned(text.substr(1));
    const auto number = parse_unsigned(text);
    if (!number && !negative) {
      return wrong(quoted(text) + " is not a whole number",
                   "write one from " + write(bounds.min) + " to " + write(bounds.max));
    }
    const bool fits = number && *number >= static_cast<std::uint64_t>(bounds.min) &&
                      *number <= static_cast<std::uint64_t>(bounds.max);
    if (!fits) return std::unexpected(out_of(bounds, text, write));
    return static_cast<int>(*number);
  });
}

void Section::read(std::string_view key, Duration& field, Bounds<Duration> bounds) {
  read(key, field, [&](std::string_view text) -> Checked<Duration> {
    const auto duration = parse_duration(text);
    if (duration && (*duration < bounds.min || *duration > bounds.max))
      return std::unexpected(out_of(bounds, text, write_duration));
    return duration;
  });
}

void Section::complain(Position at, const std::string& what, Complaint complaint) {
  complaint.what = what + ": " + complaint.what;
  complain(at, std::move(complaint));
}

bool Section::too_many(const Node& node, const std::string& what, std::size_t size, std::size_t max) {
  if (size <= max) return false;
  complain(node.at,
           {what + " has " + std::to_string(size) + " entries", "at most " + std::to_string(max) + " are possible"});
  return true;
}

std::vector<const Node*> Section::items_of(const Node& node) {
  return node.kind == Node::Kind::kSequence ? node.items : std::vector<const Node*>{&node};
}

void Section::expected(const Node& node, const std::string& what, std::string_view wanted) {
  complain(node.at, {what + " is " + std::string(kind_of(node)), "write " + std::string(wanted)});
}

}  // namespace nines::config
