#include "backup/manifest.h"

#include <array>
#include <boost/json.hpp>

#include "backup/names.h"

namespace nines::backup {
namespace {

namespace json = boost::json;

constexpr std::string_view kFormat = "nines-backup";
constexpr std::int64_t kVersion = 1;
constexpr std::array kKinds = {Kind::kSqlite, Kind::kFile, Kind::kConfiguration};

std::unexpected<Error> bad(std::string_view what) {
  return failure(Code::kInvalid, std::string(kManifestName) + ": " + std::string(what));
}

// Values that are not there, or of another type, are nullptr.
const json::string* text_at(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  return value != nullptr ? value->if_string() : nullptr;
}
const json::array* list_at(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  return value != nullptr ? value->if_array() : nullptr;
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<Member> parse_member(const json::value& value) {
  const json::object* const object = value.if_object();
  if (object == nullptr) return bad("a member is no object");
  const auto* const path = text_at(*object, "path");
  const auto* const kind = text_at(*object, "kind");
  const auto* const source = text_at(*object, "source");
  const auto* const sha256 = text_at(*object, "sha256");
  const auto* const modified = text_at(*object, "modified");
  const json::value* const bytes = object->if_contains("bytes");
  if (path == nullptr || kind == nullptr || source == nullptr || sha256 == nullptr || modified == nullptr ||
      bytes == nullptr)
    return bad("a member lacks a key");
  Member member{.path = std::string(*path), .source = std::string(*source), .sha256 = std::string(*sha256)};
  const auto known = std::ranges::find(kKinds, std::string_view(*kind), name_of);
  const auto time = parse_time(std::string_view(*modified));
  boost::system::error_code wrong;
  member.bytes = bytes->to_number<std::uint64_t>(wrong);
  if (known == kKinds.end() || !time || wrong || !is_sha256(member.sha256)) return bad("a member has a wrong value");
  if (auto checked = check_member_path(member.path); !checked) return failure(std::move(checked.error()));
  member.kind = *known;
  member.modified = *time;
  return member;
}

}  // namespace

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::kSqlite: return "sqlite";
    case Kind::kFile: return "file";
    case Kind::kConfiguration: return "configuration";
  }
  return "unknown";
}

Result<> check_member_path(std::string_view path) {
  const auto refuse = [&] {
    return failure(Code::kInvalid,
                   "the member \"" + std::string(path.substr(0, 200)) + "\" has a name no backup would give it");
  };
  if (path == kManifestName || path == kConfigurationName) return {};
  if (!path.starts_with("data/") && !path.starts_with("files/")) return refuse();
  if (path.size() > 4096 || path.find('\0') != std::string_view::npos) return refuse();
  while (true) {
    const auto slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return refuse();
    if (slash == std::string_view::npos) return {};
    path.remove_prefix(slash + 1);
  }
}

std::string to_json(const Manifest& manifest) {
  json::array members, missing;
  for (const Member& member : manifest.members) {
    members.push_back(json::object{{"path", member.path},
                                   {"kind", name_of(member.kind)},
                                   {"source", member.source},
                                   {"bytes", member.bytes},
                                   {"sha256", member.sha256},
                                   {"modified", format_rfc3339(member.modified)}});
  }
  for (const std::string& database : manifest.missing) missing.emplace_back(database);
  return json::serialize(json::object{{"format", kFormat},
                                      {"version", kVersion},
                                      {"service", manifest.service},
                                      {"created", format_rfc3339(manifest.created)},
                                      {"host", manifest.host},
                                      {"nines", manifest.nines},
                                      {"members", std::move(members)},
                                      {"missing", std::move(missing)}}) +
         "\n";
}

Result<Manifest> parse_manifest(std::string_view text) {
  boost::system::error_code wrong;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), wrong);
  if (wrong || !value.is_object()) return bad("not a JSON object");
  const json::object& object = value.as_object();
  const auto* const format = text_at(object, "format");
  const json::value* const version = object.if_contains("version");
  if (format == nullptr || *format != kFormat || version == nullptr) return bad("not of a backup");
  if (!version->is_int64() || version->as_int64() != kVersion)
    return bad("of format version " + json::serialize(*version) + "; this nines reads version 1");
  const auto* const service = text_at(object, "service");
  const auto* const created = text_at(object, "created");
  const auto* const host = text_at(object, "host");
  const auto* const nines = text_at(object, "nines");
  const auto* const members = list_at(object, "members");
  const auto* const missing = list_at(object, "missing");
  const auto time = created != nullptr ? parse_time(std::string_view(*created)) : std::nullopt;
  if (service == nullptr || !time || host == nullptr || nines == nullptr || members == nullptr || missing == nullptr)
    return bad("a key is missing, or of the wrong type");
  Manifest manifest{
      .service = std::string(*service), .nines = std::string(*nines), .host = std::string(*host), .created = *time};
  for (const json::value& item : *members) {
    auto member = parse_member(item);
    if (!member) return failure(std::move(member.error()));
    manifest.members.push_back(std::move(*member));
  }
  for (const json::value& item : *missing) {
    if (!item.is_string()) return bad("a missing database is no text");
    manifest.missing.emplace_back(item.as_string());
  }
  return manifest;
}

}  // namespace nines::backup
