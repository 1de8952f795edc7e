#include "net/readiness_stream.h"

#include <utility>

namespace nines::net {

ReadinessStream::ReadinessStream(Loop& loop)
    : Stream(loop),
      read_deadline_(*this, &ReadinessStream::read_expired),
      write_deadline_(*this, &ReadinessStream::write_expired) {}

ReadinessStream::~ReadinessStream() { INVARIANT(reader_ == nullptr && writer_ == nullptr); }

void ReadinessStream::Deadline::set(Instant t) {
  at_ = t;
  if (!armed() || t < due()) stream_.loop_.timers().arm(*this, t);
}

bool ReadinessStream::Deadline::passed() const { return stream_.loop_.now() >= at_; }

void ReadinessStream::Deadline::on_timer() {
  if (passed()) {
    (stream_.*expired_)();
  } else {
    stream_.loop_.timers().arm(*this, at_);
  }
}

void ReadinessStream::cancel_on_close(CancelScope* scope) {
  cancel_on_close_ = scope;
  if (scope != nullptr && peer_closed_) scope->cancel();
}

bool ReadinessStream::attempt(ReadOp& op) {
  if (!maybe_readable_) return false;
  if (op.into.empty() && surely_readable_) {
    op.result = 0;
    return true;
  }
  surely_readable_ = false;
  const Attempt attempt = op.into.empty() ? try_peek() : try_read(op.into);
  // After a hang-up there is no further announcement, and the end of the stream can always be read.
  if (attempt.blocked && !peer_closed_) maybe_readable_ = false;
  if (attempt.error != 0) {
    op.result = failure(os_error(attempt.error, "read"));
    return true;
  }
  if (attempt.bytes == 0 && attempt.blocked) return false;
  op.result = op.into.empty() ? 0 : attempt.bytes;
  return true;
}

bool ReadinessStream::attempt(WriteOp& op) {
  if (op.count == 0) return maybe_writable_;
  while (op.first < op.count) {
    if (!maybe_writable_) return false;
    const Attempt attempt = try_write(std::span(op.parts).subspan(op.first, op.count - op.first));
    if (attempt.error != 0) {
      op.result = failure(os_error(attempt.error, "write"));
      return true;
    }
    if (attempt.blocked) maybe_writable_ = false;
    std::size_t left = attempt.bytes;
    while (left > 0 && left >= op.parts[op.first].size()) left -= op.parts[op.first++].size();
    if (left > 0) op.parts[op.first].remove_prefix(left);
  }
  written_at_ = loop_.now();
  return true;
}

bool ReadinessStream::start(ReadOp& op) {
  INVARIANT(reader_ == nullptr);
  if (attempt(op)) {
    if (op.may_finish_at_once()) return true;
    op.complete();
    return false;
  }
  if (read_deadline_.passed()) {
    op.result = failure(Code::kTimedOut, "nothing came in time");
    return true;
  }
  reader_ = &op;
  return false;
}

bool ReadinessStream::start(WriteOp& op) {
  INVARIANT(writer_ == nullptr);
  // A large one is worth its reader's waking up, and the next piece of it waits for this one.
  constexpr std::size_t kPostponedMax = 4096;
  if (op.count > 0 && maybe_writable_ && op.size() <= kPostponedMax && op.postpone()) {
    writer_ = &op;
    return false;
  }
  if (settle(op)) {
    if (op.may_finish_at_once()) return true;
    op.complete();
    return false;
  }
  writer_ = &op;
  return false;
}

void ReadinessStream::perform(WriteOp& op) {
  // In memory an attempt may announce something to this very stream: what is being tried is not tried again in it.
  writer_ = nullptr;
  if (settle(op)) {
    op.complete();
  } else {
    writer_ = &op;
  }
}

bool ReadinessStream::settle(WriteOp& op) {
  if (attempt(op)) return true;
  if (!write_deadline_.passed()) return false;
  op.result = failure(Code::kTimedOut, "the peer took nothing in time");
  return true;
}

void ReadinessStream::abandon(ReadOp& op) {
  if (reader_ == &op) reader_ = nullptr;
}

void ReadinessStream::abandon(WriteOp& op) {
  if (writer_ == &op) writer_ = nullptr;
}

void ReadinessStream::announce_readable() {
  maybe_readable_ = surely_readable_ = true;
  ReadOp* const op = std::exchange(reader_, nullptr);
  if (op == nullptr) return;
  // Who waits without a buffer has the answer now, without asking the system once more.
  if (op->into.empty() || attempt(*op)) {
    op->complete();
  } else {
    reader_ = op;
  }
}

void ReadinessStream::announce_writable() {
  maybe_writable_ = true;
  WriteOp* const op = std::exchange(writer_, nullptr);
  if (op == nullptr) return;
  if (attempt(*op)) {
    op->complete();
  } else {
    writer_ = op;
  }
}

void ReadinessStream::announce_peer_closed() {
  peer_closed_ = true;
  if (cancel_on_close_ != nullptr) std::exchange(cancel_on_close_, nullptr)->cancel();
}

void ReadinessStream::fail_pending(Code code, const char* what) {
  if (ReadOp* const op = std::exchange(reader_, nullptr)) {
    op->result = failure(code, what);
    op->complete();
  }
  if (WriteOp* const op = std::exchange(writer_, nullptr)) {
    op->result = failure(code, what);
    op->complete();
  }
}

void ReadinessStream::read_expired() {
  if (ReadOp* const op = std::exchange(reader_, nullptr)) {
    op->result = failure(Code::kTimedOut, "nothing came in time");
    op->complete();
  }
}

void ReadinessStream::write_expired() {
  if (WriteOp* const op = std::exchange(writer_, nullptr)) {
    op->result = failure(Code::kTimedOut, "the peer took nothing in time");
    op->complete();
  }
}

}  // namespace nines::net
