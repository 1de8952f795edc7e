#include <csignal>
#include <string>
#include <vector>

#include "app/anchor.h"
#include "app/service.h"
#include "cli/backup_setup.h"
#include "cli/commands.h"
#include "cli/service_runner.h"

namespace {

using namespace nines;

int dispatch(const std::vector<std::string>& words) {
  // Before anything is parsed: these are what the supervisor starts, with arguments of its own.
  if (!words.empty() && words.front().starts_with("internal-")) {
    const std::vector<std::string> arguments(words.begin() + 1, words.end());
    if (words.front() == "internal-anchor") return app::anchor_main(arguments);
    if (words.front() == "internal-supervisor") return cli::supervisor_main(arguments);
    if (words.front() == "internal-gateway") return app::gateway_main(arguments);
    if (words.front() == "internal-keeper") return app::keeper_main(arguments);
    if (words.front() == "internal-backup") return cli::internal_backup_main(arguments);
  }
  const auto invocation = cli::parse_arguments(words);
  if (!invocation) return cli::say(invocation.error());
  return std::visit([&](const auto& options) { return cli::perform(invocation->global, options); },
                    invocation->command);
}

}  // namespace

int main(int count, char** words) {
  // Whoever started us may ignore it; then children would be reaped without a word of how they ended.
  std::signal(SIGCHLD, SIG_DFL);
  return dispatch(std::vector<std::string>(words + (count > 0 ? 1 : 0), words + count));
}
