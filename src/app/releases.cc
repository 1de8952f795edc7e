#include "app/releases.h"

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "backup/file_store.h"
#include "storage/files.h"

namespace nines::app {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::uint64_t kVersion = 1;

// The snapshot of a configuration with nothing but this in it: what it does not have is as by default.
std::string text_of(const config::Launch& launch) {
  config::Config config;
  static_cast<config::Launch&>(config.replicas) = launch;
  return config::to_yaml(config);
}

config::Launch launch_of(const std::string& text) {
  auto config = config::parse(text);
  if (!config) throw std::runtime_error(config.error().front().complaint.text());
  return std::move(config->replicas);
}

fs::path absolute(const std::string& folder, const std::string& path) {
  fs::path whole = (fs::path(folder) / path).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

fs::path staged_place(const std::string& folder, const std::string& path, const std::string& into) {
  return fs::path(into) / absolute(folder, path).relative_path();
}

std::int64_t ns_of(WallTime time) { return time.time_since_epoch().count(); }
WallTime wall_of(std::int64_t ns) { return WallTime{Duration(ns)}; }

Release::Outcome outcome_of(std::string_view name) {
  for (const auto outcome : {Release::Outcome::kUnderWay, Release::Outcome::kDone, Release::Outcome::kRolledBack}) {
    if (name_of(outcome) == name) return outcome;
  }
  throw std::runtime_error("unknown outcome " + std::string(name));
}

json::object to_json(const Release& release) {
  json::object object{
      {"number", release.number},   {"launch", text_of(release.launch)},   {"what", release.what}, {"by", release.by},
      {"at_ns", ns_of(release.at)}, {"outcome", name_of(release.outcome)}, {"why", release.why}};
  if (release.ended) object["ended_ns"] = ns_of(*release.ended);
  json::object files;
  for (const auto& [path, digest] : release.files) files[path] = digest;
  json::array staged;
  for (const std::string& path : release.staged) staged.emplace_back(path);
  object["files"] = std::move(files);
  object["staged"] = std::move(staged);
  return object;
}

std::string text_at(const json::object& object, std::string_view key) {
  return std::string(object.at(key).as_string());
}

Release release_of(const json::object& object) {
  Release release{.number = object.at("number").to_number<ReleaseNumber>(),
                  .launch = launch_of(text_at(object, "launch")),
                  .what = text_at(object, "what"),
                  .by = text_at(object, "by"),
                  .at = wall_of(object.at("at_ns").to_number<std::int64_t>()),
                  .outcome = outcome_of(text_at(object, "outcome")),
                  .why = text_at(object, "why")};
  if (const json::value* const ended = object.if_contains("ended_ns"))
    release.ended = wall_of(ended->to_number<std::int64_t>());
  for (const auto& [path, digest] : object.at("files").as_object())
    release.files[path] = std::string(digest.as_string());
  for (const json::value& path : object.at("staged").as_array()) release.staged.emplace(path.as_string());
  return release;
}

json::object to_json(const supervise::RolloutMemory& memory) {
  return {{"from", memory.from},
          {"to", memory.to},
          {"stage", supervise::name_of(memory.stage)},
          {"judged", memory.judged},
          {"why", memory.why}};
}

supervise::RolloutMemory memory_of(const json::object& object) {
  const auto stage = supervise::stage_named(text_at(object, "stage"));
  if (!stage) throw std::runtime_error("unknown stage");
  return {.from = object.at("from").to_number<ReleaseNumber>(),
          .to = object.at("to").to_number<ReleaseNumber>(),
          .stage = *stage,
          .judged = object.at("judged").as_bool(),
          .why = text_at(object, "why")};
}

}  // namespace

std::string_view name_of(Release::Outcome outcome) {
  switch (outcome) {
    case Release::Outcome::kUnderWay: return "under_way";
    case Release::Outcome::kDone: return "done";
    case Release::Outcome::kRolledBack: return "rolled_back";
  }
  return "unknown";
}

Result<Releases> Releases::load(const std::string& path) try {
  std::ifstream file(path, std::ios::binary);
  if (!file) return failure(Code::kNotFound, "there is no " + path);
  std::stringstream text;
  text << file.rdbuf();
  const json::object object = json::parse(text.str()).as_object();
  if (object.at("version").to_number<std::uint64_t>() != kVersion)
    return failure(Code::kInvalid, path + " is of another version of nines");
  Releases releases;
  releases.next_ = object.at("next").to_number<ReleaseNumber>();
  releases.active = object.at("active").to_number<ReleaseNumber>();
  if (const json::value& rollout = object.at("rollout"); rollout.is_object())
    releases.rollout = memory_of(rollout.as_object());
  for (const json::value& incarnation : object.at("spoiled").as_array())
    releases.spoiled.insert(incarnation.to_number<std::uint64_t>());
  for (const json::value& release : object.at("releases").as_array())
    releases.all_.push_back(std::make_shared<const Release>(release_of(release.as_object())));
  const bool whole =
      releases.find(releases.active) &&
      (!releases.rollout || (releases.find(releases.rollout->from) && releases.find(releases.rollout->to)));
  if (!whole) return failure(Code::kInvalid, path + " is damaged: it lacks a release that it speaks of");
  return releases;
} catch (const std::exception& torn) {
  return failure(Code::kInvalid, path + " is damaged: " + torn.what());
}

Result<> Releases::save(const std::string& path) const {
  json::array all;
  for (const SharedRelease& release : all_) all.push_back(to_json(*release));
  const json::object object{{"version", kVersion},
                            {"next", next_},
                            {"active", active},
                            {"rollout", rollout ? json::value(to_json(*rollout)) : json::value(nullptr)},
                            {"spoiled", json::array(spoiled.begin(), spoiled.end())},
                            {"releases", std::move(all)}};
  return storage::write_file_atomically(path, json::serialize(object) + "\n", 0640);
}

const Release& Releases::add(Release release) {
  release.number = next_++;
  all_.push_back(std::make_shared<const Release>(std::move(release)));
  forget();
  return *all_.back();
}

void Releases::change(ReleaseNumber number, const std::function<void(Release&)>& how) {
  for (SharedRelease& release : all_) {
    if (release->number != number) continue;
    Release changed = *release;
    how(changed);
    release = std::make_shared<const Release>(std::move(changed));
    return;
  }
}

void Releases::end(ReleaseNumber number, Release::Outcome outcome, std::string why, WallTime at) {
  change(number, [&](Release& release) {
    release.outcome = outcome;
    release.why = std::move(why);
    release.ended = at;
  });
}

SharedRelease Releases::find(ReleaseNumber number) const {
  const auto found = std::ranges::find(all_, number, [](const SharedRelease& r) { return r->number; });
  return found == all_.end() ? nullptr : *found;
}

SharedRelease Releases::before(ReleaseNumber number) const {
  SharedRelease best;
  for (const SharedRelease& release : all_) {
    if (release->number < number && release->outcome == Release::Outcome::kDone) best = release;
  }
  return best;
}

void Releases::forget() {
  const auto needed = [this](const Release& release) {
    return release.number == active || (rollout && (release.number == rollout->from || release.number == rollout->to));
  };
  for (auto it = all_.begin(); it != all_.end() && all_.size() > kKept;) it = needed(**it) ? it + 1 : all_.erase(it);
}

bool Releases::operator==(const Releases& other) const {
  return next_ == other.next_ && active == other.active && rollout == other.rollout && spoiled == other.spoiled &&
         std::ranges::equal(all_, other.all_, [](const auto& a, const auto& b) { return *a == *b; });
}

std::string difference(const config::Launch& before, const config::Launch& after) {
  std::string text;
  const auto add = [&text](const std::string& name) { text += (text.empty() ? "" : ", ") + name; };
  if (before.command != after.command) add("command");
  if (before.container != after.container) add("container");
  for (const auto& [name, value] : before.env) {
    const auto now = after.env.find(name);
    if (now == after.env.end() || now->second != value) add("env." + name);
  }
  for (const auto& [name, value] : after.env) {
    if (!before.env.contains(name)) add("env." + name);
  }
  if (before.env_file != after.env_file) add("env_file");
  if (before.directory != after.directory) add("directory");
  if (before.user != after.user) add("user");
  if (before.umask != after.umask) add("umask");
  if (before.limits != after.limits) add("limits");
  if (before.files != after.files) add("files");
  return text;
}

Result<> stage_files(const Release& release, const std::string& folder, const backup::FileStore& store,
                     const std::string& into) {
  std::error_code error;
  fs::remove_all(into, error);
  for (const auto& [path, digest] : release.files) {
    const auto copy = store.path_of(digest);
    if (!copy) return failure(Error(copy.error()).in(path));
    const fs::path link = staged_place(folder, path, into);
    fs::create_directories(link.parent_path(), error);
    fs::create_hard_link(*copy, link, error);
    if (error) return failure(Code::kIo, "link " + link.native() + " to " + *copy + ": " + error.message());
  }
  return {};
}

Result<config::Launch> launch_with_staged(const Release& release, const std::string& folder, const std::string& into) {
  config::Launch launch = release.launch;
  if (release.staged.empty()) return launch;
  std::set<fs::path> guarded;
  for (const auto& [path, digest] : release.files) guarded.insert(absolute(folder, path));
  for (const std::string& path : launch.files) guarded.insert(absolute(folder, path));
  // Paths in a command are relative to where it runs, those of the configuration to its folder.
  const std::string base = launch.directory ? absolute(folder, *launch.directory).native() : folder;
  std::set<fs::path> named;
  const auto replace = [&](std::string& text) {
    const auto equals = text.rfind('=');
    for (const std::size_t at : {std::size_t{0}, equals == std::string::npos ? text.size() : equals + 1}) {
      if (at >= text.size() || !guarded.contains(absolute(base, text.substr(at)))) continue;
      named.insert(absolute(base, text.substr(at)));
      text = text.substr(0, at) + staged_place(base, text.substr(at), into).native();
      return;
    }
  };
  for (std::string& argument : launch.command) replace(argument);
  for (auto& [name, value] : launch.env)
    if (auto* const text = std::get_if<std::string>(&value)) replace(*text);
  // Named itself, or its folder is, or it belongs to one that is, as model.bin.sha256 does to model.bin.
  for (const std::string& path : release.staged) {
    const std::string whole = absolute(folder, path).native();
    const bool reached = std::ranges::any_of(named, [&](const fs::path& one) {
      const std::string& name = one.native();
      return whole == name || whole.starts_with(name + "/") || whole.starts_with(name + ".");
    });
    if (!reached)
      return failure(Code::kNotFound,
                     "neither the command nor env names " + path +
                         ", so that the old and the new one could not run side by side; name it, or its "
                         "folder, there and in replicas.files");
  }
  return launch;
}

}  // namespace nines::app
