#include "http/reader.h"

#include <algorithm>
#include <optional>
#include <span>

#include "http/buffer_pool.h"
#include "http/chunks.h"

namespace nines::http {

struct MessageReader::State {
  State(net::Stream& s, Side side, ReadLimits limits) : stream(s), parser(side, limits) {}

  net::Stream& stream;
  HeadParser parser;
  ChunkDecoder chunks;

  // [begin, end) of the buffer is received and not parsed yet.
  Buffer buffer;
  std::size_t begin = 0, end = 0;

  Framing framing = Framing::kNone;
  std::uint64_t left = 0;  // of a body with a length
  bool no_body = false;
  bool message_done = true;
  const char* broken = nullptr;  // what is wrong with the body behind what was handed out of it

  std::size_t waiting() const { return end - begin; }
  void expect_body(const Head& head);
  std::string_view take(std::size_t n) { return {buffer.data() + std::exchange(begin, begin + n), n}; }
  std::string_view next_piece();
  Task<Result<bool>> fill();
};

void MessageReader::State::expect_body(const Head& head) {
  framing = head.framing();
  left = head.content_length();
  message_done = framing == Framing::kNone || (framing == Framing::kLength && left == 0);
  if (framing == Framing::kChunked) chunks = ChunkDecoder();
}

// From what has been received; empty: there is none in it, or the message is done, or broken.
std::string_view MessageReader::State::next_piece() {
  switch (framing) {
    case Framing::kNone: return {};
    case Framing::kUntilClose: return take(waiting());
    case Framing::kLength: {
      const std::string_view piece = take(static_cast<std::size_t>(std::min<std::uint64_t>(left, waiting())));
      left -= piece.size();
      message_done = left == 0;
      return piece;
    }
    case Framing::kChunked: {
      const ChunkDecoder::Decoded decoded = chunks.feed({buffer.data() + begin, waiting()});
      begin += decoded.used;
      broken = decoded.problem;
      message_done = chunks.done() && broken == nullptr;
      return decoded.data;
    }
  }
  return {};
}

// Whoever waits holds no buffer: of ten thousand streams a few have something to say at a time.
Task<Result<bool>> MessageReader::State::fill() {
  if (!stream.may_have_input()) {
    buffer.release();
    if (auto ready = co_await stream.readable(); !ready) co_return failure(std::move(ready.error()));
  }
  if (!buffer) buffer = Buffer::take();
  begin = end = 0;
  const auto n = co_await stream.read(std::span(buffer.data(), Buffer::kBytes));
  if (!n) co_return std::unexpected(n.error());
  end = *n;
  co_return *n > 0;
}

MessageReader::MessageReader(net::Stream& stream, Side side, ReadLimits limits)
    : state_(std::make_unique<State>(stream, side, limits)) {}
MessageReader::~MessageReader() = default;
MessageReader::MessageReader(MessageReader&&) noexcept = default;

Task<Result<bool>> MessageReader::head(Head& head) {
  State& s = *state_;
  INVARIANT(s.message_done);
  s.parser.begin(head, std::exchange(s.no_body, false));
  s.message_done = false;
  s.broken = nullptr;
  while (!s.parser.done()) {
    if (s.waiting() == 0) {
      const auto filled = co_await s.fill();
      if (!filled) co_return std::unexpected(filled.error());
      if (!*filled) {
        s.message_done = true;
        if (!s.parser.begun()) co_return false;
        co_return failure(Code::kClosed, "the connection ended in the middle of a head");
      }
    }
    const auto used = s.parser.feed({s.buffer.data() + s.begin, s.waiting()});
    if (!used) co_return std::unexpected(used.error());
    s.begin += *used;
  }
  s.expect_body(head);
  co_return true;
}

int MessageReader::refusal() const { return state_->parser.refusal(); }

void MessageReader::expect_no_body() { state_->no_body = true; }

Task<Result<std::string_view>> MessageReader::body() {
  State& s = *state_;
  while (true) {
    if (s.broken != nullptr) co_return failure(Code::kProtocol, s.broken);
    if (s.message_done) co_return std::string_view();
    if (s.waiting() == 0) {
      const auto filled = co_await s.fill();
      if (!filled) co_return std::unexpected(filled.error());
      if (!*filled) {
        if (s.framing != Framing::kUntilClose)
          co_return failure(Code::kClosed, "the connection ended in the middle of a body");
        s.message_done = true;
        co_return std::string_view();
      }
    }
    if (const std::string_view piece = s.next_piece(); !piece.empty()) co_return piece;
  }
}

bool MessageReader::message_done() const { return state_->message_done; }
bool MessageReader::has_more() const { return state_->waiting() > 0; }

std::string_view MessageReader::take_rest() {
  INVARIANT(state_->message_done);
  return state_->take(state_->waiting());
}

void MessageReader::release_buffer() {
  if (!has_more()) state_->buffer.release();
}

}  // namespace nines::http
