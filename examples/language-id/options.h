// The command line of language-id.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/time.h"

namespace nines::language_id {

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;
  std::string socket;  // path of a Unix socket to listen on instead; empty: none
  std::string database = "data/ai_api.db";
  std::string model;  // default: beside the program
  Duration startup_delay{0};
  Duration delay{0};
};

// The options, or the status to exit with: 0 after --help, 2 for wrong usage, which was explained.
std::variant<Options, int> parse_options(int argc, char** argv);

}  // namespace nines::language_id
