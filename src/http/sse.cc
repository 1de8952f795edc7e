#include "http/sse.h"

#include <cstring>

#include "base/text.h"
#include "http/writer.h"

namespace nines::http {
namespace {

constexpr std::string_view kData = "data";
constexpr std::string_view kDoneValue = "[DONE]";
constexpr std::string_view kMark = "\xef\xbb\xbf";

// The first CR or LF at or after `at`; `lf` is the first LF there, or the end, as far as it is known.
std::size_t line_end(std::string_view piece, std::size_t at, std::size_t& lf) {
  if (lf < at || lf == std::string_view::npos) lf = std::min(piece.find('\n', at), piece.size());
  const void* const cr = std::memchr(piece.data() + at, '\r', lf - at);
  return cr == nullptr ? lf : static_cast<std::size_t>(static_cast<const char*>(cr) - piece.data());
}

}  // namespace

// True: the byte belongs to the mark.
bool EventScanner::within_mark(unsigned char c) {
  if (c == static_cast<unsigned char>(kMark[mark_])) {
    ++mark_;
    return true;
  }
  if (mark_ > 0) line_ = Line::kOther;  // some of it only: an odd field name
  mark_ = kNoMark;
  return false;
}

void EventScanner::step(char c) {
  switch (line_) {
    case Line::kStart:
      matched_ = 1;
      line_ = c == ':' ? Line::kComment : c == kData[0] ? Line::kName : Line::kOther;
      break;
    case Line::kName:
      if (matched_ == kData.size()) {
        line_ = c == ':' ? Line::kValue : Line::kOther;
      } else if (c != kData[matched_++]) {
        line_ = Line::kOther;
      }
      break;
    case Line::kValue:
      matched_ = c == ' ' ? 0 : 1;
      line_ = c == ' ' || c == kDoneValue[0] ? Line::kDone : Line::kData;
      break;
    case Line::kDone:
      if (matched_ == kDoneValue.size() || c != kDoneValue[matched_]) line_ = Line::kData;
      ++matched_;
      break;
    case Line::kData:
    case Line::kComment:
    case Line::kOther: break;
  }
}

bool EventScanner::end_line() {
  const Line line = std::exchange(line_, Line::kStart);
  bool data_event = false;
  switch (line) {
    case Line::kStart:
      data_event = block_has_data_;
      done_ = done_ || block_is_done_;
      block_has_fields_ = block_has_data_ = block_is_done_ = false;
      break;
    case Line::kComment: break;
    case Line::kName:
    case Line::kOther:
      block_has_fields_ = true;
      if (line == Line::kOther || matched_ < kData.size()) break;
      [[fallthrough]];
    case Line::kValue:
    case Line::kDone:
    case Line::kData:
      block_is_done_ = !block_has_data_ && line == Line::kDone && matched_ == kDoneValue.size();
      block_has_fields_ = block_has_data_ = true;
      break;
  }
  return data_event;
}

EventScanner::Seen EventScanner::feed(std::string_view piece) {
  Seen seen;
  std::size_t lf = std::string_view::npos;
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const char c = piece[i];
    if (mark_ < kMarkSize && within_mark(static_cast<unsigned char>(c))) {
      if (mark_ == kMarkSize) seen.border = i + 1;
      continue;
    }
    const bool second_half = std::exchange(after_cr_, c == '\r') && c == '\n';
    if (second_half) {
      if (at_border()) seen.border = i + 1;
    } else if (c == '\n' || c == '\r') {
      seen.data_event |= end_line();
      if (at_border()) seen.border = i + 1;
    } else {
      step(c);
      if (rest_is_indifferent()) i = line_end(piece, i + 1, lf) - 1;
    }
  }
  return seen;
}

EventHold::Out EventHold::take(std::string_view piece) {
  const EventScanner::Seen seen = scanner_.feed(piece);
  out_.clear();
  begun_ = begun_ || seen.data_event;
  if (begun_ && seen.border > 0) {
    out_.swap(held_);
    held_ = piece.substr(seen.border);
    inside_ = false;
    piece = piece.substr(0, seen.border);
  } else if (!inside_ && held_.size() + piece.size() <= kHeldBytes) {
    held_ += piece;
    piece = {};
  } else {
    out_.swap(held_);
    begun_ = true;
    inside_ = !scanner_.at_border();
  }
  return {out_, piece, seen.data_event};
}

bool is_event_stream(const Head& answer) {
  const std::string_view type = answer.find("content-type").value_or("");
  const std::string_view coding = answer.find("content-encoding").value_or("identity");
  return equals_ignoring_case(trim(type.substr(0, type.find(';'))), "text/event-stream") &&
         equals_ignoring_case(coding, "identity");
}

void write_stream_error(std::string& out, std::string_view message, std::string_view code) {
  out += "event: error\ndata: {\"type\":\"error\",";
  out += error_body(message, "server_error", code).substr(1);
  out += "\n\n";
}

}  // namespace nines::http
