#include "backup/file_guard.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "storage/files.h"

namespace nines::backup {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using Kind = GuardFinding::Kind;

constexpr std::size_t kRecordBytesMax = 8 * 1024 * 1024;

std::optional<struct stat> stat_of(const std::string& place) {
  struct stat status{};
  if (::stat(place.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return status;
}

std::int64_t ns_of(const struct timespec& time) { return time.tv_sec * 1'000'000'000LL + time.tv_nsec; }

}  // namespace

FileGuard::FileGuard(Options options) : options_(std::move(options)), store_(options_.store) {
  load();
  if (options_.reread) return;
  looked_ = !seen_.empty();
  for (const auto& [path, seen] : seen_) known_[path] = seen.digest;
}

std::string FileGuard::place_of(const std::string& path) const {
  std::string place = path.starts_with('/') ? path : options_.folder + "/" + path;
  // A link is left as it is: it is the file it leads to that is guarded.
  std::error_code error;
  if (!fs::is_symlink(place, error)) return place;
  const fs::path target = fs::weakly_canonical(place, error);
  return error ? place : target.native();
}

std::set<std::string> FileGuard::paths(const Digests& expected) const {
  std::set<std::string> all;
  for (const auto& [path, digest] : expected) all.insert(path);
  for (const std::string& path : options_.files) {
    std::error_code error;
    const std::string place = place_of(path);
    if (!fs::is_directory(place, error)) {
      all.insert(path);
      continue;
    }
    // Folders come and go while it walks, and some may not be read: none of it throws.
    for (fs::recursive_directory_iterator it(place, fs::directory_options::skip_permission_denied, error), end;
         !error && it != end && all.size() < kFilesMax; it.increment(error)) {
      const fs::directory_entry& entry = *it;
      const std::string name = entry.path().filename().native();
      if (entry.is_regular_file(error) && !(name.starts_with('.') && name.ends_with(".put-back")))
        all.insert(path + (path.ends_with('/') ? "" : "/") +
                   entry.path().native().substr(place.size() + (place.ends_with('/') ? 0 : 1)));
    }
  }
  return all;
}

std::vector<GuardFinding> FileGuard::look(const Digests& expected, bool trust, const std::function<Instant()>& now) {
  std::vector<GuardFinding> findings;
  const auto before = seen_;
  for (const std::string& path : paths(expected)) {
    const auto wanted = expected.find(path);
    const auto known = known_.find(path);
    judge(path,
          wanted != expected.end() ? wanted->second
          : known != known_.end()  ? known->second
                                   : std::string(),
          trust, now, findings);
  }
  looked_ = true;
  if (seen_ != before) save();
  return findings;
}

void FileGuard::judge(const std::string& path, const std::string& wanted, bool trust,
                      const std::function<Instant()>& now, std::vector<GuardFinding>& findings) {
  // What the server itself writes beside its models, a log or a cache, is no model.
  if (wanted.empty() && !trust && !known_.contains(path) && looked_) return;
  const std::string place = place_of(path);
  const auto status = stat_of(place);
  const auto last = seen_.find(path);
  Seen seen;
  bool same = false;
  if (status) {
    seen = {.size = static_cast<std::uint64_t>(status->st_size),
            .inode = static_cast<std::uint64_t>(status->st_ino),
            .mtime_ns = ns_of(status->st_mtim),
            .digest = {}};
    same = last != seen_.end() && last->second.size == seen.size && last->second.inode == seen.inode &&
           last->second.mtime_ns == seen.mtime_ns;
    // Without a copy it is read once more, for one; where none could be kept, that was said.
    const bool kept = told_.contains(path) || store_.has(last == seen_.end() ? "" : last->second.digest);
    if (same && kept && (wanted.empty() || last->second.digest == wanted) && known_.contains(path)) {
      good_[path] = now();
      return;
    }
    auto digest = digest_of(place);
    seen.digest = digest ? *std::move(digest) : "";
  }
  GuardFinding finding{.kind = Kind::kKnown, .path = path, .good_until = good_[path]};
  // As it was when it was read last, before another was deployed: that one is to come into its place.
  const bool outdated = status && last != seen_.end() && last->second.digest == seen.digest && seen.digest != wanted;
  const bool trusted = trust && !same && !outdated;
  if (status && !seen.digest.empty() && (wanted.empty() || trusted || seen.digest == wanted)) {
    const auto kept = store_.has(seen.digest) ? Result<std::string>(seen.digest) : store_.put(place);
    if (!kept && kept.error().code() == Code::kUnavailable) return;  // somebody is writing it: at the next look
    const bool news = known_[path] != seen.digest;
    seen_[path] = seen;
    known_[path] = seen.digest;
    good_[path] = now();
    finding.digest = seen.digest;
    if (news) findings.push_back(finding);
    if (kept) {
      told_.erase(path);
    } else if (told_.insert(path).second) {
      finding.kind = Kind::kUnkept;
      finding.why = kept.error().text();
      findings.push_back(std::move(finding));
    }
    return;
  }
  if (wanted.empty()) return;  // it was never there: whoever needs it will say so
  finding.digest = wanted;
  finding.inode = seen.inode;
  finding.why = !status ? "it is gone" : seen.digest.empty() ? "it cannot be read" : "its content is another";
  if (status && !outdated && store_.has(wanted)) finding.displaced = displace(path);
  if (auto put = store_.place(wanted, place); !put) {
    if (!told_.insert(path).second) return;
    finding.kind = Kind::kLost;
    finding.digest.clear();
    finding.why += ", and cannot be put back: " + put.error().text();
    findings.push_back(std::move(finding));
    return;
  }
  told_.erase(path);
  if (const auto placed = stat_of(place))
    seen_[path] = {.size = static_cast<std::uint64_t>(placed->st_size),
                   .inode = static_cast<std::uint64_t>(placed->st_ino),
                   .mtime_ns = ns_of(placed->st_mtim),
                   .digest = wanted};
  known_[path] = wanted;
  good_[path] = now();
  finding.kind = outdated ? Kind::kPlaced : Kind::kPutBack;
  findings.push_back(std::move(finding));
}

// What is there is not thrown away: it may be somebody's new model, copied to the wrong place.
std::string FileGuard::displace(const std::string& path) {
  std::error_code error;
  fs::create_directories(options_.displaced, error);
  std::vector<fs::directory_entry> kept;
  for (const auto& entry : fs::directory_iterator(options_.displaced, error)) kept.push_back(entry);
  std::ranges::sort(kept, {}, [&](const auto& entry) { return entry.last_write_time(error); });
  for (std::size_t i = 0; i + kDisplacedMax <= kept.size(); ++i) fs::remove(kept[i].path(), error);
  const std::string name = fs::path(path).filename().native();
  for (int number = 1; number < 1000; ++number) {
    std::string target = options_.displaced + "/" + std::to_string(number) + "-" + name;
    if (::link(place_of(path).c_str(), target.c_str()) == 0) return target;
    if (errno != EEXIST) return "";  // another file system: not worth a copy
  }
  return "";
}

void FileGuard::load() {
  const auto text = storage::read_file(options_.record, kRecordBytesMax);
  if (!text) return;
  boost::system::error_code bad;
  const json::value value = json::parse(*text, bad);
  if (bad || !value.is_object()) return;  // everything is read once more
  for (const auto& [path, one] : value.as_object()) {
    if (!one.is_object()) continue;
    const json::object& o = one.as_object();
    const auto number = [&](std::string_view key) {
      const json::value* const found = o.if_contains(key);
      return found != nullptr && found->is_number() ? found->to_number<std::int64_t>(bad) : 0;
    };
    const json::value* const digest = o.if_contains("digest");
    if (digest == nullptr || !digest->is_string()) continue;
    seen_[path] = {.size = static_cast<std::uint64_t>(number("size")),
                   .inode = static_cast<std::uint64_t>(number("inode")),
                   .mtime_ns = number("mtime_ns"),
                   .digest = std::string(digest->as_string())};
  }
}

void FileGuard::save() const {
  json::object all;
  for (const auto& [path, seen] : seen_)
    all[path] =
        json::object{{"size", seen.size}, {"inode", seen.inode}, {"mtime_ns", seen.mtime_ns}, {"digest", seen.digest}};
  // Lost, it costs reading the files once more.
  (void)storage::write_file_atomically(options_.record, json::serialize(all) + "\n", 0640);
}

}  // namespace nines::backup
