// The HTTP API of the language identifier: POST /classify, GET /health, GET /history, GET / (a page to try it).
//
//   started ──► loading ─────────────────────────► ready
//               /health and /classify say 503      the model is there, and `startup_delay` has passed
//
// Refusals are error objects as the clients of AI APIs know them. Thread: the loop's.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "background.h"
#include "base/task.h"
#include "history.h"
#include "http/server.h"
#include "model.h"
#include "net/epoll_loop.h"

namespace nines::language_id {

struct ApiOptions {
  Duration startup_delay{0};  // stands for a large model: not ready before
  Duration delay{0};          // stands for a slow one: every classification takes that long
};

class Api {
 public:
  static constexpr std::size_t kCharactersMax = 10'000;
  static constexpr std::size_t kRequestIdMax = 128;
  static constexpr int kHistoryMax = 1000;

  Api(net::EpollLoop& loop, Background& background, History& history, ApiOptions options);

  // For http::Server. The request must outlive the task.
  Task<http::Response> answer(http::Request& request);

  // The model has been loaded.
  void use(std::unique_ptr<const Model> model) { model_ = std::move(model); }

 private:
  Task<http::Response> classify(const http::Request& request);
  Task<http::Response> show_history(const http::Request& request);
  http::Response health() const;
  http::Response page() const;

  bool ready() const;
  http::Response not_ready() const;

  net::EpollLoop& loop_;
  Background& background_;
  History& history_;
  ApiOptions options_;
  Instant started_;
  std::int64_t pid_;
  std::unique_ptr<const Model> model_;
};

// The text to classify, or the answer that refuses the body: 400 or 422.
std::expected<std::string, http::Response> text_from(std::string_view body);

// X-Request-Id where it is 1 to 128 visible ASCII characters; else a new UUID.
std::string request_id_of(const http::Head& head);

}  // namespace nines::language_id
