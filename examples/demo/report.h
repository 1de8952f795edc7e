// The demo's words: figures in, text out. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "claims.h"
#include "cli/terminal.h"
#include "disaster.h"
#include "experiment.h"
#include "sentences.h"

namespace nines::demo {

std::string heading(std::string_view text, const cli::Style& style);
std::string samples_text(std::span<const Sample> samples, const cli::Style& style);
// What happened after a kill, and its figures.
std::string kill_text(const Kill& kill, const cli::Style& style);
std::string part_kill_text(const PartKill& kill, const cli::Style& style);
std::string backup_text(const Backup& backup, const cli::Style& style);
std::string damage_text(const Damage& damage, const cli::Style& style);
std::string figures_text(const Findings& findings, const cli::Style& style);
std::string claims_text(const std::vector<Claim>& claims, const cli::Style& style);
struct Addresses {
  std::string url;
  std::string dashboard;
  std::string folder;
};
std::string things_to_try(const Addresses& addresses, const cli::Style& style);

}  // namespace nines::demo
