#include "app/listeners.h"

#include "net/address.h"
#include "net/epoll_loop.h"

namespace nines::app {

Result<Fd> open_listener(const config::Address& at) {
  const auto address = net::Address::parse(at.text());
  if (!address) return failure(address.error());
  auto listener = net::open_listener(*address);
  if (!listener && listener.error().code() == Code::kExists) {
    return failure(Code::kExists,
                   at.text() + " is in use by another program; stop it, or choose another address (`listen:`)");
  }
  return listener;
}

config::Address reachable(config::Address at) {
  if (at.ip == "0.0.0.0") at.ip = "127.0.0.1";
  if (at.ip == "::") at.ip = "::1";
  return at;
}

Result<std::vector<Fd>> open_listeners(const config::Config& config) {
  std::vector<Fd> listeners;
  for (const config::Address& at : config.listen) {
    auto listener = open_listener(at);
    if (!listener) return failure(std::move(listener.error()));
    listeners.push_back(std::move(*listener));
  }
  return listeners;
}

}  // namespace nines::app
