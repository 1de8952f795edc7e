#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>

#include "app/gateway_settings.h"
#include "cli/commands.h"
#include "cli/service_setup.h"
#include "cli/target.h"
#include "config/changes.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

namespace json = boost::json;

constexpr Duration kBetweenLooks = 20ms;

// What the file says now, with what the service adds to it.
Answered<config::Config> config_to_reload(const app::Paths& paths, const ServiceStatus& status) {
  if (status.config.empty())
    return refuse(kWrong, "this service has no file: `nines down`, then `nines run` with other options");
  auto config = load_again(status.config);
  if (!config) return config;
  if (!config->service) config->service = service_name_of(paths.folder);
  if (const auto& name = config->gateway.unavailable_page) {
    const auto page = app::read_unavailable_page(std::filesystem::path(paths.folder) / *name);
    if (!page) return refuse(kWrong, "gateway.unavailable_page: " + page.error().text());
  }
  return config;
}

// "  gateway.queue: 100 -> 7" for each; empty: nothing is another.
std::string changes_in(const json::object& answer) {
  std::string text;
  const json::value* const changes = answer.if_contains("changes");
  if (changes == nullptr || !changes->is_array()) return text;
  const auto field = [](const json::value& change, std::string_view name) {
    const json::value* const value = change.is_object() ? change.as_object().if_contains(name) : nullptr;
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
  };
  for (const json::value& change : changes->as_array()) {
    text += "\n  " + config::text_of({field(change, "key"), field(change, "before"), field(change, "after")});
  }
  return text;
}

// Until a supervisor serves that goes by this configuration, with a gateway and a keeper that do. nullopt: it does.
Task<std::optional<Reply>> wait_for(net::Loop& loop, const app::Paths& paths, std::string digest, Duration timeout,
                                    std::optional<std::uint64_t> before) {
  const Instant began = loop.now();
  while (true) {
    const auto answer = co_await app::ask(loop, paths, {.target = "/v1/status"});
    const auto status = answer ? parse_status(*answer) : failure(answer.error());
    const bool taken = status && status->supervisor_pid != before && status->configuration == digest;
    if (taken && status->state == "running" && !status->renewing) co_return std::nullopt;
    if (status && !taken && !status->reloading)
      co_return Reply{kNo, "nines: not reloaded, and nothing has changed: " + paths.own_log() + " tells why"};
    if (loop.now() - began >= timeout) {
      const std::string why = !status ? status.error().text()
                              : taken ? "the configuration is taken, and what it brings is still being started"
                                      : "replicas that are too many still finish their requests";
      co_return Reply{kNo, "nines: not done after " + format_duration(loop.now() - began) + ": " + why +
                               "; it goes on, and `nines status` tells more"};
    }
    if (!co_await loop.sleep(kBetweenLooks)) co_return Reply{kNo, "nines: interrupted; the reload goes on"};
  }
}

}  // namespace

int perform(const GlobalOptions& global, const ReloadOptions& options) {
  const auto paths = find_service(global);
  if (!paths) return say(paths.error());
  const auto before = ask_status(*paths);
  if (!before) return say(before.error());
  const auto config = config_to_reload(*paths, *before);
  if (!config) return say(config.error());
  json::object body = json::parse(asked_by("nines reload")).as_object();
  body["config"] = config::to_yaml(*config);
  body["only_ask"] = options.only_ask;
  const auto answer = ask_service(*paths, {.method = "POST", .target = "/v1/reload", .body = json::serialize(body)});
  if (!answer) return say(answer.error());
  boost::system::error_code bad;
  const json::value parsed = json::parse(*answer, bad);
  if (bad || !parsed.is_object() || !parsed.as_object().contains("configuration"))
    return say(refuse(kNo, "the service gave no answer that this version understands").error());
  const json::object& plan = parsed.as_object();
  const auto digest = json::value_to<std::string>(plan.at("configuration"));
  if (!options.only_ask) {
    net::EpollLoop loop;
    const auto failed = loop.run(wait_for(loop, *paths, digest, options.timeout, before->supervisor_pid));
    if (failed) return say(*failed);
  }
  if (options.json) return say({kDone, *answer});
  const std::string changes = changes_in(plan);
  if (options.only_ask)
    return say({kDone, changes.empty() ? "nothing would change" : "a reload would change" + changes});
  return say({kDone, before->service + (changes.empty() ? " is reloaded; its configuration is as it was"
                                                        : " is reloaded" + changes)});
}

}  // namespace nines::cli
