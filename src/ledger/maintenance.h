// Declared maintenance: stretches of time that somebody has announced, out of the events of the record. Pure.
//
// Only what is to come can be declared (whoever accepts it sees to that): time that has passed is what it was.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ledger/event.h"

namespace nines::ledger {

class Maintenance {
 public:
  static constexpr std::string_view kPlanned = "maintenance_planned";  // a, b: from and to, Unix seconds; text: why
  static constexpr std::string_view kEnded = "maintenance_ended";      // a: at, Unix seconds: what goes on then ends

  struct Window {
    std::int64_t from = 0, to = 0;  // Unix seconds
    std::string text;
    bool operator==(const Window&) const = default;
  };

  // In the order of the record; other kinds are nothing.
  void add(const Event& event);

  bool covers(std::int64_t second) const;
  // In the order in which they were declared; none is empty. They may overlap.
  const std::vector<Window>& windows() const { return windows_; }

 private:
  std::vector<Window> windows_;
};

}  // namespace nines::ledger
