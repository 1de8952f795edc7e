// Any text as nines.yaml: problems that point into the text, or a configuration that survives being written and read
// again.
#include <cstdlib>

#include "config/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nines;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = config::parse(text);
  if (!config) {
    if (config.error().empty()) std::abort();
    for (const config::Problem& problem : config.error()) {
      if (problem.complaint.what.empty()) std::abort();
      (void)config::format(problem, "nines.yaml");
    }
    return 0;
  }
  const auto again = config::parse(config::to_yaml(*config));
  if (!again || *again != *config) std::abort();
  return 0;
}
