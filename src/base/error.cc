#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace nines {
namespace {

Code code_of(int errnum) {
  switch (errnum) {
    case ENOENT:
    case ESRCH: return Code::kNotFound;
    case EEXIST:
    case EADDRINUSE: return Code::kExists;
    case ECONNREFUSED:
    case EACCES:
    case EPERM: return Code::kRefused;
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN: return Code::kClosed;
    case ETIMEDOUT: return Code::kTimedOut;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC: return Code::kLimit;
    default: return Code::kIo;
  }
}

}  // namespace

std::string_view name_of(Code code) {
  switch (code) {
    case Code::kInvalid: return "invalid";
    case Code::kNotFound: return "not_found";
    case Code::kExists: return "exists";
    case Code::kRefused: return "refused";
    case Code::kUnavailable: return "unavailable";
    case Code::kTimedOut: return "timed_out";
    case Code::kCancelled: return "cancelled";
    case Code::kClosed: return "closed";
    case Code::kLimit: return "limit";
    case Code::kProtocol: return "protocol";
    case Code::kIo: return "io";
  }
  return "unknown";
}

std::string Error::text() const {
  std::string text = message_;
  for (const Error* e = cause(); e != nullptr; e = e->cause()) text += ": " + e->message();
  return text;
}

Error os_error(int errnum, std::string_view what) {
  return Error(code_of(errnum), std::string(what) + ": " + std::generic_category().message(errnum));
}

}  // namespace nines
