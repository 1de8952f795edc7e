#include <boost/json.hpp>

#include "cli/commands.h"
#include "cli/target.h"
#include "cli/terminal.h"
#include "ledger/reader.h"

namespace nines::cli {
namespace {

namespace json = boost::json;

}  // namespace

int perform(const GlobalOptions& global, const CheckLedgerOptions& options) {
  const auto paths = find_service(global, /*dead_too=*/true);
  if (!paths) return say(paths.error());
  const auto reader = ledger::Reader::open(paths->ledger_file());
  if (!reader) return say({kNo, "nines: " + reader.error().text()});
  const auto verified = reader->verify();
  if (!verified) return say({kNo, "nines: " + verified.error().text()});
  const auto slices = reader->check_slices();
  if (!slices) return say({kNo, "nines: " + slices.error().text()});
  const bool whole = !verified->broken && !*slices;
  const std::string why = verified->broken
                              ? "row " + std::to_string(verified->broken->seq) + ": " + verified->broken->why
                          : *slices ? **slices
                                    : "";
  if (options.json) {
    const json::object all{{"whole", whole},
                           {"rows", verified->rows},
                           {"first", verified->first_seq},
                           {"last", verified->last_seq},
                           {"why", whole ? json::value(nullptr) : json::value(why)}};
    say({kDone, json::serialize(all)});
    return whole ? kDone : kNo;
  }
  if (!whole) return say({kNo, "nines: " + paths->ledger_file() + " is damaged or was changed: " + why});
  return say({kDone, paths->ledger_file() + " is whole: " + with_commas(verified->rows) + " rows, " +
                         std::to_string(verified->first_seq) + " to " + std::to_string(verified->last_seq) +
                         ", and every slice is the sum of its parts"});
}

}  // namespace nines::cli
