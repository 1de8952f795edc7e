#include "ledger/maintenance.h"

#include <algorithm>

namespace nines::ledger {

void Maintenance::add(const Event& event) {
  if (event.kind == kPlanned && event.a < event.b) windows_.push_back({event.a, event.b, event.text});
  if (event.kind != kEnded) return;
  for (Window& window : windows_)
    if (window.from <= event.a && event.a < window.to) window.to = event.a;
  std::erase_if(windows_, [](const Window& window) { return window.from >= window.to; });
}

bool Maintenance::covers(std::int64_t second) const {
  return std::ranges::any_of(windows_, [&](const Window& w) { return w.from <= second && second < w.to; });
}

}  // namespace nines::ledger
