// Server-sent events, as the gateway needs to understand them to relay them (WHATWG HTML, 9.2.5 and 9.2.6).
//
// EventScanner looks at the body of a text/event-stream in whatever pieces it arrives and buffers nothing of it.
// EventHold uses it to decide which bytes may go out: whole events at once, the beginning of an event only when its
// rest is there. So a stream that breaks in the middle of an event breaks between two events as its client sees it, and
// an error event can follow that the client reads as an event of its own.
//
// Why hold: half an event that was sent cannot be taken back. A newline would complete its line, a blank line would
// deliver it as whole, and an event that follows without one becomes a part of it. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/head.h"

namespace nines::http {

class EventScanner {
 public:
  struct Seen {
    // An event with at least one data line ended here. Comments, and blocks of nothing but id, event or retry, are no
    // progress: servers send them to keep connections open.
    bool data_event = false;
    // Bytes of the piece up to and with the last border in it; 0: there is none. At a border a client has been given
    // nothing it would add to what follows: a blank line has gone by, and since then whole comment lines at most. (An
    // `id:` without its data is not one: a client that reads the error event would keep the id of an event it never
    // had, and leave it out when it connects again.)
    std::size_t border = 0;
  };
  // Lines end with LF, CR or CRLF, split anywhere; a byte order mark may come first.
  Seen feed(std::string_view piece);

  // What was fed so far ends at a border.
  bool at_border() const { return line_ == Line::kStart && !block_has_fields_ && (mark_ == 0 || mark_ >= kMarkSize); }
  // An event was `[DONE]`, with which the streams of OpenAI-style servers say that they are complete.
  bool done() const { return done_; }

 private:
  static constexpr std::uint8_t kMarkSize = 3, kNoMark = 4;
  // What is known of the present line. kName, kDone: as much of "data", "[DONE]" as matched_ says.
  enum class Line : std::uint8_t { kStart, kName, kValue, kDone, kData, kComment, kOther };

  bool within_mark(unsigned char c);
  void step(char c);
  bool rest_is_indifferent() const { return line_ >= Line::kData; }
  // True: the line was blank and ended an event with data.
  bool end_line();

  Line line_ = Line::kStart;
  std::uint8_t matched_ = 0;
  std::uint8_t mark_ = 0;          // bytes of the byte order mark seen; kNoMark: there was none
  bool after_cr_ = false;          // an LF that comes now belongs to the line end before it
  bool block_has_fields_ = false;  // since the last blank line
  bool block_has_data_ = false;
  bool block_is_done_ = false;  // its data is "[DONE]"
  bool done_ = false;
};

class EventHold {
 public:
  // And one piece more, at the most.
  static constexpr std::size_t kHeldBytes = 64 * 1024;

  // What may go out now, in this order; nothing before the first event with data is whole. Both are valid until the
  // next call, `piece` as long as the piece taken.
  struct Out {
    std::string_view held, piece;
    bool data_event = false;
    bool empty() const { return held.empty() && piece.empty(); }
  };
  Out take(std::string_view piece);

  // The stream ended as it should: what is left goes out as it is.
  std::string_view rest() const { return held_; }

  // The client has whole events only, so that write_stream_error() is an event of its own. False after more than
  // kHeldBytes of one event, which are not held any longer: then the connection must be reset, nothing else makes
  // every client fail.
  bool may_say_error() const { return !inside_; }
  bool done() const { return scanner_.done(); }

 private:
  EventScanner scanner_;
  std::string held_, out_;
  bool begun_ = false;   // something has gone out
  bool inside_ = false;  // a part of an event has gone out
};

// Whether an answer is an event stream that can be understood: its type says so, and it is not compressed.
bool is_event_stream(const Head& answer);

// The event that ends a broken stream. The official OpenAI clients raise on data with an `error` member, whatever the
// event is called; those of Anthropic on an event called `error` with `{"type":"error","error":{…}}`; a browser's
// EventSource calls `onerror`. So it is all three.
void write_stream_error(std::string& out, std::string_view message, std::string_view code);

}  // namespace nines::http
