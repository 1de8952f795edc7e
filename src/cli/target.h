// Which service a command is about, and asking it. Failures come as what to say and the exit status.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>

#include "app/control_client.h"
#include "app/paths.h"
#include "cli/arguments.h"
#include "cli/status.h"

namespace nines::cli {

template <class T>
using Answered = std::expected<T, Reply>;

std::unexpected<Reply> refuse(int exit_status, std::string_view message);

// By -c and --state, or nines.yaml in this folder; without any of these the one service that `nines run` started
// here. kWrong when there are several, kNotRunning when there is none. `dead_too`: also one that does not run, for
// commands that read its files.
Answered<app::Paths> find_service(const GlobalOptions& global, bool dead_too = false);

// app::ask(), with its errors explained.
Answered<std::string> ask_service(const app::Paths& paths, app::ControlRequest request);
Answered<ServiceStatus> ask_status(const app::Paths& paths);
// Why there is no answer, and what to do. `holder`: what app::holder_of() said.
Reply explain(const Error& error, const app::Paths& paths, std::optional<std::int64_t> holder);

// Runs, and its anchor does not: nobody would restart its supervisor.
bool anchor_is_dead(const app::Paths& paths);

// Who runs this command.
std::string user_name();

// The body of a wish: {"by": "nines stop (alice)"}.
std::string asked_by(const std::string& command);
// The same of a weight; nullopt: the configured one.
std::string asked_for_weight(const std::string& command, std::optional<int> percent);

// kWrong, with the nearest, when `typed` is none of them.
Answered<std::string> choose_replica(const std::string& typed, std::span<const std::string> names);

}  // namespace nines::cli
