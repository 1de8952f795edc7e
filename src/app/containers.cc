#include "app/containers.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <utility>

#include "net/timeout.h"
#include "supervise/engine_api.h"
#include "supervise/procfs.h"

namespace nines::app {
namespace {

// An engine that is being started again is back within this; longer, and the others would wait for nothing.
constexpr Duration kUnanswered = 3s;

std::string from_environment(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace

Result<std::string> Containers::find_socket(const config::Container& container) {
  return supervise::find_engine_socket(container.engine, from_environment, exists);
}

Containers::Containers(net::EpollLoop& loop, const Paths& paths, Result<std::string> socket)
    : loop_(loop), paths_(paths), socket_(std::move(socket)), engine_(loop, socket_.value_or("")) {}

Result<supervise::ContainerEngine*> Containers::engine() {
  if (!socket_) return failure(socket_.error());
  if (!remembered_) {
    if (auto kept = remember(); !kept) return failure(std::move(kept.error()));
    remembered_ = true;
  }
  return &engine_;
}

Result<> Containers::remember() {
  std::ofstream file(paths_.engine_file(), std::ios::binary | std::ios::trunc);
  if (!file || !(file << *socket_ << '\n').flush())
    return failure(Code::kIo, "cannot write " + paths_.engine_file() + ", by which `nines down` finds the containers");
  return {};
}

std::string Containers::tag_of(const std::string& part, std::uint64_t incarnation, std::uint16_t port) const {
  return tag(paths_, part, incarnation, port);
}

Task<Result<std::vector<Containers::Item>>> Containers::list(std::string part) {
  const auto engine = this->engine();
  if (!engine) co_return failure(engine.error());
  const auto listed = co_await (*engine)->list(tag_prefix(paths_));
  if (!listed) co_return failure(listed.error());
  std::vector<Item> items;
  for (const supervise::ListedContainer& container : *listed) {
    auto found = read_tag(paths_, container.tag);
    if (!found) found = supervise::Found{};  // nobody's: to be ended
    if (!part.empty() && found->part != part) continue;
    found->leader = true;
    items.push_back({std::move(*found), container.id, container.running});
  }
  co_return items;
}

Task<Result<std::vector<supervise::Found>>> Containers::find_running() {
  // Where there never was a container, nobody waits for the engine.
  const Instant until = exists(paths_.engine_file()) ? loop_.now() + kUnanswered : loop_.now();
  auto items = co_await list();
  while (!items && loop_.now() < until && co_await loop_.sleep(50ms)) items = co_await list();
  if (!items) co_return failure(items.error());
  std::vector<supervise::Found> running;
  for (Item& item : *items) {
    if (!item.running) continue;
    const auto state = co_await engine_.inspect(item.id);
    if (!state || !state->running) continue;  // ended meanwhile
    const auto stat = supervise::read_process_stat(state->pid);
    item.found.pid = state->pid;
    item.found.parent = stat ? stat->parent : 0;
    item.found.start_time = stat ? stat->start_time : 0;
    running.push_back(std::move(item.found));
  }
  co_return running;
}

Task<Result<std::string>> Containers::find(std::string part, std::uint64_t incarnation) {
  const auto items = co_await list(std::move(part));
  if (!items) co_return failure(items.error());
  for (const Item& item : *items)
    if (item.found.incarnation == incarnation) co_return item.id;
  co_return std::string();
}

Task<void> Containers::end_one(std::string id, Duration patience) {
  if (patience > 0ns && (co_await engine_.kill(id, "SIGTERM")).has_value())
    (void)co_await net::within(loop_, patience, engine_.wait(id));
  (void)co_await engine_.remove(std::move(id));
}

Task<void> Containers::end(std::vector<supervise::Found> processes) {
  const auto items = co_await list();
  if (!items) co_return;
  for (const Item& item : *items) {
    const bool meant = std::ranges::any_of(processes, [&](const supervise::Found& process) {
      return process.part == item.found.part && process.incarnation == item.found.incarnation;
    });
    if (meant) co_await end_one(item.id, 0ns);
  }
}

Task<std::size_t> end_containers(net::EpollLoop& loop, const Paths& paths, Spare spare, Duration patience) {
  std::string socket;
  if (std::ifstream file(paths.engine_file()); !std::getline(file, socket) || socket.empty()) co_return 0;
  Containers containers(loop, paths, socket);
  const Instant until = loop.now() + patience + kUnanswered;
  std::size_t ended = 0;
  // Again, since the engine may be busy with removing one that somebody else has asked it to.
  for (bool first = true;; first = false) {
    const auto items = co_await containers.list();
    if (!items) co_return ended;  // the file stays, for the next who asks
    std::size_t spared = 0;
    TaskGroup ending;
    for (const Containers::Item& item : *items) {
      if (item.running && spare && spare(item.found)) {
        ++spared;
        continue;
      }
      ended += first && item.running ? 1 : 0;
      ending.start(containers.end_one(item.id, item.running ? patience : 0ns));
    }
    co_await ending.join();
    if (spared < items->size()) {
      if (loop.now() >= until || !co_await loop.sleep(20ms)) co_return ended;
      continue;
    }
    if (spared == 0) ::unlink(paths.engine_file().c_str());
    co_return ended;
  }
}

}  // namespace nines::app
