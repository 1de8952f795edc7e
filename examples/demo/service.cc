#include "service.h"

#include <unistd.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "app/tagged.h"
#include "base/text.h"
#include "victim.h"

namespace nines::demo {
namespace {

namespace fs = std::filesystem;

constexpr std::uint16_t kPortsTried = 100;
constexpr Duration kEarlierPatience = 15s;  // for an earlier demo to end, once its service has

Error in_context(Error error) { return std::move(error).in("the service says nothing"); }

}  // namespace

std::string config_text(const Ports& ports) {
  return "# Written by nines-demo, anew each time.\n"
         "service: language-id\n"
         "objective: 99.9%\n"
         "listen: 127.0.0.1:" +
         std::to_string(ports.service) +
         "\n"
         "dashboard: 127.0.0.1:" +
         std::to_string(ports.dashboard) +
         "\n"
         "replicas:\n"
         "  count: " +
         std::to_string(kReplicas) +
         "\n"
         "  command: [../bin/language-id, --port, \"{port}\", --db, data/ai_api.db, --delay, 20ms]\n"
         "  health: {path: /health}\n"
         "routes:\n"
         "  - {path: /classify, replay: safe}\n"
         "data: {sqlite: data/ai_api.db}\n"
         "backups:\n"
         "  - {to: backups/, keep: {within: 7d}}\n";
}

Result<std::vector<ArchiveInfo>> parse_archives(std::string_view text) {
  try {
    std::vector<ArchiveInfo> archives;
    const auto value = boost::json::parse(text);
    for (const boost::json::value& archive : value.at("archives").as_array()) {
      archives.push_back({.file = std::string(archive.at("archive").as_string()),
                          .bytes = archive.at("bytes").to_number<std::uint64_t>(),
                          .verified = archive.at("verified").as_bool()});
    }
    return archives;
  } catch (const std::exception&) {
    return failure(Code::kProtocol, "this is no list of archives: " + std::string(text.substr(0, 200)));
  }
}

Task<Result<>> Service::prepare() {
  if (auto found = find_programs(); !found) co_return failure(std::move(found.error()));
  if (auto made = make_folder(); !made) co_return failure(std::move(made.error()));
  auto paths = app::find_paths(options_.folder + "/nines.yaml", "");
  if (!paths) co_return failure(std::move(paths.error()));
  paths_ = std::move(*paths);
  if (auto ended = co_await end_earlier(); !ended) co_return failure(std::move(ended.error()));
  if (auto chosen = choose_ports(); !chosen) co_return failure(std::move(chosen.error()));
  co_return begin_afresh();
}

Result<> Service::find_programs() const {
  for (const char* name : {"nines", "language-id"}) {
    const std::string program = options_.programs + "/" + name;
    if (::access(program.c_str(), X_OK) != 0)
      return failure(Code::kNotFound, program + " is not there: build it with `./dev build`");
  }
  return {};
}

// The lock's file is also the mark of a folder that a demo made, so that cleaning it cannot hurt anybody.
std::string Service::lock_file() const { return options_.folder + "/.nines-demo.lock"; }

Result<> Service::make_folder() {
  std::error_code error;
  const fs::path folder = options_.folder;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error) && !fs::exists(lock_file(), error))
    return failure(Code::kExists, options_.folder + " is not empty and not of a demo: move it away");
  fs::create_directories(folder, error);
  if (error) return failure(os_error(error.value(), "make the folder " + options_.folder));
  return {};
}

// Its service first: then its demo, if that runs still, has nothing left to show and ends, too.
Task<Result<>> Service::end_earlier() {
  for (const Instant until = loop_.now() + kEarlierPatience; !lock_;) {
    if (const auto holder = app::holder_of(paths_.lock_file())) {
      options_.note("An earlier demo is still running here, its service as pid " + std::to_string(*holder) +
                    ": stopping it first.");
      if (auto ended = co_await run_down(); !ended)
        co_return failure(std::move(ended.error()).in("end the earlier demo"));
    }
    auto lock = app::StateLock::take(lock_file());
    if (lock) {
      lock_ = std::move(*lock);
    } else if (lock.error().code() != Code::kExists) {
      co_return failure(std::move(lock.error()));
    } else if (loop_.now() >= until) {
      const auto pid = std::to_string(app::holder_of(lock_file()).value_or(0));
      co_return failure(Code::kExists, "another demo is at work here, as pid " + pid + ": end it first");
    } else if (auto slept = co_await loop_.sleep(100ms); !slept) {
      co_return failure(slept.error());
    }
  }
  // Of one whose supervisor was killed. Before the port is chosen: they may hold it.
  const std::size_t strays = co_await app::end_leftovers(loop_, paths_, {});
  if (strays > 0)
    options_.note("Ended " + std::to_string(strays) + (strays == 1 ? " process" : " processes") +
                  " that an earlier demo left behind.");
  co_return Result<>{};
}

Result<> Service::begin_afresh() {
  std::error_code error;
  const fs::path folder = options_.folder;
  for (const char* name : {".nines", "data", "backups"}) fs::remove_all(folder / name, error);
  if (error) return failure(os_error(error.value(), "clean " + options_.folder));
  fs::create_directories(folder / "data", error);
  if (error) return failure(os_error(error.value(), "make the folder " + options_.folder + "/data"));
  std::ofstream file(paths_.config_file, std::ios::trunc);
  file << config_text(options_.ports) << std::flush;
  if (!file) return failure(Code::kIo, "cannot write " + paths_.config_file);
  return {};
}

Result<> Service::choose_ports() {
  const auto service = take_port(options_.ports.service);
  if (!service) return failure(service.error());
  const auto dashboard = take_port(options_.ports.dashboard);
  if (!dashboard) return failure(dashboard.error());
  return {};
}

// It, or the next free one; nobody else gets it while the descriptor is open.
Result<Fd> Service::take_port(std::uint16_t& port) const {
  for (std::uint32_t candidate = port; candidate < port + kPortsTried && candidate <= 65535; ++candidate) {
    auto listener = net::open_listener(net::Address::loopback(static_cast<std::uint16_t>(candidate)));
    if (!listener && listener.error().code() == Code::kExists) continue;
    if (listener && candidate != port)
      options_.note("Port " + std::to_string(port) + " is taken by another program: using " +
                    std::to_string(candidate) + ".");
    port = static_cast<std::uint16_t>(candidate);
    return listener;
  }
  return failure(Code::kExists, "no port from " + std::to_string(port) + " on is free; choose another with --port");
}

// Kept until it has ended, so that down() can wait for one that was cancelled.
Task<Result<std::string>> Service::command(std::vector<std::string> words) {
  std::string name = "`nines";
  for (const std::string& word : words) name += " " + word;
  words.insert(words.begin(), nines());
  auto child = Child::start(loop_, std::move(words), options_.folder);
  if (!child) co_return failure(std::move(child.error()));
  running_ = std::move(*child);
  const auto ended = co_await running_->ended();
  if (!ended) co_return failure(ended.error());
  running_.reset();
  std::string said(trim(ended->output));
  if (ended->status != 0)
    co_return failure(Code::kUnavailable, name + "` ended with status " + std::to_string(ended->status) + "\n" + said);
  co_return said;
}

Task<Result<std::string>> Service::up() {
  begun_ = true;
  co_return co_await command({"up", "--detach"});
}

Task<Result<std::string>> Service::back_up() { return command({"backup", "now"}); }

Task<Result<std::vector<ArchiveInfo>>> Service::archives() {
  const auto said = co_await command({"backup", "list", "--json"});
  if (!said) co_return failure(said.error());
  co_return parse_archives(*said);
}

Task<Result<std::string>> Service::restore() { return command({"restore", "--yes"}); }

Task<Result<std::string>> Service::down() {
  if (running_) {
    // `nines up` ends the service that it is starting before it ends itself; `nines restore` finishes.
    running_->ask_to_end();
    (void)co_await running_->ended();
    running_.reset();
  }
  if (!std::exchange(begun_, false)) co_return std::string();
  std::string said;
  if (app::holder_of(paths_.lock_file())) {
    auto ended = co_await run_down();
    if (ended) said = std::move(*ended);
    if (!ended) options_.note(ended.error().text());
  }
  if (!pids_left().empty()) {
    if (auto forced = co_await end_by_force(); !forced) co_return failure(std::move(forced.error()));
  }
  co_return said;
}

Task<Result<std::string>> Service::run_down() {
  auto child = Child::start(loop_, {nines(), "down", "--timeout", "30s"}, options_.folder);
  if (!child) co_return failure(std::move(child.error()));
  const auto ended = co_await (*child)->ended();
  if (!ended) co_return failure(ended.error());
  std::string said(trim(ended->output));
  constexpr int kNotRunning = 3;  // it ended by itself meanwhile
  if (ended->status == kNotRunning) co_return std::string();
  if (ended->status != 0)
    co_return failure(Code::kIo, "`nines down` ended with status " + std::to_string(ended->status) + ": " + said);
  co_return said;
}

Task<Result<>> Service::end_by_force() {
  const std::string left = pids_left();
  options_.note("Still there, so killed: " + left + ".");
  if (const auto holder = app::holder_of(paths_.lock_file()); holder.value_or(0) > 0)
    (void)Victim(static_cast<std::uint64_t>(*holder)).kill();
  (void)co_await app::end_leftovers(loop_, paths_, {});
  app::remove_run_folder(paths_);
  const std::string stubborn = pids_left();
  if (stubborn.empty()) co_return failure(Code::kIo, "`nines down` left processes behind (" + left + "), now killed");
  co_return failure(Code::kIo, "these processes are left, end them with kill -9: " + stubborn);
}

std::string Service::pids_left() const {
  std::string pids;
  const auto add = [&](std::int64_t pid) { pids += (pids.empty() ? "" : ", ") + std::to_string(pid); };
  if (const auto holder = app::holder_of(paths_.lock_file())) add(*holder);
  for (const supervise::Found& stray : app::find_tagged(paths_)) add(stray.pid);
  return pids;
}

Task<Result<cli::ServiceStatus>> Service::status() {
  const auto answer = co_await app::ask(loop_, paths_, {.target = "/v1/status"});
  if (!answer) co_return failure(in_context(answer.error()));
  co_return cli::parse_status(*answer);
}

Task<Result<std::vector<cli::PastEvent>>> Service::events(std::uint64_t from) {
  const auto answer = co_await app::ask(loop_, paths_, {.target = "/v1/events?after=" + std::to_string(from)});
  if (!answer) co_return failure(in_context(answer.error()));
  // An object with "events" in it reads as a status of which nothing else is known.
  auto read = cli::parse_status(*answer);
  if (!read) co_return failure(std::move(read.error()));
  co_return std::move(read->events);
}

}  // namespace nines::demo
