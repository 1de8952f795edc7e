// The memory one request needs besides its coroutines. A worker keeps a few of them and lends one to each exchange, so
// that a request allocates nothing once they have grown to their usual sizes, and an idle connection holds none.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "http/head.h"

namespace nines::gateway {

struct Buffers {
  http::Head request, answer;
  // Heads that are being written; both at a time, where a replica answers before it has read.
  std::string upstream_head, client_head;
  std::string body;   // the kept beginning of the request's body
  std::string early;  // of an event stream: what came before its first data event
  std::string request_id;
  std::vector<std::uint64_t> tried;  // incarnations that have failed this request
  // What was tried, for the access log.
  struct Attempted {
    std::size_t slot;
    std::string_view outcome;
    Duration took;
  };
  std::vector<Attempted> attempts;

  void clear();
};

// Thread: a worker's.
class BufferPool {
 public:
  class Give {
   public:
    explicit Give(BufferPool& pool) : pool_(&pool) {}
    void operator()(Buffers* buffers) const { pool_->give_back(buffers); }

   private:
    BufferPool* pool_;
  };
  using Lent = std::unique_ptr<Buffers, Give>;

  // The pool outlives what it lends.
  Lent lend();

 private:
  void give_back(Buffers* buffers);
  std::vector<std::unique_ptr<Buffers>> free_;
};

}  // namespace nines::gateway
