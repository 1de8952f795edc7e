// Event streams: what goes out of an EventHold when a stream breaks, and the error event behind it, is read by a plain
// client as the whole events that came, and the error. Input: a byte that decides how it is split, then the stream.
#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "http/sse.h"
#include "report.h"

namespace nines::fuzz {
namespace {

struct Event {
  std::string type, data;
  bool operator==(const Event&) const = default;
};

// WHATWG HTML, 9.2.6, step by step and with everything in strings; ends in the middle of whatever it is in.
std::vector<Event> read_as_client(std::string_view stream) {
  if (stream.starts_with("\xef\xbb\xbf")) stream.remove_prefix(3);
  std::vector<Event> events;
  Event event;
  bool data = false;
  while (true) {
    const std::size_t end = stream.find_first_of("\r\n");
    if (end == std::string_view::npos) return events;
    const std::string line(stream.substr(0, end));
    stream.remove_prefix(end + (stream.substr(end).starts_with("\r\n") ? 2 : 1));
    if (line.empty()) {
      if (data) events.push_back(event);
      event = {};
      data = false;
      continue;
    }
    const std::size_t colon = line.find(':');
    const std::string field = line.substr(0, colon);
    std::string value = colon == std::string::npos ? "" : line.substr(colon + 1);
    if (value.starts_with(' ')) value.erase(0, 1);
    if (field == "event") event.type = value;
    if (field == "data") {
      event.data += (data ? "\n" : "") + value;
      data = true;
    }
  }
}

void run(std::string_view stream, std::uint64_t seed) {
  Random random(seed);
  const bool small = random.below(2) == 0;
  http::EventHold hold;
  std::string out;
  bool progress = false;
  for (std::size_t at = 0; at < stream.size();) {
    const std::string_view piece = stream.substr(at, 1 + random.below(small ? 4 : 200));
    at += piece.size();
    const auto now = hold.take(piece);
    progress = progress || now.data_event;
    out.append(now.held).append(now.piece);
  }
  const std::string all(stream);
  if (out + std::string(hold.rest()) != all) report("bytes were lost, added or moved", all);

  std::vector<Event> expected = read_as_client(stream);
  if (progress != !expected.empty()) report("progress was seen wrongly", all);
  bool done = false;
  for (const Event& event : expected) done = done || event.data == "[DONE]";
  if (hold.done() != done) report("[DONE] was seen wrongly", all);
  if (!hold.may_say_error()) {
    if (stream.size() <= http::EventHold::kHeldBytes) report("an event was let go early", all);
    return;
  }
  http::write_stream_error(out, "m", "c");
  expected.push_back(
      {"error", R"({"type":"error","error":{"message":"m","type":"server_error","param":null,"code":"c"}})"});
  if (read_as_client(out) != expected) report("a client reads something else", out);
}

}  // namespace
}  // namespace nines::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  nines::fuzz::run({reinterpret_cast<const char*>(data) + 1, size - 1}, data[0]);
  return 0;
}
