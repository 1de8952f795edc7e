#include "gateway/request_body.h"

namespace nines::gateway {

RequestBody::RequestBody(const Settings& settings, std::size_t most, KeptBytes& sum, net::Stream& client,
                         http::MessageReader& reader, const http::Head& request, std::string& kept)
    : settings_(settings), most_(most), sum_(sum), client_(client), reader_(reader), request_(request), kept_(kept) {}

Task<bool> RequestBody::keep() {
  if (request_.framing() == http::Framing::kLength && request_.content_length() > most_) {
    fault_ = too_large();
    co_return false;
  }
  if (request_.expects_continue() && !co_await client_.write("HTTP/1.1 100 Continue\r\n\r\n")) {
    fault_ = Refusal{};
    co_return false;
  }
  while (!whole_ && kept_.size() < settings_.body_kept && sum_.now < settings_.bodies_kept) {
    client_.read_deadline(client_.loop().now() + settings_.body_idle);
    const auto piece = co_await reader_.body();
    if (!piece) {
      fault_ = refusal_of(piece.error());
      co_return false;
    }
    kept_ += *piece;
    sum_.now += piece->size();
    whole_ = reader_.message_done();
  }
  client_.read_deadline(Instant::never());
  co_return true;
}

Task<Result<std::string_view>> RequestBody::next() {
  if (whole_) co_return std::string_view();
  client_.read_deadline(client_.loop().now() + settings_.body_idle);
  const auto piece = co_await reader_.body();
  client_.read_deadline(Instant::never());
  if (!piece) {
    // Cancelled means that the replica is gone, or that the client was seen to leave.
    if (piece.error().code() != Code::kCancelled) fault_ = refusal_of(piece.error());
    co_return failure(piece.error());
  }
  handed_on_ = handed_on_ || !piece->empty();
  passed_ += piece->size();
  if (kept_.size() + passed_ > most_) {
    fault_ = too_large();
    co_return failure(Code::kLimit, fault_->message);
  }
  co_return *piece;
}

Refusal RequestBody::refusal_of(const Error& error) const {
  if (error.code() == Code::kTimedOut) return {408, "timeout", "the body did not arrive in time"};
  if (error.code() == Code::kProtocol) return {400, "bad_request", "not a valid body: " + error.message()};
  return {};
}

Refusal RequestBody::too_large() const {
  return {413, "body_too_large", "the body may have " + std::to_string(most_) + " bytes"};
}

}  // namespace nines::gateway
