// Walks a document by the schema: each Section is one mapping with the keys it knows. Nothing here stops at the
// first problem; a value that is wrong leaves its field as it was.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "config/config.h"
#include "config/document.h"
#include "config/problem.h"

namespace nines::config {

struct Key {
  enum class Is {
    kRead,
    kMissing,    // understood, but its part of nines does not exist yet; advice: what to do besides removing the key
    kElsewhere,  // a key of another place; advice: which
  };
  std::string_view name;
  Is is = Is::kRead;
  std::string_view advice = {};
};

constexpr Key missing(std::string_view name, std::string_view instead = {}) {
  return {name, Key::Is::kMissing, instead};
}
constexpr Key elsewhere(std::string_view name, std::string_view place) { return {name, Key::Is::kElsewhere, place}; }

// "WHAT is not part of this version of nines yet; ADVICE": for a value whose part is missing, as for a key.
Complaint not_yet(std::string_view what, std::string_view advice);

// A check as a parser of the text it checked.
template <class Check>
auto checked_by(Check check) {
  return [check](std::string_view text) -> Checked<std::string> {
    if (auto checked = check(text); !checked) return std::unexpected(checked.error());
    return std::string(text);
  };
}

class Section {
 public:
  // `name` is the dotted path, empty for the file itself. Reports keys that are unknown or whose part is missing;
  // with an empty `keys`, any key is fine. A node that is no mapping is reported and read as an empty one.
  Section(std::vector<Problem>& problems, const Node& node, std::string name, std::span<const Key> keys)
      : Section(problems, node, std::move(name), keys, node.at) {}

  const std::string& name() const { return name_; }
  // Where what is missing here would be missed: the key above, or the mapping itself.
  Position at() const { return at_; }
  std::span<const Node::Entry> entries() const { return entries_; }
  bool has(std::string_view key) const { return find(key) != nullptr; }

  // The key's value; nullptr when absent, or reported because it has none.
  const Node* value(std::string_view key);
  // The mapping below `key`, if it is there and is one.
  std::optional<Section> section(std::string_view key, std::span<const Key> keys);

  // Text through a function string_view -> Checked<T>.
  template <class T, class Parse>
  void read(std::string_view key, T& field, Parse parse) {
    const Node* const node = value(key);
    if (node != nullptr) read_node(*node, dotted(key), field, parse);
  }
  void read(std::string_view key, int& field, Bounds<int> bounds);
  void read(std::string_view key, Duration& field, Bounds<Duration> bounds);

  // The same for one item of a list.
  template <class T, class Parse>
  void read_node(const Node& node, const std::string& what, T& field, Parse parse) {
    if (node.kind != Node::Kind::kScalar) return expected(node, what, "a single value");
    auto parsed = parse(std::string_view(node.text));
    if (parsed) {
      field = *std::move(parsed);
    } else {
      complain(node.at, what, std::move(parsed).error());
    }
  }

  std::string dotted(std::string_view key) const { return (name_.empty() ? "" : name_ + ".") + std::string(key); }
  void complain(Position at, Complaint complaint) { problems_.push_back({at, std::move(complaint), {}}); }
  // "WHAT: complaint"
  void complain(Position at, const std::string& what, Complaint complaint);
  // True, and said, when a list is longer than it may be.
  bool too_many(const Node& node, const std::string& what, std::size_t size, std::size_t max);
  // The items of a list, or the one value that stands for a list of one.
  static std::vector<const Node*> items_of(const Node& node);
  // The same schema for an item of a list below this section.
  Section item(const Node& node, std::string name, std::span<const Key> keys) {
    return {problems_, node, std::move(name), keys};
  }
  // "WHAT is a list; write WANTED"
  void expected(const Node& node, const std::string& what, std::string_view wanted);

 private:
  Section(std::vector<Problem>& problems, const Node& node, std::string name, std::span<const Key> keys, Position at);

  const Node::Entry* find(std::string_view key) const;
  void check_key(const Node& key, std::span<const Key> keys);

  std::vector<Problem>& problems_;
  std::span<const Node::Entry> entries_;
  std::string name_;
  Position at_;
};

}  // namespace nines::config
