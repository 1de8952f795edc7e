// A client sends anything. What the gateway then sends to a replica must be requests that a second, independent and
// strict reader takes for exactly that, and what the client gets must be answers that end where they say.
//
// Input: a byte for the size of the pieces it arrives in, then what the client sends.
#include "strict.h"
#include "world.h"

namespace nines::fuzz {
namespace {

gateway::Settings settings() {
  gateway::Settings settings;
  settings.routes = gateway::RouteTable({{.path = "/safe", .replay_safe = true}});
  settings.head_time = settings.body_idle = settings.patience.first_byte = settings.keep_alive = 2s;
  settings.body_bytes = 1 << 20;
  return settings;
}

// Answers every whole request it gets.
Task<void> be_a_replica(std::unique_ptr<net::Stream> stream) {
  std::string all;
  std::size_t answered = 0;
  std::array<char, 4096> buffer;
  while (true) {
    const auto n = co_await stream->read(buffer);
    if (n && *n > 0) all.append(buffer.data(), *n);
    const Reading reading = read_requests(all);
    if (reading.end == End::kWrong) report("a request was forwarded that has no single meaning: " + reading.why, all);
    if (!n || *n == 0) co_return;
    for (; answered < reading.messages.size(); ++answered) {
      const bool head = reading.messages[answered].first == "HEAD";
      const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + std::string(head ? "" : "ok");
      if (!co_await stream->write(answer)) co_return;
    }
  }
}

Task<void> serve(World& world, TaskGroup& group) {
  while (true) {
    auto stream = co_await world.replica->accept();
    if (!stream) co_return;
    group.start(be_a_replica(std::move(*stream)));
  }
}

Task<void> send(net::Stream& stream, std::string bytes, std::size_t step) {
  co_await World::say(stream, std::move(bytes), step);
  stream.end_writing();
}

Task<void> play(World& world, std::string bytes, std::size_t step) {
  TaskGroup replicas, sending;
  replicas.start(serve(world, replicas));
  {
    auto client = co_await world.connect();
    sending.start(send(*client, bytes, step));
    const Heard heard = co_await World::hear(*client);
    // Whether an answer to HEAD has a body only the method tells, and of a refused request nobody here knows it.
    if (bytes.find("HEAD") == std::string::npos) {
      const Reading reading = read_responses(heard.bytes, {}, heard.clean);
      if (reading.end == End::kWrong) report("the client got no valid answer: " + reading.why, heard.bytes);
      if (heard.clean && reading.end == End::kCut) report("a cut answer ended cleanly", heard.bytes);
    }
    sending.cancel();
    co_await sending.join();
  }
  co_await world.end();
  replicas.cancel();
  co_await replicas.join();
}

}  // namespace
}  // namespace nines::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nines::fuzz;
  if (size < 2 || size > 64 * 1024) return 0;
  static const nines::gateway::Settings kSettings = settings();
  World world(kSettings);
  const std::size_t step = data[0] == 0 ? size : data[0];
  world.loop.run(play(world, std::string(reinterpret_cast<const char*>(data + 1), size - 1), step));
  return 0;
}
