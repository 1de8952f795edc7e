#include "cli/systemd_unit.h"

#include <algorithm>
#include <filesystem>
#include <vector>

namespace nines::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kPrivilegedPorts = 1024;
constexpr Duration kGatewayLeaves = 5s;  // beyond the drain
constexpr Duration kKeeperLeaves = 5s;
constexpr Duration kSlack = 20s;  // a loaded machine, a process that dies late

bool is_below(std::string_view path, std::string_view folder) {
  return folder == "/" || (path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/'));
}

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string doubled(std::string_view text, char what) {
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == what) out += c;
  }
  return out;
}

std::string seconds(Duration d) { return std::to_string(std::chrono::ceil<std::chrono::seconds>(d).count()); }

// Relative to the configuration's folder, as nines reads it.
std::string resolved(const std::string& path, const std::string& folder) {
  std::string whole = (fs::path(folder) / path).lexically_normal().native();
  if (whole.size() > 1 && whole.ends_with('/')) whole.pop_back();
  return whole;
}

std::string folder_of(const std::string& file) {
  const std::string folder = fs::path(file).parent_path().native();
  return folder.empty() ? "/" : folder;
}

// A folder that is missing must not keep the service from its start, unless nines cannot do without.
struct Writable {
  std::string path;
  bool optional = false;
};

std::vector<Writable> writable_paths(const config::Config& config, const UnitFacts& facts) {
  const std::string& folder = facts.paths.folder;
  std::vector<Writable> wanted = {{folder}, {facts.paths.state}, {"/tmp", true}, {"/var/tmp", true}};
  for (const std::string& file : config.data.sqlite) wanted.push_back({folder_of(resolved(file, folder)), true});
  for (const config::Backup& backup : config.backups) wanted.push_back({resolved(backup.to, folder), true});
  wanted.push_back({facts.paths.run, true});
  if (!facts.home.empty()) wanted.push_back({facts.home + "/.cache", true});
  std::vector<Writable> paths;
  for (const Writable& one : wanted) {
    const bool covered = std::ranges::any_of(wanted, [&](const Writable& other) {
      return &other != &one && other.path != one.path && !other.optional && is_below(one.path, other.path);
    });
    const bool known = std::ranges::any_of(paths, [&](const Writable& other) { return other.path == one.path; });
    if (!covered && !known) paths.push_back(one);
  }
  return paths;
}

bool needs_privileged_port(const config::Config& config) {
  const auto low = [](const config::Address& at) { return at.port < kPrivilegedPorts; };
  return std::ranges::any_of(config.listen, low) ||
         (config.dashboard && config.dashboard->at && low(*config.dashboard->at));
}

// /run/nines-HASH, so that two services never share it.
std::string runtime_directory(const UnitFacts& facts) {
  const std::string& run = facts.paths.run;
  return "nines-" + run.substr(run.rfind('-') + 1);
}

std::string command_line(const UnitFacts& facts, const std::string& command) {
  // systemd looks for no variable in the program's own path.
  std::string line = unit_word(facts.program) + " -c " + unit_argument(facts.paths.config_file);
  if (facts.state_given) line += " --state " + unit_argument(facts.paths.state);
  return line + " " + command;
}

std::string unit_section(const config::Config& config, const UnitFacts& facts) {
  std::string text = "[Unit]\nDescription=" + *config.service + ", kept up by nines\n";
  text += "Wants=network-online.target\nAfter=network-online.target\n";
  text += "RequiresMountsFor=" + unit_word(facts.paths.folder);
  if (!is_below(facts.paths.state, facts.paths.folder)) text += " " + unit_word(facts.paths.state);
  text += "\n";
  text += "# Never given up.\nStartLimitIntervalSec=0\n";
  return text;
}

std::string process_lines(const config::Config& config, const UnitFacts& facts) {
  const config::Replicas& replicas = config.replicas;
  const Duration start = replicas.health.startup + replicas.stop.grace + kSlack;
  const Duration stop = replicas.stop.drain + kGatewayLeaves + replicas.stop.grace + kKeeperLeaves + kSlack;
  std::string text = "\n[Service]\n";
  text += "# The supervisor says when the service is up; the main process, the anchor, that it lives.\n";
  text += "Type=notify\nNotifyAccess=all\n";
  text += "ExecStart=" + command_line(facts, "up") + "\n";
  text += "ExecReload=" + command_line(facts, "reload") + "\n";
  text += "WorkingDirectory=" + unit_path(facts.paths.folder) + "\n";
  if (facts.user) text += "User=" + doubled(*facts.user, '%') + "\n";
  text += "# replicas.health.startup, and replicas.stop: drain and grace, with what nines itself takes.\n";
  text += "TimeoutStartSec=" + seconds(start) + "\nTimeoutStopSec=" + seconds(stop) + "\n";
  text += R"(# Not after `nines down` (0), nor for a configuration that is wrong (2).
Restart=always
RestartSec=1
RestartPreventExitStatus=0 2
# Only the anchor is systemd's to end: it brings the service down in order. And when it dies itself, gateway and replicas
# go on with their requests, until the next `nines up` takes them over.
KillMode=process
# One replica that the kernel kills for its memory is restarted by nines; the others serve on.
OOMPolicy=continue
WatchdogSec=30
WatchdogSignal=SIGKILL
# The gateway raises its own to the second number.
LimitNOFILE=65536:1048576
# A server may keep its model from being swapped out.
LimitMEMLOCK=infinity
TasksMax=infinity
Delegate=memory cpu pids
UMask=0027
# Its sockets; they stay while the service is restarted.
)";
  text += "RuntimeDirectory=" + runtime_directory(facts) +
          "\nRuntimeDirectoryMode=0700\nRuntimeDirectoryPreserve=restart\n";
  text += "Environment=XDG_RUNTIME_DIR=/run/" + runtime_directory(facts) + "\n";
  return text;
}

std::string hardening(const config::Config& config, const UnitFacts& facts) {
  std::string text = R"(
# What an AI server may write: its folder, its data, caches. For more: systemctl edit, ReadWritePaths=.
ProtectSystem=strict
ProtectHome=read-only
)";
  for (const Writable& one : writable_paths(config, facts))
    text += "ReadWritePaths=" + unit_word((one.optional ? "-" : "") + one.path) + "\n";
  const bool low_port = needs_privileged_port(config);
  if (facts.user) {
    text += "CapabilityBoundingSet=" + std::string(low_port ? "CAP_NET_BIND_SERVICE" : "") + "\n";
    if (low_port) text += "# For a port below 1024.\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n";
    text += "ProtectProc=invisible\n";
  } else {
    text +=
        "# Root's, as far as files of other users and replicas that change their user need them; --user needs none.\n";
    text +=
        "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL CAP_SETGID CAP_SETUID CAP_SYS_PTRACE" +
        std::string(low_port ? " CAP_NET_BIND_SERVICE" : "") + "\n";
  }
  text += R"(NoNewPrivileges=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
# Besides what services use: the memory keys of JavaScript engines, and sandboxes that a server puts on itself.
SystemCallFilter=@system-service @pkey seccomp mincore
SystemCallErrorNumber=EPERM
# Left out, since AI servers break of it:
#   MemoryDenyWriteExecute=   PyTorch, JavaScript engines and every other JIT make code while they run
#   PrivateDevices=           hides the GPUs, and so does ProtectClock=, which allows one device and thereby no other
#   PrivateTmp=               a restart of the unit would remove /tmp under the replicas that go on
#   ProtectControlGroups=     with Delegate= the cgroup of the service is its own to divide
#   ProcSubset=pid            hides what the machine is made of

[Install]
WantedBy=multi-user.target
)";
  return text;
}

}  // namespace

std::string unit_path(std::string_view path) {
  std::string out = doubled(path, '%');
  // A backslash would join the next line, a space would be cut off.
  if (out.ends_with('\\') || out.ends_with(' ')) out += "/.";
  return out;
}

std::string unit_word(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-+:@=,%$~").contains(c) || static_cast<unsigned char>(c) >= 0x80;
  };
  std::string whole = doubled(text, '%');
  if (!whole.empty() && std::ranges::all_of(whole, plain)) return whole;
  std::string quoted = "\"";
  for (const char c : whole) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string unit_argument(std::string_view text) { return unit_word(doubled(text, '$')); }

std::string unit_name(const config::Config& config) { return *config.service + ".service"; }

Result<std::string> systemd_unit(const config::Config& config, const UnitFacts& facts) {
  std::vector<std::string> paths = {facts.program, facts.paths.config_file, facts.paths.folder, facts.paths.state,
                                    facts.home};
  for (const Writable& one : writable_paths(config, facts)) paths.push_back(one.path);
  for (const std::string& path : paths) {
    if (has_control_character(path))
      return failure(Code::kInvalid,
                     "a path has a line break or another control character in its name, which no unit can "
                     "say: rename " +
                         path);
  }
  if (facts.program.find_first_of("\"'\\") != std::string::npos)
    return failure(
        Code::kInvalid,
        "systemd starts no program with quotes or backslashes in its path: put nines elsewhere than " + facts.program);
  const std::string name = unit_name(config);
  std::string text =
      "# /etc/systemd/system/" + name + ", by `nines export systemd`. Then: systemctl daemon-reload, and\n";
  text += "# systemctl enable --now " + name + "\n";
  return text + unit_section(config, facts) + process_lines(config, facts) + hardening(config, facts);
}

}  // namespace nines::cli
