#include "cli/event_line.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "cli/terminal.h"

namespace nines::cli {
Colour colour_of(plane::Mood mood) {
  switch (mood) {
    case plane::Mood::kNeutral: return Colour::kNone;
    case plane::Mood::kGood: return Colour::kGreen;
    case plane::Mood::kWarning: return Colour::kYellow;
    case plane::Mood::kBad: return Colour::kRed;
  }
  return Colour::kNone;
}

std::string clock_text(WallTime at, const LineStyle& style) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(at);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at - whole).count();
  const std::time_t seconds = whole.time_since_epoch().count();
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::array<char, 48> text;
  const auto size = std::strftime(text.data(), text.size(), style.date ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &local);
  std::snprintf(text.data() + size, text.size() - size, ".%03d", static_cast<int>(ms));
  return Style{.colour = style.colour}.paint(Colour::kDim, text.data());
}

std::string event_line(const plane::Event& event, std::string_view replica, WallTime at, const LineStyle& style) {
  const Style paint{.colour = style.colour};
  const plane::EventText text = plane::text_of(event, replica);
  std::string line = clock_text(at, style) + "  ";
  if (!text.subject.empty()) line += paint.paint(Colour::kBold, text.subject) + " ";
  return line + paint.paint(colour_of(mood_of(event)), text.words);
}

std::string warning_line(std::string_view warning, WallTime at, const LineStyle& style) {
  return clock_text(at, style) + "  " + Style{.colour = style.colour}.paint(Colour::kYellow, "warning:") + " " +
         std::string(warning);
}

std::string up_line(std::string_view service, const std::vector<std::string>& addresses, std::size_t ready,
                    int replicas) {
  std::string line = std::string(service) + " is up";
  for (const std::string& address : addresses) line += (address == addresses.front() ? " on " : ", ") + address;
  return line + " (" + std::to_string(ready) + " of " + std::to_string(replicas) + " ready)";
}

std::string outcome_text(const app::Outcome& outcome) {
  if (outcome.exit_status == 0 && outcome.message.empty()) return "";
  std::string out = "nines: " + (outcome.message.empty() ? "the service failed" : outcome.message) + "\n";
  if (outcome.log_tail.empty()) return out;
  out += "\n  last lines of " + outcome.log_file + ":\n";
  for (const std::string& line : outcome.log_tail) out += "    " + line + "\n";
  return out;
}

}  // namespace nines::cli
