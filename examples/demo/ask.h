// Asking the AI server, as a person would: every sentence once, one after the other.
#pragma once

#include <vector>

#include "sentences.h"
#include "service.h"

namespace nines::demo {

Task<Result<Sample>> classify(net::Loop& loop, const Service& service, Sentence sentence);

// One result a sentence, whatever became of it.
Task<std::vector<Result<Sample>>> ask_all(net::Loop& loop, const Service& service);

// How many were answered, and rightly.
std::size_t right_ones(const std::vector<Result<Sample>>& answers);

}  // namespace nines::demo
