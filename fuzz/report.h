// How a fuzz target tells of a finding.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace nines::fuzz {

// Ends the program, which is how libFuzzer learns of it.
[[noreturn]] inline void report(const std::string& what, const std::string& bytes) {
  std::fprintf(stderr, "FINDING: %s\n--- %zu bytes\n", what.c_str(), bytes.size());
  std::fwrite(bytes.data(), 1, bytes.size(), stderr);
  std::fputs("\n---\n", stderr);
  std::abort();
}

}  // namespace nines::fuzz
