#include "cli/commands.h"
#include "cli/service_runner.h"

namespace nines::cli {

int perform(const GlobalOptions& global, const RunOptions& options) {
  if (global.config_given) return say(refuse(kWrong, "`nines run` reads no file; with -c use `nines up`").error());
  keep_signals_for_anchor();
  auto config = config_of(options);
  if (!config) return say(refuse(kWrong, config.error().text()).error());
  auto paths = app::paths_without_file(global.state, config->listen.front().text());
  if (!paths) return say(refuse(kWrong, paths.error().text()).error());
  const std::string hint = "in another terminal: nines --state " + paths->state + " status";
  auto prepared = prepare(std::move(*config), std::move(*paths));
  if (!prepared) return say(prepared.error());
  return start_service(std::move(*prepared), {.hint = hint});
}

}  // namespace nines::cli
