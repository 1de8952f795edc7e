#include "backup/catalogue.h"

#include <boost/json.hpp>

#include "storage/files.h"

namespace nines::backup {
namespace {

namespace json = boost::json;

constexpr std::size_t kBytesMax = 64 << 20;
constexpr int kVersion = 1;

std::int64_t ns_of(WallTime t) { return t.time_since_epoch().count(); }

json::object to_json(const Proof& proof) {
  // Above 2^53 a number is text, as everywhere in this program's JSON.
  return {{"bytes", proof.bytes},
          {"modified_ns", std::to_string(ns_of(proof.modified))},
          {"sha256", proof.sha256},
          {"at", format_rfc3339(proof.at)},
          {"at_ns", std::to_string(ns_of(proof.at))},
          {"damage", proof.damage},
          {"service", proof.service},
          {"created_ns", std::to_string(ns_of(proof.created))},
          {"complete", proof.complete}};
}

// Throws what Boost.JSON throws when something is not as we wrote it.
WallTime time_at(const json::object& object, std::string_view key) {
  return WallTime(Duration(std::stoll(std::string(object.at(key).as_string()))));
}
std::string text_at(const json::object& object, std::string_view key) {
  return std::string(object.at(key).as_string());
}

Proof proof_of(const json::object& object) {
  return {.bytes = object.at("bytes").to_number<std::uint64_t>(),
          .modified = time_at(object, "modified_ns"),
          .sha256 = text_at(object, "sha256"),
          .at = time_at(object, "at_ns"),
          .damage = text_at(object, "damage"),
          .service = text_at(object, "service"),
          .created = time_at(object, "created_ns"),
          .complete = object.at("complete").as_bool()};
}

}  // namespace

Catalogue Catalogue::load(const std::string& file) {
  const auto text = storage::read_file(file, kBytesMax);
  if (!text) return {};
  try {
    Catalogue catalogue;
    const json::object object = json::parse(*text).as_object();
    if (object.at("version").as_int64() != kVersion) return {};
    for (const auto& [where, archives] : object.at("archives").as_object()) {
      for (const auto& [name, proof] : archives.as_object()) {
        catalogue.put(std::string(where), std::string(name), proof_of(proof.as_object()));
      }
    }
    for (const auto& [where, failed] : object.at("failures").as_object()) {
      const json::object& at = failed.as_object();
      catalogue.failures_[std::string(where)] = {.at = time_at(at, "at_ns"), .why = text_at(at, "why")};
    }
    return catalogue;
  } catch (const std::exception&) {
    return {};
  }
}

Result<> Catalogue::save(const std::string& file) const {
  json::object archives, failures;
  for (const auto& [where, proofs] : proofs_) {
    json::object by_name;
    for (const auto& [name, proof] : proofs) by_name[name] = to_json(proof);
    archives[where] = std::move(by_name);
  }
  for (const auto& [where, failed] : failures_) {
    failures[where] = json::object{
        {"at", format_rfc3339(failed.at)}, {"at_ns", std::to_string(ns_of(failed.at))}, {"why", failed.why}};
  }
  const json::object all{{"version", kVersion}, {"archives", std::move(archives)}, {"failures", std::move(failures)}};
  constexpr unsigned kMode = 0640;
  return storage::write_file_atomically(file, json::serialize(all) + "\n", kMode);
}

const Proof* Catalogue::find(const std::string& where, const storage::Object& object) const {
  const auto archives = proofs_.find(where);
  if (archives == proofs_.end()) return nullptr;
  const auto proof = archives->second.find(object.name);
  if (proof == archives->second.end()) return nullptr;
  const bool same = proof->second.bytes == object.bytes && proof->second.modified == object.modified;
  return same ? &proof->second : nullptr;
}

void Catalogue::put(const std::string& where, const std::string& name, Proof proof) {
  proofs_[where][name] = std::move(proof);
}

void Catalogue::retain(const std::string& where, std::span<const storage::Object> objects) {
  const auto archives = proofs_.find(where);
  if (archives == proofs_.end()) return;
  std::erase_if(archives->second, [&](const auto& entry) {
    return std::ranges::find(objects, entry.first, &storage::Object::name) == objects.end();
  });
}

const Failure* Catalogue::failure_of(const std::string& where) const {
  const auto found = failures_.find(where);
  return found == failures_.end() ? nullptr : &found->second;
}

void Catalogue::set_failure(const std::string& where, std::optional<Failure> failed) {
  if (failed) {
    failures_[where] = std::move(*failed);
  } else {
    failures_.erase(where);
  }
}

}  // namespace nines::backup
