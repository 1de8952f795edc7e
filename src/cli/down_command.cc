#include <csignal>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "app/lock.h"
#include "app/tagged.h"
#include "cli/commands.h"
#include "cli/target.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

constexpr Duration kBetweenLooks = 50ms;
// A service that starts has its control socket long before.
constexpr Duration kUnheard = 3s;

std::string name_of_service(const app::Paths& paths) {
  const auto status = ask_status(paths);
  return status && !status->service.empty() ? status->service : "the service";
}

// What is left to be done after one look.
enum class Left : std::uint8_t { kToAsk, kToWait, kNothing };

// Asks until somebody has heard it: a service that is just starting has no ears yet.
Task<Answered<Left>> ask_once(net::Loop& loop, const app::Paths& paths) {
  const auto answer =
      co_await app::ask(loop, paths, {.method = "POST", .target = "/v1/down", .body = asked_by("nines down")});
  if (answer) co_return Left::kToWait;
  const auto holder = app::holder_of(paths.lock_file());
  // It may have left between our two looks.
  if (!holder) co_return Left::kNothing;
  // Nobody there yet, or one supervisor is taking over from another.
  if (answer.error().code() == Code::kUnavailable || answer.error().code() == Code::kProtocol) co_return Left::kToAsk;
  co_return std::unexpected(explain(answer.error(), paths, holder));
}

bool is_gone(const app::Paths& paths) {
  std::error_code ignored;
  return !std::filesystem::exists(paths.control_socket(), ignored) && !app::holder_of(paths.lock_file());
}

Reply too_late(const std::string& name, const app::Paths& paths, Duration waited) {
  const auto holder = app::holder_of(paths.lock_file());
  std::string text = "nines: " + name + " is not down after " + format_duration(waited) +
                     ": requests in flight may not be done yet; `nines status` shows them, `nines down` waits on";
  if (holder.value_or(0) != 0) text += ", and `kill " + std::to_string(*holder) + "` twice ends them at once";
  return {kNo, std::move(text)};
}

Task<Reply> end_service(net::Loop& loop, const app::Paths& paths, std::string name, Duration timeout) {
  const Instant began = loop.now();
  Left left = Left::kToAsk;
  while (true) {
    if (left == Left::kToAsk) {
      const auto asked = co_await ask_once(loop, paths);
      if (!asked) co_return asked.error();
      left = *asked;
    }
    const Duration took = loop.now() - began;
    // It runs and has no control socket any more: somebody removed its run folder (a logout does, of /run/user/UID).
    if (left == Left::kToAsk && took > kUnheard) {
      const auto holder = app::holder_of(paths.lock_file());
      if (holder.value_or(0) > 0 && ::kill(static_cast<pid_t>(*holder), SIGTERM) == 0) left = Left::kToWait;
    }
    if (left == Left::kNothing || is_gone(paths))
      co_return Reply{kDone, name + " is down, after " + format_duration(took)};
    if (took >= timeout) co_return too_late(name, paths, took);
    if (!co_await loop.sleep(kBetweenLooks)) co_return Reply{kNo, "nines: interrupted"};
  }
}

// Nobody supervises; what was left by a nines that was killed, anchor and supervisor, goes down with this.
Task<Reply> end_what_is_left(net::EpollLoop& loop, const app::Paths& paths) {
  const auto lock = app::StateLock::take(paths.lock_file());  // so that nobody starts it meanwhile
  const std::size_t ended = lock ? co_await app::end_leftovers(loop, paths, {}) : 0;
  if (ended == 0) co_return explain(Error(Code::kUnavailable, "nobody holds the lock"), paths, std::nullopt);
  app::remove_run_folder(paths);
  co_return Reply{kDone, "nobody supervised the service any more; ended the " + std::to_string(ended) +
                             (ended == 1 ? " process" : " processes") + " that it had left"};
}

}  // namespace

int perform(const GlobalOptions& global, const DownOptions& options) {
  const auto paths = find_service(global);
  if (!paths) return say(paths.error());
  net::EpollLoop loop;
  if (!app::holder_of(paths->lock_file())) return say(loop.run(end_what_is_left(loop, *paths)));
  return say(loop.run(end_service(loop, *paths, name_of_service(*paths), options.timeout)));
}

}  // namespace nines::cli
