#include "cli/commands.h"
#include "cli/ledger_check.h"
#include "cli/target.h"

namespace nines::cli {

int perform(const GlobalOptions& global, const CheckLedgerOptions& options) {
  const auto paths = find_service(global, /*dead_too=*/true);
  if (!paths) return say(paths.error());
  const auto check = check_ledger(paths->ledger_file());
  if (!check) {
    const int exit_status = check.error().code() == Code::kNotFound ? kNotRunning : kNo;
    return say({exit_status, "nines: " + check.error().text()});
  }
  if (!options.json) return say({check->whole() ? kDone : kNo, (check->whole() ? "" : "nines: ") + text_of(*check)});
  // Asked for as JSON it goes to stdout, whatever it says.
  say({kDone, json_of(*check)});
  return check->whole() ? kDone : kNo;
}

}  // namespace nines::cli
