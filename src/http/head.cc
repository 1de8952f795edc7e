#include "http/head.h"

#include "base/text.h"

namespace nines::http {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (text[i] == '%' && low >= 0) {
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

}  // namespace

std::string_view Head::path() const { return target().substr(0, target().find('?')); }

std::string_view Head::query() const {
  const auto mark = target().find('?');
  return mark == std::string_view::npos ? std::string_view() : target().substr(mark + 1);
}

std::optional<std::string_view> Head::find(std::string_view name) const {
  for (const FieldSpans& field : fields_) {
    if (field.name.length == name.size() && equals_ignoring_case(view(field.name), name)) return view(field.value);
  }
  return std::nullopt;
}

bool Head::has_token(std::string_view name, std::string_view token) const {
  for (const FieldSpans& field : fields_) {
    if (field.name.length != name.size() || !equals_ignoring_case(view(field.name), name)) continue;
    std::string_view rest = view(field.value);
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      if (equals_ignoring_case(trim(rest.substr(0, comma)), token)) return true;
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    }
  }
  return false;
}

void Head::clear() {
  text_.clear();
  fields_.clear();
  method_ = {};
  start_ = {};
  status_ = 0;
  minor_version_ = 1;
  framing_ = Framing::kNone;
  content_length_ = 0;
  keep_alive_ = true;
  expects_continue_ = false;
}

std::optional<std::string> query_parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    const auto equals = pair.find('=');
    if (percent_decoded(pair.substr(0, equals)) == name) {
      return equals == std::string_view::npos ? std::string() : percent_decoded(pair.substr(equals + 1));
    }
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return std::nullopt;
}

}  // namespace nines::http
