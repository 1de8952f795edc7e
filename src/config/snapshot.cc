// to_yaml(): every key written out, every text in double quotes, so that no YAML rule about plain words matters.
#include <type_traits>

#include "config/config.h"
#include "config/values.h"

namespace nines::config {
namespace {

std::string in_quotes(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7f) {
      out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string text_of(const EnvironmentValue& value) {
  if (const auto* const secret = std::get_if<Secret>(&value)) return secret->reference();
  return std::get<std::string>(value);
}

std::string_view text_of(Replay replay) { return replay == Replay::kSafe ? "safe" : "never"; }

void write(std::string& out, const Health& health) {
  out += "  health:\n";
  out += "    path: " + (health.path ? in_quotes(*health.path) : "none") + "\n";
  out += "    interval: " + write_duration(health.interval) + "\n";
  out += "    timeout: " + write_duration(health.timeout) + "\n";
  out += "    rise: " + std::to_string(health.rise) + "\n";
  out += "    fall: " + std::to_string(health.fall) + "\n";
  out += "    startup: " + write_duration(health.startup) + "\n";
}

void write(std::string& out, const Replicas& replicas) {
  out += "replicas:\n  count: " + std::to_string(replicas.count) + "\n  command:\n";
  for (const std::string& argument : replicas.command) out += "    - " + in_quotes(argument) + "\n";
  write(out, replicas.health);
  if (!replicas.env.empty()) out += "  env:\n";
  for (const auto& [name, value] : replicas.env)
    out += "    " + in_quotes(name) + ": " + in_quotes(text_of(value)) + "\n";
  out += "  stop:\n";
  out += "    drain: " + write_duration(replicas.stop.drain) + "\n";
  out += "    grace: " + write_duration(replicas.stop.grace) + "\n";
  if (!replicas.files.empty()) out += "  files:\n";
  for (const std::string& file : replicas.files) out += "    - " + in_quotes(file) + "\n";
}

void write(std::string& out, const Backup& backup) {
  out += "  - to: " + in_quotes(backup.to) + "\n";
  if (!backup.archive.empty()) out += "    archive:\n";
  for (const TimeOfDay& time : backup.archive) out += "      - " + in_quotes(time.text()) + "\n";
  out += "    keep:\n";
  const auto rule = [&](const char* name, int count) {
    if (count > 0) out += "      " + std::string(name) + ": " + std::to_string(count) + "\n";
  };
  rule("last", backup.keep.last);
  rule("hourly", backup.keep.hourly);
  rule("daily", backup.keep.daily);
  rule("weekly", backup.keep.weekly);
  rule("monthly", backup.keep.monthly);
  if (backup.keep.within > 0s) out += "      within: " + write_duration(backup.keep.within) + "\n";
}

}  // namespace

std::string to_yaml(const Config& config) {
  std::string out;
  if (config.service) out += "service: " + in_quotes(*config.service) + "\n";
  if (config.objective) out += "objective: " + write_objective(*config.objective) + "\n";
  out += "listen:\n";
  for (const Address& address : config.listen) out += "  - " + in_quotes(address.text()) + "\n";
  write(out, config.replicas);
  if (!config.routes.empty()) out += "routes:\n";
  for (const Route& route : config.routes) {
    out += "  - path: " + in_quotes(route.path) + "\n    replay: " + std::string(text_of(route.replay)) + "\n";
  }
  if (config.gateway.threads) out += "gateway:\n  threads: " + std::to_string(*config.gateway.threads) + "\n";
  if (!config.data.sqlite.empty()) out += "data:\n  sqlite:\n";
  for (const std::string& path : config.data.sqlite) out += "    - " + in_quotes(path) + "\n";
  if (!config.backups.empty()) out += "backups:\n";
  for (const Backup& backup : config.backups) write(out, backup);
  if (config.dashboard)
    out += "dashboard: " + (config.dashboard->at ? in_quotes(config.dashboard->at->text()) : "none") + "\n";
  return out;
}

}  // namespace nines::config
