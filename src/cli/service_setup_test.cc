#include "cli/service_setup.h"

#include <doctest/doctest.h>

namespace nines::cli {
namespace {

RunOptions options() { return {.command = {"srv", "--port", "{port}"}}; }

std::string complaint(const RunOptions& o) {
  const auto config = config_of(o);
  return config ? "" : config.error().text();
}

TEST_CASE("setup: a folder's name becomes a service name") {
  struct Row {
    const char* folder;
    const char* name;
  };
  const Row rows[] = {
      {"/srv/language-id", "language-id"},
      {"/srv/My AI_api", "my-ai-api"},
      {"/srv/--x--", "x"},
      {"/", "service"},
      {"/srv/___", "service"},
      {"/srv/v1.0", "v1-0"},
      {"/srv/modèle", "mod-le"},
  };
  for (const Row& row : rows) CHECK(service_name_of(row.folder) == row.name);
  CHECK(service_name_of("/" + std::string(62, 'a') + "-bc") == std::string(62, 'a'));
}

TEST_CASE("setup: run's arguments become a configuration") {
  RunOptions o = options();
  auto config = config_of(o);
  REQUIRE(config);
  CHECK(config->replicas.count == 1);
  CHECK(config->listen == std::vector<config::Address>{{"127.0.0.1", 8000}});
  CHECK(config->replicas.command == o.command);
  CHECK(!config->replicas.health.path);
  CHECK(!config->service);

  o.replicas = 3;
  o.listen = ":80";
  o.health = "/healthz?full=1";
  o.name = "x";
  config = config_of(o);
  REQUIRE(config);
  CHECK(config->replicas.count == 3);
  CHECK(config->listen.front().text() == "0.0.0.0:80");
  CHECK(config->replicas.health.path == "/healthz?full=1");
  CHECK(config->service == "x");
  CHECK(config::parse(config::to_yaml(*config)).value() == *config);  // the children read it again
}

TEST_CASE("setup: run's mistakes name the option and the way out") {
  RunOptions o = options();
  o.replicas = 0;
  CHECK(complaint(o) == "--replicas: 0 is no number of replicas; use 1 to 64");
  o = options();
  o.listen = "8000";
  CHECK(complaint(o).starts_with("--listen: \"8000\" is only a port"));
  o = options();
  o.health = "health";
  CHECK(complaint(o) == "--health: \"health\" is not a path; a path starts with /");
  o = options();
  o.name = "My Service";
  CHECK(complaint(o).starts_with("--name: \"My Service\" is not a service name"));
  o = options();
  o.command = {"srv"};
  CHECK(complaint(o) ==
        "the command has no {port}; say where the port goes: nines run -- my-server --port {port}; for a server that "
        "reads a variable: nines run -- sh -c 'PORT={port} exec my-server'");
  o.command = {"srv", "{PORT}"};
  CHECK(complaint(o) == "the command has no {port}; write {port} where it says {PORT}");
  o.command = {"srv", "{socket}", "{port}"};
  CHECK(complaint(o).starts_with("the command has both {port} and {socket}; "));
  o.command = {"srv", "{SOCKET}"};
  CHECK(complaint(o) == "the command has no {socket}; write {socket} where it says {SOCKET}");
  o.command = {"srv", "{socket}"};
  CHECK(config_of(o)->replicas.by_socket());
}

TEST_CASE("setup: all problems are shown, and counted") {
  const auto parsed = config::parse("helth: 1\nlisten: 8000\n");
  REQUIRE(!parsed);
  const std::string text = describe_problems(parsed.error(), "nines.yaml");
  CHECK(text.contains("nines.yaml:1:1: "));
  CHECK(text.contains("nines.yaml:2:9: "));
  CHECK(text.ends_with(std::to_string(parsed.error().size()) + " problems\n"));
  CHECK(!describe_problems({parsed.error().front()}, "nines.yaml").contains("problems"));
}

TEST_CASE("setup: the command is found where the replicas will run, with their PATH") {
  config::Config config;
  config.replicas.command = {"sh"};
  CHECK(find_command(config, "/").value().ends_with("/sh"));
  config.replicas.env = {{"PATH", std::string("/nowhere")}};
  CHECK(find_command(config, "/").error().code() == Code::kNotFound);
}

}  // namespace
}  // namespace nines::cli
