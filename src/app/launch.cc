#include "app/launch.h"

#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

#include "config/values.h"

namespace nines::app {
namespace {

std::string below(const std::string& folder, const std::string& path) {
  return path.starts_with('/') ? path : folder + "/" + path;
}

std::optional<std::string> read(const std::string& path) {
  // Whoever opens a FIFO waits for its writer, and everything else with it.
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (!file) return std::nullopt;
  text << file.rdbuf();
  if (!text && file.bad()) return std::nullopt;
  return text.str();
}

Result<std::string> read_secret(const config::Secret& secret, const std::string& folder) {
  if (secret.source() == config::Secret::Source::kEnvironment) {
    const char* const value = std::getenv(secret.name().c_str());
    if (value == nullptr)
      return failure(Code::kNotFound,
                     "the environment variable " + secret.name() + " is not set; set it where nines is started");
    return value;
  }
  const std::string path = below(folder, secret.name());
  auto value = read(path);
  if (!value) return failure(Code::kNotFound, "cannot read the secret in " + path);
  // Editors end files with a newline; no secret in an environment variable does.
  while (value->ends_with('\n') || value->ends_with('\r')) value->pop_back();
  if (value->find('\0') != std::string::npos)
    return failure(Code::kInvalid, path + " contains a NUL byte, which no environment variable can hold");
  return *std::move(value);
}

void set(Environment& environment, const std::string& name, std::string value) {
  std::erase_if(environment, [&](const auto& pair) { return pair.first == name; });
  environment.emplace_back(name, std::move(value));
}

std::string filled_in(std::string argument, std::string_view mark, const std::string& text) {
  for (std::size_t at = 0; (at = argument.find(mark, at)) != std::string::npos; at += text.size())
    argument.replace(at, mark.size(), text);
  return argument;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

std::string_view without_quotes(std::string_view value) {
  const bool quoted =
      value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front();
  return quoted ? value.substr(1, value.size() - 2) : value;
}

Result<Environment> environment_of(const config::Launch& launch, const std::string& folder) {
  Environment environment;
  for (const std::string& name : launch.env_file) {
    const std::string path = below(folder, name);
    const auto text = read(path);
    if (!text) return failure(Code::kNotFound, "cannot read " + path + " (replicas.env_file)");
    auto lines = parse_env_file(*text, path);
    if (!lines) return lines;
    for (auto& [variable, value] : *lines) set(environment, variable, std::move(value));
  }
  for (const auto& [name, value] : launch.env) {
    if (const auto* const text = std::get_if<std::string>(&value)) {
      set(environment, name, *text);
      continue;
    }
    auto secret = read_secret(std::get<config::Secret>(value), folder);
    if (!secret) return failure(std::move(secret.error()).in("replicas.env." + name));
    set(environment, name, std::move(*secret));
  }
  return environment;
}

// What login gives a user, but for what the configuration says.
void become(const std::string& user, const supervise::User& found, Environment& environment) {
  const auto add = [&](const char* name, const std::string& value) {
    const bool said = std::ranges::any_of(environment, [&](const auto& pair) { return pair.first == name; });
    if (!said && !value.empty()) environment.emplace_back(name, value);
  };
  add("HOME", found.home.empty() ? "/" : found.home);
  add("USER", found.name.empty() ? user : found.name);
  add("LOGNAME", found.name.empty() ? user : found.name);
}

}  // namespace

Result<Environment> parse_env_file(const std::string& text, const std::string& where) {
  Environment environment;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::string_view rest = trimmed(line);
    if (rest.empty() || rest.starts_with('#')) continue;
    const auto wrong = [&](const std::string& what) {
      return failure(Code::kInvalid, where + ":" + std::to_string(number) + ": " + what + "; write NAME=VALUE");
    };
    if (rest.starts_with("export ")) rest = trimmed(rest.substr(7));
    const auto equals = rest.find('=');
    if (equals == std::string_view::npos) return wrong("there is no =");
    const std::string name(trimmed(rest.substr(0, equals)));
    if (const auto checked = config::check_variable_name(name); !checked) return wrong(checked.error().what);
    if (rest.find('\0') != std::string_view::npos) return wrong("there is a NUL byte");
    set(environment, name, std::string(without_quotes(trimmed(rest.substr(equals + 1)))));
  }
  return environment;
}

Result<supervise::Command> command_of(const config::Launch& launch, const std::string& folder, const Place& place) {
  auto environment = environment_of(launch, folder);
  if (!environment) return failure(std::move(environment.error()));
  supervise::Command command;
  if (launch.user) {
    auto user = supervise::find_user(*launch.user);
    if (!user) return failure(std::move(user.error()).in("replicas.user"));
    become(*launch.user, *user, *environment);
    command.identity = std::move(user->identity);
  }
  const std::string port = std::to_string(place.port);
  for (const std::string& argument : launch.command)
    command.argv.push_back(filled_in(filled_in(argument, "{port}", port), "{socket}", place.socket));
  command.environment = std::move(*environment);
  command.directory = launch.directory ? below(folder, *launch.directory) : folder;
  if (launch.umask) command.umask = static_cast<mode_t>(*launch.umask);
  if (launch.limits.files) command.limits.push_back({RLIMIT_NOFILE, *launch.limits.files});
  if (launch.limits.processes) command.limits.push_back({RLIMIT_NPROC, *launch.limits.processes});
  if (launch.limits.core) command.limits.push_back({RLIMIT_CORE, *launch.limits.core});
  return command;
}

}  // namespace nines::app
