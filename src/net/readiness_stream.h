// What the streams that are told "try again now" have in common: an operation is tried at once, parked when
// it would block, and tried again when readiness is announced. The socket stream and its twin in memory
// supply the attempts.
#pragma once

#include "net/stream.h"

namespace nines::net {

class ReadinessStream : public Stream {
 public:
  explicit ReadinessStream(Loop& loop);
  ~ReadinessStream() override;

  void read_deadline(Instant t) override { read_deadline_.set(t); }
  void write_deadline(Instant t) override { write_deadline_.set(t); }
  Instant written_at() const override { return written_at_; }
  bool peer_closed() const override { return peer_closed_; }
  bool may_have_input() const override { return maybe_readable_ || peer_closed_; }
  void cancel_on_close(CancelScope* scope) override;

 protected:
  // One attempt. `blocked` means: nothing more to be had until readiness is announced (it may come together
  // with bytes, when the attempt saw that it drained or filled the buffer below).
  struct Attempt {
    std::size_t bytes = 0;
    bool blocked = false;
    int error = 0;  // errno; 0: none
  };
  virtual Attempt try_read(std::span<char> into) = 0;  // 0 bytes, not blocked, no error: end of the stream
  virtual Attempt try_write(std::span<const std::string_view> parts) = 0;
  virtual Attempt try_peek() = 0;  // whether a read would answer at once

  // Announcements, in any order and number. They complete operations but run nobody.
  void announce_readable();
  void announce_writable();
  void announce_peer_closed();
  // Not connected yet: nothing is worth an attempt before the first announcement.
  void expect_announcement() { maybe_readable_ = maybe_writable_ = false; }
  // Every operation that waits ends with this error.
  void fail_pending(Code code, const char* what);

  bool start(ReadOp& op) final;
  bool start(WriteOp& op) final;
  void perform(WriteOp& op) final;
  void abandon(ReadOp& op) final;
  void abandon(WriteOp& op) final;

 private:
  // Checked when it comes due rather than re-armed whenever it moves: on a busy connection it moves with every
  // request and fires once in many seconds.
  class Deadline final : public Timer {
   public:
    Deadline(ReadinessStream& stream, void (ReadinessStream::*expired)()) : stream_(stream), expired_(expired) {}
    void set(Instant t);
    bool passed() const;

   private:
    void on_timer() override;
    ReadinessStream& stream_;
    void (ReadinessStream::*expired_)();
    Instant at_ = Instant::never();
  };

  bool attempt(ReadOp& op);  // true: the result is set
  bool attempt(WriteOp& op);
  bool settle(WriteOp& op);  // the same, and true when it is too late
  void read_expired();
  void write_expired();

  ReadOp* reader_ = nullptr;
  WriteOp* writer_ = nullptr;
  bool maybe_readable_ = true;
  bool surely_readable_ = false;  // it was announced, and nobody has read since
  bool maybe_writable_ = true;
  bool peer_closed_ = false;
  Instant written_at_{};
  CancelScope* cancel_on_close_ = nullptr;
  Deadline read_deadline_;
  Deadline write_deadline_;
};

}  // namespace nines::net
