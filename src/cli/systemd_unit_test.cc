#include "cli/systemd_unit.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>
#include <vector>

namespace nines::cli {
namespace {

config::Config service() {
  config::Config config;
  config.service = "my-api";
  config.replicas.command = {"my-server", "{port}"};
  return config;
}

UnitFacts facts(const std::string& folder = "/srv/my-api") {
  return {.program = "/usr/local/bin/nines",
          .paths = {.config_file = folder + "/nines.yaml",
                    .folder = folder,
                    .state = folder + "/.nines",
                    .run = "/run/nines-0123456789ab"},
          .home = "/root"};
}

std::string unit_of(const config::Config& config, const UnitFacts& given) {
  auto unit = systemd_unit(config, given);
  if (!unit) FAIL(unit.error().text());
  return *unit;
}

// The values of a key, in order.
std::vector<std::string> values(const std::string& unit, const std::string& key) {
  std::vector<std::string> found;
  std::istringstream in(unit);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(key + "=")) found.push_back(line.substr(key.size() + 1));
  }
  return found;
}

using Values = std::vector<std::string>;

TEST_CASE("unit: what systemd would read otherwise is escaped") {
  struct Row {
    const char *text, *path, *word, *argument;
  };
  const Row rows[] = {
      {"/srv/my-api_2.0@x", "/srv/my-api_2.0@x", "/srv/my-api_2.0@x", "/srv/my-api_2.0@x"},
      {"/srv/my api", "/srv/my api", "\"/srv/my api\"", "\"/srv/my api\""},
      {"/srv/50%n", "/srv/50%%n", "/srv/50%%n", "/srv/50%%n"},
      {"/srv/$HOME", "/srv/$HOME", "/srv/$HOME", "/srv/$$HOME"},
      {"/srv/a\"b", "/srv/a\"b", "\"/srv/a\\\"b\"", "\"/srv/a\\\"b\""},
      {"/srv/a'b", "/srv/a'b", "\"/srv/a'b\"", "\"/srv/a'b\""},
      {"/srv/a\\b", "/srv/a\\b", "\"/srv/a\\\\b\"", "\"/srv/a\\\\b\""},
      {"/srv/a\\", "/srv/a\\/.", "\"/srv/a\\\\\"", "\"/srv/a\\\\\""},
      {"/srv/a ", "/srv/a /.", "\"/srv/a \"", "\"/srv/a \""},
      {"/srv/a;b#c", "/srv/a;b#c", "\"/srv/a;b#c\"", "\"/srv/a;b#c\""},
      {"/srv/für", "/srv/für", "/srv/für", "/srv/für"},
      {";", ";", "\";\"", "\";\""},
      {"", "", "\"\"", "\"\""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(unit_path(row.text) == row.path);
    CHECK(unit_word(row.text) == row.word);
    CHECK(unit_argument(row.text) == row.argument);
  }
}

TEST_CASE("unit: it starts this program on this configuration, where the service lives") {
  const std::string plain = unit_of(service(), facts());
  CHECK(unit_name(service()) == "my-api.service");
  CHECK(values(plain, "ExecStart") == Values{"/usr/local/bin/nines -c /srv/my-api/nines.yaml up"});
  CHECK(values(plain, "WorkingDirectory") == Values{"/srv/my-api"});
  CHECK(values(plain, "RequiresMountsFor") == Values{"/srv/my-api"});
  CHECK(values(plain, "User").empty());
  CHECK(values(plain, "ExecReload") == Values{"/usr/local/bin/nines -c /srv/my-api/nines.yaml reload"});
  UnitFacts odd = facts("/srv/my $api 100%");
  odd.program = "/opt/$v 1/nines";
  odd.state_given = true;
  odd.paths.state = "/var/lib/a\"b";
  odd.user = "ai";
  const std::string unit = unit_of(service(), odd);
  CHECK(values(unit, "ExecStart") ==
        Values{R"("/opt/$v 1/nines" -c "/srv/my $$api 100%%/nines.yaml" --state "/var/lib/a\"b" up)"});
  CHECK(values(unit, "WorkingDirectory") == Values{"/srv/my $api 100%%"});
  CHECK(values(unit, "User") == Values{"ai"});
  CHECK(values(unit, "RequiresMountsFor") == Values{R"("/srv/my $api 100%%" "/var/lib/a\"b")"});
}

TEST_CASE(
    "unit: a name with a line break is refused, for it would write lines of its own; so is what cannot be started") {
  for (const char* folder : {"/srv/a\nExecStartPre=/bin/evil", "/srv/a\tb", "/srv/a\x7f"}) {
    const auto unit = systemd_unit(service(), facts(folder));
    REQUIRE(!unit);
    CHECK(unit.error().code() == Code::kInvalid);
  }
  auto config = service();
  config.backups = {{.to = "/mnt/a\nb"}};
  CHECK(!systemd_unit(config, facts()));
  for (const char* program : {"/opt/a\"b/nines", "/opt/a'b/nines", "/opt/a\\b/nines"}) {
    UnitFacts odd = facts();
    odd.program = program;
    CHECK(!systemd_unit(service(), odd));
  }
}

TEST_CASE("unit: its patience is the configuration's") {
  auto config = service();
  CHECK(values(unit_of(config, facts()), "TimeoutStartSec") == Values{"630"});  // 600 + 10 + 20
  CHECK(values(unit_of(config, facts()), "TimeoutStopSec") == Values{"70"});    // 30 + 5 + 10 + 5 + 20
  config.replicas.health.startup = 1500ms;
  config.replicas.stop = {.drain = 1h, .grace = 0s};
  CHECK(values(unit_of(config, facts()), "TimeoutStartSec") == Values{"22"});
  CHECK(values(unit_of(config, facts()), "TimeoutStopSec") == Values{"3630"});
}

TEST_CASE("unit: what may be written to") {
  auto config = service();
  const Values always = {"/srv/my-api", "-/tmp", "-/var/tmp"};
  const Values last = {"-/run/nines-0123456789ab", "-/root/.cache"};
  const auto with = [&](Values more) {
    more.insert(more.begin(), always.begin(), always.end());
    more.insert(more.end(), last.begin(), last.end());
    return more;
  };
  CHECK(values(unit_of(config, facts()), "ReadWritePaths") == with({}));
  config.data.sqlite = {"data/app.db", "/var/lib/app/app.db", "../other/o.db", "/var/lib/app/second.db"};
  config.backups = {{.to = "backups/"}, {.to = "/mnt/my disk/"}, {.to = "../my-api-backups"}};
  CHECK(values(unit_of(config, facts()), "ReadWritePaths") ==
        with({"-/var/lib/app", "-/srv/other", "\"-/mnt/my disk\"", "-/srv/my-api-backups"}));
  UnitFacts elsewhere = facts();
  elsewhere.paths.state = "/var/lib/nines";
  elsewhere.home.clear();
  CHECK(values(unit_of(service(), elsewhere), "ReadWritePaths") ==
        Values{"/srv/my-api", "/var/lib/nines", "-/tmp", "-/var/tmp", "-/run/nines-0123456789ab"});
}

TEST_CASE("unit: its sockets are in a folder of its own, wherever this shell would have put them") {
  for (const char* run :
       {"/run/nines-0123456789ab", "/run/user/1000/nines-0123456789ab", "/tmp/nines-1000-0123456789ab"}) {
    UnitFacts given = facts();
    given.paths.run = run;
    const std::string unit = unit_of(service(), given);
    CHECK(values(unit, "RuntimeDirectory") == Values{"nines-0123456789ab"});
    CHECK(values(unit, "Environment") == Values{"XDG_RUNTIME_DIR=/run/nines-0123456789ab"});
    CHECK(values(unit, "RuntimeDirectoryPreserve") == Values{"restart"});
  }
}

TEST_CASE("unit: a port below 1024 costs one capability, a user costs all others") {
  struct Row {
    const char* what;
    std::vector<config::Address> listen;
    config::Dashboard dashboard;
    bool low;
  };
  const Row rows[] = {
      {"8000", {{"0.0.0.0", 8000}}, {}, false},
      {"1024", {{"0.0.0.0", 1024}}, {}, false},
      {"1023", {{"0.0.0.0", 1023}}, {}, true},
      {"one of two", {{"0.0.0.0", 8000}, {"::", 80}}, {}, true},
      {"the dashboard's", {{"0.0.0.0", 8000}}, {config::Address{"127.0.0.1", 99}}, true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    auto config = service();
    config.listen = row.listen;
    config.dashboard = row.dashboard;
    UnitFacts given = facts();
    const std::string of_root = unit_of(config, given);
    CHECK(values(of_root, "CapabilityBoundingSet").front().contains("CAP_NET_BIND_SERVICE") == row.low);
    CHECK(values(of_root, "CapabilityBoundingSet").front().contains("CAP_DAC_OVERRIDE"));
    CHECK(values(of_root, "AmbientCapabilities").empty());
    given.user = "ai";
    const std::string of_user = unit_of(config, given);
    const Values one = {"CAP_NET_BIND_SERVICE"};
    CHECK(values(of_user, "CapabilityBoundingSet") == (row.low ? one : Values{""}));
    CHECK(values(of_user, "AmbientCapabilities") == (row.low ? one : Values{}));
  }
}

TEST_CASE("unit: nothing in it breaks a server, and nothing in it ends replicas with the anchor") {
  const std::string unit = unit_of(service(), facts());
  for (const char* breaks : {"MemoryDenyWriteExecute", "PrivateDevices", "ProtectClock", "PrivateTmp",
                             "ProtectControlGroups", "ProcSubset", "PrivateNetwork", "DeviceAllow", "DynamicUser"}) {
    CAPTURE(breaks);
    CHECK(values(unit, breaks).empty());
  }
  CHECK(values(unit, "KillMode") == Values{"process"});
  CHECK(values(unit, "OOMPolicy") == Values{"continue"});
  CHECK(values(unit, "Type") == Values{"notify"});
  CHECK(values(unit, "NotifyAccess") == Values{"all"});
  CHECK(values(unit, "Restart") == Values{"always"});
  CHECK(values(unit, "Delegate") == Values{"memory cpu pids"});
}

}  // namespace
}  // namespace nines::cli
