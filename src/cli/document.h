// What a command says, as a document that has the same words in every format. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/report_format.h"

namespace nines::cli {

// A line: what it is about, what it says, and what that is made of.
struct Figure {
  std::string label, value, note;
};

struct Part {
  std::string title;  // empty: none
  std::vector<Figure> figures;
};

struct Document {
  std::string title, subtitle;
  std::vector<Part> parts;  // those without a figure are left out
  std::string verdict;      // a sentence without its full stop; empty: none
};

// Ends with a newline. REQUIRES another format than JSON, which has values and not words.
std::string render(const Document& document, ReportFormat format);

// Without line breaks and other control characters: what programs and people wrote into the record, in a line of its
// own.
std::string one_line(std::string text);

// "$1,234.50", "$0.0042"
std::string dollars_text(double amount);

}  // namespace nines::cli
