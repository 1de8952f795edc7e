// nines-load: the load client on the command line. Exit status 0: requests were made and none failed; 1: one failed,
// or none was made; 2: wrong usage.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <iostream>

#include "load/load.h"
#include "load/report.h"

namespace {

using namespace nines;

Duration duration_of(const std::string& text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  const std::string_view unit(stopped, static_cast<std::size_t>(end - stopped));
  const std::map<std::string_view, double> units{{"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  if (error != std::errc{} || !units.contains(unit) || value <= 0 || value > 1e6) {
    throw CLI::ValidationError("`" + text + "` is no duration: write 250ms, 1.5s, 10m or 2h");
  }
  return Duration(static_cast<std::int64_t>(value * units.at(unit)));
}

std::string address_of(std::string url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) throw CLI::ValidationError("--url must start with http://");
  url.erase(0, kScheme.size());
  if (url.ends_with('/')) url.pop_back();
  if (url.contains('/')) throw CLI::ValidationError("--url takes no path: use --get and --post");
  const auto colon = url.rfind(':');
  if (colon == std::string::npos || url.ends_with(']')) url += ":80";
  return url;
}

struct Command {
  load::Options options;
  bool json = false;
};

Command parse(CLI::App& app, int argc, char** argv) {
  std::string url, duration, timeout = "5s", content_type = "application/json";
  std::vector<std::string> gets, posts;
  std::uint64_t requests = 0;
  Command command;
  load::Options& options = command.options;
  app.add_option("--url", url, "http://HOST:PORT")->required();
  app.add_option("--connections", options.connections, "simulated users, one keep-alive connection each")
      ->capture_default_str();
  app.add_option("--duration", duration, "how long, for instance 20s (default: 10s, or until --requests)");
  app.add_option("--requests", requests, "how many requests in all");
  app.add_option("--get", gets, "a path to GET; may be repeated (default: /)")->allow_extra_args(false);
  app.add_option("--post", posts, "PATH=BODY to POST; may be repeated")->allow_extra_args(false);
  app.add_option("--content-type", content_type, "of the POSTs")->capture_default_str();
  app.add_option("--rate", options.rate_max, "at most so many requests per second in all");
  app.add_option("--timeout", timeout, "for one request")->capture_default_str();
  app.add_option("--count-header", options.count_header, "count the distinct values of this response header");
  app.add_flag("--json", command.json, "print the result as JSON");
  app.parse(argc, argv);

  options.address = address_of(url);
  options.timeout = duration_of(timeout);
  if (requests > 0) options.requests = requests;
  if (!duration.empty()) options.duration = duration_of(duration);
  if (duration.empty() && requests == 0) options.duration = 10s;
  for (const auto& path : gets) options.templates.push_back({.path = path});
  for (const auto& post : posts) {
    const auto equals = post.find('=');
    if (equals == std::string::npos) throw CLI::ValidationError("--post wants PATH=BODY, not `" + post + "`");
    options.templates.push_back({.method = "POST",
                                 .path = post.substr(0, equals),
                                 .body = post.substr(equals + 1),
                                 .content_type = content_type});
  }
  return command;
}

int run(const Command& command) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  auto load = load::Load::start(command.options);
  if (!load) {
    std::cerr << "nines-load: " << load.error().text() << "\n";
    return 2;
  }
  const timespec look_again{.tv_sec = 0, .tv_nsec = 50'000'000};
  while (!load->finished() && sigtimedwait(&signals, nullptr, &look_again) < 0) {
  }
  const load::Snapshot result = load->stop();
  std::cout << (command.json ? load::json_report(result) + "\n" : load::text_report(result));
  return result.failed == 0 && result.ok > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Puts load on an HTTP service and counts every failure. It never sends a request twice.", "nines-load");
  try {
    return run(parse(app, argc, argv));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
}
