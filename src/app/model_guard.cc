#include "app/model_guard.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdio>

#include "app/control_client.h"
#include "net/epoll_loop.h"

namespace nines::app {
namespace {

namespace json = boost::json;
using Kind = backup::GuardFinding::Kind;

constexpr std::size_t kToTellMax = 1000;
constexpr Duration kHeldMost = 10min;

// Tells one writing of a file, by a rename, from the next.
std::string writing_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return "";
  return std::to_string(status.st_ino) + "/" + std::to_string(status.st_mtim.tv_sec) + "." +
         std::to_string(status.st_mtim.tv_nsec);
}

// Somebody is at work, and has not died over it.
bool is_held(const std::string& mark) {
  struct stat status{};
  if (::stat(mark.c_str(), &status) != 0 || status.st_size == 0) return false;
  const auto made = std::chrono::seconds(status.st_mtim.tv_sec);
  return net::wall_time().time_since_epoch() - made < kHeldMost;
}

backup::FileGuard::Options options_of(const Service& service) {
  const Paths& paths = service.paths;
  return {.folder = paths.folder,
          .files = service.config.replicas.files,
          .store = paths.file_store(),
          .record = paths.guard_record(),
          .displaced = paths.displaced_files(),
          .reread = ::access(paths.trust_mark().c_str(), F_OK) == 0};
}

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::kKnown: return "known";
    case Kind::kPlaced: return "placed";
    case Kind::kPutBack: return "put_back";
    case Kind::kLost: return "lost";
    case Kind::kUnkept: return "unkept";
  }
  return "";
}

}  // namespace

ModelGuard::ModelGuard(const Service& service) : service_(service), guard_(options_of(service)) {
  if (!service.config.replicas.files.empty())
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void ModelGuard::run(const std::stop_token& stop) {
  ::prctl(PR_SET_NAME, "nines-files");
  while (!stop.stop_requested()) {
    look();
    deliver();
    std::unique_lock lock(mutex_);
    pause_.wait_for(lock, stop, kBetweenLooks, [] { return false; });
  }
}

void ModelGuard::read_releases() {
  const std::string now = writing_of(service_.paths.releases_file());
  if (now == read_of_) return;
  auto loaded = Releases::load(service_.paths.releases_file());
  if (!loaded) return;  // at the next look
  releases_ = *std::move(loaded);
  read_of_ = now;
}

void ModelGuard::look() {
  read_releases();
  const SharedRelease active = releases_.find(releases_.active);
  if (!active) return;  // the supervisor has not begun
  const std::string mark = writing_of(service_.paths.trust_mark());
  for (const auto& finding : guard_.look(active->files, !mark.empty(), &net::boot_time)) tell(finding);
  if (const std::string damaged = guard_.store().verify_one(); !damaged.empty())
    std::fprintf(stderr, "nines keeper: the copy of a guarded file was damaged, and is removed: %s\n", damaged.c_str());
  // One that was made meanwhile holds for the next look.
  if (!mark.empty() && !is_held(service_.paths.trust_mark()) && writing_of(service_.paths.trust_mark()) == mark)
    ::unlink(service_.paths.trust_mark().c_str());

  json::object known;
  for (const auto& [path, digest] : guard_.known()) {
    const auto booked = active->files.find(path);
    const bool to_come = active->staged.contains(path) && booked != active->files.end() && booked->second != digest;
    if ((booked == active->files.end() || booked->second != digest) && !to_come) known[path] = digest;
    // It is in its place, and the supervisor has not heard.
    if (booked != active->files.end() && booked->second == digest && active->staged.contains(path))
      known[path] = digest;
  }
  if (!known.empty())
    to_tell_.push_back(json::serialize(json::object{{"known", std::move(known)}, {"release", active->number}}));

  std::set<std::string> needed;
  for (const SharedRelease& release : releases_.all())
    for (const auto& [path, digest] : release->files) needed.insert(digest);
  // What a person has just put there for a deploy is in no release yet, so nothing goes before something is not needed
  // any more.
  std::set<std::string> kept = needed;
  for (const auto& [path, digest] : guard_.known()) kept.insert(digest);
  if (std::ranges::any_of(kept_, [&](const std::string& digest) { return !kept.contains(digest); }))
    guard_.store().keep_only(kept);
  kept_ = std::move(kept);
}

void ModelGuard::tell(const backup::GuardFinding& finding) {
  if (finding.kind == Kind::kKnown) return;
  const Instant now = net::boot_time();
  if (finding.kind == Kind::kLost || finding.kind == Kind::kUnkept)
    std::fprintf(stderr, "nines keeper: %s: %s\n", finding.path.c_str(), finding.why.c_str());
  to_tell_.push_back(
      json::serialize(json::object{{"path", finding.path},
                                   {"what", name_of(finding.kind)},
                                   {"digest", finding.digest},
                                   {"why", finding.why},
                                   {"displaced", finding.displaced},
                                   {"good_until_ns", finding.good_until.since_boot.count()},
                                   {"inode", static_cast<std::int64_t>(finding.inode)},
                                   {"ns", finding.good_until == Instant{} ? 0 : (now - finding.good_until).count()}}));
  if (to_tell_.size() > kToTellMax) to_tell_.pop_front();
}

void ModelGuard::deliver() {
  while (!to_tell_.empty()) {
    const auto told = ask(service_.paths, {.method = "POST", .target = "/v1/files", .body = to_tell_.front()});
    // A supervisor that is just being replaced hears it at the next look.
    if (!told && told.error().code() != Code::kNotFound) return;
    to_tell_.pop_front();
  }
}

}  // namespace nines::app
