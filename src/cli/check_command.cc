#include <cstdio>
#include <filesystem>

#include "app/gateway_settings.h"
#include "cli/commands.h"
#include "cli/service_setup.h"
#include "cli/summary.h"
#include "cli/timezone.h"

namespace nines::cli {
namespace {

int report(const std::vector<config::Problem>& problems, const std::string& file, bool json) {
  if (json) {
    std::printf("%s\n", problems_json(problems, file).c_str());
  } else {
    std::fputs(describe_problems(problems, file).c_str(), stderr);
  }
  return kWrong;
}

}  // namespace

int perform(const GlobalOptions& global, const CheckOptions& options) {
  auto config = config::load(global.config);
  if (!config) return report(config.error(), global.config, options.json);
  const auto paths = app::find_paths(global.config, global.state);
  if (!paths) return say(refuse(kWrong, paths.error().text()).error());
  if (!config->service) config->service = service_name_of(paths->folder);
  const auto about = [&](const std::string& what) {
    return report({config::Problem{{.line = 0, .column = 1}, {what, ""}, ""}}, global.config, options.json);
  };
  const auto program = config->replicas.command.empty() ? Result<std::string>("")  // servers elsewhere
                                                        : find_command(*config, paths->folder);
  if (!program) return about("replicas.command: " + program.error().text());
  if (const auto& name = config->gateway.unavailable_page) {
    const auto page = app::read_unavailable_page(std::filesystem::path(paths->folder) / *name);
    if (!page) return about("gateway.unavailable_page: " + page.error().text());
  }
  if (const auto zone = find_zone(config->timezone); !zone) return about("timezone: " + zone.error().text());
  if (options.json) return say({kDone, summary_json(*config, global.config, *program)});
  std::fputs(summary_text(*config, global.config, *program).c_str(), stdout);
  return kDone;
}

}  // namespace nines::cli
