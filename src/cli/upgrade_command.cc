#include <boost/json.hpp>
#include <cstdio>

#include "base/version.h"
#include "cli/commands.h"
#include "cli/service_runner.h"
#include "cli/service_setup.h"
#include "cli/target.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

constexpr Duration kBetweenLooks = 20ms;

std::string body_of(const std::string& program) {
  return boost::json::serialize(boost::json::object{{"program", program}});
}

// Until the next supervisor serves, with a gateway and a keeper of this program.
Task<Reply> wait_for_successor(net::Loop& loop, const app::Paths& paths, const ServiceStatus& before,
                               Duration timeout) {
  const Instant began = loop.now();
  while (true) {
    const auto answer = co_await app::ask(loop, paths, {.target = "/v1/status"});
    const auto status = answer ? parse_status(*answer) : failure(answer.error());
    const Duration took = loop.now() - began;
    if (status && status->supervisor_pid != before.supervisor_pid && status->state == "running" && !status->renewing) {
      std::string text = status->service + " is upgraded from " + before.version + " to " + status->version + ", in " +
                         format_duration(took) + "; its replicas were not touched";
      for (const std::string& problem : status->problems) text += "\n" + problem;
      co_return Reply{kDone, std::move(text)};
    }
    if (took >= timeout) {
      const std::string why = status ? "its parts are still being replaced" : status.error().text();
      co_return Reply{kNo, "nines: not upgraded after " + format_duration(took) + ": " + why + "; `nines status` and " +
                               paths.own_log() + " tell more"};
    }
    if (!co_await loop.sleep(kBetweenLooks)) co_return Reply{kNo, "nines: interrupted"};
  }
}

}  // namespace

int perform(const GlobalOptions& global, const UpgradeOptions& options) {
  const auto paths = find_service(global);
  if (!paths) return say(paths.error());
  const auto before = ask_status(*paths);
  if (!before) return say(before.error());
  if (!before->anchor_pid) return take_over_service(*paths, {.detach = true, .hint = ""});
  const auto program = this_program();
  if (!program) return say({kNo, "nines: " + program.error().text()});
  const auto answer = ask_service(*paths, {.method = "POST", .target = "/v1/upgrade", .body = body_of(*program)});
  if (!answer) return say(answer.error());
  net::EpollLoop loop;
  return say(loop.run(wait_for_successor(loop, *paths, *before, options.timeout)));
}

}  // namespace nines::cli
