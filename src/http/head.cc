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

std::string_view Head::host() const {
  return authority_.length > 0 ? view(authority_) : find(Name::kHost).value_or(std::string_view());
}

std::optional<std::string_view> Head::find(Name name) const {
  const std::size_t first = first_[static_cast<std::size_t>(name)];
  if (first == 0) return std::nullopt;
  return view(fields_[first - 1].value);
}

std::optional<std::string_view> Head::find(std::string_view name) const {
  for (const FieldSpans& field : fields_) {
    if (field.name.length == name.size() && equals_ignoring_case(view(field.name), name)) return view(field.value);
  }
  return std::nullopt;
}

bool Head::is_of_connection(const Field& field) const {
  switch (field.known) {
    case Name::kConnection:
    case Name::kHttp2Settings:
    case Name::kKeepAlive:
    case Name::kProxyConnection:
    case Name::kTe:
    case Name::kTrailer:
    case Name::kTransferEncoding:
    case Name::kUpgrade: return true;
    case Name::kHost: return false;
    case Name::kDisguised:
    case Name::kOther: return names_others_ && has_token("connection", field.name);
    default: return (named_ & (1U << static_cast<unsigned>(field.known))) != 0;
  }
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
  first_.fill(0);
  named_ = 0;
  names_others_ = false;
  method_ = start_ = authority_ = {};
  status_ = 0;
  minor_version_ = 1;
  framing_ = Framing::kNone;
  content_length_ = 0;
  keep_alive_ = true;
  expects_continue_ = upgrade_ = false;
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
