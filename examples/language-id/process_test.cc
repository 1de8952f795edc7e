// The program itself, as a supervisor sees it.
#include <doctest/doctest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "database.h"
#include "http/client.h"
#include "net/epoll_loop.h"
#include "test_support.h"

namespace nines::language_id {
namespace {

using testing::eventually;
using testing::Folder;
using testing::Program;
using testing::write_file;

// Nobody else's: a loopback address of this test process and this call, and a port nobody has there. A port of
// 127.0.0.1 may be taken between asking and using it, and then another test's server would answer.
net::Address own_address() {
  static int calls = 0;
  const int pid = ::getpid();
  const std::string host = "127." + std::to_string(64 + calls++ % 64) + "." + std::to_string(pid / 256 % 256) + "." +
                           std::to_string(pid % 256);
  const auto listener = net::open_listener(net::Address::parse(host + ":0").value());
  REQUIRE(listener);
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  REQUIRE(::getsockname(listener->get(), reinterpret_cast<sockaddr*>(&storage), &length) == 0);
  return net::Address::from(reinterpret_cast<const sockaddr*>(&storage), length);
}

struct Server {
  Folder folder;
  net::EpollLoop loop;
  net::Address at = own_address();
  std::string database = folder / "data/h.db";

  std::vector<std::string> command(std::vector<std::string> more = {}) const {
    std::vector<std::string> argv = {LANGUAGE_ID_PROGRAM,       "--host", at.host(), "--port",
                                     std::to_string(at.port()), "--db",   database};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }
  std::string log() const { return folder / "log"; }

  Task<Result<http::Answer>> ask(std::string method, std::string target, std::string body = "") {
    return http::fetch(loop,
                       {.to = at, .method = std::move(method), .target = std::move(target), .body = std::move(body)});
  }
  // 0: nobody there.
  int health() {
    const auto answer = loop.run(ask("GET", "/health"));
    return answer ? answer->head.status() : 0;
  }
  bool becomes(int status) {
    return eventually([&] { return health() == status; });
  }
  std::int64_t rows() const {
    auto opened = Database::open(database, Database::Access::kExisting, 5s);
    REQUIRE(opened);
    auto count = opened->prepare("SELECT count(*) FROM classifications");
    REQUIRE(count);
    REQUIRE(count->step() == true);
    return count->integer(0);
  }
};

TEST_CASE("program: 503 while it starts, then 200, and SIGTERM ends it with 0") {
  Server s;
  Program program(s.command({"--startup-delay", "1s"}), s.log());
  REQUIRE(s.becomes(503));
  REQUIRE(s.becomes(200));
  REQUIRE(s.loop.run(s.ask("POST", "/classify", R"({"text":"Guten Morgen"})")));
  program.signal(SIGTERM);
  CHECK(program.exit_status() == 0);
  CHECK(s.rows() == 1);  // what was queued is written before the end
}

TEST_CASE("program: SIGTERM lets a request be answered, and takes no new one") {
  Server s;
  Program program(s.command({"--delay", "1s"}), s.log());
  REQUIRE(s.becomes(200));
  struct Both {
    static Task<void> slow(Server& server, bool& answered) {
      const auto answer = co_await server.ask("POST", "/classify", R"({"text":"Guten Morgen"})");
      answered = answer && answer->head.status() == 200;
    }
    static Task<void> run(Server& server, Program& p, bool& answered, bool& refused) {
      TaskGroup group;
      group.start(slow(server, answered));
      // Its request is there when one that was sent later is answered.
      while (!co_await server.ask("GET", "/health")) co_await server.loop.sleep(2ms);
      p.signal(SIGTERM);
      while (!refused && !answered) refused = !co_await server.ask("GET", "/health");
      co_await group.join();
    }
  };
  bool answered = false, refused = false;
  s.loop.run(Both::run(s, program, answered, refused));
  CHECK(refused);
  CHECK(answered);
  CHECK(program.exit_status() == 0);
  CHECK(s.rows() == 1);
}

TEST_CASE("program: a second signal ends it at once") {
  Server s;
  Program program(s.command({"--delay", "60s"}), s.log());
  REQUIRE(s.becomes(200));
  struct Both {
    static Task<void> slow(Server& server) {
      (void)co_await server.ask("POST", "/classify", R"({"text":"Guten Morgen"})");
    }
    static Task<void> run(Server& server, Program& p) {
      TaskGroup group;
      group.start(slow(server));
      while (!co_await server.ask("GET", "/health")) co_await server.loop.sleep(2ms);
      p.signal(SIGTERM);
      while (co_await server.ask("GET", "/health")) co_await server.loop.sleep(2ms);
      CHECK_FALSE(p.ended());
      p.signal(SIGINT);
      co_await group.join();
    }
  };
  s.loop.run(Both::run(s, program));
  CHECK(program.exit_status() == 128 + SIGINT);
}

TEST_CASE("program: it does not start with a model that is missing, unchecked or damaged") {
  Server s;
  const std::string model = s.folder / "model.ftz";
  struct Row {
    std::string why;
    bool model;
    std::string checksum;
  };
  const std::string bytes = read_file(LANGUAGE_ID_MODEL).value();
  for (const Row& row :
       {Row{"missing", false, ""}, Row{"no checksum", true, ""}, Row{"malformed checksum", true, "abc\n"},
        Row{"another checksum", true, checksum_line(sha256_of("abc"), model)}}) {
    CAPTURE(row.why);
    if (row.model) write_file(model, bytes);
    if (!row.checksum.empty()) write_file(model + ".sha256", row.checksum);
    Program program(s.command({"--model", model, "--startup-delay", "1h"}), s.log());
    CHECK(program.exit_status() == 1);
    CHECK(program.log().find(model) != std::string::npos);
  }
}

TEST_CASE("program: a port in use ends it with 1, wrong usage with 2") {
  Server s;
  Program first(s.command(), s.log());
  REQUIRE(s.becomes(200));
  Program second(s.command(), s.folder / "log2");
  CHECK(second.exit_status() == 1);
  CHECK(second.log().find(s.at.text()) != std::string::npos);
  CHECK(Program(s.command({"--delay", "5"}), s.folder / "log3").exit_status() == 2);
  CHECK(Program(s.command({"--wrong"}), s.folder / "log3").exit_status() == 2);
  CHECK(s.health() == 200);
}

TEST_CASE("program: it listens on a Unix socket, over what was left there, and removes it") {
  Server s;
  const std::string path = s.folder / "x.sock";
  write_file(path, "left by another");
  s.at = net::Address::unix_path(path).value();
  const std::vector<std::string> argv = {LANGUAGE_ID_PROGRAM, "--db", s.database, "--socket", path};
  Program program(argv, s.log());
  REQUIRE(s.becomes(200));
  program.signal(SIGTERM);
  CHECK(program.exit_status() == 0);
  CHECK(::access(path.c_str(), F_OK) != 0);
  std::vector<std::string> both = argv;
  both.insert(both.end(), {"--port", "8000"});
  CHECK(Program(both, s.folder / "log2").exit_status() == 2);
  Program nowhere({LANGUAGE_ID_PROGRAM, "--db", s.database, "--socket", s.folder / "no/folder"}, s.folder / "log3");
  CHECK(nowhere.exit_status() == 1);
  CHECK(nowhere.log().find("no/folder") != std::string::npos);
}

TEST_CASE("program: replicas share one database, from the first moment on") {
  constexpr int kReplicas = 3;
  Server one, two, three;
  two.database = three.database = one.database;
  Program first(one.command(), one.log()), second(two.command(), two.log()), third(three.command(), three.log());
  for (Server* s : {&one, &two, &three}) {
    REQUIRE(s->becomes(200));
    for (int i = 0; i < 50; ++i) REQUIRE(s->loop.run(s->ask("POST", "/classify", R"({"text":"Guten Morgen"})")));
  }
  for (Program* p : {&first, &second, &third}) p->signal(SIGTERM);
  for (Program* p : {&first, &second, &third}) CHECK(p->exit_status() == 0);
  CHECK(one.rows() == kReplicas * 50);
}

TEST_CASE("program: without a place for its history it answers all the same") {
  Server s;
  write_file(s.folder / "data", "a file where the folder should be");
  Program program(s.command(), s.log());
  REQUIRE(s.becomes(200));
  const auto answer = s.loop.run(s.ask("POST", "/classify", R"({"text":"Guten Morgen"})"));
  REQUIRE(answer);
  CHECK(answer->head.status() == 200);
  program.signal(SIGTERM);
  CHECK(program.exit_status() == 0);
}

TEST_CASE("program: a full disk costs no answer and, once there is room, no row") {
  Server s;
  // A limit on the size of files stands for the disk: in blocks of 512 bytes, room for the tables but not for the rows.
  std::string command = "trap '' XFSZ; ulimit -S -f 150; exec";
  for (const std::string& word : s.command()) command += " '" + word + "'";
  Program program({"/bin/sh", "-c", command}, s.log());
  REQUIRE(s.becomes(200));
  constexpr int kRequests = 50;
  for (int i = 0; i < kRequests; ++i) {
    const auto answer = s.loop.run(s.ask("POST", "/classify", R"({"text":")" + std::string(9000, 'a') + R"("})"));
    REQUIRE(answer);
    CHECK(answer->head.status() == 200);
  }
  const auto health = [&] {
    const auto answer = s.loop.run(s.ask("GET", "/health"));
    return answer ? answer->body : "";
  };
  REQUIRE(eventually([&] { return health().find("\"trouble\":\"") != std::string::npos; }));
  CHECK(health().find("\"dropped\":0") != std::string::npos);
  rlimit limit{};
  REQUIRE(::prlimit(program.pid(), RLIMIT_FSIZE, nullptr, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::prlimit(program.pid(), RLIMIT_FSIZE, &limit, nullptr) == 0);
  CHECK(eventually([&] { return health().find("\"written\":50,") != std::string::npos; }));
  program.signal(SIGTERM);
  CHECK(program.exit_status() == 0);
  CHECK(s.rows() == kRequests);
}

}  // namespace
}  // namespace nines::language_id
