#include "backup/backup.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "backup/names.h"
#include "backup/run_lock.h"
#include "backup/sqlite_file.h"
#include "backup/work_folder.h"

namespace nines::backup {
namespace {

namespace fs = std::filesystem;

// A member and the file it is made from.
struct Item {
  Member member;
  std::string file;
};

// Paths in the archive, each once: data/app.db, and data/2/app.db for the second of that name.
class MemberNames {
 public:
  std::string of(const std::string& folder, const std::string& name) {
    std::string path = folder + "/" + name;
    for (int n = 2; !taken_.insert(path).second; ++n) path = folder + "/" + std::to_string(n) + "/" + name;
    return path;
  }

 private:
  std::set<std::string> taken_;
};

std::string last_part(const std::string& path) {
  std::string trimmed = fs::path(path).lexically_normal().native();
  while (trimmed.size() > 1 && trimmed.ends_with('/')) trimmed.pop_back();
  std::string name = fs::path(trimmed).filename().native();
  return name.empty() || name == "." || name == ".." || name == "/" ? "folder" : name;
}

// The files below a folder, sorted by their path; links to files count as files, links to folders are not followed.
Result<std::vector<std::string>> files_below(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->is_regular_file(error)) files.push_back(at->path().lexically_relative(folder).native());
    if (files.size() > kMembers)
      return failure(Code::kLimit, folder + " holds more than " + std::to_string(kMembers) + " files");
  }
  if (error) return failure(os_error(error.value(), "list the folder " + folder));
  std::ranges::sort(files);
  return files;
}

class Run {
 public:
  explicit Run(const Plan& plan) : plan_(plan), to_(*plan.destination) {}

  Result<Report> perform() {
    auto lock = RunLock::take(plan_.state);
    if (!lock) return failure(std::move(lock.error()));
    began_ = plan_.clock.boot();
    report_.created = std::chrono::floor<std::chrono::milliseconds>(plan_.clock.wall());
    catalogue_ = Catalogue::load(catalogue_file(plan_.state));
    auto done = make_archive();
    catalogue_.set_failure(to_.where(),
                           done ? std::nullopt : std::optional(Failure{report_.created, done.error().text()}));
    if (done) tidy();
    if (auto saved = catalogue_.save(catalogue_file(plan_.state)); !saved)
      report_.notes.push_back("the proof could not be noted, so the archive will count as not verified: " +
                              saved.error().text());
    if (!done) return failure(std::move(done.error()));
    report_.took = plan_.clock.boot() - began_;
    return std::move(report_);
  }

 private:
  Result<> make_archive() {
    auto work = WorkFolder::make(plan_.state + "/backup-work");
    if (!work) return failure(std::move(work.error()));
    if (auto copied = copy_databases(*work); !copied) return copied;
    if (auto collected = collect_files(); !collected) return collected;
    auto object = write_archive();
    if (!object) return failure(std::move(object.error()));
    return read_back(*object);
  }

  Result<> copy_databases(const WorkFolder& work) {
    int number = 0;
    for (const Source& source : plan_.databases) {
      std::error_code error;
      if (!fs::exists(source.path, error) && (!error || error == std::errc::no_such_file_or_directory)) {
        report_.missing.push_back(source.name);
        continue;
      }
      const std::string copy = work / std::to_string(++number) + ".db";
      auto copied = copy_database(source.path, copy, plan_.clock, plan_.copy);
      if (!copied) return failure(std::move(copied.error()).in("database " + source.name));
      if (auto checked = check_integrity(copy); !checked)
        return failure(std::move(checked.error()).in("database " + source.name + " is damaged"));
      items_.push_back(
          {{.path = names_.of("data", last_part(source.name)), .kind = Kind::kSqlite, .source = source.name}, copy});
      report_.databases.push_back({source.name, *copied});
    }
    return {};
  }

  Result<> collect_files() {
    for (const Source& source : plan_.files) {
      std::error_code error;
      if (!fs::is_directory(source.path, error)) {
        add_file(names_.of("files", last_part(source.name)), source.name, source.path);
        continue;
      }
      auto files = files_below(source.path);
      if (!files) return failure(std::move(files.error()));
      const std::string folder = names_.of("files", last_part(source.name));
      const std::string name = source.name.ends_with('/') ? source.name : source.name + "/";
      for (const std::string& file : *files) {
        add_file(folder + "/" + file, name + file, source.path + "/" + file);
      }
    }
    report_.files = items_.size() - report_.databases.size();
    if (const auto& configuration = plan_.configuration) {
      items_.push_back(
          {{.path = std::string(kConfigurationName), .kind = Kind::kConfiguration, .source = configuration->name},
           configuration->path});
    }
    if (items_.size() < kMembers) return {};
    return failure(Code::kLimit, "more than " + std::to_string(kMembers) + " files");
  }

  void add_file(std::string path, std::string name, std::string file) {
    items_.push_back({{.path = std::move(path), .kind = Kind::kFile, .source = std::move(name)}, std::move(file)});
  }

  Result<storage::Object> write_archive() {
    const auto objects = to_.list();
    if (!objects) return failure(objects.error());
    std::vector<std::string> taken;
    for (const storage::Object& object : *objects) taken.push_back(object.name);
    report_.archive = free_name(report_.created, taken);
    report_.where = to_.where(report_.archive);
    auto upload = to_.put(report_.archive);
    if (!upload) return failure(std::move(upload.error()));
    ArchiveWriter writer(**upload, {.service = plan_.service,
                                    .nines = plan_.nines,
                                    .host = plan_.host,
                                    .created = report_.created,
                                    .members = {},
                                    .missing = report_.missing});
    for (Item& item : items_) {
      if (auto added = writer.add(std::move(item.member), item.file); !added) return failure(std::move(added.error()));
    }
    auto finished = writer.finish();
    if (!finished) return failure(std::move(finished.error()));
    written_ = std::move(*finished);
    return (*upload)->commit();
  }

  // The databases' bytes are those that integrity_check has seen, if the hashes say so.
  Result<> read_back(const storage::Object& object) {
    auto download = to_.open(object.name);
    if (!download) return failure(std::move(download.error()));
    auto contents = read_archive(**download, {});
    if (contents && contents->sha256 != written_.sha256)
      contents = failure(Code::kInvalid, "its SHA-256 is not that of what was written");
    if (!contents) {
      const bool wrong = contents.error().code() == Code::kInvalid;
      if (wrong) (void)to_.remove(object.name);
      return failure(std::move(contents.error())
                         .in(report_.where +
                             (wrong ? " is not what was written to it, and was removed" : " could not be read back")));
    }
    report_.bytes = contents->bytes;
    report_.sha256 = contents->sha256;
    catalogue_.put(to_.where(), object.name,
                   {.bytes = object.bytes,
                    .modified = object.modified,
                    .sha256 = contents->sha256,
                    .at = plan_.clock.wall(),
                    .service = plan_.service,
                    .created = report_.created,
                    .complete = report_.missing.empty()});
    return {};
  }

  // The new archive is safe; what fails from here on is told and fails nothing.
  void tidy() {
    auto archives = list(to_, catalogue_);
    if (!archives) return report_.notes.push_back(archives.error().text());
    if (prove_one(*archives)) archives = list(to_, catalogue_);
    if (archives && plan_.keep) remove_by_rules(*archives);
    if (const auto objects = to_.list()) catalogue_.retain(to_.where(), *objects);
  }

  // One archive a run that nobody has verified, the newest first: so a lost catalogue mends by itself, and no run takes
  // much longer than another.
  bool prove_one(const std::vector<Archive>& archives) {
    const auto unknown =
        std::ranges::find_if(archives.rbegin(), archives.rend(), [](const Archive& archive) { return !archive.proof; });
    if (unknown == archives.rend()) return false;
    const auto proven = prove(to_, unknown->object, plan_.state, catalogue_, plan_.clock.wall());
    if (!proven) report_.notes.push_back(to_.where(unknown->object.name) + ": " + proven.error().text());
    return true;
  }

  void remove_by_rules(const std::vector<Archive>& archives) {
    std::vector<Candidate> candidates;
    for (const Archive& archive : archives) {
      candidates.push_back({.time = archive.time,
                            // One from the future would be the newest for long, and "within" would count from it.
                            .verified = archive.verified() && !archive.from_the_future(report_.created),
                            .complete = archive.proof && archive.proof->complete,
                            .ours = !archive.proof || archive.proof->service == plan_.service});
    }
    const auto decisions = decide(candidates, *plan_.keep, plan_.offset);
    for (std::size_t i = 0; i < archives.size(); ++i) {
      if (decisions[i].keep) continue;
      const std::string& name = archives[i].object.name;
      if (auto removed = to_.remove(name); !removed) {
        report_.notes.push_back(removed.error().text());
      } else {
        report_.removed.push_back(name);
      }
    }
  }

  const Plan& plan_;
  storage::Destination& to_;
  Instant began_;
  Catalogue catalogue_;
  MemberNames names_;
  std::vector<Item> items_;
  ArchiveWriter::Finished written_;
  Report report_;
};

}  // namespace

Result<Report> take(const Plan& plan) { return Run(plan).perform(); }

std::string catalogue_file(const std::string& state) { return state + "/backups.json"; }

Result<std::vector<Archive>> list(storage::Destination& destination, const Catalogue& catalogue) {
  auto objects = destination.list();
  if (!objects) return failure(std::move(objects.error()));
  std::vector<Archive> archives;
  for (storage::Object& object : *objects) {
    const auto time = time_of(object.name);
    if (!time) continue;
    const Proof* const proof = catalogue.find(destination.where(), object);
    archives.push_back({std::move(object), *time, proof != nullptr ? std::optional(*proof) : std::nullopt});
  }
  std::ranges::sort(archives, {}, &Archive::time);
  return archives;
}

Past past_of(std::span<const Archive> archives, const Failure* failed, WallTime now) {
  Past past;
  // A damaged archive is none; one that is not verified yet was made all the same.
  for (const Archive& archive : archives) {
    const bool damaged = archive.proof && !archive.verified();
    if (!damaged && !archive.from_the_future(now)) past.archive = archive.time;
  }
  if (failed != nullptr) past.failed_attempt = failed->at;
  return past;
}

const Archive* newest_of(std::span<const Archive> archives, const std::string& service, WallTime now) {
  const Archive* newest = nullptr;
  for (const Archive& archive : archives) {
    const bool ours = archive.verified() && archive.proof->service == service;
    if (!ours || archive.from_the_future(now)) continue;
    if (newest == nullptr || archive.time > newest->time) newest = &archive;
  }
  return newest;
}

Result<Contents> verify(storage::Destination& destination, const std::string& name, const std::string& work) {
  auto folder = WorkFolder::make(work);
  if (!folder) return failure(std::move(folder.error()));
  auto download = destination.open(name);
  if (!download) return failure(std::move(download.error()));
  std::vector<std::string> members;
  const auto file_of = [&](std::size_t index) { return *folder / std::to_string(index) + ".db"; };
  auto contents = read_archive(**download, [&](const std::string& member) -> Result<Fd> {
    if (!member.starts_with("data/")) return Fd();
    members.push_back(member);
    Fd to(::open(file_of(members.size() - 1).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!to) return failure(os_error(errno, "extract " + member + " into " + folder->path()));
    return to;
  });
  if (!contents) return contents;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (auto checked = check_integrity(file_of(i)); !checked)
      return failure(std::move(checked.error()).in("the database " + members[i] + " in it is damaged"));
  }
  return contents;
}

Result<Contents> prove(storage::Destination& destination, const storage::Object& object, const std::string& state,
                       Catalogue& catalogue, WallTime now) {
  auto contents = verify(destination, object.name, state + "/backup-work");
  if (!contents && contents.error().code() != Code::kInvalid) return contents;
  Proof proof{.bytes = object.bytes, .modified = object.modified, .at = now};
  if (contents) {
    proof.sha256 = contents->sha256;
    proof.service = contents->manifest.service;
    proof.created = contents->manifest.created;
    proof.complete = contents->manifest.missing.empty();
  } else {
    proof.damage = contents.error().text();
  }
  catalogue.put(destination.where(), object.name, std::move(proof));
  return contents;
}

}  // namespace nines::backup
