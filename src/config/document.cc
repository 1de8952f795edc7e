#include "config/document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <istream>
#include <map>
#include <optional>
#include <streambuf>

#include "base/check.h"

namespace nines::config {
namespace {

// Leaves yaml-cpp's parser from inside an event; caught in read_document().
struct Halt {
  Position at;
  Complaint complaint;
};

class Builder : public YAML::EventHandler {
 public:
  Builder(Document& document, const Lines& lines) : document_(document), lines_(lines) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (document_.root == nullptr) return;
    throw Halt{where(mark),
               {"a second document begins here", "a configuration is one document; remove --- and what follows"}};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { leaf(Node::Kind::kNull, mark, anchor, {}); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    leaf(Node::Kind::kScalar, mark, anchor, value, tag == "?");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto target = anchors_.find(anchor);
    if (target == anchors_.end())
      throw Halt{where(mark), {"this alias stands for something that contains it", "write it out"}};
    count(mark, target->second.weight);
    attach(*target->second.node, where(mark));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(Node::Kind::kSequence, mark, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(Node::Kind::kMap, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Node* node;
    YAML::anchor_t anchor;
    std::size_t nodes_before;
    const Node* key = nullptr;  // a map's key that waits for its value
  };
  struct Anchored {
    const Node* node;
    std::size_t weight;
  };

  Position where(const YAML::Mark& mark) const { return lines_.at_mark(mark.line, mark.column); }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;  // "?": plain, "!": quoted
    throw Halt{where(mark), {"YAML tags mean nothing here", "remove the word that begins with !"}};
  }

  void count(const YAML::Mark& mark, std::size_t nodes) {
    nodes_ += nodes;
    if (nodes_ <= kNodesMax) return;
    throw Halt{where(mark),
               {"more than " + std::to_string(kNodesMax) + " values, aliases counted at each use",
                "a configuration is far smaller than this"}};
  }

  Node& add(Node::Kind kind, const YAML::Mark& mark) {
    count(mark, 1);
    document_.nodes.push_back(Node{.kind = kind, .at = where(mark)});
    return document_.nodes.back();
  }
  void leaf(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor, std::string text, bool plain = false) {
    Node& node = add(kind, mark);
    node.text = std::move(text);
    node.plain = plain;
    if (anchor != 0) anchors_[anchor] = {&node, 1};
    attach(node, node.at);
  }
  void open(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (open_.size() >= kDepthMax) {
      throw Halt{
          where(mark),
          {"nested deeper than " + std::to_string(kDepthMax) + " levels", "check the brackets and the indentation"}};
    }
    const std::size_t before = nodes_;
    open_.push_back({&add(kind, mark), anchor, before});
  }
  void close() {
    INVARIANT(!open_.empty());
    const Open closed = open_.back();
    open_.pop_back();
    if (closed.anchor != 0) anchors_[closed.anchor] = {closed.node, nodes_ - closed.nodes_before};
    attach(*closed.node, closed.node->at);
  }

  // `used_at` differs from node.at for an alias.
  void attach(const Node& node, Position used_at) {
    if (open_.empty()) {
      document_.root = &node;
      return;
    }
    Open& parent = open_.back();
    if (parent.node->kind == Node::Kind::kSequence) {
      parent.node->items.push_back(&node);
    } else if (parent.key == nullptr) {
      if (node.kind != Node::Kind::kScalar) {
        throw Halt{used_at,
                   {"a key must be text here, not " + std::string(kind_of(node)),
                    "a line reads KEY: VALUE; quote what contains { or ["}};
      }
      parent.key = &node;
    } else {
      add_entry(*parent.node, {parent.key, &node});
      parent.key = nullptr;
    }
  }
  void add_entry(Node& map, Node::Entry entry) {
    const auto same = [&](const Node::Entry& other) { return other.key->text == entry.key->text; };
    const auto first = std::ranges::find_if(map.entries, same);
    if (first == map.entries.end()) {
      map.entries.push_back(entry);
      return;
    }
    document_.problems.push_back({entry.key->at,
                                  {"duplicate key " + quoted(entry.key->text),
                                   "it is set in line " + std::to_string(first->key->at.line) + " already; remove one"},
                                  {}});
  }

  Document& document_;
  const Lines& lines_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::size_t nodes_ = 0;
};

// The bytes of the character that starts at `at`, or 0 where that is not UTF-8 (overlong forms and surrogates
// included: two spellings of one key would not be duplicates).
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])) : 0U;
  };
  const std::uint32_t first = byte(at);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  std::uint32_t point = first & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
    point = point << 6 | (byte(at + i) & 0x3f);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = point >= 0xd800 && point <= 0xdfff;
  return point < kLeast[length] || point > 0x10ffff || surrogate ? 0 : length;
}

// yaml-cpp takes byte 0x04 for the end of the file, counts a lone CR as no line, and guesses UTF-16: none of these
// gets that far.
std::optional<Problem> check_characters(std::string_view text, const Lines& lines) {
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const bool line_break = c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n');
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t' && !line_break) || c == 0x7f) {
      return Problem{
          lines.at_byte(i), {"a control character", "remove it, or write it as an escape in double quotes"}, {}};
    }
    const std::size_t length = utf8_length(text, i);
    if (length == 0) return Problem{lines.at_byte(i), {"this is not UTF-8 text", "save the file as UTF-8"}, {}};
    i += length;
  }
  return std::nullopt;
}

// yaml-cpp says what it stumbled over; this says what it usually was.
std::string hint_for(const std::string& message, std::string_view line) {
  const std::string_view indentation = line.substr(0, line.find_first_not_of(" \t"));
  if (indentation.contains('\t')) return "indent with spaces, not with tabs";
  struct Row {
    std::string_view message, hint;
  };
  const Row kRows[] = {
      {YAML::ErrorMsg::UNKNOWN_TOKEN, "quote text that begins with %, @ or `, and text with ? between brackets"},
      {YAML::ErrorMsg::MAP_VALUE, "quote text that contains a colon and a blank, and check the indentation"},
      {YAML::ErrorMsg::END_OF_MAP_FLOW, "a { is not closed, or text with a } is not quoted"},
      {YAML::ErrorMsg::END_OF_SEQ_FLOW, "a [ is not closed, or text with a ] is not quoted"},
      {YAML::ErrorMsg::EOF_IN_SCALAR, "a quote is not closed"},
      {YAML::ErrorMsg::END_OF_MAP, "check the indentation, and quote all of a text that begins with [, { or a quote"},
      {YAML::ErrorMsg::END_OF_SEQ, "check the indentation, and quote all of a text that begins with [, { or a quote"},
      {YAML::ErrorMsg::UNKNOWN_ANCHOR, "quote text that begins with *, or write &NAME before the value it stands for"},
  };
  const auto row = std::ranges::find(kRows, std::string_view(message), &Row::message);
  return std::string(row != std::end(kRows) ? row->hint : "check the indentation, the brackets and the quotes");
}

// A view as a stream: std::istringstream would copy.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* const begin = const_cast<char*>(text.data());  // a get area is never written
    setg(begin, begin, begin + text.size());
  }
};

}  // namespace

std::string_view kind_of(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull: return "nothing";
    case Node::Kind::kScalar: return "text";
    case Node::Kind::kSequence: return "a list";
    case Node::Kind::kMap: return "a mapping";
  }
  return "nothing";
}

std::expected<Document, Problem> read_document(std::string_view text, const Lines& lines) {
  if (auto problem = check_characters(text, lines)) return std::unexpected(*std::move(problem));
  Document document;
  try {
    ViewBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    Builder builder(document, lines);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (Halt& halt) {
    return std::unexpected(Problem{halt.at, std::move(halt.complaint), {}});
  } catch (const YAML::Exception& e) {
    const Position at = lines.at_mark(e.mark.line, e.mark.column);
    return std::unexpected(Problem{at, {"not YAML: " + e.msg, hint_for(e.msg, lines.line(at.line))}, {}});
  } catch (const std::exception& e) {
    return std::unexpected(Problem{{}, {std::string("not YAML: ") + e.what(), {}}, {}});
  }
  return document;
}

}  // namespace nines::config
