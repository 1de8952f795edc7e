#include "report.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/backup_setup.h"
#include "cli/event_line.h"
#include "load/report.h"

namespace nines::demo {
namespace {

using cli::Colour;
using cli::Style;
using cli::with_commas;

constexpr std::size_t kFailuresShown = 5;

std::string number(const char* format, double value) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

void log_line(cli::TextTable& table, Duration after, const std::string& painted, const Style& style) {
  table.row({"     ", style.paint(Colour::kDim, milliseconds(after)), painted});
}

std::string in_words(const cli::PastEvent& past, const Style& style) {
  if (past.event.kind == plane::EventKind{}) return past.replica + " " + past.kind;
  return style.paint(cli::colour_of(plane::mood_of(past.event)), plane::describe(past.event, past.replica));
}

cli::TextTable log_text(const std::vector<cli::PastEvent>& events, WallTime kill, const Style& style) {
  cli::TextTable table({false, true, false});
  for (const cli::PastEvent& past : events) {
    if (past.at) log_line(table, since(kill, *past.at), in_words(past, style), style);
  }
  return table;
}

std::string_view who(const PartKill& kill) {
  if (kill.killed.size() > 1)
    return "both at once: nobody is left who restarts anything but the anchor, and that nobody touches";
  if (kill.killed.front().part == Part::kKeeper)
    return "the keeper, which records what happens, shows the dashboard and takes the backups";
  return "the supervisor, which starts and restarts all the others";
}

std::string pids_text(const std::vector<std::uint64_t>& pids) {
  std::string text;
  for (const std::uint64_t pid : pids) text += (text.empty() ? "" : ", ") + std::to_string(pid);
  return text;
}

}  // namespace

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
  cli::TextTable table = log_text(kill.events, kill.mark.at, style);
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

std::string part_kill_text(const PartKill& kill, const Style& style) {
  std::string command = "kill -9";
  for (const PartKill::Killed& killed : kill.killed) command += " " + std::to_string(killed.pid);
  std::string out = "  " + style.paint(Colour::kBold, command) + "  " + std::string(who(kill)) + "\n";
  out += log_text(kill.events, kill.at, style).text();
  const bool same = kill.replicas == kill.replicas_now;
  bool well = kill.failed == 0 && same;
  std::string verdict = "failed requests " + with_commas(kill.failed);
  for (const PartKill::Killed& killed : kill.killed) {
    const Succession& s = killed.succession;
    verdict += " · a new " + std::string(name_of(killed.part)) + (s.back ? " in " + milliseconds(*s.back) : " never");
    if (s.gap && killed.part == Part::kSupervisor) verdict += ", " + milliseconds(*s.gap) + " after the old one's end";
    well = well && s.back;
  }
  verdict += "\n     replicas before " + pids_text(kill.replicas) + ", now " +
             (same ? "the same" : pids_text(kill.replicas_now));
  return out + "     " + style.paint(well ? Colour::kGreen : Colour::kRed, verdict) + "\n\n";
}

std::string backup_text(const Backup& backup, const Style& style) {
  const Colour verdict = backup.failed == 0 && backup.archive.verified ? Colour::kGreen : Colour::kRed;
  return "     " +
         style.paint(verdict, "failed requests " + with_commas(backup.failed) + " · the database had " +
                                  count_of(backup.before.count, "row") + " when it began") +
         "\n";
}

std::string damage_text(const Damage& damage, const Style& style) {
  cli::TextTable table({false, false});
  const auto row = [&](const char* name, const std::string& value) {
    table.row({"  " + style.paint(Colour::kDim, name), value});
  };
  row("destroyed", "the middle half of data/ai_api.db is noise now: " + cli::format_bytes(damage.destroyed.bytes));
  row("SQLite says", style.paint(Colour::kRed, damage.integrity));
  row("the server", with_commas(damage.answered) + " of " + count_of(damage.asked, "sentence") + " answered still");
  row("its history", damage.trouble.words.empty()
                         ? "it has not noticed yet"
                         : with_commas(damage.trouble.unwritten) +
                               " of these rows cannot be written: " + load::printable(damage.trouble.words));
  return table.text() + "\n";
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

std::string things_to_try(const Addresses& addresses, const Style& style) {
  const auto line = [&](const std::string& command, const std::string& what) {
    return std::vector<std::string>{"  " + style.paint(Colour::kCyan, command), style.paint(Colour::kDim, what)};
  };
  cli::TextTable table({false, false});
  table.row(line("cd " + addresses.folder, "first, in another terminal"));
  table.row(line("kill -9 PID", "any replica's from the table below; the supervisor's, the keeper's; again and again"));
  table.row(line("../bin/nines status", "what is shown below, once"));
  table.row(line("../bin/nines logs -f", "what the replicas say"));
  table.row(line("../bin/nines restart language-id-1", "without losing a request"));
  table.row(line("../bin/nines upgrade", "supervisor, keeper and gateway anew, as after an update; nobody notices"));
  table.row(line("../bin/nines backup now", "database and configuration into backups/, read back"));
  table.row(line("../bin/nines restore", "puts the newest of them back; asks first"));
  table.row(line(addresses.url + "/", "in a browser: a page to type into"));
  table.row(line(addresses.dashboard + "/", "in a browser: the dashboard; /metrics for Prometheus"));
  table.note("  " +
             style.paint(Colour::kCyan, "curl -d '{\"text\": \"Guten Morgen!\"}' " + addresses.url + "/classify"));
  return table.text();
}

}  // namespace nines::demo
