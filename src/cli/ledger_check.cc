#include "cli/ledger_check.h"

#include <boost/json.hpp>

#include "cli/terminal.h"
#include "ledger/chain.h"

namespace nines::cli {
namespace {

namespace json = boost::json;

// nullopt: the keeper removed it in the meantime.
Result<std::optional<WallTime>> time_of(const ledger::Reader& reader, std::uint64_t seq) {
  if (seq == 0) return std::nullopt;
  auto rows = reader.rows({.after_seq = seq - 1, .limit = 1});
  if (!rows) return failure(std::move(rows.error()));
  if (rows->empty() || rows->front().seq != seq) return std::nullopt;
  return rows->front().event.when.wall;
}

std::string words_of(std::uint64_t seq, const std::optional<WallTime>& at) {
  return std::to_string(seq) + (at ? " of " + format_rfc3339(*at) : "");
}

json::value time_json(const std::optional<WallTime>& at) {
  return at ? json::value(format_rfc3339(*at)) : json::value(nullptr);
}

}  // namespace

Result<LedgerCheck> check_ledger(const std::string& file) {
  const auto reader = ledger::Reader::open(file);
  if (!reader) return failure(reader.error());
  auto verified = reader->verify();
  if (!verified) return failure(std::move(verified.error()));
  LedgerCheck check{
      .file = file, .rows = std::move(*verified), .first = {}, .last = {}, .measured_since = {}, .slice_break = {}};
  // A file that is broken here may not answer there; the first break is what was asked for.
  if (check.rows.broken) return check;
  const auto first = time_of(*reader, check.rows.first_seq), last = time_of(*reader, check.rows.last_seq);
  if (!first) return failure(first.error());
  if (!last) return failure(last.error());
  check.first = *first, check.last = *last;
  const auto since = reader->measured_since();
  if (!since) return failure(since.error());
  if (*since) check.measured_since = WallTime(std::chrono::seconds(**since));
  auto slices = reader->check_slices();
  if (!slices) return failure(std::move(slices.error()));
  check.slice_break = std::move(*slices);
  return check;
}

std::string text_of(const LedgerCheck& check) {
  const ledger::Verification& rows = check.rows;
  if (rows.broken) {
    const std::string before = rows.rows == 0 ? "no row before it was found"
                                              : "those before it are whole, from row " + std::to_string(rows.first_seq);
    return check.file + " is damaged or was changed: " +
           (rows.broken->seq == 0
                ? rows.broken->why
                : "row " + std::to_string(rows.broken->seq) + ": " + rows.broken->why + "; " + before);
  }
  if (check.slice_break) return check.file + " is damaged or was changed: " + check.slice_break->why;
  std::string text = check.file + " is whole\n";
  if (rows.rows == 0) {
    text += "  rows      none yet";
  } else {
    text += "  rows      " + with_commas(rows.rows) + ": " + words_of(rows.first_seq, check.first) + " to " +
            words_of(rows.last_seq, check.last) + "\n";
    text += "  last hash " + ledger::hex(rows.last_hash);
  }
  if (check.measured_since)
    text += "\n  measured  since " + format_rfc3339(*check.measured_since) + "; every sum is that of its parts";
  return text;
}

std::string json_of(const LedgerCheck& check) {
  const ledger::Verification& rows = check.rows;
  json::value broken, why;
  if (rows.broken) {
    broken = json::object{{"row", rows.broken->seq}};
    why = rows.broken->why;
  } else if (check.slice_break) {
    broken = json::object{{"slice", format_rfc3339(WallTime(std::chrono::seconds(check.slice_break->start)))},
                          {"seconds", ledger::seconds_of(check.slice_break->grain)}};
    why = check.slice_break->why;
  }
  return json::serialize(
      json::object{{"file", check.file},
                   {"whole", check.whole()},
                   {"rows", rows.rows},
                   {"first", rows.first_seq},
                   {"first_at", time_json(check.first)},
                   {"last", rows.last_seq},
                   {"last_at", time_json(check.last)},
                   {"last_hash", rows.rows == 0 ? json::value(nullptr) : json::value(ledger::hex(rows.last_hash))},
                   {"measured_since", time_json(check.measured_since)},
                   {"broken", std::move(broken)},
                   {"why", std::move(why)}});
}

}  // namespace nines::cli
