#include "net/stream.h"

namespace nines::net {

ReadOp::~ReadOp() { stream_.abandon(*this); }
bool ReadOp::await_ready() { return stream_.start(*this); }
void ReadOp::withdraw() {
  stream_.abandon(*this);
  result = cancelled();
  complete();
}

WriteOp::WriteOp(Loop& loop, Stream& stream, std::span<const std::string_view> some)
    : Operation(loop), stream_(stream) {
  INVARIANT(some.size() <= kPartsMax);
  for (const std::string_view part : some) {
    if (!part.empty()) parts[count++] = part;
  }
}
std::size_t WriteOp::size() const {
  std::size_t all = 0;
  for (std::size_t i = first; i < count; ++i) all += parts[i].size();
  return all;
}
WriteOp::~WriteOp() { stream_.abandon(*this); }
bool WriteOp::await_ready() { return stream_.start(*this); }
void WriteOp::perform() { stream_.perform(*this); }
void WriteOp::withdraw() {
  stream_.abandon(*this);
  result = cancelled();
  complete();
}

AcceptOp::~AcceptOp() { listener_.abandon(*this); }
bool AcceptOp::await_ready() { return listener_.start(*this); }
void AcceptOp::withdraw() {
  listener_.abandon(*this);
  result = cancelled();
  complete();
}

}  // namespace nines::net
