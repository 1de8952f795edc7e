#include "cli/service_setup.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "base/check.h"
#include "config/values.h"
#include "supervise/process.h"

namespace nines::cli {
namespace {

using config::Checked;
using config::Complaint;

std::unexpected<Complaint> about(const std::string& option, const Complaint& complaint) {
  return config::wrong(option + ": " + complaint.what, complaint.fix);
}

}  // namespace

Result<std::string> this_program() {
  std::array<char, 4096> path;
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  if (size <= 0) return failure(os_error(errno, "find out where this program is"));
  return std::string(path.data(), static_cast<std::size_t>(size));
}

std::string service_name_of(const std::string& folder) {
  std::string name;
  for (const char c : std::filesystem::path(folder).filename().native()) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const char fit = upper ? static_cast<char>(c - 'A' + 'a') : plain ? c : '-';
    if (fit != '-' || (!name.empty() && name.back() != '-')) name += fit;
  }
  constexpr std::size_t kMax = 63;
  name = name.substr(0, kMax);
  name.erase(name.find_last_not_of('-') + 1);
  if (name.empty()) name = "service";
  INVARIANT(config::check_service_name(name));
  return name;
}

Result<std::string> find_command(const config::Config& config, const std::string& folder) {
  supervise::Command command{.argv = config.replicas.command, .directory = folder};
  if (const auto& directory = config.replicas.directory)
    command.directory = directory->starts_with('/') ? *directory : folder + "/" + *directory;
  for (const auto& [name, value] : config.replicas.env) {
    if (const auto* text = std::get_if<std::string>(&value)) command.environment.emplace_back(name, *text);
  }
  return supervise::find_program(command);
}

Answered<Prepared> prepare(config::Config config, app::Paths paths) {
  if (!config.service) config.service = service_name_of(paths.folder);
  if (!config.replicas.command.empty()) {
    if (const auto found = find_command(config, paths.folder); !found) return refuse(kWrong, found.error().text());
  }
  if (const auto made = app::make_folders(paths); !made) return refuse(kNo, made.error().text());
  auto lock = app::StateLock::take(paths.lock_file());
  if (!lock) {
    const bool taken = lock.error().code() == Code::kExists;
    return refuse(kNo, (taken ? *config.service + " is " : std::string()) + lock.error().text());
  }
  return Prepared{{std::move(config), std::move(paths)}, std::move(*lock)};
}

std::string describe_problems(const std::vector<config::Problem>& problems, const std::string& file) {
  std::string out;
  for (const config::Problem& problem : problems) out += config::format(problem, file) + "\n";
  if (problems.size() > 1) out += std::to_string(problems.size()) + " problems\n";
  return out;
}

Answered<config::Config> load_again(const std::string& file) {
  auto config = config::load(file);
  if (config) return *std::move(config);
  std::string text = describe_problems(config.error(), file);
  text.pop_back();
  return std::unexpected(Reply{kWrong, std::move(text)});
}

Checked<config::Config> config_of(const RunOptions& options) {
  config::Config config;
  const auto [min, max] = config::bounds::kCount;
  if (options.replicas < min || options.replicas > max) {
    return config::wrong("--replicas: " + std::to_string(options.replicas) + " is no number of replicas",
                         "use " + std::to_string(min) + " to " + std::to_string(max));
  }
  config.replicas.count = options.replicas;
  const auto listen = config::parse_address(options.listen);
  if (!listen) return about("--listen", listen.error());
  config.listen = {*listen};
  if (options.health) {
    if (const auto checked = config::check_request_path(*options.health); !checked)
      return about("--health", checked.error());
    config.replicas.health.path = options.health;
  }
  if (options.name) {
    if (const auto checked = config::check_service_name(*options.name); !checked)
      return about("--name", checked.error());
    config.service = options.name;
  }
  for (const std::string& argument : options.command) {
    if (const auto checked = config::check_text(argument); !checked) return std::unexpected(checked.error());
  }
  if (const auto checked = config::check_command(options.command); !checked) {
    const bool no_port = checked.error().what == "the command has no {port}";
    if (!no_port || !checked.error().fix.starts_with("say where")) return std::unexpected(checked.error());
    // The same advice, in the words of a command line.
    return config::wrong(checked.error().what,
                         "say where the port goes: nines run -- my-server --port {port}; for a server that reads a "
                         "variable: nines run -- sh -c 'PORT={port} exec my-server'");
  }
  config.replicas.command = options.command;
  return config;
}

}  // namespace nines::cli
