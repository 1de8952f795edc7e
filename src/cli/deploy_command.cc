// nines deploy and nines rollback: what they ask for, and how they watch it.
#include <boost/json.hpp>
#include <cstdio>

#include "backup/file_store.h"
#include "cli/commands.h"
#include "cli/releases.h"
#include "cli/service_setup.h"
#include "cli/target.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

namespace json = boost::json;

constexpr Duration kBetweenLooks = 100ms;
constexpr Duration kPatience = 10s;  // for a service that does not answer, since its supervisor is being replaced

// The configuration to deploy: that of the file, or the one `nines run` would make.
Answered<config::Config> config_to_deploy(const app::Paths& paths, const DeployOptions& options) {
  const auto status = ask_status(paths);
  if (!status) return std::unexpected(status.error());
  if (status->config.empty()) {
    if (options.command.empty())
      return refuse(kWrong,
                    "this service has no file: nines deploy -- COMMAND, with {port} in it, says what is deployed");
    auto config = config_of({.command = options.command});
    if (!config) return refuse(kWrong, config.error().text());
    return *std::move(config);
  }
  if (!options.command.empty())
    return refuse(kWrong, status->config + " says what is run: change it there, then `nines deploy`");
  return load_again(status->config);
}

// Copies the new files into the service's store: where each is meant to go, and its digest.
Answered<json::object> store_files(const app::Paths& paths, const DeployOptions& options) {
  json::object digests;
  backup::FileStore store(paths.file_store());
  for (const std::string& file : options.files) {
    const auto equals = file.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == file.size())
      return refuse(kWrong, "--file: \"" + file + "\" is not PATH=NEW, such as model.bin=/tmp/new-model.bin");
    const auto digest = store.put(file.substr(equals + 1));
    if (!digest) return refuse(kNo, digest.error().text());
    digests[file.substr(0, equals)] = *digest;
  }
  return digests;
}

// Says how it goes, until nothing is under way. The last answer.
Task<Answered<std::string>> watch(net::Loop& loop, const app::Paths& paths, bool aloud) {
  std::string said;
  Instant answered = loop.now();
  while (true) {
    const auto answer = co_await app::ask(loop, paths, {.target = "/v1/releases"});
    const auto status = answer ? parse_releases(*answer) : failure(answer.error());
    if (status) {
      answered = loop.now();
      if (!status->deploy) co_return *answer;
      const std::string now = status->deploy->why.empty()
                                  ? status->deploy->progress
                                  : "rolled back: " + status->deploy->why + "; " + status->deploy->progress;
      if (aloud && now != said) std::printf("%s\n", now.c_str()), std::fflush(stdout);
      said = now;
    } else if (loop.now() - answered >= kPatience) {
      co_return std::unexpected(explain(status.error(), paths, app::holder_of(paths.lock_file())));
    }
    if (!co_await loop.sleep(kBetweenLooks)) co_return refuse(kNo, "interrupted; the deploy goes on");
  }
}

std::uint64_t release_in(const std::string& answer) {
  boost::system::error_code bad;
  const json::value value = json::parse(answer, bad);
  const json::value* const number = !bad && value.is_object() ? value.as_object().if_contains("release") : nullptr;
  return number != nullptr && number->is_int64() ? static_cast<std::uint64_t>(number->as_int64()) : 0;
}

std::string as_json(const ReleasesStatus& status, const ReleaseStatus& release) {
  return json::serialize(json::object{{"release", release.number},
                                      {"outcome", release.outcome},
                                      {"active", status.active},
                                      {"why", release.why.empty() ? json::value(nullptr) : json::value(release.why)}});
}

// Asks for it, and unless told otherwise waits for its end.
int ask_and_watch(const app::Paths& paths, app::ControlRequest request, bool detach, bool as_json_wanted) {
  const auto begun = ask_service(paths, std::move(request));
  if (!begun) return say(begun.error());
  const std::uint64_t number = release_in(*begun);
  const std::string name = "release " + std::to_string(number);
  if (detach)
    return say({kDone, as_json_wanted ? *begun : name + " is under way; `nines deploy --history` shows how it goes"});
  net::EpollLoop loop;
  const auto ended = loop.run(watch(loop, paths, !as_json_wanted));
  if (!ended) return say(ended.error());
  const auto status = parse_releases(*ended);
  const ReleaseStatus* const release = status ? status->find(number) : nullptr;
  if (release == nullptr)
    return say(refuse(kNo, name + " is not known any more; see `nines deploy --history`").error());
  const bool good = release->outcome == "done" && status->active == number;
  if (as_json_wanted) {
    std::printf("%s\n", as_json(*status, *release).c_str());
    return good ? kDone : kNo;
  }
  if (good) return say({kDone, name + " is the one now"});
  return say(refuse(kNo, name + " was rolled back: " + (release->why.empty() ? "another one is active" : release->why) +
                             "; release " + std::to_string(status->active) + " serves")
                 .error());
}

}  // namespace

int perform(const GlobalOptions& global, const DeployOptions& options) {
  const auto paths = find_service(global);
  if (!paths) return say(paths.error());
  if (options.history) {
    const auto answer = ask_service(*paths, {.target = "/v1/releases"});
    if (!answer) return say(answer.error());
    if (options.json) return say({kDone, *answer});
    const auto status = parse_releases(*answer);
    if (!status) return say(refuse(kNo, status.error().text()).error());
    std::fputs(render_releases(*status, style_here()).c_str(), stdout);
    return kDone;
  }
  auto config = config_to_deploy(*paths, options);
  if (!config) return say(config.error());
  if (!config->replicas.command.empty()) {
    if (const auto found = find_command(*config, paths->folder); !found)
      return say(refuse(kWrong, found.error().text()).error());
  }
  auto files = store_files(*paths, options);
  if (!files) return say(files.error());
  json::object body = json::parse(asked_by("nines deploy")).as_object();
  body["files"] = *std::move(files);
  body["config"] = config::to_yaml(*config);
  body["again"] = options.again;
  return ask_and_watch(*paths, {.method = "POST", .target = "/v1/deploy", .body = json::serialize(body)},
                       options.detach, options.json);
}

int perform(const GlobalOptions& global, const RollbackOptions& options) {
  const auto paths = find_service(global);
  if (!paths) return say(paths.error());
  json::object body = json::parse(asked_by("nines rollback")).as_object();
  if (options.release) body["release"] = *options.release;
  return ask_and_watch(*paths, {.method = "POST", .target = "/v1/rollback", .body = json::serialize(body)},
                       options.detach, options.json);
}

}  // namespace nines::cli
