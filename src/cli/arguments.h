// The words after `nines`, as values. Pure: what cannot be understood comes back as text and an exit status, so
// every complaint is a row in a test.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "availability/partition.h"
#include "base/time.h"
#include "cli/calc_options.h"
#include "cli/moment.h"
#include "cli/report_format.h"

namespace nines::cli {

inline constexpr int kDone = 0;        // as asked
inline constexpr int kNo = 1;          // the answer is no
inline constexpr int kWrong = 2;       // wrong usage or configuration, command not found
inline constexpr int kNotRunning = 3;  // there is nothing to ask

struct GlobalOptions {
  std::string config = "nines.yaml";
  bool config_given = false;
  std::string state;  // empty: the default
  int snapshot = -1;  // the configuration as the running service has it, rather than the file, which may be half edited
};

struct CheckOptions {
  bool json = false;
};
struct UpOptions {
  bool detach = false;
};
struct RunOptions {
  int replicas = 1;
  std::string listen = "127.0.0.1:8000";
  std::optional<std::string> health;  // nullopt: a TCP connect
  std::optional<std::string> name;
  std::vector<std::string> command;
};
struct GatewayOptions {
  std::optional<int> threads;  // nullopt: as the configuration says
};
struct DownOptions {
  Duration timeout = 120s;
};
struct StatusOptions {
  bool json = false;
  bool watch = false;
};
struct PsOptions {
  bool json = false;
};
struct LogsOptions {
  bool follow = false;
  bool json = false;
  bool timestamps = false;
  std::optional<std::size_t> lines = 50;  // of each replica; nullopt: all since `since`
  std::optional<Moment> since, until;
  std::vector<std::string> replicas;  // none: all
};
// Replaces nines' own processes by those of the program that is told so.
struct UpgradeOptions {
  Duration timeout = 60s;
};
// Goes on with what the file says now.
struct ReloadOptions {
  Duration timeout = 2min;
  bool only_ask = false;  // say what would change
  bool json = false;
};
// A month, or between two moments.
struct PeriodOptions {
  std::optional<std::string> month;     // "2026-11"; nullopt: the present one, if there is no `from`
  std::optional<Moment> from, to;       // without `to`: until now
  std::optional<std::string> timezone;  // nullopt: that of the configuration
};
// What was measured.
struct ReportOptions {
  PeriodOptions period;
  ReportFormat format = ReportFormat::kText;
  bool json = false;
};
// What was promised, and whether it can be kept.
struct SlaOptions {
  ReportFormat format = ReportFormat::kText;
  bool json = false;
  bool check = false;  // kNo when it cannot
};
// Where the missing seconds went.
struct ExplainOptions {
  PeriodOptions period;
  bool json = false;
};
// What happened, and what people say of it.
struct IncidentOptions {
  enum class Action : std::uint8_t { kList, kShow, kAcknowledge, kNote, kMerge, kCorrect };
  Action action = Action::kList;
  PeriodOptions period;
  std::optional<std::uint64_t> id;        // of all but the list, and of a correction that has a `from`
  std::optional<std::uint64_t> other;     // merge: which is part of it
  std::optional<availability::State> as;  // correct: what it really was
  std::string text;                       // a note, or a reason
  bool json = false;
};
// Time that is announced, and left out of what was agreed.
struct MaintenanceOptions {
  std::string action;  // start, stop, plan, list
  std::optional<Moment> from, to;
  Duration length = 1h;  // where there is no `to`
  std::string reason;
  std::optional<std::string> timezone;
  bool json = false;
};
// Whether the record is whole.
struct CheckLedgerOptions {
  bool json = false;
};
struct BackupOptions {
  std::string action;  // now, list, verify
  std::string to;      // a folder; empty: those of the configuration
  std::string archive;
  bool json = false;
};
struct RestoreOptions {
  std::string from;  // an archive; empty: the newest verified one
  bool files = false;
  bool yes = false;
  bool json = false;
};
// What others need to run a service.
struct ExportOptions {
  std::string format;               // systemd
  std::optional<std::string> user;  // who runs it; nullopt: root
  bool json = false;
};
// start, stop, restart, drain, undrain and weight of one replica
struct ReplicaOptions {
  std::string action;
  std::string replica;
  std::optional<int> percent;  // weight; nullopt: the configured one
};

struct DeployOptions {
  bool again = false;    // also when nothing has changed
  bool detach = false;   // do not wait for its end
  bool history = false;  // show the last ones instead
  bool json = false;
  std::vector<std::string> command;  // of a service without a file
  std::vector<std::string> files;    // PATH=SOURCE: guarded ones that are to be others
};
struct RollbackOptions {
  std::optional<std::uint32_t> release;  // nullopt: end what is under way, or go back to the one before
  bool detach = false;
  bool json = false;
};

using Command = std::variant<CheckOptions, UpOptions, RunOptions, DownOptions, StatusOptions, PsOptions, LogsOptions,
                             ReplicaOptions, UpgradeOptions, ReloadOptions, ReportOptions, ExplainOptions, SlaOptions,
                             IncidentOptions, MaintenanceOptions, CheckLedgerOptions, GatewayOptions, BackupOptions,
                             RestoreOptions, DeployOptions, RollbackOptions, ExportOptions, CalcOptions>;

struct Invocation {
  GlobalOptions global;
  Command command;
};

// What to say instead of doing anything: to stdout with kDone (help, version), to stderr otherwise.
struct Reply {
  int exit_status = kWrong;
  std::string text;  // without a newline at its end
};

// `arguments` are those after the program's name.
std::expected<Invocation, Reply> parse_arguments(std::span<const std::string> arguments);

}  // namespace nines::cli
