// Operating errors are values. A Result<T> holds a T or an Error; exceptions never cross a module's border.
//
// An Error says what kind it is (so that code can decide), in which part it arose, what happened and what
// to do (so that a person can), and why, as a chain of causes.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace nines {

enum class Code : std::uint8_t {
  kInvalid,      // the input is wrong; trying again will not help
  kNotFound,     // the thing named does not exist
  kExists,       // it exists already, or somebody else has it: a lock, a port
  kRefused,      // the other side answered: no
  kUnavailable,  // nobody can do it at present; trying again may help
  kTimedOut,     // a deadline passed
  kCancelled,    // the caller withdrew
  kClosed,       // the peer ended or reset the connection
  kLimit,        // a limit of ours was reached
  kProtocol,     // the peer broke the protocol
  kIo,           // the operating system said no
};

std::string_view name_of(Code code);

class [[nodiscard]] Error {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  Error(Code code, std::string message, Error cause)
      : code_(code), message_(std::move(message)), cause_(std::make_shared<const Error>(std::move(cause))) {}

  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  const Error* cause() const { return cause_.get(); }

  // The same error seen from one level up: "starting replica 2: cannot execute `foo`: no such file".
  Error in(std::string context) && {
    const Code code = code_;
    return Error(code, std::move(context), std::move(*this));
  }

  // Message and causes, joined by ": ".
  std::string text() const;

 private:
  Code code_;
  std::string message_;
  std::shared_ptr<const Error> cause_;
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> failure(Code code, std::string message) {
  return std::unexpected(Error(code, std::move(message)));
}
inline std::unexpected<Error> failure(Error error) { return std::unexpected(std::move(error)); }

// errno as an Error of code kIo (or the closer kNotFound, kExists, kRefused, kClosed, kTimedOut): "WHAT: No such file
// or directory".
Error os_error(int errnum, std::string_view what);

}  // namespace nines
