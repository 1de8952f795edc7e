// Any bytes as a file of the time zone database: an error, or a zone whose clocks are less than eight days ahead at any
// moment, and which says so without reading behind the end.
#include <cstdlib>

#include "availability/zone.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nines;
  const auto zone = availability::Zone::parse("X", {reinterpret_cast<const char*>(data), size});
  if (!zone) return 0;
  for (std::int64_t month = -1200; month < 2400; month += 7) {
    const WallTime t = WallTime{} + month * std::chrono::hours(730);
    if (std::chrono::abs(zone->offset_at(t)) >= 192h) std::abort();
    (void)zone->at_or_after(zone->local(t));
  }
  return 0;
}
