// SQLite files, looked at from outside: the server's history and the ledger. Blocks; a file of a demo takes
// milliseconds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace nines::demo {

// Every row of one statement, as text; reads only.
Result<std::vector<std::vector<std::string>>> query(const std::string& file, const std::string& sql);

// The classifications in the server's history. Nothing is ever deleted there, so a row keeps its number.
struct Rows {
  std::uint64_t count = 0;
  std::uint64_t last = 0;  // number of the newest
};
Result<Rows> rows_of(const std::string& file);
// How many of those up to number `last` are there.
Result<std::uint64_t> rows_until(const std::string& file, std::uint64_t last);

// "ok", or the first thing that is wrong with the file.
std::string integrity_of(const std::string& file);

// What a bad disk does: the middle half of the file becomes noise. Before, the file is brought up to date with its
// write-ahead log, so that no newer copy of the lost pages lies beside it.
struct Destroyed {
  std::uint64_t from = 0;
  std::uint64_t bytes = 0;
};
Result<Destroyed> destroy_middle(const std::string& file);

}  // namespace nines::demo
