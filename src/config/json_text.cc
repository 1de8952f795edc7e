#include "config/json_text.h"

#include <algorithm>
#include <string_view>

#include "config/config.h"

namespace nines::config {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// RFC 8259, 6: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?
bool is_number(std::string_view text) {
  const auto skip_digits = [&] {
    const auto end = std::ranges::find_if_not(text, is_digit);
    const bool some = end != text.begin();
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
    return some;
  };
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.starts_with('0')) {
    text.remove_prefix(1);
  } else if (!skip_digits()) {
    return false;
  }
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (!skip_digits()) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
    if (!skip_digits()) return false;
  }
  return text.empty();
}

void write_string(std::string& out, std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += {kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      out += c;
    }
  }
  out += '"';
}

std::expected<void, Problem> write(std::string& out, const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull: out += "null"; break;
    case Node::Kind::kScalar:
      if (node.plain && (node.text == "true" || node.text == "false" || is_number(node.text))) {
        out += node.text;
      } else {
        write_string(out, node.text);
      }
      break;
    case Node::Kind::kSequence:
      out += '[';
      for (const Node* const item : node.items) {
        if (item != node.items.front()) out += ", ";
        if (auto written = write(out, *item); !written) return written;
      }
      out += ']';
      break;
    case Node::Kind::kMap:
      out += '{';
      for (const Node::Entry& entry : node.entries) {
        if (&entry != &node.entries.front()) out += ", ";
        if (entry.key->text.size() > bounds::kKeyBytes)
          return std::unexpected(Problem{entry.key->at,
                                         {"this key is longer than " + std::to_string(bounds::kKeyBytes) + " bytes",
                                          "such a request needs `text:` rather than `json:`"},
                                         {}});
        write_string(out, entry.key->text);
        out += ": ";
        if (auto written = write(out, *entry.value); !written) return written;
      }
      out += '}';
      break;
  }
  return {};
}

}  // namespace

std::expected<std::string, Problem> json_text(const Node& node) {
  std::string out;
  if (auto written = write(out, node); !written) return std::unexpected(std::move(written).error());
  return out;
}

}  // namespace nines::config
