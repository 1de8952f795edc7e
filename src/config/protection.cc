#include "config/protection.h"

#include <algorithm>
#include <filesystem>

#include "config/values.h"

namespace nines::config {
namespace {

constexpr Key kDataKeys[] = {{"sqlite"}};
constexpr Key kBackupKeys[] = {{"to"},
                               {"archive"},
                               {"keep"},
                               missing("endpoint"),
                               missing("region"),
                               missing("offsite"),
                               missing("encrypt"),
                               elsewhere("within", "indent it below keep:"),
                               elsewhere("last", "indent it below keep:"),
                               elsewhere("daily", "indent it below keep:")};
constexpr Key kKeepKeys[] = {{"last"}, {"hourly"}, {"daily"}, {"weekly"}, {"monthly"}, {"within"}};

// "data/./app.db" and "data/app.db" are one file. Links are not looked at: this reads no disk.
std::string plain(const std::string& path) {
  std::string normal = std::filesystem::path(path).lexically_normal().native();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

bool has_path(const std::vector<std::string>& paths, const std::string& added) {
  return std::ranges::find(paths, plain(added), plain) != paths.end();
}

void read_times(Section& backup, std::vector<TimeOfDay>& times) {
  const Node* const node = backup.value("archive");
  if (node == nullptr) return;
  const std::string what = backup.dotted("archive");
  const std::vector<const Node*> items = Section::items_of(*node);
  if (items.empty())
    return backup.complain(node->at, {what + " is an empty list", "write a time such as \"02:00\", or remove the key"});
  if (backup.too_many(*node, what, items.size(), bounds::kArchiveTimes)) return;
  for (const Node* const item : items) {
    std::optional<TimeOfDay> time;
    backup.read_node(*item, what, time, parse_time_of_day);
    if (!time) continue;
    if (std::ranges::find(times, *time) != times.end()) {
      backup.complain(item->at, what, {time->text() + " is named already", "remove one"});
    } else {
      times.push_back(*time);
    }
  }
  std::ranges::sort(times);
}

void read_keep(Section& backup, Keep& keep) {
  auto section = backup.section("keep", kKeepKeys);
  if (!section) return;
  if (section->entries().empty()) {
    return section->complain(section->at(), {section->name() + " has no rule", "add one, such as within: 7d"});
  }
  keep = {};
  section->read("last", keep.last, bounds::kKept);
  section->read("hourly", keep.hourly, bounds::kKept);
  section->read("daily", keep.daily, bounds::kKept);
  section->read("weekly", keep.weekly, bounds::kKept);
  section->read("monthly", keep.monthly, bounds::kKept);
  section->read("within", keep.within, bounds::kWithin);
}

Checked<std::string> parse_destination(std::string_view text) {
  if (const auto checked = check_file_path(text); !checked) return std::unexpected(checked.error());
  if (text.find("://") != std::string_view::npos)
    return std::unexpected(not_yet(text.substr(0, text.find("://") + 3), "name a folder, such as backups/"));
  return std::string(text);
}

void read_backup(Section& backup, std::vector<Backup>& backups) {
  Backup read;
  if (!backup.has("to"))
    backup.complain(backup.at(), {"this backup has no destination", "add one, such as to: backups/"});
  backup.read("to", read.to, parse_destination);
  read_times(backup, read.archive);
  read_keep(backup, read.keep);
  if (read.to.empty()) return;
  const auto same = [&](const Backup& other) { return plain(other.to) == plain(read.to); };
  if (std::ranges::any_of(backups, same)) {
    return backup.complain(backup.value("to")->at, {"a second backup to " + config::quoted(read.to), "remove one"});
  }
  backups.push_back(std::move(read));
}

}  // namespace

void read_paths(Section& section, const PathList& list, std::vector<std::string>& paths) {
  const Node* const node = section.value(list.key);
  if (node == nullptr) return;
  const std::string what = section.dotted(list.key);
  const std::vector<const Node*> items = Section::items_of(*node);
  if (items.empty())
    return section.complain(node->at, {what + " is an empty list", "name one, such as " + std::string(list.example)});
  if (section.too_many(*node, what, items.size(), list.max)) return;
  for (const Node* const item : items) {
    std::string path;
    section.read_node(*item, what, path, checked_by(list.check));
    if (path.empty()) continue;
    if (has_path(paths, path)) {
      section.complain(item->at, what, {config::quoted(path) + " is named already", "remove one"});
    } else {
      paths.push_back(std::move(path));
    }
  }
}

void read_data(Section& file, Data& data) {
  auto section = file.section("data", kDataKeys);
  if (!section) return;
  if (section->entries().empty()) {
    return section->complain(section->at(), {"data is empty", "name what must not be lost: sqlite: data/app.db"});
  }
  read_paths(*section, {"sqlite", "data/app.db", bounds::kDatabases, check_file_name}, data.sqlite);
}

void read_model_files(Section& replicas, std::vector<std::string>& files) {
  read_paths(replicas, {"files", "model.bin", bounds::kModelFiles, check_file_path}, files);
}

void read_backups(Section& file, std::vector<Backup>& backups) {
  constexpr std::string_view kExample = "{to: backups/, archive: \"02:00\"}";
  const Node* const node = file.value("backups");
  if (node == nullptr) return;
  if (node->kind != Node::Kind::kSequence)
    return file.expected(*node, "backups", "a list, such as [" + std::string(kExample) + "]");
  if (node->items.empty())
    return file.complain(node->at, {"backups is an empty list", "add one, such as " + std::string(kExample)});
  if (file.too_many(*node, "backups", node->items.size(), bounds::kBackups)) return;
  for (const Node* const item : node->items) {
    if (item->kind != Node::Kind::kMap) {
      file.expected(*item, "a backup", kExample);
      continue;
    }
    Section backup = file.item(*item, "backups", kBackupKeys);
    read_backup(backup, backups);
  }
}

}  // namespace nines::config
