// One request of one client, from its head to the end of its answer: waits for a slot on a replica, sends it, passes
// the answer back, and sends the request again elsewhere when the attempt fails and Replays says that it may.
//
//   request head read
//     -> keep the body's beginning (request_body.h)
//     -> a slot on a replica, maybe after a wait (admission_queue.h) -> 503
//     -> take an idle connection or connect                         --+
//     -> send head and body, and at the same time                     | failed: again elsewhere,
//        read the answer up to what is worth passing on (relay.h)   --+ or 502, 504
//     ======== from here on the client has bytes: never again ========
//     -> pass the rest on (relay.h), or join the connections after 101 (tunnel.h)
//
// An answer may come before the request is sent: then it is passed on at once, and the connections end with it.
//
// State diagram and reasons: docs/internals/gateway.md. Thread: the worker's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/task.h"
#include "gateway/access_log.h"
#include "gateway/admission_queue.h"
#include "gateway/buffers.h"
#include "gateway/forward.h"
#include "gateway/refusal.h"
#include "gateway/relay.h"
#include "gateway/replay.h"
#include "gateway/request_body.h"
#include "gateway/settings.h"
#include "gateway/upstreams.h"
#include "http/answer.h"
#include "http/connections.h"
#include "http/head.h"
#include "http/reader.h"
#include "net/stream.h"
#include "plane/plane.h"

namespace nines::gateway {

// What all exchanges of a worker share.
struct Shop {
  net::Loop& loop;
  const Settings& settings;
  plane::Table& table;
  Upstreams& upstreams;
  AdmissionQueue& queue;
  RetryBudget& retries;
  const http::Connections& connections;
  Random& random;
  BufferPool buffers{};
  KeptBytes kept{};
  AccessLog* log = nullptr;  // nobody wants to know
};

class Exchange {
 public:
  // All of them outlive the exchange. `reader` has just read `buffers.request`.
  Exchange(Shop& shop, net::Stream& client, http::MessageReader& reader, Buffers& buffers);

  // What the connection is good for afterwards.
  enum class Then : std::uint8_t {
    kAnother,  // the next request
    kClose,    // nothing; the answer is on its way, so close gently
    kGone,     // nothing; the client has left, or has seen the connection break
  };
  Task<Then> run();

 private:
  // How one attempt ended.
  enum class Ended : std::uint8_t {
    kAnswered,    // the client has all of it
    kBrokenOff,   // the client has a part of it
    kPassedOver,  // the replica had no room for it, another has: it goes there
    kFailed,      // the client has nothing; error_ says why
    kClientLeft,  // or its body cannot be had: body_.fault() says why
  };

  Task<Then> answer();
  Task<Then> serve();
  Task<Admitted> slot();
  Refusal no_slot(const Admitted& admitted);
  Task<Ended> attempt(std::size_t slot);
  Task<void> learn_of_exit(const Attempt& attempt);
  Ended judge(Attempt& attempt, Ended ended);
  Task<Ended> talk(Attempt& attempt);
  Task<Result<std::unique_ptr<UpstreamConnection>>> connection_to(std::size_t slot);
  Task<void> send(Attempt& attempt, net::Stream& replica);
  Task<void> send_rest(Attempt& attempt, net::Stream& replica);
  void whole_request_sent(Attempt& attempt, net::Stream& replica);
  void sending_failed(Attempt& attempt, const Error& error);
  Task<Result<>> receive_head(UpstreamConnection& upstream);
  bool waits_on(const Error& error, net::Stream& replica);
  bool is_passed_over();
  Task<Ended> pass_on(Attempt& attempt, UpstreamConnection& upstream);
  Task<Ended> tunnel(Attempt& attempt, UpstreamConnection& upstream);
  Task<Ended> relay(Attempt& attempt, UpstreamConnection& upstream);
  Ended failed(Error error);
  Ended broken_off(Attempt& attempt, const AnswerRelay& relay);

  bool harmless_twice() const;
  std::optional<std::uint64_t> hash_key() const;
  bool may_keep_connection() const;
  BodyCoding coding_for_client() const;
  bool reusable(const UpstreamConnection& upstream) const;
  Refusal refusal_for(Replay verdict) const;
  Task<Then> refuse(const Refusal& refusal);
  http::Response response_of(const Refusal& refusal) const;
  std::string forwarded_for() const;
  void timed_out(plane::Timeout which);
  void count();
  bool is_probe() const;
  void log() const;

  Shop& shop_;
  net::Stream& client_;
  http::MessageReader& reader_;
  Buffers& buffers_;
  const http::Head& request_;
  http::Head& answer_;
  const RouteRule& route_;
  const Instant begun_;
  Instant asked_{};  // when a replica was wanted for it; {}: not yet

  std::string client_host_;
  CancelScope client_left_;
  RequestBody body_;
  Replays replays_;
  Blame blame_;

  // Of the present attempt.
  bool reused_ = false;              // over a connection that had served before
  bool sent_ = false;                // some of the request may have reached the replica
  bool all_sent_ = false;            // the replica has been given the whole request
  bool answering_ = false;           // the client has something of the answer
  bool exited_ = false;              // its process is known to have ended
  bool hung_ = false;                // it was taken away, because the replica hangs
  Instant sent_at_{};                // when it had what it has of the request
  std::optional<Error> send_error_;  // why that failed, other than that the replica closed

  bool fresh_only_ = false;     // the next attempt makes a new connection
  std::optional<Error> error_;  // of the last failed attempt
  bool keep_ = false;           // said so in the answer's head: the connection takes another request

  // How it ended.
  int status_ = 0;        // what the client was told; 0: nothing
  bool whole_ = false;    // the client has all of an answer of a replica
  bool broken_ = false;   // the client has a part of an answer
  bool refused_ = false;  // the answer was the gateway's own
  bool counted_ = false;
  std::string_view cause_;  // AccessRecord::cause
  std::uint64_t bytes_out_ = 0;
  std::optional<Duration> first_byte_;
};

}  // namespace nines::gateway
