#include <pwd.h>

#include <boost/json.hpp>
#include <cstdio>

#include "cli/commands.h"
#include "cli/service_setup.h"
#include "cli/systemd_unit.h"

namespace nines::cli {
namespace {

Result<std::string> home_of(const std::optional<std::string>& user) {
  const struct passwd* const entry = user ? ::getpwnam(user->c_str()) : ::getpwuid(0);
  if (entry == nullptr && user)
    return failure(Code::kNotFound, "--user: there is no user " + *user + " here; `useradd --system " + *user +
                                        "` makes one, and the service's folder must be theirs");
  return std::string(entry != nullptr && entry->pw_dir != nullptr && entry->pw_dir[0] == '/' ? entry->pw_dir : "");
}

}  // namespace

int perform(const GlobalOptions& global, const ExportOptions& options) {
  auto config = config::load(global.config);
  if (!config) {
    std::fputs(describe_problems(config.error(), global.config).c_str(), stderr);
    return kWrong;
  }
  auto paths = app::find_paths(global.config, global.state);
  if (!paths) return say(refuse(kWrong, paths.error().text()).error());
  if (!config->service) config->service = service_name_of(paths->folder);
  auto program = this_program();
  if (!program) return say(refuse(kNo, program.error().text()).error());
  auto home = home_of(options.user);
  if (!home) return say(refuse(kWrong, home.error().text()).error());
  const auto unit = systemd_unit(*config, {.program = std::move(*program),
                                           .paths = std::move(*paths),
                                           .state_given = !global.state.empty(),
                                           .user = options.user,
                                           .home = std::move(*home)});
  if (!unit) return say(refuse(kNo, unit.error().text()).error());
  if (!options.json) {
    std::fputs(unit->c_str(), stdout);
    return kDone;
  }
  return say({kDone, boost::json::serialize(boost::json::object{{"name", unit_name(*config)}, {"unit", *unit}})});
}

}  // namespace nines::cli
