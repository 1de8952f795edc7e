#include "config/container.h"

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "config/launch.h"
#include "config/values.h"

namespace nines::config {
namespace {

constexpr std::string_view kImageExample = "image: \"my-ai:v1\"";
constexpr Key kContainerKeys[] = {
    {"image"},
    {"port"},
    {"command"},
    {"network"},
    {"volumes"},
    {"engine"},
    {"memory"},
    {"cpus"},
    elsewhere("env", "indent it below replicas:"),
    elsewhere("environment", "write env: below replicas:"),
    elsewhere("count", "indent it below replicas:"),
    elsewhere("health", "indent it below replicas:"),
    elsewhere("ports", "write port: 8000, the one in the image; nines chooses the other")};

constexpr std::string_view kPort = "{port}";
constexpr std::string_view kSocket = "{socket}";

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

Checked<> check_container_command(const std::vector<std::string>& command) {
  if (command.empty() || command.front().empty())
    return wrong("the command is empty", "write one, or remove the key: then it is the image's");
  if (command.size() > bounds::kArguments)
    return wrong("the command has more than " + std::to_string(bounds::kArguments) + " arguments", "use a script");
  if (std::ranges::any_of(command, [](const std::string& word) { return contains(word, kSocket); }))
    return wrong("a container is not reached by a {socket}", "write {port}");
  return {};
}

Checked<std::uint16_t> parse_port(std::string_view text) {
  const auto number = parse_unsigned(text);
  if (!number || *number < 1 || *number > UINT16_MAX)
    return wrong(quoted(text) + " is no port", "write the one that the server in the image listens on, 1 to 65535");
  return static_cast<std::uint16_t>(*number);
}

Checked<Container::Network> parse_network_kind(std::string_view text) {
  if (text == "bridge") return Container::Network::kBridge;
  if (text == "host") return Container::Network::kHost;
  return wrong(quoted(text) + " is no network known here",
               "write bridge, where nines publishes the port, or host, where {port} says which");
}

Checked<std::string> parse_engine(std::string_view text) {
  constexpr std::string_view kUnix = "unix://";
  if (text.starts_with(kUnix)) text.remove_prefix(kUnix.size());
  constexpr std::size_t kSocketBytes = 107;
  if (!text.starts_with('/') || text.size() > kSocketBytes || contains(text, std::string_view("\0", 1)))
    return wrong(quoted(text) + " is no path of an engine's socket",
                 "write an absolute one of at most 107 bytes, such as /var/run/docker.sock");
  return std::string(text);
}

Checked<std::uint64_t> parse_memory(std::string_view text) {
  auto size = parse_size(text);
  if (!size) return size;
  const auto [min, max] = bounds::kContainerMemory;
  if (*size < min || *size > max)
    return wrong(quoted(text) + " is out of bounds", "use " + write_size(min) + " to " + write_size(max));
  return size;
}

void read_volumes(Section& section, std::vector<std::string>& volumes) {
  const Node* const node = section.value("volumes");
  if (node == nullptr) return;
  const std::string what = section.dotted("volumes");
  const auto items = Section::items_of(*node);
  if (items.empty())
    return section.complain(node->at,
                            {what + " is an empty list", "name one, such as ./data:/data, or remove the key"});
  if (section.too_many(*node, what, items.size(), bounds::kVolumes)) return;
  for (const Node* const item : items) {
    std::string volume;
    section.read_node(*item, what, volume, checked_by(check_volume));
    if (!volume.empty()) volumes.push_back(std::move(volume));
  }
}

// How the server learns its port, and nines where it is.
void check_port(Section& section, const Container& container, const Launch& launch) {
  if (container.network == Container::Network::kBridge) {
    if (!section.has("port"))
      section.complain(section.at(),
                       {"container has no port", "say where the server in the image listens: port: 8000"});
    return;
  }
  if (section.has("port"))
    section.complain(
        section.value("port") != nullptr ? section.value("port")->at : section.at(),
        {"port is for network: bridge", "remove it; with network: host every replica is told another one, as {port}"});
  const bool in_command =
      std::ranges::any_of(container.command, [](const auto& word) { return contains(word, kPort); });
  const bool in_env = std::ranges::any_of(launch.env, [](const auto& variable) {
    const auto* const text = std::get_if<std::string>(&variable.second);
    return text != nullptr && contains(*text, kPort);
  });
  if (!in_command && !in_env && !section.has("command"))
    section.complain(section.at(), {"with network: host nothing tells the server its port",
                                    "write {port} in command, or in env: {PORT: \"{port}\"}"});
  else if (!in_command && !in_env && !container.command.empty())
    section.complain(section.value("command")->at,
                     {"the command has no {port}, and env neither", "with network: host, say where the port goes"});
}

// What is about processes is the image's here, or said below container: better refused than ignored.
void refuse_beside_container(Section& replicas) {
  for (const Node::Entry& entry : replicas.entries()) {
    const std::string& key = entry.key->text;
    if (key == "limits") {
      replicas.complain(entry.key->at,
                        {"\"limits\" is for command, not for container", "write memory: and cpus: below container:"});
    } else if (key == "directory" || key == "user" || key == "umask") {
      replicas.complain(entry.key->at,
                        {config::quoted(key) + " is for command, not for container", "say it in the image"});
    }
  }
}

}  // namespace

Checked<> check_image(std::string_view name) {
  constexpr std::size_t kMax = 512;
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || contains("._-/:@", {&c, 1});
  };
  const bool begins = !name.empty() && name.front() != '-' && name.front() != '/';
  if (!begins || name.size() > kMax || !std::ranges::all_of(name, fits))
    return wrong(quoted(name) + " is no name of an image", "write one such as my-ai:v1");
  return {};
}

Checked<> check_volume(std::string_view text) {
  const std::string fix = "write FOLDER:/PATH-IN-THE-CONTAINER, such as ./data:/data, with :ro where it is only read";
  if (auto checked = check_file_path(text); !checked) return checked;
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return wrong(quoted(text) + " is no volume", fix);
  const std::string_view from = text.substr(0, colon);
  std::string_view to = text.substr(colon + 1);
  std::string_view options;
  if (const auto second = to.find(':'); second != std::string_view::npos) {
    options = to.substr(second + 1);
    to = to.substr(0, second);
    if (options != "ro" && options != "rw" && options != "z" && options != "Z" && options != "ro,z" &&
        options != "ro,Z")
      return wrong(quoted(options) + " is no way to have a volume", "use ro, rw, z or Z, or leave it out");
  }
  if (!to.starts_with('/')) return wrong(quoted(to) + " is no absolute path in the container", fix);
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || contains("._-", {&c, 1});
  };
  // A folder without ./ would be a volume's name to an engine.
  if (from.front() != '/' && from.front() != '.' && !std::ranges::all_of(from, plain))
    return wrong(quoted(from) + " is neither a folder nor a volume's name", "write ./" + std::string(from));
  return {};
}

Checked<int> parse_cpus(std::string_view text) {
  const auto [min, max] = bounds::kCpuPercent;
  const Complaint complaint{quoted(text) + " is no number of cores",
                            "write one such as 2, 0.5 or 1.25, from " + write_cpus(min) + " to " + write_cpus(max)};
  const auto dot = text.find('.');
  const auto whole = parse_unsigned(text.substr(0, dot));
  std::string hundredths(dot == std::string_view::npos ? "0" : text.substr(dot + 1));
  if (hundredths.size() == 1) hundredths += '0';
  const auto part = parse_unsigned(hundredths);
  if (!whole || !part || hundredths.size() > 2 || *whole > static_cast<std::uint64_t>(max))
    return std::unexpected(complaint);
  const auto percent = static_cast<std::int64_t>(*whole * 100 + *part);
  if (percent < min || percent > max) return std::unexpected(complaint);
  return static_cast<int>(percent);
}

std::string write_cpus(int percent) {
  std::string text = std::to_string(percent / 100);
  const int part = percent % 100;
  if (part == 0) return text;
  text += "." + std::to_string(part / 10);
  return part % 10 == 0 ? text : text + std::to_string(part % 10);
}

void read_container(Section& replicas, Launch& launch) {
  auto section = replicas.section("container", kContainerKeys);
  if (!section) return;
  Container container;
  if (!section->has("image"))
    section->complain(section->at(), {"container has no image", "name one: " + std::string(kImageExample)});
  section->read("image", container.image, checked_by(check_image));
  section->read("network", container.network, parse_network_kind);
  if (container.network == Container::Network::kBridge) section->read("port", container.port, parse_port);
  read_words(*section, "command", container.command, check_container_command);
  read_volumes(*section, container.volumes);
  section->read("engine", container.engine, parse_engine);
  section->read("memory", container.memory, parse_memory);
  section->read("cpus", container.cpu_percent, parse_cpus);
  check_port(*section, container, launch);
  refuse_beside_container(replicas);
  launch.container = std::move(container);
}

}  // namespace nines::config
