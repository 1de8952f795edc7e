#include <cstdio>

#include "cli/commands.h"
#include "cli/service_runner.h"

namespace nines::cli {

int perform(const GlobalOptions& global, const UpOptions& options) {
  auto config = config::load(global.config);
  if (!config) {
    std::fputs(describe_problems(config.error(), global.config).c_str(), stderr);
    return kWrong;
  }
  auto paths = app::find_paths(global.config, global.state);
  if (!paths) return say(refuse(kWrong, paths.error().text()).error());
  auto prepared = prepare(std::move(*config), std::move(*paths));
  if (!prepared) return say(prepared.error());
  return options.detach ? run_detached(std::move(*prepared)) : run_in_foreground(std::move(*prepared), "");
}

}  // namespace nines::cli
