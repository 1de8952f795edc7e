// A byte stream between two ends, and a listener that yields them.
//
// It speaks in completions: "read into this", "write all of that"; the answer comes when it is done. One
// read and one write may be under way at a time. Buffers stay alive until the operation has answered.
//
// Deadlines are absolute, per direction, and cheap to move: they are checked when they would have fired,
// not re-armed for every request.
#pragma once

#include <array>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>

#include "base/cancel.h"
#include "base/error.h"
#include "base/time.h"
#include "net/address.h"
#include "net/loop.h"

namespace nines::net {

class Stream;

class ReadOp final : public Operation {
 public:
  // An empty `into` waits until something can be read, and reads nothing: idle connections need no buffer.
  ReadOp(Loop& loop, Stream& stream, std::span<char> into) : Operation(loop), stream_(stream), into(into) {}
  ~ReadOp();
  bool await_ready();
  // Bytes read, at least 1; 0 at the end of the stream (with an empty `into`: 0 when readable).
  // kTimedOut, kClosed (reset), kCancelled.
  Result<std::size_t> await_resume() { return std::move(result); }

 private:
  void withdraw() override;
  Stream& stream_;

 public:  // for the stream that performs it
  std::span<char> into;
  Result<std::size_t> result = 0;
};

class WriteOp final : public Operation {
 public:
  static constexpr std::size_t kPartsMax = 8;
  WriteOp(Loop& loop, Stream& stream, std::span<const std::string_view> some);
  ~WriteOp();
  bool await_ready();
  // kClosed, kTimedOut, kCancelled. How much of it left is not known then.
  Result<> await_resume() { return std::move(result); }

 private:
  void withdraw() override;
  void perform() override;
  Stream& stream_;

 public:
  std::size_t size() const;  // of what is not written
  std::array<std::string_view, kPartsMax> parts;
  std::size_t first = 0;  // parts before it are written
  std::size_t count = 0;
  Result<> result;
};

class Stream {
 public:
  explicit Stream(Loop& loop) : loop_(loop) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  ReadOp read(std::span<char> into) { return ReadOp(loop_, *this, into); }
  ReadOp readable() { return ReadOp(loop_, *this, {}); }
  // Writes all of it, in order. At most WriteOp::kPartsMax parts.
  WriteOp write(std::span<const std::string_view> parts) { return WriteOp(loop_, *this, parts); }
  WriteOp write(std::initializer_list<std::string_view> parts) {
    return WriteOp(loop_, *this, std::span(parts.begin(), parts.size()));
  }
  WriteOp write(std::string_view bytes) { return write({bytes}); }
  // Waits until something could be written, and writes nothing.
  WriteOp writable() { return WriteOp(loop_, *this, {}); }

  // A read or write that waits beyond these ends with kTimedOut. `Instant::never()`, the default: no limit.
  virtual void read_deadline(Instant t) = 0;
  virtual void write_deadline(Instant t) = 0;

  // No more from us: the peer reads the end of the stream. Reading goes on.
  virtual void end_writing() = 0;
  // Breaks the connection so that the peer sees a reset, never a clean end. What waits ends with kClosed.
  virtual void reset() = 0;

  // When the last write was done: its last byte was the system's. A turn before its writer hears of it, at least.
  virtual Instant written_at() const = 0;

  // The peer has closed or half-closed, or the connection broke, as known at the last turn of the loop.
  virtual bool peer_closed() const = 0;
  // Something may be readable, be it bytes or the end, as known at the last turn of the loop.
  virtual bool may_have_input() const = 0;
  // Cancels `scope` once the peer closes; at once if it has. Null ends the watch. One watch at a time.
  virtual void cancel_on_close(CancelScope* scope) = 0;

  virtual const Address& peer() const = 0;
  Loop& loop() { return loop_; }

 protected:
  friend class ReadOp;
  friend class WriteOp;
  // True: done, the result is set. False: the stream keeps the operation and completes it later.
  virtual bool start(ReadOp& op) = 0;
  virtual bool start(WriteOp& op) = 0;
  // It was postponed by start(): do it now.
  virtual void perform(WriteOp& op) = 0;
  // Forget it; it may be unknown.
  virtual void abandon(ReadOp& op) = 0;
  virtual void abandon(WriteOp& op) = 0;

  Loop& loop_;
};

class AcceptOp final : public Operation {
 public:
  AcceptOp(Loop& loop, Listener& listener) : Operation(loop), listener_(listener) {}
  ~AcceptOp();
  bool await_ready();
  // kCancelled, or what the system says when it lacks something (kLimit: descriptors, memory): wait, try again.
  Result<std::unique_ptr<Stream>> await_resume() { return std::move(result); }

 private:
  void withdraw() override;
  Listener& listener_;

 public:
  Result<std::unique_ptr<Stream>> result = nullptr;
};

class Listener {
 public:
  explicit Listener(Loop& loop) : loop_(loop) {}
  virtual ~Listener() = default;
  // One at a time.
  AcceptOp accept() { return AcceptOp(loop_, *this); }
  virtual Address address() const = 0;

 protected:
  friend class AcceptOp;
  virtual bool start(AcceptOp& op) = 0;
  virtual void abandon(AcceptOp& op) = 0;
  Loop& loop_;
};

}  // namespace nines::net
