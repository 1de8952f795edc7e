// A value of the file as JSON text, for what is sent to a server.
#pragma once

#include <string>

#include "config/document.h"
#include "config/problem.h"

namespace nines::config {

// What is written without quotes and reads as a number, true, false or null in JSON is that; all other text is a
// string. "1.0" with quotes, 007 and 0x1f are strings: nobody has to know YAML's rules. The text is JSON, and YAML
// that is read as the same value again.
//
// Fails for a key longer than bounds::kKeyBytes; the position is in the problem.
std::expected<std::string, Problem> json_text(const Node& node);

}  // namespace nines::config
