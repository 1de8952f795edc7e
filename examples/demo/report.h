// The demo's words: figures in, text out. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/terminal.h"
#include "experiment.h"
#include "sentences.h"

namespace nines::demo {

// One thing the demo says of nines, judged by what was found.
struct Claim {
  std::string text;
  bool holds = false;
};
// REQUIRES: at least one kill.
std::vector<Claim> claims_of(const Findings& findings);

std::string heading(std::string_view text, const cli::Style& style);
std::string samples_text(std::span<const Sample> samples, const cli::Style& style);
// What happened after a kill, and its figures.
std::string kill_text(const Kill& kill, const cli::Style& style);
std::string figures_text(const Findings& findings, const cli::Style& style);
std::string claims_text(const std::vector<Claim>& claims, const cli::Style& style);
std::string things_to_try(const std::string& url, const std::string& folder, const cli::Style& style);

// "12 ms"; "under 1 ms", since the events' clock tells no more.
std::string milliseconds(Duration d);

}  // namespace nines::demo
