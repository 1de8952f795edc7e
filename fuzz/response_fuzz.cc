// A replica answers anything. What the client gets must be one whole answer, or one that visibly breaks: never two, and
// never a clean end where the replica's answer was cut.
//
// Input: a byte for the size of the pieces, one for the kind of request and of end, then what the replica sends.
#include "strict.h"
#include "world.h"

namespace nines::fuzz {
namespace {

struct Case {
  std::string bytes;
  std::size_t step = 1;
  std::string method;
  bool resets = false;
};

gateway::Settings settings() {
  gateway::Settings settings;
  settings.routes = gateway::RouteTable({{.path = "/", .replay_safe = true}});
  settings.patience.first_byte = settings.patience.first_byte_max = settings.answer_idle = 2s;
  settings.admission.queue_time = 100ms;
  return settings;
}

Task<void> answer(std::unique_ptr<net::Stream> stream, const Case& played) {
  std::array<char, 4096> buffer;
  std::string all;
  while (all.find("\r\n\r\n") == std::string::npos) {
    const auto n = co_await stream->read(buffer);
    if (!n || *n == 0) co_return;
    all.append(buffer.data(), *n);
  }
  co_await World::say(*stream, played.bytes, played.step);
  if (played.resets) stream->reset();
}

Task<void> serve(World& world, TaskGroup& group, const Case& played) {
  while (true) {
    auto stream = co_await world.replica->accept();
    if (!stream) co_return;
    group.start(answer(std::move(*stream), played));
  }
}

void judge(const Case& played, const Heard& heard) {
  const Reading got = read_responses(heard.bytes, {played.method}, heard.clean);
  if (got.end == End::kWrong) report("the client got no valid answer: " + got.why, heard.bytes);
  if (got.messages.size() > 1) report("one request, several answers", heard.bytes);
  if (heard.clean && got.messages.size() + (got.end == End::kCut ? 1 : 0) != 1)
    report("a clean end without an answer", heard.bytes);
  // An event stream that breaks off says so in a last event, and lacks its last chunk: a reset might overtake the
  // event.
  const bool said_so = heard.bytes.ends_with("\"code\":\"stream_interrupted\"}}\n\n\r\n");
  if (heard.clean && got.end == End::kCut && !said_so) report("a cut answer ended cleanly", heard.bytes);
  // What the replica meant, as far as a strict reader can tell.
  const Reading said = read_responses(played.bytes, {played.method}, !played.resets);
  const bool whole = got.messages.size() == 1;
  const bool ours =
      whole && (got.messages[0].second == "502" || got.messages[0].second == "503" || got.messages[0].second == "504");
  if (said.end == End::kCut && said.messages.empty() && whole && !ours)
    report("the replica's answer was cut, the client's was not", heard.bytes);
  if (said.end == End::kClean && said.messages.size() == 1 && whole && !ours &&
      (got.messages[0].second != said.messages[0].second || got.messages[0].body != said.messages[0].body))
    report("the client got another answer than the replica gave", heard.bytes);
}

Task<void> play(World& world, const Case& played) {
  TaskGroup replicas;
  replicas.start(serve(world, replicas, played));
  {
    auto client = co_await world.connect();
    (void)co_await client->write(played.method + " /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    judge(played, co_await World::hear(*client));
  }
  co_await world.end();
  replicas.cancel();
  co_await replicas.join();
}

}  // namespace
}  // namespace nines::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nines::fuzz;
  if (size < 3 || size > 64 * 1024) return 0;
  static const nines::gateway::Settings kSettings = settings();
  World world(kSettings);
  const Case played{.bytes = std::string(reinterpret_cast<const char*>(data + 2), size - 2),
                    .step = data[0] == 0 ? size : data[0],
                    .method = (data[1] & 1) != 0 ? "HEAD" : "GET",
                    .resets = (data[1] & 2) != 0};
  world.loop.run(play(world, played));
  return 0;
}
