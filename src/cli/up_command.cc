#include <cstdio>

#include "cli/commands.h"
#include "cli/service_runner.h"

namespace nines::cli {

int perform(const GlobalOptions& global, const UpOptions& options) {
  if (!options.detach) keep_signals_for_anchor();
  auto config = config::load(global.config);
  if (!config) {
    std::fputs(describe_problems(config.error(), global.config).c_str(), stderr);
    return kWrong;
  }
  auto paths = app::find_paths(global.config, global.state);
  if (!paths) return say(refuse(kWrong, paths.error().text()).error());
  const StartOptions start{.detach = options.detach, .hint = ""};
  auto prepared = prepare(std::move(*config), *paths);
  if (prepared) return start_service(std::move(*prepared), start);
  // It runs, but its anchor is dead: then this is the next one. For systemd, which starts `nines up` again.
  if (app::holder_of(paths->lock_file()) && anchor_is_dead(*paths)) return take_over_service(*paths, start);
  return say(prepared.error());
}

}  // namespace nines::cli
