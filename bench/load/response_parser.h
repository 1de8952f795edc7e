// One HTTP/1.1 response, byte by byte, judged strictly: what a lenient client would repair (a bare LF, two
// lengths, a folded field, a body without framing) is an error here, because this parser is the oracle for
// a gateway that must never produce it. Written without a look at src/http, so that both cannot share a mistake.
//
//   parser.begin(...);  feed() until done() or broken();  on end of stream: end_of_stream()
//
// Interim responses (1xx) are read and skipped; 101 is an error, since nobody asked for an upgrade.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nines::load {

class ResponseParser {
 public:
  static constexpr std::size_t kLineMax = 16 * 1024;
  static constexpr std::size_t kFieldsMax = 200;
  static constexpr std::uint64_t kBodyMax = 1ULL << 30;
  static constexpr std::size_t kBodyKept = 200;
  static constexpr int kInterimMax = 8;

  // Forgets everything; the next byte is the first of the response to a request with this method.
  void begin(std::string_view method);

  // Returns how many bytes belong to this response; fewer than given only when done() or broken().
  std::size_t feed(std::string_view bytes);

  // The peer sent FIN. True when that completes the response: a body that ends with the connection.
  bool end_of_stream();

  bool started() const { return started_; }
  bool done() const { return state_ == State::kDone; }
  bool broken() const { return state_ == State::kBroken; }
  const std::string& error() const { return error_; }  // what is odd; REQUIRES broken()

  int status() const { return status_; }  // 0 until the status line has been read
  bool announces_close() const { return close_; }
  // The first field of that name, or empty. Names compare without case.
  std::string_view field(std::string_view name) const;
  std::uint64_t body_size() const { return body_size_; }
  const std::string& body_start() const { return body_start_; }  // the first kBodyKept bytes

 private:
  enum class State : std::uint8_t {
    kStatusLine,
    kFields,
    kFixedBody,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailers,
    kBodyUntilClose,
    kDone,
    kBroken,
  };

  std::size_t take_line(std::string_view bytes);
  std::size_t take_body(std::string_view bytes);
  void on_line(std::string_view line);
  void on_status_line(std::string_view line);
  void on_field(std::string_view line);
  void on_head_end();
  void on_chunk_size(std::string_view line);
  void on_body_piece_end();
  bool in_body() const {
    return state_ == State::kFixedBody || state_ == State::kChunkData || state_ == State::kBodyUntilClose;
  }
  void break_off(std::string why);

  State state_ = State::kStatusLine;
  bool started_ = false;
  bool to_head_ = false;
  bool close_ = false;
  int status_ = 0;
  int interim_ = 0;
  std::uint64_t left_ = 0;  // of the fixed body or of the current chunk
  std::uint64_t body_size_ = 0;
  std::string line_;
  std::string body_start_;
  std::string error_;
  std::vector<std::pair<std::string, std::string>> fields_;
};

}  // namespace nines::load
