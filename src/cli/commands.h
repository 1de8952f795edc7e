// What each command does: one function, in a file of its own (up_command.cc, …). It prints, and returns the exit
// status. Blocks until it is done.
#pragma once

#include "cli/arguments.h"

namespace nines::cli {

int perform(const GlobalOptions& global, const CheckOptions& options);
int perform(const GlobalOptions& global, const UpOptions& options);
int perform(const GlobalOptions& global, const RunOptions& options);
int perform(const GlobalOptions& global, const DownOptions& options);
int perform(const GlobalOptions& global, const StatusOptions& options);
int perform(const GlobalOptions& global, const PsOptions& options);
int perform(const GlobalOptions& global, const LogsOptions& options);
int perform(const GlobalOptions& global, const ReplicaOptions& options);
int perform(const GlobalOptions& global, const BackupOptions& options);
int perform(const GlobalOptions& global, const RestoreOptions& options);
int perform(const GlobalOptions& global, const UpgradeOptions& options);
int perform(const GlobalOptions& global, const ReportOptions& options);
int perform(const GlobalOptions& global, const ExplainOptions& options);
int perform(const GlobalOptions& global, const SlaOptions& options);
int perform(const GlobalOptions& global, const IncidentOptions& options);
int perform(const GlobalOptions& global, const MaintenanceOptions& options);
int perform(const GlobalOptions& global, const CheckLedgerOptions& options);
int perform(const GlobalOptions& global, const ReloadOptions& options);
int perform(const GlobalOptions& global, const GatewayOptions& options);
int perform(const GlobalOptions& global, const DeployOptions& options);
int perform(const GlobalOptions& global, const RollbackOptions& options);
int perform(const GlobalOptions& global, const ExportOptions& options);
int perform(const GlobalOptions& global, const CalcOptions& options);

// A reply to stdout (kDone) or stderr; returns its exit status.
int say(const Reply& reply);

}  // namespace nines::cli
