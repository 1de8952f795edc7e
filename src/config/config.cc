#include "config/config.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <tuple>

#include "base/error.h"
#include "base/fd.h"
#include "config/agreement.h"
#include "config/document.h"
#include "config/launch.h"
#include "config/protection.h"
#include "config/reader.h"
#include "config/replicas.h"
#include "config/traffic.h"
#include "config/values.h"

namespace nines::config {
namespace {

// The whole contract of nines.yaml: an unknown key is a typo, a key of a part still to come is not, and a key at the
// wrong level is told its place.
constexpr std::string_view kInReplicas = "indent it below replicas:";
constexpr std::string_view kInSla = "indent it below sla:";
constexpr std::string_view kInData = "indent it below data:";

constexpr Key kFileKeys[] = {{"service"},
                             {"objective"},
                             {"listen"},
                             {"replicas"},
                             {"routes"},
                             {"gateway"},
                             {"data"},
                             {"backups"},
                             {"dashboard"},
                             {"timezone"},
                             {"sla"},
                             {"costs"},
                             missing("services"),
                             missing("alerts"),
                             elsewhere("count", kInReplicas),
                             elsewhere("command", kInReplicas),
                             elsewhere("health", kInReplicas),
                             elsewhere("env", kInReplicas),
                             elsewhere("stop", kInReplicas),
                             elsewhere("files", kInReplicas),
                             elsewhere("sqlite", kInData),
                             elsewhere("credits", kInSla),
                             elsewhere("per_request", "indent it below costs:")};
// One socket per address: the same one twice, or one inside another, could not be opened.
const Address* overlap(const std::vector<Address>& addresses, const Address& added) {
  const auto everything = [](const Address& a) { return a.ip == "0.0.0.0" || a.ip == "::"; };
  const auto found = std::ranges::find_if(addresses, [&](const Address& other) {
    return other.port == added.port && other.is_ipv6() == added.is_ipv6() &&
           (other.ip == added.ip || everything(other) || everything(added));
  });
  return found == addresses.end() ? nullptr : &*found;
}

void read_listen(Section& file, std::vector<Address>& listen) {
  const Node* const node = file.value("listen");
  if (node == nullptr) return;
  const std::vector<const Node*> items = Section::items_of(*node);
  if (items.empty())
    return file.complain(node->at, {"listen is an empty list", "name an address, such as 127.0.0.1:8000"});
  if (file.too_many(*node, "listen", items.size(), bounds::kListenAddresses)) return;
  listen.clear();
  for (const Node* const item : items) {
    Address address;
    file.read_node(*item, "listen", address, parse_address);
    if (address.port == 0) continue;
    if (const Address* const other = overlap(listen, address)) {
      file.complain(item->at,
                    {"listen: " + address.text() + " is covered by " + other->text() + " already", "remove one"});
      continue;
    }
    listen.push_back(std::move(address));
  }
}

void read_dashboard(Section& file, Config& config) {
  file.read("dashboard", config.dashboard, [&](std::string_view text) -> Checked<std::optional<Dashboard>> {
    if (text == "none") return Dashboard{};
    auto address = parse_address(text);
    if (!address) {
      address.error().fix += "; \"none\" leaves it out";
      return std::unexpected(address.error());
    }
    if (const Address* const other = overlap(config.listen, *address))
      return wrong(address->text() + " is covered by " + other->text() + " of listen already", "choose another port");
    return Dashboard{*std::move(address)};
  });
}

Config read_file(const Node& root, std::vector<Problem>& problems) {
  Config config;
  Section file(problems, root, "", kFileKeys);
  if (root.kind != Node::Kind::kMap) return config;
  file.read("service", config.service, checked_by(check_service_name));
  file.read("objective", config.objective, parse_objective);
  read_listen(file, config.listen);
  read_replicas(file, config.listen, config.replicas);
  read_routes(file, config.routes);
  read_gateway(file, config.gateway);
  read_data(file, config.data);
  read_backups(file, config.backups);
  read_dashboard(file, config);
  file.read("timezone", config.timezone, checked_by(check_zone_name));
  read_sla(file, config.sla);
  read_costs(file, config.costs);
  return config;
}

// Sorted by position; what an alias repeats is said once.
std::vector<Problem> finished(std::vector<Problem> problems, const Lines& lines) {
  const auto key = [](const Problem& p) { return std::tuple(p.at, p.complaint.what, p.complaint.fix); };
  std::ranges::sort(problems, {}, key);
  const auto repeated = std::ranges::unique(problems, {}, key);
  problems.erase(repeated.begin(), repeated.end());
  constexpr std::size_t kShownMax = 4096;  // ten thousand problems in a line of a megabyte would be ten gigabytes
  for (Problem& problem : problems) {
    const std::string_view line = lines.line(problem.at.line);
    if (line.size() <= kShownMax) problem.source = line;
  }
  return problems;
}

Problem about_the_file(Complaint complaint) { return {.at = {0, 0}, .complaint = std::move(complaint), .source = {}}; }

Result<std::string> read_at_most(const std::string& path, std::size_t max) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return failure(os_error(errno, "cannot read it"));
  std::string text;
  std::array<char, 16 * 1024> buffer;
  while (text.size() <= max) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(os_error(errno, "cannot read it"));
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

}  // namespace

Parsed parse(std::string_view yaml_text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (yaml_text.starts_with(kByteOrderMark)) yaml_text.remove_prefix(kByteOrderMark.size());
  if (yaml_text.size() > bounds::kFileBytes) {
    return std::unexpected(
        std::vector{about_the_file({"the configuration is larger than 1 MiB", "is this the right file?"})});
  }
  const Lines lines(yaml_text);
  auto document = read_document(yaml_text, lines);
  if (!document) return std::unexpected(finished({std::move(document).error()}, lines));

  std::vector<Problem> problems = std::move(document->problems);
  Config config;
  if (document->root == nullptr || document->root->kind == Node::Kind::kNull) {
    problems.push_back(
        {{}, {"the file is empty", "say what to run: replicas: {" + std::string(kCommandExample) + "}"}, {}});
  } else {
    config = read_file(*document->root, problems);
  }
  if (problems.empty() && to_yaml(config).size() > bounds::kFileBytes) {
    problems.push_back({{}, {"larger than 1 MiB with every alias written out", "move long texts into files"}, {}});
  }
  if (!problems.empty()) return std::unexpected(finished(std::move(problems), lines));
  return config;
}

Parsed load(const std::string& path) {
  auto text = read_at_most(path, bounds::kFileBytes);
  if (text) return parse(*text);
  std::string fix = "check its permissions";
  if (text.error().code() == Code::kNotFound) {
    fix = "write one, name another with -c FILE, or do without: nines run -- COMMAND";
  }
  return std::unexpected(std::vector{about_the_file({text.error().text(), std::move(fix)})});
}

}  // namespace nines::config
