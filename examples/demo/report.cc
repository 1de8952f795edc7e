#include "report.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/event_line.h"
#include "load/report.h"

namespace nines::demo {
namespace {

using cli::Colour;
using cli::Style;
using cli::with_commas;

// Far above what is usual, since a slow machine breaks no promise: a claim that fails is a fault.
constexpr Duration kNoticedMax = 1s;
constexpr Duration kBackMax = 10s;
constexpr std::size_t kFailuresShown = 5;

std::string number(const char* format, double value) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string count_of(std::uint64_t n, const std::string& what) {
  return with_commas(n) + " " + what + (n == 1 ? "" : "s");
}

void log_line(cli::TextTable& table, Duration after, const std::string& painted, const Style& style) {
  table.row({"     ", style.paint(Colour::kDim, milliseconds(after)), painted});
}

std::string in_words(const cli::PastEvent& past, const Style& style) {
  if (past.event.kind == plane::EventKind{}) return past.replica + " " + past.kind;
  return style.paint(cli::colour_of(plane::mood_of(past.event)), plane::describe(past.event, past.replica));
}

// The slowest of all kills, by one of their times; nullopt when one of them has none.
template <class F>
std::optional<Duration> slowest(const std::vector<Kill>& kills, F time_of) {
  Duration most{0};
  for (const Kill& kill : kills) {
    const std::optional<Duration> time = time_of(kill);
    if (!time) return std::nullopt;
    most = std::max(most, *time);
  }
  return most;
}

Claim answered_claim(const Findings& f) {
  const std::uint64_t sent = f.clients.requests();
  return {with_commas(f.clients.failed) + " of " + count_of(sent, "request") + " failed",
          f.clients.failed == 0 && sent > 0};
}

Claim in_use_claim(const Findings& f) {
  std::uint64_t least = UINT64_MAX;
  for (const Kill& kill : f.kills) least = std::min(least, kill.in_flight);
  return {"each kill hit a replica with requests in flight: at least " + with_commas(least), least > 0};
}

Claim noticed_claim(const Findings& f) {
  const auto time = slowest(f.kills, [](const Kill& kill) { return kill.recovery.noticed; });
  return {time ? "every kill was noticed, the slowest in " + milliseconds(*time) : "not every kill was noticed",
          time && *time <= kNoticedMax};
}

Claim back_claim(const Findings& f) {
  const auto time =
      slowest(f.kills, [](const Kill& kill) { return kill.recovery.ready ? kill.answered : std::nullopt; });
  return {time ? "every killed replica came back by itself and answered clients, the slowest in " + milliseconds(*time)
               : "not every killed replica came back and answered clients",
          time && *time <= kBackMax};
}

Claim restarts_claim(const Findings& f) {
  return {count_of(f.kills.size(), "kill") + ", " + count_of(f.restarts, "restart") + ": nothing else ended",
          f.restarts == f.kills.size()};
}

Claim history_claim(const Findings& f) {
  const HistoryCount& h = f.history;
  std::string text = with_commas(h.rows) + " of " + count_of(h.answered, "answered classification") +
                     " are in the server's SQLite file";
  // A request that failed may have been classified all the same.
  if (h.rows > h.answered + f.clients.failed) return {text + ": a replayed one is there twice", false};
  if (h.unwritten > 0) return {text + ", and " + with_commas(h.unwritten) + " are waiting or were dropped", false};
  text += ", none twice";
  if (h.rows < h.answered)
    text +=
        " (the server writes after it answers: " + with_commas(h.answered - h.rows) + " died unwritten with a process)";
  return {text, true};
}

}  // namespace

std::string milliseconds(Duration d) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(d);
  return ms < 1ms ? "under 1 ms" : with_commas(static_cast<std::uint64_t>(ms.count())) + " ms";
}

std::vector<Claim> claims_of(const Findings& f) {
  return {answered_claim(f), in_use_claim(f), noticed_claim(f), back_claim(f), restarts_claim(f), history_claim(f)};
}

std::string heading(std::string_view text, const Style& style) {
  return "\n" + style.paint(Colour::kBold, text) + "\n\n";
}

std::string samples_text(std::span<const Sample> samples, const Style& style) {
  cli::TextTable table({false, false, true, true, false});
  std::vector<std::string> head = {"  SENTENCE", "LANGUAGE", "CONFIDENCE", "ANSWERED BY", ""};
  for (std::string& cell : head) cell = style.paint(Colour::kDim, cell);
  table.row(std::move(head));
  for (const Sample& sample : samples) {
    const std::string language(language_of(sample.verdict.label));
    table.row({"  " + std::string(sample.asked.text), language, number("%.1f %%", sample.verdict.confidence * 100),
               sample.process,
               sample.right() ? style.paint(Colour::kGreen, "✓")
                              : style.paint(Colour::kRed, "✗ it is " + std::string(sample.asked.language))});
  }
  return table.text();
}

std::string kill_text(const Kill& kill, const Style& style) {
  std::string out = "  " + style.paint(Colour::kBold, "kill -9 " + std::to_string(kill.mark.pid)) + "  " +
                    kill.mark.replica + ", with " + count_of(kill.in_flight, "request") + " in flight on it\n";
  cli::TextTable table({false, true, false});
  for (const cli::PastEvent& past : kill.events) {
    if (past.at) log_line(table, since(kill.mark, *past.at), in_words(past, style), style);
  }
  if (kill.answered) log_line(table, *kill.answered, "a client has an answer from the new process", style);
  out += table.text();
  const auto time = [](const std::optional<Duration>& t) {
    return t ? "in " + milliseconds(*t) : std::string("never");
  };
  const Colour verdict = kill.failed == 0 && kill.answered ? Colour::kGreen : Colour::kRed;
  return out + "     " +
         style.paint(verdict, "failed requests " + with_commas(kill.failed) + " · noticed " +
                                  time(kill.recovery.noticed) + " · ready " + time(kill.recovery.ready) +
                                  " · answering " + time(kill.answered)) +
         "\n\n";
}

std::string figures_text(const Findings& f, const Style& style) {
  const load::Snapshot& clients = f.clients;
  cli::TextTable table({false, false});
  const auto row = [&](const char* name, const std::string& value) {
    table.row({"  " + style.paint(Colour::kDim, name), value});
  };
  row("requests sent", with_commas(clients.requests()) + number(", %.0f a second", clients.per_second()));
  row("failed", style.paint(clients.failed == 0 ? Colour::kGreen : Colour::kRed, with_commas(clients.failed)));
  row("answered elsewhere", with_commas(f.replayed) + ", after their replica was killed");
  row("half of them within", format_duration(clients.p50) + ", 99 % within " + format_duration(clients.p99) +
                                 ", the slowest " + format_duration(clients.max));
  row("longest silence", format_duration(clients.longest_gap) + " without any answer");
  row("restarts", with_commas(f.restarts));
  std::string out = table.text();
  for (std::size_t i = 0; i < std::min(clients.failures.size(), kFailuresShown); ++i) {
    const load::Failure& failed = clients.failures[i];
    out += style.paint(Colour::kRed, "  failed after " + format_duration(failed.after) + ": " + failed.method + " " +
                                         failed.path + ": " + failed.detail + " " + load::printable(failed.body)) +
           "\n";
  }
  return out;
}

std::string claims_text(const std::vector<Claim>& claims, const Style& style) {
  std::string out;
  for (const Claim& claim : claims) {
    out += "  " + (claim.holds ? style.paint(Colour::kGreen, "✓") : style.paint(Colour::kRed, "✗")) + " " + claim.text +
           "\n";
  }
  return out;
}

std::string things_to_try(const std::string& url, const std::string& folder, const Style& style) {
  const auto line = [&](const std::string& command, const std::string& what) {
    return std::vector<std::string>{"  " + style.paint(Colour::kCyan, command), style.paint(Colour::kDim, what)};
  };
  cli::TextTable table({false, false});
  table.row(line("cd " + folder, "first, in another terminal"));
  table.row(line("kill -9 PID", "any replica's from the table below; again and again"));
  table.row(line("../bin/nines status", "what is shown below, once"));
  table.row(line("../bin/nines logs -f", "what the replicas say"));
  table.row(line("../bin/nines restart language-id-1", "without losing a request"));
  table.row(line(url + "/", "in a browser: a page to type into"));
  table.note("  " + style.paint(Colour::kCyan, "curl -d '{\"text\": \"Guten Morgen!\"}' " + url + "/classify"));
  return table.text();
}

}  // namespace nines::demo
