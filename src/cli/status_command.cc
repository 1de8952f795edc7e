#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "cli/commands.h"
#include "cli/render.h"
#include "cli/target.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

constexpr Duration kBetweenLooks = 1s;

// A page as it is painted over the one before: each line cleared to its end, and everything below.
std::string repainted(const std::string& page) {
  std::string out = "\x1b[H";
  for (const char c : page) out += c == '\n' ? std::string("\x1b[K\n") : std::string(1, c);
  return out + "\x1b[J";
}

Task<void> show_again_and_again(net::Loop& loop, const app::Paths& paths) {
  while (true) {
    const auto answer = co_await app::ask(loop, paths, {.target = "/v1/status"});
    std::string page;
    if (!answer) {
      if (answer.error().code() == Code::kCancelled) co_return;
      page = explain(answer.error(), paths, app::holder_of(paths.lock_file())).text + "\n";
    } else if (const auto status = parse_status(*answer)) {
      page = render_status(*status, style_here());
    } else {
      page = status.error().text() + "\n";
    }
    std::fputs(repainted(page).c_str(), stdout);
    std::fflush(stdout);
    if (!co_await loop.sleep(kBetweenLooks)) co_return;
  }
}

Task<void> until_signal(net::EpollLoop& loop, const app::Paths& paths) {
  net::Signals signals(loop, {SIGINT, SIGTERM});
  TaskGroup page;
  page.start(show_again_and_again(loop, paths));
  (void)co_await signals.next();
  page.cancel();
  co_await page.join();
}

int watch(const app::Paths& paths) {
  net::EpollLoop loop;
  std::fputs("\x1b[2J\x1b[?25l\x1b[?7l", stdout);  // clear; no cursor; long lines are cut, not folded
  loop.run(until_signal(loop, paths));
  std::fputs("\x1b[?7h\x1b[?25h", stdout);
  return kDone;
}

}  // namespace

int perform(const GlobalOptions& global, const StatusOptions& options) {
  if (options.watch && options.json) return say(refuse(kWrong, "--watch is for people, --json for programs").error());
  if (options.watch && ::isatty(STDOUT_FILENO) != 1)
    return say(refuse(kWrong, "--watch needs a terminal; ask again and again with --json instead").error());
  const auto paths = find_service(global);
  if (!paths) return say(paths.error());
  const auto answer = ask_service(*paths, {.target = "/v1/status"});
  if (!answer) return say(answer.error());
  if (options.watch) return watch(*paths);
  if (options.json) return say({kDone, *answer});
  const auto status = parse_status(*answer);
  if (!status) return say(refuse(kNo, status.error().text()).error());
  std::fputs(render_status(*status, style_here()).c_str(), stdout);
  return kDone;
}

}  // namespace nines::cli
