#include "fetch/client.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "base/check.h"
#include "base/text.h"

namespace nines::fetch {
namespace {

constexpr long kStalledBytes = 100;
constexpr std::size_t kHeadersMax = 200;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;

// What libcurl's callbacks see.
struct Call {
  const Request& request;
  CURL* curl;
  Response response = {};
  std::uint64_t sent = 0, received = 0;
  std::optional<Error> error;  // why a callback ended the call

  std::uint64_t size() const { return request.file ? request.file->bytes : request.body.size(); }
};

std::size_t on_send(char* to, std::size_t one, std::size_t count, void* data) {
  auto& call = *static_cast<Call*>(data);
  const std::size_t room = static_cast<std::size_t>(std::min<std::uint64_t>(one * count, call.size() - call.sent));
  if (!call.request.file) {
    call.request.body.copy(to, room, static_cast<std::size_t>(call.sent));
    call.sent += room;
    return room;
  }
  if (room == 0) return 0;
  const FilePart& part = *call.request.file;
  const ssize_t got = ::pread(part.fd, to, room, static_cast<off_t>(part.offset + call.sent));
  if (got <= 0) {
    call.error = got < 0 ? os_error(errno, "read the file to upload")
                         : Error(Code::kIo, "the file to upload became shorter meanwhile");
    return CURL_READFUNC_ABORT;
  }
  call.sent += static_cast<std::uint64_t>(got);
  return static_cast<std::size_t>(got);
}

int on_rewind(void* data, curl_off_t offset, int origin) {
  auto& call = *static_cast<Call*>(data);
  if (origin != SEEK_SET || offset < 0 || static_cast<std::uint64_t>(offset) > call.size()) return CURL_SEEKFUNC_FAIL;
  call.sent = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

std::size_t on_header(char* from, std::size_t one, std::size_t count, void* data) {
  auto& call = *static_cast<Call*>(data);
  const std::string_view line(from, one * count);
  if (line.starts_with("HTTP/")) call.response.headers.clear();  // what came before was 100 Continue's
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return line.size();
  if (call.response.headers.size() >= kHeadersMax) {
    call.error = Error(Code::kLimit, "the answer has more than " + std::to_string(kHeadersMax) + " headers");
    return 0;
  }
  std::string name(line.substr(0, colon));
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  call.response.headers.emplace_back(std::move(name), trim(line.substr(colon + 1)));
  return line.size();
}

std::size_t on_receive(char* from, std::size_t one, std::size_t count, void* data) {
  auto& call = *static_cast<Call*>(data);
  std::string_view bytes(from, one * count);
  const std::size_t size = bytes.size();
  call.received += size;
  if (call.received > call.request.max_answer) {
    call.error = Error(Code::kLimit, "the answer is larger than " + std::to_string(call.request.max_answer) + " bytes");
    return 0;
  }
  long status = 0;
  curl_easy_getinfo(call.curl, CURLINFO_RESPONSE_CODE, &status);
  if (call.request.into < 0 || status < 200 || status > 299) {
    call.response.body += bytes;
    return size;
  }
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(call.request.into, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      call.error = os_error(errno, "write what is downloaded");
      return 0;
    }
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return size;
}

Code code_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT: return Code::kUnavailable;
    case CURLE_OPERATION_TIMEDOUT: return Code::kTimedOut;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR: return Code::kClosed;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE: return Code::kRefused;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return Code::kInvalid;
    default: return Code::kIo;
  }
}

long milliseconds(Duration d) { return std::max<long>(1, static_cast<long>(d / 1ms)); }

List header_list(const Request& request) {
  // libcurl's own additions, which nobody signed and some servers stumble over.
  List list(curl_slist_append(nullptr, "Expect:"));
  INVARIANT(list != nullptr);
  const auto append = [&](const std::string& line) {
    curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
    INVARIANT(longer != nullptr);  // memory ran out
  };
  append("Accept:");
  for (const auto& [name, value] : request.headers) append(value.empty() ? name + ";" : name + ": " + value);
  return list;
}

void set_body(CURL* curl, Call& call) {
  const std::string& method = call.request.method;
  if (method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (method == "PUT" || method == "POST") {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(call.size()));
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send);
    curl_easy_setopt(curl, CURLOPT_READDATA, &call);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_rewind);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, &call);
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method == "HEAD" ? nullptr : method.c_str());
}

void set_time_outs(CURL* curl, const TimeOuts& time_outs) {
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(time_outs.connect));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds(time_outs.total));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kStalledBytes);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, std::max<long>(1, static_cast<long>(time_outs.stalled / 1s)));
}

}  // namespace

std::string_view Response::header(std::string_view name) const {
  const auto found = std::ranges::find(headers, name, &Fields::value_type::first);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

Client::Client() {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  INVARIANT(kReady == CURLE_OK);
  curl_ = curl_easy_init();
  INVARIANT(curl_ != nullptr);
}

Client::~Client() { curl_easy_cleanup(curl_); }

Result<Response> Client::perform(const Request& request) {
  auto* const curl = static_cast<CURL*>(curl_);
  curl_easy_reset(curl);
  Call call{.request = request, .curl = curl};
  const List headers = header_list(request);
  std::array<char, CURL_ERROR_SIZE> why{};
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why.data());
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);  // what was signed is what is sent
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &call);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_receive);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &call);
  set_body(curl, call);
  set_time_outs(curl, request.time_outs);
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  if (call.error) return failure(std::move(*call.error));
  if (code != CURLE_OK) return failure(code_of(code), why[0] != '\0' ? why.data() : curl_easy_strerror(code));
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  call.response.status = static_cast<int>(status);
  return std::move(call.response);
}

std::optional<WallTime> parse_http_date(std::string_view text) {
  // strptime would accept other forms, and follow the locale.
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || !text.ends_with(" GMT") || text.substr(3, 2) != ", ") return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t digits) { return parse_unsigned(text.substr(at, digits)); };
  const auto day = number(5, 2), year = number(12, 4), hour = number(17, 2), minute = number(20, 2),
             second = number(23, 2);
  const auto month = kMonths.find(text.substr(8, 3));
  if (!day || !year || !hour || !minute || !second || month == std::string_view::npos || month % 3 != 0)
    return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(static_cast<unsigned>(month / 3 + 1)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second);
}

}  // namespace nines::fetch
