// What the demo asks the AI server, and what it should answer.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace nines::demo {

struct Sentence {
  std::string_view label;  // ISO 639-1
  std::string_view language;
  std::string_view text;
};
// Twelve languages; none of these sentences is in the server's training data.
std::span<const Sentence> sentences();
// "de" -> "German"; the label itself when it is none of ours.
std::string_view language_of(std::string_view label);

// The body of POST /classify.
std::string classify_body(std::string_view text);

// Its answer.
struct Verdict {
  std::string label;
  double confidence = 0;
};
Result<Verdict> parse_verdict(std::string_view json);

// One sentence that was classified.
struct Sample {
  Sentence asked;
  Verdict verdict;
  std::string process;  // who answered
  bool right() const { return verdict.label == asked.label; }
};

}  // namespace nines::demo
