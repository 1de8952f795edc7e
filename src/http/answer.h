// A whole answer of our own: a status and a body that is there already. The one place that writes such answers, and
// that decides what an error of ours looks like; the gateway, the server and what is made of it all use it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.h"
#include "net/stream.h"

namespace nines::http {

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields;  // a value that is no field value is left out
};

// {"error":…} with a type that fits the status; `code` is a short machine-readable word.
Response error_response(int status, std::string_view message, std::string_view code);
// What is told to a client whose request could not be read: kTimedOut, or MessageReader::refusal() (0: 400).
Response response_to(const Error& error, int refusal);

// What the answer has to know about the request and the connection.
struct AnswerTo {
  bool head_only = false;   // of HEAD: the body's length, not the body
  bool keep_alive = false;  // the connection takes another request; otherwise the answer says that it does not
  bool old_client = false;  // of HTTP/1.0: it has to be told that the connection stays
  Duration write_idle = 30s;
};

// Writes it, and leaves the connection as it is. kTimedOut: the client takes nothing; kClosed, kCancelled.
Task<Result<>> send_answer(net::Stream& stream, const Response& response, AnswerTo to);

}  // namespace nines::http
