#include "config/container.h"

#include <doctest/doctest.h>

#include "config/config.h"

namespace nines::config {
namespace {

std::string replicas(const std::string& keys) { return "replicas: {" + keys + "}"; }
std::string container(const std::string& keys) { return replicas("container: {" + keys + "}"); }

Config good(const std::string& text) {
  CAPTURE(text);
  auto parsed = parse(text);
  if (!parsed) FAIL(format(parsed.error().front(), "nines.yaml"));
  CHECK((*parse(to_yaml(*parsed)) == *parsed));
  return *std::move(parsed);
}

TEST_CASE("config: a container with all that can be said of it") {
  const Config config = good(
      replicas("count: 2, env: {PORT: \"{port}\"}, container: {image: \"reg:5000/my-ai:v1.0\", network: host, command: "
               "\"serve --fast\", volumes: [./data:/data, \"models:/models:ro\"], engine: \"unix:///run/podman.sock\", "
               "memory: 2GiB, cpus: 1.5}"));
  const Container want{.image = "reg:5000/my-ai:v1.0",
                       .port = 0,
                       .command = {"serve", "--fast"},
                       .network = Container::Network::kHost,
                       .volumes = {"./data:/data", "models:/models:ro"},
                       .engine = "/run/podman.sock",
                       .memory = 2ULL << 30,
                       .cpu_percent = 150};
  REQUIRE(config.replicas.container);
  CHECK((*config.replicas.container == want));
  CHECK(config.replicas.count == 2);
  CHECK(config.replicas.command.empty());
}

TEST_CASE("config: an image and its port are enough") {
  const Config config = good(container("image: my-ai, port: 8000"));
  REQUIRE(config.replicas.container);
  CHECK((*config.replicas.container ==
         Container{.image = "my-ai", .port = 8000, .command = {}, .volumes = {}, .engine = ""}));
}

TEST_CASE("config: a container that cannot be run is refused where it is wrong") {
  struct Claim {
    std::string text, said;
  };
  const Claim claims[] = {
      {container("port: 1"), "1:12 container has no image; name one: image: \"my-ai:v1\""},
      {container("image: a"), "1:12 container has no port; say where the server in the image listens: port: 8000"},
      {container("image: \"a b\", port: 1"), "1:31 replicas.container.image: \"a b\" is no name of an image"},
      {container("image: -a, port: 1"), "1:31 replicas.container.image: \"-a\" is no name of an image"},
      {container("image: a, port: 0"), "1:40 replicas.container.port: \"0\" is no port; write the one"},
      {container("image: a, port: \"80:8000\""), "1:40 replicas.container.port: \"80:8000\" is no port"},
      {container("image: a, port: 1, ports: [80]"), "1:43 \"ports\" is no key at this level; write port: 8000"},
      {container("image: a, port: 1, network: none"), "1:52 replicas.container.network: \"none\" is no network known"},
      {container("image: a, port: 1, network: host, command: \"a {port}\""),
       "1:40 port is for network: bridge; remove it"},
      {container("image: a, network: host"), "1:12 with network: host nothing tells the server its port; write {port}"},
      {container("image: a, network: host, command: [a]"), "1:58 the command has no {port}, and env neither"},
      {container("image: a, port: 1, command: \"a {socket}\""),
       "1:52 replicas.container.command: a container is not reached by a {socket}"},
      {container("image: a, port: 1, command: []"), "1:52 replicas.container.command: the command is empty"},
      {container("image: a, port: 1, volumes: []"), "1:52 replicas.container.volumes is an empty list"},
      {container("image: a, port: 1, volumes: [data]"),
       "1:53 replicas.container.volumes: \"data\" is no volume; write"},
      {container("image: a, port: 1, volumes: [\"./data:data\"]"),
       "1:53 replicas.container.volumes: \"data\" is no absolute"},
      {container("image: a, port: 1, volumes: [\"a/b:/b\"]"),
       "1:53 replicas.container.volumes: \"a/b\" is neither a folder nor a volume's name; write ./a/b"},
      {container("image: a, port: 1, volumes: [\"./a:/b:rox\"]"), "1:53 replicas.container.volumes: \"rox\" is no way"},
      {container("image: a, port: 1, engine: \"tcp://1.2.3.4\""),
       "1:51 replicas.container.engine: \"tcp://1.2.3.4\" is no path"},
      {container("image: a, port: 1, memory: 1MiB"),
       "1:51 replicas.container.memory: \"1MiB\" is out of bounds; use 6MiB"},
      {container("image: a, port: 1, memory: 1"), "1:51 replicas.container.memory: \"1\" has no unit"},
      {container("image: a, port: 1, cpus: 0"), "1:49 replicas.container.cpus: \"0\" is no number of cores"},
      {container("image: a, port: 1, imgae: b"), "1:43 unknown key \"imgae\"; did you mean \"image\"?"},
      {container("image: a, port: 1, env: {A: b}"), "1:43 \"env\" is no key at this level; indent it below replicas:"},
      {replicas("container: {image: a, port: 1}, user: api"), "1:44 \"user\" is for command, not for container; say"},
      {replicas("container: {image: a, port: 1}, limits: {memory: 1GiB}"),
       "1:44 \"limits\" is for command, not for container; write memory: and cpus: below container:"},
      {replicas("container: x"), "1:23 replicas.container is text; write a mapping"},
      {replicas("container: {image: a, port: 1}, command: \"a {port}\""),
       "1:1 replicas has both container and command; remove one, or indent command"},
      {replicas("container: {image: a, port: 1}, endpoints: [\"10.0.0.5:80\"]"),
       "1:1 replicas has both container and endpoints; remove one"},
  };
  for (const Claim& claim : claims) {
    CAPTURE(claim.text);
    const auto parsed = parse(claim.text);
    REQUIRE_FALSE(parsed);
    const Problem& problem = parsed.error().front();
    const std::string said = std::to_string(problem.at.line) + ":" + std::to_string(problem.at.column) + " " +
                             problem.complaint.what + "; " + problem.complaint.fix;
    CHECK_MESSAGE(said.starts_with(claim.said), said);
    CHECK(parsed.error().size() == 1);
  }
}

TEST_CASE("config: cores") {
  struct Row {
    std::string_view text;
    int percent;
  };
  for (const Row& row : {Row{"1", 100}, Row{"0.5", 50}, Row{"1.25", 125}, Row{"0.01", 1}, Row{"1000", 100'000}}) {
    CHECK(parse_cpus(row.text) == row.percent);
    CHECK(write_cpus(row.percent) == row.text);
  }
  for (const std::string_view bad :
       {"", ".", "1.", ".5", "-1", "1.234", "0", "0.00", "1000.01", "18446744073709551615", "x"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_cpus(bad));
  }
}

}  // namespace
}  // namespace nines::config
