// The body of one client's request on its way to a replica.
//
// Its beginning is kept, so that the request can be sent again: up to Settings::body_kept, as long as all requests of
// the worker together keep no more than Settings::bodies_kept. The rest is handed on piece by piece, and gone then.
//
//   keep()  ──►  whole()  ──────────────► sent from kept(), as often as need be
//      └──────►  not whole, next() … ───► replayable() until the first piece was handed out
//
// What is wrong with the body, or with the client that sends it, is told by fault(). Thread: the worker's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/task.h"
#include "gateway/refusal.h"
#include "gateway/settings.h"
#include "http/head.h"
#include "http/reader.h"
#include "net/stream.h"

namespace nines::gateway {

// What all bodies of a worker keep. A body that finds no room is streamed, and cannot be sent again.
struct KeptBytes {
  std::size_t now = 0;
};

class RequestBody {
 public:
  // All of them outlive the body; `kept` is empty, and its memory to use. `most`: bytes that it may have.
  RequestBody(const Settings& settings, std::size_t most, KeptBytes& sum, net::Stream& client,
              http::MessageReader& reader, const http::Head& request, std::string& kept);
  RequestBody(const RequestBody&) = delete;
  RequestBody& operator=(const RequestBody&) = delete;
  ~RequestBody() { sum_.now -= kept_.size(); }

  // Reads until the body is whole or no more of it is kept. Slow clients are waited for here, where they hold no
  // replica. False: it cannot be had, see fault().
  Task<bool> keep();
  std::string_view kept() const { return kept_; }
  // kept() is all of it.
  bool whole() const { return whole_; }

  // What follows kept(): the next piece, valid until the next call; empty at the end. On an error other than
  // kCancelled fault() says more.
  Task<Result<std::string_view>> next();
  // kept() and what next() may still bring are all of it.
  bool replayable() const { return !handed_on_; }

  std::uint64_t bytes() const { return kept_.size() + passed_; }  // so far
  const std::optional<Refusal>& fault() const { return fault_; }

 private:
  Refusal refusal_of(const Error& error) const;
  Refusal too_large() const;

  const Settings& settings_;
  const std::size_t most_;
  KeptBytes& sum_;
  net::Stream& client_;
  http::MessageReader& reader_;
  const http::Head& request_;
  std::string& kept_;
  std::size_t passed_ = 0;  // bytes handed on beyond kept_
  bool whole_ = false;
  bool handed_on_ = false;
  std::optional<Refusal> fault_;
};

}  // namespace nines::gateway
