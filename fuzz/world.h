// A gateway worker in simulated time between a client and one replica, both of which the fuzz target plays.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gateway/worker.h"
#include "net/memory_loop.h"
#include "plane/plane.h"
#include "report.h"

namespace nines::fuzz {

// What was read until the end, and whether that was a clean one.
struct Heard {
  std::string bytes;
  bool clean = false;
};

class World {
 public:
  explicit World(const gateway::Settings& settings)
      : table_(table()),
        worker_(loop, table_, settings, 7),
        replica(std::move(loop.listen(at("127.0.0.1:1")).value())) {
    auto listener = std::move(loop.listen(at("127.0.0.1:2")).value());
    worker_.serve(std::move(listener));
    table_.routes[0].store({.incarnation = ++incarnation_, .pid = 1, .port = 1, .wanted = plane::Wanted::kServe});
    table_.observed[0].verdict.store({.incarnation = incarnation_, .health = plane::Health::kUp});
    worker_.refresh();
  }

  Task<std::unique_ptr<net::Stream>> connect() {
    co_return std::move((co_await loop.connect(at("127.0.0.1:2"), 1s)).value());
  }
  Task<void> end() { co_await worker_.drain(0s); }

  static Task<Heard> hear(net::Stream& stream) {
    Heard heard;
    std::array<char, 4096> buffer;
    while (true) {
      const auto n = co_await stream.read(buffer);
      if (!n) co_return heard;
      heard.clean = *n == 0;
      if (heard.clean) co_return heard;
      heard.bytes.append(buffer.data(), *n);
    }
  }

  static Task<void> say(net::Stream& stream, std::string bytes, std::size_t step) {
    for (std::size_t i = 0; i < bytes.size(); i += step) {
      if (!co_await stream.write(std::string_view(bytes).substr(i, step))) co_return;
      if (!co_await stream.loop().sleep(1ms)) co_return;
    }
  }

  net::MemoryLoop loop;

 private:
  static net::Address at(const char* text) { return net::Address::parse(text).value(); }
  // One for all runs: a table is a megabyte.
  static plane::Table& table() {
    static plane::Plane plane = std::move(plane::Plane::create().value());
    return *plane;
  }
  static inline std::uint64_t incarnation_ = 0;

  plane::Table& table_;
  gateway::Worker worker_;

 public:
  std::unique_ptr<net::Listener> replica;
};

}  // namespace nines::fuzz
