// nines-demo: what `./dev demo` runs. It needs nines and language-id beside it.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "demo.h"

namespace nines::demo {
namespace {

constexpr int kWrongUsage = 2;

// What CLI11 says, and the status it means.
int explain(const CLI::App& app, const CLI::ParseError& error) { return app.exit(error) == 0 ? 0 : kWrongUsage; }

int run(int argc, char** argv) {
  Options options;
  int seconds = 0;
  bool quick = false;
  CLI::App app(
      "Starts the bundled AI server under nines, kills its replicas and nines itself while clients use it, backs it "
      "up, "
      "destroys its database, restores it, and shows what came of it.",
      "nines-demo");
  app.add_option("--port", options.ports.service, "Listen here, or on the next free port")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535))
      ->type_name("N");
  app.add_option("--seconds", seconds, "How long clients use it (10)")->check(CLI::Range(2, 3600))->type_name("N");
  app.add_flag("--quick", quick, "One replica killed instead of three, in 3 seconds");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return explain(app, error);
  }
  if (quick) options.plan = {.lasts = 3s, .kills = 1};
  if (seconds > 0) options.plan.lasts = std::chrono::seconds(seconds);
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  options.programs = program.parent_path().string();
  options.folder = (program.parent_path().parent_path() / "demo").string();
  options.stays = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
  // Whoever reads our output may leave; what we started is stopped all the same.
  std::signal(SIGPIPE, SIG_IGN);
  net::EpollLoop loop;
  Demo demo(loop, options, cli::style_here());
  return loop.run(demo.run());
}

}  // namespace
}  // namespace nines::demo

int main(int argc, char** argv) { return nines::demo::run(argc, argv); }
