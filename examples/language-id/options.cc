#include "options.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <system_error>

namespace nines::language_id {
namespace {

namespace fs = std::filesystem;

// build/bin/language-id -> build/share/language-id/model.ftz
std::string model_beside_program() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return (program.parent_path().parent_path() / "share" / "language-id" / "model.ftz").string();
}

void add_duration(CLI::App& app, const std::string& name, double& seconds, const std::string& help) {
  const std::map<std::string, double> units = {{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}};
  using Unit = CLI::AsNumberWithUnit;
  Unit unit(units, Unit::Options(Unit::CASE_SENSITIVE | Unit::UNIT_REQUIRED));
  CLI::Range range(0.0, 86400.0);
  unit.description("");  // they would fill the help with types
  range.description("");
  app.add_option(name, seconds, help)->transform(unit)->check(range)->type_name("DURATION");
}

Duration from_seconds(double seconds) { return std::chrono::round<Duration>(std::chrono::duration<double>(seconds)); }

}  // namespace

std::variant<Options, int> parse_options(int argc, char** argv) {
  Options options;
  options.model = model_beside_program();
  double startup_delay = 0, delay = 0;
  CLI::App app("An AI server: says in which language a text is written. Try it: open its address in a browser.",
               "language-id");
  app.add_option("--host", options.host, "Address to listen on")->capture_default_str()->type_name("ADDRESS");
  CLI::Option* const port = app.add_option("--port", options.port, "Port to listen on; 0: any free one")
                                ->capture_default_str()
                                ->type_name("PORT");
  app.add_option("--socket", options.socket, "Unix socket to listen on, instead of a port")
      ->type_name("PATH")
      ->excludes(port);
  app.add_option("--db", options.database, "SQLite file of the history; replicas share it")
      ->capture_default_str()
      ->type_name("FILE");
  app.add_option("--model", options.model, "The model; its checksum is beside it")
      ->capture_default_str()
      ->type_name("FILE");
  add_duration(app, "--startup-delay", startup_delay, "Not ready before, as if the model were large: 20s");
  add_duration(app, "--delay", delay, "Time every classification takes, as if the model were slow: 50ms");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  options.startup_delay = from_seconds(startup_delay);
  options.delay = from_seconds(delay);
  return options;
}

}  // namespace nines::language_id
