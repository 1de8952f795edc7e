#include <unistd.h>

#include <cstdio>

#include "app/listeners.h"
#include "app/standalone_gateway.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/event_line.h"
#include "cli/line_writer.h"
#include "cli/service_setup.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

std::string header(const config::Config& config) {
  const std::size_t count = config.replicas.endpoints.size();
  std::string line = "nines " + std::string(kVersion) + " · gateway of " + *config.service + " · " +
                     std::to_string(count) + (count == 1 ? " endpoint" : " endpoints") + " · listening on ";
  for (std::size_t i = 0; i < config.listen.size(); ++i) line += (i > 0 ? ", " : "") + config.listen[i].text();
  return line;
}

}  // namespace

int perform(const GlobalOptions& global, const GatewayOptions& options) {
  auto config = config::load(global.config);
  if (!config) {
    std::fputs(describe_problems(config.error(), global.config).c_str(), stderr);
    return kWrong;
  }
  if (config->replicas.endpoints.empty())
    return say(refuse(kWrong,
                      "`nines gateway` starts no server, it runs alone in front of `endpoints:`; with "
                      "`command:` use `nines up`, which has a gateway of its own")
                   .error());
  auto paths = app::find_paths(global.config, global.state);
  if (!paths) return say(refuse(kWrong, paths.error().text()).error());
  if (!config->service) config->service = service_name_of(paths->folder);
  if (options.threads) config->gateway.threads = options.threads;
  auto listeners = app::open_listeners(*config);
  if (!listeners) return say(refuse(kNo, listeners.error().text()).error());

  LineWriter out(STDERR_FILENO);
  const LineStyle style{.colour = wants_colour(STDERR_FILENO)};
  out.line(header(*config));
  return app::run_standalone_gateway(
      {.service = {std::move(*config), std::move(*paths)},
       .listeners = std::move(*listeners),
       .event =
           [&](const plane::Event& event, const std::string& endpoint) {
             const WallTime at = net::wall_time() - (net::boot_time() - event.at());
             out.line(event_line(event, endpoint, at, style));
           },
       .warning = [&](const std::string& text) { out.line(warning_line(text, net::wall_time(), style)); }});
}

}  // namespace nines::cli
