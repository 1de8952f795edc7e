#include <cstdio>

#include "cli/calc.h"
#include "cli/commands.h"

namespace nines::cli {

int perform(const GlobalOptions&, const CalcOptions& options) {
  const CalcAnswer answer = calculate(options);
  if (options.json) return say({kDone, answer.json});
  std::fputs(answer.text.c_str(), stdout);
  return kDone;
}

}  // namespace nines::cli
