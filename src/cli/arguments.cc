#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <string_view>

#include "base/text.h"
#include "base/version.h"
#include "cli/help_text.h"
#include "config/values.h"
#include "ledger/corrections.h"

namespace nines::cli {
namespace {

constexpr std::size_t kLinesMax = 100'000;

constexpr auto kWeightMax = static_cast<std::uint64_t>(config::bounds::kWeight.max);

constexpr std::array<std::string_view, 29> kCommands = {
    "run",     "check",    "up",          "down",    "status", "ps",      "logs",   "start",
    "stop",    "restart",  "drain",       "undrain", "weight", "upgrade", "backup", "restore",
    "gateway", "deploy",   "rollback",    "export",  "reload", "calc",    "report", "check-ledger",
    "explain", "incident", "maintenance", "sla",     "help"};
// Of the same program, later: a person who read about them should not be told of a typo.
constexpr std::array<std::string_view, 6> kPlanned = {"init", "spof", "drill", "runbook", "alert", "witness"};

std::unexpected<Reply> complain(std::string text) {
  return std::unexpected(Reply{kWrong, "nines: " + std::move(text)});
}

std::string in_quotes(std::string_view text) { return "`" + std::string(text) + "`"; }

bool takes_value(std::string_view option) { return option == "-c" || option == "--config" || option == "--state"; }

// Where the command's name is, or the end.
std::size_t find_command(std::span<const std::string> arguments) {
  std::size_t at = 0;
  while (at < arguments.size() && arguments[at].starts_with('-')) at += takes_value(arguments[at]) ? 2 : 1;
  return std::min(at, arguments.size());
}

// Every option of every command, held where CLI11 writes them.
struct Parser {
  Parser();

  CLI::App app{"nines keeps an AI API up, and proves how up it is.", "nines"};
  GlobalOptions global;
  CheckOptions check;
  UpOptions up;
  RunOptions run;
  StatusOptions status;
  PsOptions ps;
  GatewayOptions gateway;
  LogsOptions logs;
  BackupOptions backup;
  RestoreOptions restore;
  ReloadOptions reload;
  ReportOptions report;
  ExplainOptions explain;
  SlaOptions sla;
  IncidentOptions incident;
  std::string incident_action, incident_id, incident_as;
  std::vector<std::string> incident_words;
  MaintenanceOptions maintenance;
  std::string maintenance_for;
  PeriodOptions period;
  std::optional<std::string> period_from, period_to;
  std::string report_format = "text";
  CheckLedgerOptions check_ledger;
  ExportOptions exported;
  CalcWords calc;
  std::optional<std::string> logs_since, logs_until;
  std::optional<std::size_t> logs_lines;
  std::vector<std::string> logs_replicas;
  std::string timeout;
  std::string replica;
  std::string percent;
  DeployOptions deploy;
  RollbackOptions rollback;
  std::string release;
  CLI::Option* config = nullptr;
};

void add_calc(CLI::App& command, CalcWords& words) {
  CLI::App* const c = &command;
  c->footer(
      "Availabilities are 99.9% or 0.999. Each of these answers by itself:\n"
      "  nines calc --target 99.9% --month 2026-11\n"
      "  nines calc --mtbf 240h --mttr 2h\n"
      "  nines calc --failures 3 --period 720h --downtime 6h\n"
      "  nines calc --series 99.9%,99.95%,99.99%\n"
      "  nines calc --k-of-n 2/3 --mttf 240h --mttr 2h --crews 1 --common-cause 5%\n"
      "  nines calc --availability 99.5% --price 0.01 --per-hour 1000");
  c->add_option("--target", words.target, "How long it may be down")->type_name("A");
  c->add_option("--availability", words.availability, "What that means")->type_name("A");
  c->add_option("--mtbf", words.mtbf, "Time from one failure's start to the next one's; with --mttr")
      ->type_name("TIME");
  c->add_option("--mttf", words.mttf, "Time up until a failure; with --mttr")->type_name("TIME");
  c->add_option("--mttr", words.mttr, "How long a repair takes, from onset to restored")->type_name("TIME");
  c->add_option("--failures", words.failures, "How many there were; with --period and --downtime")->type_name("N");
  c->add_option("--period", words.period, "... in this time")->type_name("TIME");
  c->add_option("--downtime", words.downtime, "... down for so long in all")->type_name("TIME");
  c->add_option("--confidence", words.confidence, "... of the interval (90%)")->type_name("SHARE");
  // Separated by commas, or the option repeated.
  c->add_option("--series", words.series, "All of these must work")
      ->type_name("A,B")
      ->delimiter(',')
      ->allow_extra_args(false);
  c->add_option("--parallel", words.parallel, "One of these is enough")
      ->type_name("A,B")
      ->delimiter(',')
      ->allow_extra_args(false);
  c->add_option("--k-of-n", words.k_of_n, "So many of so many are enough; with --each, or --mttf and --mttr")
      ->type_name("K/N");
  c->add_option("--each", words.each, "... each of them by itself")->type_name("A");
  c->add_option("--crews", words.crews, "... so many can be repaired at a time (N)")->type_name("N");
  c->add_option("--common-cause", words.common_cause, "... this share of failures takes all of them down (0%)")
      ->type_name("SHARE");
  c->add_option("--month", words.month, "The downtime of this month, too: 2026-11")->type_name("MONTH");
  c->add_option("--price", words.price, "What a request earns, in dollars; with --per-hour")->type_name("PRICE");
  c->add_option("--per-hour", words.per_hour, "... so many requests an hour")->type_name("N");
  c->add_option("--cost-per-hour", words.cost_per_hour, "What else an hour of downtime costs, in dollars")
      ->type_name("COST");
  c->add_flag("--json", words.json, "As JSON");
}

Parser::Parser() {
  constexpr std::size_t kOptionColumn = 26;
  app.get_formatter()->column_width(kOptionColumn);
  app.set_version_flag("--version", "nines " + std::string(kVersion), "Print the version");
  config = app.add_option("-c,--config", global.config, "The configuration (nines.yaml)")->type_name("FILE");
  app.add_option("--state", global.state, "The folder for lock and logs (.nines beside the file)")->type_name("DIR");
  app.fallthrough();
  app.allow_extras();

  const auto add = [&](const char* name, const char* what) {
    CLI::App* command = app.add_subcommand(name, what);
    command->fallthrough();
    command->allow_extras();
    return command;
  };
  const auto add_period = [&](CLI::App* command) {
    command->add_option("--month", period.month, "Of this month: 2026-11 (the present one)")->type_name("MONTH");
    command->add_option("--from", period_from, "Since then: 2026-11-01, \"2026-11-23 22:30\", 24h")->type_name("TIME");
    command->add_option("--to", period_to, "Until then (now)")->type_name("TIME");
    command->add_option("--timezone", period.timezone, "Of months and times: Europe/Stockholm (timezone: in the file)")
        ->type_name("NAME");
  };
  auto* c = add("run", "Keep a command up, without a file: nines run [OPTIONS] -- COMMAND, with {port} in it");
  c->footer("Everything after -- is the command; {port} in it becomes the port of each replica.");
  c->add_option("--replicas", run.replicas, "How many (1)")->type_name("N");
  c->add_option("--listen", run.listen, "Where clients come to (127.0.0.1:8000)")->type_name("ADDR");
  c->add_option("--health", run.health, "Ask this path whether a replica is well (else: a TCP connect)")
      ->type_name("PATH");
  c->add_option("--name", run.name, "Name of the service (the folder's)")->type_name("NAME");

  c = add("check", "Say whether the configuration is right, and what it would run");
  c->add_flag("--json", check.json, "As JSON");
  c = add("up", "Start the service and keep it up");
  c->add_flag("--detach", up.detach, "Return once it is up, and keep it up in the background");
  c = add("down", "End the service, once requests in flight are answered");
  c->add_option("--timeout", timeout, "How long to wait for it (2m)")->type_name("DURATION");

  c = add("status", "Show how the service is");
  c->add_flag("--json", status.json, "As JSON");
  c->add_flag("--watch", status.watch, "Show it again each second, until Ctrl-C");
  c = add("ps", "List the processes");
  c->add_flag("--json", ps.json, "As JSON");
  c = add("logs", "Print the last lines the replicas wrote");
  c->add_flag("-f,--follow", logs.follow, "Go on with what they write, until Ctrl-C");
  c->add_flag("--json", logs.json, "Each line as a JSON object");
  c->add_option("--since", logs_since, "Those written since: 10m, 22:30, \"2026-11-23 22:30\"")->type_name("TIME");
  c->add_option("--until", logs_until, "Those written until then")->type_name("TIME");
  c->add_option("--lines", logs_lines, "At most so many of each replica (50; with --since or --until all)")
      ->type_name("N");
  c->add_flag("--timestamps", logs.timestamps, "Each line with its time, in UTC");
  c->add_option("--replica", logs_replicas, "Only this one; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
  c->add_option("REPLICA", logs.replicas, "Only these");

  c = add("gateway", "Only the gateway, in this process, in front of `endpoints:`");
  c->add_option("--threads", gateway.threads, "Event loops (one per core)")->type_name("N");

  c = add("backup", "Make, list or verify archives of what must not be lost: nines backup now|list|verify");
  c->add_option("ACTION", backup.action, "now, list (if none is named) or verify")->type_name("");
  c->add_option("ARCHIVE", backup.archive, "verify: only this one")->type_name("");
  c->add_option("--to", backup.to, "A folder (those of the configuration)")->type_name("DIR");
  c->add_flag("--json", backup.json, "As JSON");
  c = add("restore", "Put the database back as it is in an archive");
  c->add_option("--from", restore.from, "The archive (the newest verified one)")->type_name("FILE");
  c->add_flag("--files", restore.files, "Also model files that are missing or different");
  c->add_flag("--yes", restore.yes, "Do not ask");
  c->add_flag("--json", restore.json, "As JSON");

  c = add("export", "Print the unit under which systemd runs the service: nines export systemd");
  c->add_option("FORMAT", exported.format, "systemd")->type_name("");
  c->add_option("--user", exported.user, "Who runs it (root)")->type_name("NAME");
  c->add_flag("--json", exported.json, "As JSON, with the unit's name");

  c = add("report", "Say how available the service was, and whether the objective is met (else exit status 1)");
  add_period(c);
  c->add_option("--format", report_format, "text, json, csv, html or md")->type_name("FORMAT");
  c->add_flag("--json", report.json, "As JSON");
  c = add("explain", "Say where every second went that is missing from the availability, and how that is known");
  add_period(c);
  c->add_flag("--json", explain.json, "As JSON");
  c = add("sla", "The agreement as a document, and whether this set-up can keep it");
  c->add_option("--format", report_format, "text, json, csv, html or md")->type_name("FORMAT");
  c->add_flag("--json", sla.json, "As JSON");
  c->add_flag("--check", sla.check, "Exit status 1 when it cannot");
  c = add("incident", "What happened, and what people say of it: nines incident list|show|ack|note|merge|correct");
  c->footer(
      "What was measured stays as it is; who says something about it adds to the record:\n"
      "  nines incident show 42\n"
      "  nines incident ack 42\n"
      "  nines incident note 42 \"the switch in rack 3\"\n"
      "  nines incident merge 42 45 --reason \"the same switch\"      45 is part of 42\n"
      "  nines incident correct 42 --as up --reason \"only our probe failed\"\n"
      "  nines incident correct --from \"2026-11-23 22:30\" --to \"2026-11-23 22:40\" --as up --reason \"seen by "
      "another\"");
  c->add_option("ACTION", incident_action, "list (if none is named), show, ack, note, merge or correct")->type_name("");
  c->add_option("ID", incident_id, "Which")->type_name("");
  c->add_option("MORE", incident_words, "note: what to say; merge: which is part of it")->type_name("");
  c->add_option("--as", incident_as, "correct: what it really was: up, degraded, down or unknown")->type_name("STATE");
  c->add_option("--reason", incident.text, "merge, correct: why; it stands in the record")->type_name("TEXT");
  add_period(c);
  c->add_flag("--json", incident.json, "As JSON");
  c = add("maintenance", "Declare maintenance that begins now or later: nines maintenance start|stop|plan|list");
  c->add_option("ACTION", maintenance.action, "start, stop, plan or list (if none is named)")->type_name("");
  c->add_option("--from", period_from, "plan: when it begins: \"2026-11-30 02:00\"")->type_name("TIME");
  c->add_option("--to", period_to, "plan: when it is over")->type_name("TIME");
  c->add_option("--for", maintenance_for, "How long (1h)")->type_name("DURATION");
  c->add_option("--timezone", maintenance.timezone, "Of times: Europe/Stockholm (timezone: in the file)")
      ->type_name("NAME");
  c->add_option("--reason", maintenance.reason, "Why; it stands in the record")->type_name("TEXT");
  c->add_flag("--json", maintenance.json, "list: as JSON");
  c = add("check-ledger", "Verify the record: its chain of hashes, and the sums of what was measured");
  c->add_flag("--json", check_ledger.json, "As JSON");
  add_calc(*add("calc", "Reckon with availability: targets, repairs, redundancy, cost; asks no service"), calc);

  add("start", "Start a replica that was stopped")->add_option("REPLICA", replica, "Which");
  add("stop", "Stop one replica, until it is started again")->add_option("REPLICA", replica, "Which");
  add("restart", "Restart one replica")->add_option("REPLICA", replica, "Which");
  add("drain", "Send no new requests to a replica or an endpoint, and let it finish those it has")
      ->add_option("REPLICA", replica, "Which");
  add("undrain", "Give it its share of the requests again")->add_option("REPLICA", replica, "Which");
  c = add("weight", "Set the share of the requests that a replica or an endpoint gets");
  c->add_option("REPLICA", replica, "Which")->type_name("");
  c->add_option("PERCENT", percent, "Of what a plain one gets: 0 to 1000, or `default`: as configured")->type_name("");
  c = add("reload",
          "Go on with what the configuration says now, without a request lost; what replicas run is for deploy");
  c->add_flag("--dry-run", reload.only_ask, "Only say what would change, or why it cannot be");
  c->add_option("--timeout", timeout, "How long to wait for it (2m)")->type_name("DURATION");
  c->add_flag("--json", reload.json, "As JSON");
  c = add("deploy",
          "Put what the configuration says now in the place of what runs, step by step, and back if it is worse");
  c->footer("A service that `nines run` started has no configuration: nines deploy -- COMMAND, with {port} in it.");
  c->add_option("--file", deploy.files, "A model file (one of replicas.files) is to be this other one; may be repeated")
      ->type_name("PATH=NEW")
      ->allow_extra_args(false);
  c->add_flag("--again", deploy.again, "Also when nothing has changed there: the code behind the command may have");
  c->add_flag("--detach", deploy.detach, "Do not wait for its end");
  c->add_flag("--history", deploy.history, "Show the last ten instead");
  c->add_flag("--json", deploy.json, "As JSON");
  c = add("rollback", "End the deploy that is under way, or go back to the release before");
  c->add_option("RELEASE", release, "To this one; `nines deploy --history` lists them")->type_name("");
  c->add_flag("--detach", rollback.detach, "Do not wait for its end");
  c->add_flag("--json", rollback.json, "As JSON");
  c = add("upgrade", "Replace nines itself, while it runs, by this program; also puts a lost anchor back");
  c->add_option("--timeout", timeout, "How long to wait for it (1m)")->type_name("DURATION");
  app.require_subcommand(0, 1);
}

std::unexpected<Reply> unknown_command(std::string_view name) {
  if (std::ranges::find(kPlanned, name) != kPlanned.end())
    return complain(in_quotes("nines " + std::string(name)) + " does not exist in this version yet");
  std::vector<std::string_view> all(kCommands.begin(), kCommands.end());
  all.insert(all.end(), kPlanned.begin(), kPlanned.end());
  const auto meant = nearest(name, all);
  return complain(
      "there is no command " + in_quotes(name) +
      (meant ? "; did you mean " + in_quotes("nines " + std::string(*meant)) + "?" : "; `nines --help` lists them"));
}

// What nobody took, said about the first such word.
std::unexpected<Reply> unknown_word(const CLI::App& command, const CLI::App& app, const std::string& word) {
  const std::string name = "nines " + command.get_name();
  std::vector<std::string> options;
  for (const CLI::App* level : {&command, &app}) {
    for (const CLI::Option* option : level->get_options()) {
      for (const std::string& known : option->get_lnames()) options.push_back("--" + known);
      for (const std::string& known : option->get_snames()) options.push_back("-" + known);
    }
  }
  const std::vector<std::string_view> known(options.begin(), options.end());
  const auto meant = word.starts_with('-') ? nearest(word, known) : std::nullopt;
  std::string fix = meant ? "did you mean " + in_quotes(*meant) + "?" : "see " + in_quotes(name + " --help");
  if (command.get_name() == "restore" && !word.starts_with('-')) fix = "name the archive with --from FILE";
  if (command.get_name() == "run" && !word.starts_with('-')) fix = "put -- before the command: nines run -- " + word;
  return complain(in_quotes(name) + " does not take " + in_quotes(word) + "; " + fix);
}

std::expected<Command, Reply> backup_of(BackupOptions backup) {
  constexpr std::array<std::string_view, 3> kActions = {"now", "list", "verify"};
  if (backup.action.empty()) backup.action = "list";
  if (backup.action == "audit" || backup.action == "inspect")
    return complain(in_quotes("nines backup " + backup.action) + " does not exist in this version yet");
  if (std::ranges::find(kActions, backup.action) == kActions.end()) {
    const auto meant = nearest(backup.action, kActions);
    return complain("`nines backup` does not take " + in_quotes(backup.action) +
                    (meant ? "; did you mean " + in_quotes("nines backup " + std::string(*meant)) + "?"
                           : "; it is now, list or verify"));
  }
  if (backup.archive.empty()) return backup;
  if (backup.action != "verify")
    return complain("`nines backup " + backup.action + "` does not take " + in_quotes(backup.archive) +
                    "; name a folder with --to DIR");
  if (!backup.to.empty()) return complain("name an archive or --to DIR, not both");
  return backup;
}

std::expected<Command, Reply> export_of(ExportOptions exported) {
  if (exported.format.empty()) return complain("say what for: nines export systemd");
  if (exported.format != "systemd")
    return complain("`nines export` does not know " + in_quotes(exported.format) + "; it knows systemd");
  if (exported.user && exported.user->empty()) return complain("--user: name somebody");
  return exported;
}

std::expected<PeriodOptions, Reply> period_in(Parser& parser) {
  PeriodOptions period = std::move(parser.period);
  if (period.month && (parser.period_from || parser.period_to)) return complain("name a month, or --from and --to");
  if (parser.period_to && !parser.period_from) return complain("--to needs a --from");
  for (const auto& [option, text, moment] :
       {std::tuple{"--from", &parser.period_from, &period.from}, {"--to", &parser.period_to, &period.to}}) {
    if (!*text) continue;
    const auto parsed = parse_moment(**text);
    if (!parsed) return complain(std::string(option) + ": " + parsed.error().text());
    *moment = *parsed;
  }
  return period;
}

std::expected<Command, Reply> maintenance_of(Parser& parser) {
  MaintenanceOptions maintenance = std::move(parser.maintenance);
  if (maintenance.action.empty()) maintenance.action = "list";
  const std::string& action = maintenance.action;
  if (action != "start" && action != "stop" && action != "plan" && action != "list")
    return complain("`nines maintenance` does not take " + in_quotes(action) + "; it is start, stop, plan or list");
  if (const auto checked = config::check_text(maintenance.reason); !checked)
    return complain("--reason: " + checked.error().text());
  const bool plan = action == "plan";
  if (plan != parser.period_from.has_value())
    return complain(plan ? "say when it begins: nines maintenance plan --from \"2026-11-30 02:00\" --for 1h"
                         : "--from is for `nines maintenance plan`");
  if (parser.period_to && !plan) return complain("--to is for `nines maintenance plan`");
  if (parser.period_to && !parser.maintenance_for.empty()) return complain("--to or --for, not both");
  for (const auto& [option, text, moment] :
       {std::tuple{"--from", &parser.period_from, &maintenance.from}, {"--to", &parser.period_to, &maintenance.to}}) {
    if (!*text) continue;
    const auto parsed = parse_moment(**text);
    if (!parsed) return complain(std::string(option) + ": " + parsed.error().text());
    *moment = *parsed;
  }
  if (parser.maintenance_for.empty()) return maintenance;
  const auto length = config::parse_duration(parser.maintenance_for);
  if (!length) return complain("--for: " + length.error().text());
  maintenance.length = *length;
  return maintenance;
}

std::expected<ReportFormat, Reply> format_in(const Parser& parser) {
  const auto format = parse_report_format(parser.report_format);
  if (format) return *format;
  return complain("--format: " + in_quotes(parser.report_format) + " is none of text, json, csv, html, md");
}

std::expected<Command, Reply> sla_of(Parser& parser) {
  const auto format = format_in(parser);
  if (!format) return std::unexpected(format.error());
  parser.sla.format = *format;
  parser.sla.json = parser.sla.json || *format == ReportFormat::kJson;
  return parser.sla;
}

// With the name of whoever says it the record keeps so many bytes.
constexpr std::size_t kSaidMax = 70;

std::expected<Command, Reply> incident_of(Parser& parser) {
  using Action = IncidentOptions::Action;
  constexpr std::array<std::pair<std::string_view, Action>, 6> kActions = {{{"list", Action::kList},
                                                                            {"show", Action::kShow},
                                                                            {"ack", Action::kAcknowledge},
                                                                            {"note", Action::kNote},
                                                                            {"merge", Action::kMerge},
                                                                            {"correct", Action::kCorrect}}};
  IncidentOptions incident = std::move(parser.incident);
  const std::string action = parser.incident_action.empty() ? "list" : parser.incident_action;
  const auto known = std::ranges::find(kActions, action, [](const auto& pair) { return pair.first; });
  if (known == kActions.end())
    return complain("`nines incident` does not take " + in_quotes(action) +
                    "; it is list, show, ack, note, merge or correct");
  incident.action = known->second;
  const std::string usage = "nines incident " + action;
  const bool has_reason = incident.action == Action::kMerge || incident.action == Action::kCorrect;
  if (!incident.text.empty() && !has_reason) return complain("--reason is for merge and correct");
  if (!parser.incident_as.empty() && incident.action != Action::kCorrect) return complain("--as is for correct");
  const std::size_t words = incident.action == Action::kNote || incident.action == Action::kMerge ? 1 : 0;
  if (parser.incident_words.size() > words)
    return complain(in_quotes(usage) + " does not take " + in_quotes(parser.incident_words[words]) +
                    (words == 1 && incident.action == Action::kNote ? "; put the note into quotes" : ""));
  const bool by_time = incident.action == Action::kCorrect && incident.period.from;
  if (by_time && !parser.incident_id.empty()) return complain("name the incident, or --from and --to");
  if (incident.action != Action::kList && !by_time) {
    incident.id = parse_unsigned(parser.incident_id);
    if (!incident.id) return complain("name the incident: " + usage + " ID; `nines incident list` shows them");
  }
  if (incident.action == Action::kNote) {
    if (parser.incident_words.empty()) return complain("say it: " + usage + " ID \"what is to be known\"");
    incident.text = parser.incident_words.front();
  }
  if (incident.action == Action::kMerge) {
    incident.other = parser.incident_words.empty() ? std::nullopt : parse_unsigned(parser.incident_words.front());
    if (!incident.other) return complain("name both: " + usage + " ID OTHER; OTHER is part of ID then");
  }
  if (incident.action == Action::kCorrect) {
    incident.as = ledger::Corrections::parse_state(parser.incident_as);
    if (!incident.as) return complain("say what it really was: --as up, degraded, down or unknown");
  }
  if (has_reason && incident.text.empty()) return complain("say why: --reason TEXT; it stands in the record");
  if (const auto checked = config::check_text(incident.text); !checked) return complain(checked.error().text());
  if (incident.text.size() > kSaidMax)
    return complain("that is " + std::to_string(incident.text.size()) + " bytes, and the record keeps " +
                    std::to_string(kSaidMax) + " at once: say it shorter, or in several notes");
  return incident;
}

std::expected<Command, Reply> about_period(const std::string& name, Parser& parser) {
  auto period = period_in(parser);
  if (!period) return std::unexpected(std::move(period.error()));
  if (name == "explain") {
    parser.explain.period = std::move(*period);
    return parser.explain;
  }
  if (name == "incident") {
    parser.incident.period = std::move(*period);
    return incident_of(parser);
  }
  const auto format = format_in(parser);
  if (!format) return std::unexpected(format.error());
  parser.report.period = std::move(*period);
  parser.report.format = *format;
  return parser.report;
}

std::expected<Command, Reply> logs_of(Parser& parser) {
  LogsOptions logs = std::move(parser.logs);
  struct Named {
    const char* option;
    const std::optional<std::string>& text;
    std::optional<Moment>& moment;
  };
  for (const Named& named :
       {Named{"--since", parser.logs_since, logs.since}, {"--until", parser.logs_until, logs.until}}) {
    if (!named.text) continue;
    const auto moment = parse_moment(*named.text);
    if (!moment) return complain(std::string(named.option) + ": " + moment.error().text());
    named.moment = *moment;
  }
  if (logs.follow && logs.until) return complain("--follow goes on, --until ends: leave out one of them");
  if (parser.logs_lines && *parser.logs_lines > kLinesMax)
    return complain("--lines: at most " + std::to_string(kLinesMax) + "; --since has no such bound");
  if (parser.logs_lines || logs.since || logs.until) logs.lines = parser.logs_lines;
  logs.replicas.insert(logs.replicas.end(), parser.logs_replicas.begin(), parser.logs_replicas.end());
  return logs;
}

std::expected<Command, Reply> command_of(const std::string& name, Parser& parser) {
  if (name == "check") return parser.check;
  if (name == "up") return parser.up;
  if (name == "status") return parser.status;
  if (name == "ps") return parser.ps;
  if (name == "gateway") {
    const auto [min, max] = config::bounds::kThreads;
    if (!parser.gateway.threads || (*parser.gateway.threads >= min && *parser.gateway.threads <= max))
      return parser.gateway;
    return complain("--threads: use " + std::to_string(min) + " to " + std::to_string(max));
  }
  if (name == "run") {
    if (!parser.run.command.empty()) return std::move(parser.run);
    return complain("`nines run` needs a command after --, such as: nines run -- my-server --port {port}");
  }
  if (name == "logs") return logs_of(parser);
  if (name == "report" || name == "explain" || name == "incident") return about_period(name, parser);
  if (name == "maintenance") return maintenance_of(parser);
  if (name == "sla") return sla_of(parser);
  if (name == "check-ledger") return parser.check_ledger;
  if (name == "down" || name == "upgrade" || name == "reload") {
    std::optional<Duration> timeout;
    if (!parser.timeout.empty()) {
      const auto parsed = config::parse_duration(parser.timeout);
      if (!parsed) return complain("--timeout: " + parsed.error().text());
      timeout = *parsed;
    }
    if (name == "down") return DownOptions{timeout.value_or(DownOptions().timeout)};
    if (name == "reload") {
      parser.reload.timeout = timeout.value_or(parser.reload.timeout);
      return parser.reload;
    }
    return UpgradeOptions{timeout.value_or(UpgradeOptions().timeout)};
  }
  if (name == "deploy") return std::move(parser.deploy);
  if (name == "rollback") {
    if (parser.release.empty()) return parser.rollback;
    const auto number = parse_unsigned(parser.release);
    if (!number || *number == 0 || *number > UINT32_MAX)
      return complain(in_quotes(parser.release) + " is no release; `nines deploy --history` lists them");
    parser.rollback.release = static_cast<std::uint32_t>(*number);
    return parser.rollback;
  }
  if (name == "restore") return std::move(parser.restore);
  if (name == "export") return export_of(std::move(parser.exported));
  if (name == "calc") {
    auto calc = calc_options(parser.calc);
    if (!calc) return complain(std::move(calc.error()));
    return std::move(*calc);
  }
  if (name == "backup") return backup_of(std::move(parser.backup));
  if (parser.replica.empty()) {
    return complain("name the replica: nines " + name + " REPLICA; `nines ps` lists them" +
                    (name == "stop" ? ", `nines down` ends the whole service" : ""));
  }
  std::optional<int> percent;
  if (name == "weight" && parser.percent != "default") {
    const auto given = parse_unsigned(parser.percent);
    if (!given || *given > kWeightMax)
      return complain("say how much it gets, in percent of a plain one: nines weight " + parser.replica +
                      " PERCENT, from 0 to " + std::to_string(kWeightMax) + ", or `default`");
    percent = static_cast<int>(*given);
  }
  return ReplicaOptions{name, std::move(parser.replica), percent};
}

// CLI11 wants them in reverse.
std::vector<std::string> reversed(std::span<const std::string> arguments) {
  return {arguments.rbegin(), arguments.rend()};
}

std::expected<Invocation, Reply> parse_command(const std::string& name, std::span<const std::string> arguments) {
  Parser parser;
  const CLI::App* command = parser.app.get_subcommand(name);
  // Cut here rather than by CLI11, so that the command's own words are never looked at.
  if (name == "run" || name == "deploy") {
    const auto mark = std::ranges::find(arguments, "--");
    auto& words = name == "run" ? parser.run.command : parser.deploy.command;
    if (mark != arguments.end()) words.assign(mark + 1, arguments.end());
    arguments = arguments.first(static_cast<std::size_t>(mark - arguments.begin()));
  }
  try {
    parser.app.parse(reversed(arguments));
  } catch (const CLI::CallForHelp&) {
    return std::unexpected(Reply{kDone, std::string(trim(command->help("nines")))});
  } catch (const CLI::CallForVersion& version) {
    return std::unexpected(Reply{kDone, version.what()});
  } catch (const CLI::ParseError& error) {
    return complain(in_quotes("nines " + name) + ": " + error.what() + "; see " +
                    in_quotes("nines " + name + " --help"));
  }
  if (const auto left = parser.app.remaining(true); !left.empty())
    return unknown_word(*command, parser.app, left.front());
  auto parsed = command_of(name, parser);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  parser.global.config_given = !parser.config->empty();
  return Invocation{std::move(parser.global), std::move(*parsed)};
}

// `nines --version`, `nines -h`, and what is neither.
std::unexpected<Reply> without_command(std::span<const std::string> arguments) {
  if (arguments.empty()) return std::unexpected(Reply{kWrong, std::string(kHelp)});
  for (const std::string& word : arguments) {
    if (word == "--version") return std::unexpected(Reply{kDone, "nines " + std::string(kVersion)});
    if (word == "-h" || word == "--help") return std::unexpected(Reply{kDone, std::string(kHelp)});
  }
  return complain("there is no command in " + in_quotes("nines " + arguments.front()) + "; `nines --help` lists them");
}

}  // namespace

std::expected<Invocation, Reply> parse_arguments(std::span<const std::string> arguments) {
  const std::size_t at = find_command(arguments);
  if (at == arguments.size()) return without_command(arguments);
  const std::string& name = arguments[at];
  if (std::ranges::find(kCommands, name) == kCommands.end()) return unknown_command(name);
  if (name != "help") return parse_command(name, arguments);
  if (at + 1 == arguments.size()) return std::unexpected(Reply{kDone, std::string(kHelp)});
  return parse_arguments(std::vector{arguments[at + 1], std::string("--help")});
}

}  // namespace nines::cli
