#include "cli/backup_setup.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <ctime>
#include <filesystem>
#include <system_error>

#include "app/snapshot.h"
#include "base/version.h"
#include "cli/service_setup.h"
#include "net/epoll_loop.h"
#include "storage/directory.h"

namespace nines::cli {
namespace {

namespace fs = std::filesystem;

// Where a path of the configuration, or of the command line, really is. Links stay: they may be changed on purpose.
std::string from_folder(const std::string& folder, const std::string& path) {
  std::string whole = (fs::path(folder) / path).lexically_normal().native();
  while (whole.size() > 1 && whole.ends_with('/')) whole.pop_back();
  return whole;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

std::string current_folder() {
  std::error_code error;
  const fs::path folder = fs::current_path(error);
  return error ? "." : folder.native();
}

backup::Keep keep_of(const config::Keep& keep) {
  return {.last = keep.last,
          .hourly = keep.hourly,
          .daily = keep.daily,
          .weekly = keep.weekly,
          .monthly = keep.monthly,
          .within = keep.within};
}

std::vector<backup::Source> sources(const std::vector<std::string>& names, const std::string& folder) {
  std::vector<backup::Source> all;
  for (const std::string& name : names) all.push_back({name, from_folder(folder, name)});
  return all;
}

Answered<config::Config> load_config(const GlobalOptions& global) {
  if (global.snapshot >= 0) {
    auto config = app::config_of_snapshot(global.snapshot);
    if (!config) return refuse(kNo, config.error().text());
    return *std::move(config);
  }
  auto config = config::load(global.config);
  if (config) return *std::move(config);
  std::string text = describe_problems(config.error(), global.config);
  while (text.ends_with('\n')) text.pop_back();
  return std::unexpected(Reply{kWrong, std::move(text)});
}

}  // namespace

Answered<Protected> load_protected(const GlobalOptions& global) {
  auto config = load_config(global);
  if (!config) return std::unexpected(config.error());
  auto paths = app::find_paths(global.config, global.state);
  if (!paths) return refuse(kWrong, paths.error().text());
  if (!config->service) config->service = service_name_of(paths->folder);
  Protected service{.config = std::move(*config), .paths = std::move(*paths)};
  service.databases = sources(service.config.data.sqlite, service.paths.folder);
  service.files = sources(service.config.replicas.files, service.paths.folder);
  for (const config::Backup& backup : service.config.backups) {
    service.destinations.push_back(
        {storage::open_directory(from_folder(service.paths.folder, backup.to)), keep_of(backup.keep)});
  }
  return service;
}

Answered<std::vector<Destination>> choose_destinations(const Protected& service, const std::string& to) {
  if (!to.empty()) {
    const std::string folder = from_folder(current_folder(), to);
    const auto known =
        std::ranges::find(service.destinations, folder, [](const Destination& d) { return d.storage->where(); });
    if (known != service.destinations.end()) return std::vector{*known};
    return std::vector{Destination{storage::open_directory(folder), std::nullopt}};
  }
  if (!service.destinations.empty()) return service.destinations;
  return refuse(kWrong,
                service.paths.config_file +
                    " has no backups: add `backups: [{to: backups/, archive: \"02:00\"}]`, or name a folder with "
                    "--to DIR");
}

Answered<Located> locate(const Protected& service, const std::string& archive) {
  const auto find_in = [](const std::shared_ptr<storage::Destination>& storage,
                          const std::string& name) -> std::optional<Located> {
    const auto objects = storage->list();
    if (!objects) return std::nullopt;
    const auto found = std::ranges::find(*objects, name, &storage::Object::name);
    return found == objects->end() ? std::nullopt : std::optional(Located{storage, *found});
  };
  const fs::path path(from_folder(current_folder(), archive));
  if (auto found = find_in(storage::open_directory(path.parent_path().native()), path.filename().native())) {
    for (const Destination& known : service.destinations) {
      if (known.storage->where() == found->storage->where()) found->storage = known.storage;
    }
    return *found;
  }
  for (const Destination& destination : service.destinations) {
    if (auto found = find_in(destination.storage, archive)) return *found;
  }
  return refuse(kNo, "there is no archive " + archive + "; `nines backup list` shows those there are");
}

backup::Clock clock_here() {
  return {.wall = net::wall_time, .boot = net::boot_time, .pause = [](Duration d) {
            const auto whole = std::chrono::floor<std::chrono::seconds>(d);
            const timespec time{.tv_sec = whole.count(), .tv_nsec = (d - whole).count()};
            ::nanosleep(&time, nullptr);
          }};
}

backup::Plan plan_for(const Protected& service, const Destination& destination) {
  return {.service = *service.config.service,
          .nines = std::string(kVersion),
          .host = host_name(),
          .databases = service.databases,
          .files = service.files,
          .configuration =
              backup::Source{fs::path(service.paths.config_file).filename().native(), service.paths.config_file},
          .state = service.paths.state,
          .destination = destination.storage,
          .keep = destination.keep,
          .clock = clock_here(),
          .offset = backup::system_offset};
}

void report_event(const app::Paths& paths, const std::string& kind, const std::string& text, std::int64_t a,
                  std::int64_t b) {
  if (!app::holder_of(paths.lock_file())) return;
  const boost::json::object event{{"kind", kind}, {"text", text}, {"a", a}, {"b", b}};
  (void)app::ask(paths, {.method = "POST", .target = "/v1/events", .body = boost::json::serialize(event)});
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) value /= 1000, ++unit;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

}  // namespace nines::cli
