// One request of one client, from its head to the end of its answer: chooses a replica, sends it, streams the answer
// back, and sends the request again elsewhere when the attempt fails and may_replay() says so.
//
//   request head read
//     -> keep the body's beginning (up to Settings::body_kept)
//     -> choose a replica; wait for one if there is none            -> 503
//     -> take an idle connection or connect                        --+
//     -> send head and body                                          | failed: again elsewhere,
//     -> read the answer up to the first bytes of its body         --+ or 502, 504
//     ======== from here on the client has bytes: never again ========
//     -> stream the rest; if it breaks off, reset the client's connection: a broken answer never ends cleanly
//
// The answer's head is held until the first bytes of its body are there, so that a replica that dies in between costs
// nothing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/task.h"
#include "gateway/forward.h"
#include "gateway/settings.h"
#include "gateway/upstreams.h"
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
  RetryBudget& retries;
  const http::Connections& connections;
  Random& random;
};

class Exchange {
 public:
  // All of them outlive the exchange. `reader` has just read `request`.
  Exchange(Shop& shop, net::Stream& client, http::MessageReader& reader, const http::Head& request);

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
    kAnswered,   // the client has all of it
    kBrokenOff,  // the client has a part of it
    kFailed,     // the client has nothing; error_ says why
    kClientLeft,
  };
  struct Refusal {
    int status;
    std::string_view code;
    std::string message;
    int retry_after_seconds = 0;
  };

  // What to do when the body cannot be had; nothing when it can.
  Task<std::optional<Then>> keep_body();
  Task<Then> serve();
  Task<std::optional<std::size_t>> choose_replica();
  Task<Ended> attempt(std::size_t slot);
  Task<Ended> talk(Attempt& attempt);
  Task<Result<std::unique_ptr<UpstreamConnection>>> connection_to(std::size_t slot);
  Refusal refusal_of_body(const Error& error) const;
  Task<Result<>> send(UpstreamConnection& upstream);
  Task<Result<std::string_view>> first_bytes(UpstreamConnection& upstream);
  Task<Ended> relay(Attempt& attempt, UpstreamConnection& upstream, std::string_view piece);
  Task<Ended> break_off(Attempt& attempt);

  bool harmless_twice() const;
  bool may_keep_connection() const;
  BodyCoding coding_for_client() const;
  bool reusable(const UpstreamConnection& upstream) const;
  Refusal refusal_for(Replay verdict) const;
  Task<Then> refuse(Refusal refusal);
  void count(int status);

  Shop& shop_;
  net::Stream& client_;
  http::MessageReader& reader_;
  const http::Head& request_;
  const Instant begun_;

  std::string request_id_;
  std::string client_host_;
  CancelScope client_left_;
  std::string body_;                     // as much of the request's body as is kept
  bool body_whole_ = false;              // it is all of it
  bool body_sent_on_ = false;            // bytes beyond body_ have been passed on and are gone
  std::optional<Refusal> client_fault_;  // what is wrong with the rest of its body; status 0: it has left
  bool reused_ = false;                  // in the present attempt: over a connection that had served before
  bool fresh_only_ = false;              // the next attempt makes a new connection
  bool sent_ = false;                    // in the present attempt: some of the request may have reached the replica
  bool lost_ = false;                    // the process of the last attempt is known to have ended
  Instant sent_at_{};
  std::vector<std::uint64_t> tried_;  // incarnations
  std::string last_replica_;
  Error error_{Code::kUnavailable, "no replica is ready"};  // of the last failed attempt
  http::Head answer_;
  bool keep_ = false;      // said so in the answer's head: the connection takes another request
  std::string head_text_;  // scratch
};

}  // namespace nines::gateway
