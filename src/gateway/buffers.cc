#include "gateway/buffers.h"

namespace nines::gateway {
namespace {

constexpr std::size_t kPooled = 64;
// One large request must not make its buffers large for ever.
constexpr std::size_t kKeptBytes = 16 * 1024;

void reuse(std::string& text) {
  if (text.capacity() > kKeptBytes) text = std::string();
  text.clear();
}

}  // namespace

void Buffers::clear() {
  request.clear();
  answer.clear();
  for (std::string* const text : {&upstream_head, &client_head, &body, &early, &request_id}) reuse(*text);
  tried.clear();
  attempts.clear();
}

BufferPool::Lent BufferPool::lend() {
  if (free_.empty()) return Lent(new Buffers, Give(*this));
  Lent lent(free_.back().release(), Give(*this));
  free_.pop_back();
  return lent;
}

void BufferPool::give_back(Buffers* buffers) {
  std::unique_ptr<Buffers> owned(buffers);
  if (free_.size() >= kPooled) return;
  owned->clear();
  free_.push_back(std::move(owned));
}

}  // namespace nines::gateway
