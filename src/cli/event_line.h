// The lines `nines up` prints while a service runs. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/service.h"
#include "base/time.h"
#include "cli/terminal.h"
#include "plane/event_text.h"

namespace nines::cli {

Colour colour_of(plane::Mood mood);

struct LineStyle {
  bool colour = false;
  bool date = false;  // in a file, which is read on another day
};

// "19:26:01.123", in local time.
std::string clock_text(WallTime at, const LineStyle& style);
std::string event_line(const plane::Event& event, std::string_view replica, WallTime at, const LineStyle& style);
std::string warning_line(std::string_view warning, WallTime at, const LineStyle& style);
// "language-id is up on http://127.0.0.1:8000 (3 of 3 ready)"
std::string up_line(std::string_view service, const std::vector<std::string>& addresses, std::size_t ready,
                    int replicas);

// Why it ended, for stderr: the message, and the log's last lines below it. Empty when all went as asked.
std::string outcome_text(const app::Outcome& outcome);

}  // namespace nines::cli
