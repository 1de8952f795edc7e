// Holds docs/internals/shared-memory.md against the structures: every member, offset, size, constant, value and entry
// of the directory that the document's tables name, and none missing.
#include "plane/plane.h"

// A second program of the test suite has another layout, which is written down nowhere.
#ifndef NINES_OTHER_LAYOUT

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/text.h"

namespace nines::plane {
namespace {

struct Member {
  std::string name;
  std::size_t offset = 0, size = 0;
};
struct Record {
  std::string name;
  std::size_t size = 0;
  std::vector<Member> members;
};

#define MEMBER(type, member) {#member, offsetof(type, member), sizeof(type::member)}

std::vector<Record> records() {
  return {
      {"Table",
       sizeof(Table),
       {MEMBER(Table, header), MEMBER(Table, fields), MEMBER(Table, anchor), MEMBER(Table, supervisor),
        MEMBER(Table, gateway), MEMBER(Table, keeper), MEMBER(Table, routes), MEMBER(Table, observed),
        MEMBER(Table, service), MEMBER(Table, log), MEMBER(Table, gateway_events), MEMBER(Table, anchor_events),
        MEMBER(Table, keeper_events), MEMBER(Table, metered), MEMBER(Table, slices), MEMBER(Table, record_problem)}},
      {"Header",
       sizeof(Header),
       {MEMBER(Header, magic),
        MEMBER(Header, layout),
        MEMBER(Header, size),
        MEMBER(Header, id),
        MEMBER(Header, fields_offset),
        MEMBER(Header, fields),
        MEMBER(Header, next_incarnation),
        MEMBER(Header, routes_version),
        MEMBER(Header, gateway_epoch),
        MEMBER(Header, routes_seen),
        MEMBER(Header, gateway_serving),
        MEMBER(Header, dashboard_port),
        MEMBER(Header, log_taken),
        MEMBER(Header, log_lost),
        MEMBER(Header, gateway_events_taken),
        MEMBER(Header, anchor_events_taken),
        MEMBER(Header, keeper_events_taken),
        MEMBER(Header, slices_dropped),
        MEMBER(Header, stopping),
        MEMBER(Header, ever_ready),
        MEMBER(Header, announced),
        MEMBER(Header, carried),
        MEMBER(Header, leave),
        MEMBER(Header, exit_status),
        MEMBER(Header, panic),
        MEMBER(Header, unused),
        MEMBER(Header, heartbeat_ns),
        MEMBER(Header, successor)}},
      {"Part",
       sizeof(Part),
       {MEMBER(Part, pid), MEMBER(Part, starts), MEMBER(Part, start_time), MEMBER(Part, since_ns)}},
      {"Route", sizeof(Route), {MEMBER(Route, incarnation), MEMBER(Route, since_ns),       MEMBER(Route, spawned_ns),
                                MEMBER(Route, restarts),    MEMBER(Route, start_time),     MEMBER(Route, pid),
                                MEMBER(Route, port),        MEMBER(Route, wanted),         MEMBER(Route, state),
                                MEMBER(Route, ipv6),        MEMBER(Route, listening),      MEMBER(Route, ordered),
                                MEMBER(Route, held),        MEMBER(Route, crashes_in_row), MEMBER(Route, weight),
                                MEMBER(Route, tier),        MEMBER(Route, host),           MEMBER(Route, unused),
                                MEMBER(Route, release),     MEMBER(Route, name),           MEMBER(Route, socket)}},
      {"Observed",
       sizeof(Observed),
       {MEMBER(Observed, verdict), MEMBER(Observed, connect_failures_in_row), MEMBER(Observed, gateway_errors_in_row),
        MEMBER(Observed, failing_since_ns), MEMBER(Observed, progress_ns), MEMBER(Observed, well_ns),
        MEMBER(Observed, hung_ns), MEMBER(Observed, passed_ns), MEMBER(Observed, requests), MEMBER(Observed, errors),
        MEMBER(Observed, connect_failures), MEMBER(Observed, gateway_errors), MEMBER(Observed, ejections),
        MEMBER(Observed, hangs), MEMBER(Observed, in_flight), MEMBER(Observed, latency)}},
      {"Verdict",
       sizeof(Verdict),
       {MEMBER(Verdict, incarnation), MEMBER(Verdict, since_ns), MEMBER(Verdict, ejected_until_ns),
        MEMBER(Verdict, ejections), MEMBER(Verdict, health), MEMBER(Verdict, cause), MEMBER(Verdict, hung),
        MEMBER(Verdict, wrong), MEMBER(Verdict, reason)}},
      {"ServiceCounters",
       sizeof(ServiceCounters),
       {MEMBER(ServiceCounters, requests),
        MEMBER(ServiceCounters, errors),
        MEMBER(ServiceCounters, client_errors),
        MEMBER(ServiceCounters, replayed),
        MEMBER(ServiceCounters, abandoned),
        MEMBER(ServiceCounters, unroutable),
        MEMBER(ServiceCounters, connections_refused),
        MEMBER(ServiceCounters, rejected_queue_full),
        MEMBER(ServiceCounters, rejected_queue_time),
        MEMBER(ServiceCounters, retries_denied),
        MEMBER(ServiceCounters, replays_after_exit),
        MEMBER(ServiceCounters, streams),
        MEMBER(ServiceCounters, streams_interrupted),
        MEMBER(ServiceCounters, upgrades),
        MEMBER(ServiceCounters, access_lines_dropped),
        MEMBER(ServiceCounters, timeouts),
        MEMBER(ServiceCounters, waiting),
        MEMBER(ServiceCounters, connections),
        MEMBER(ServiceCounters, latency),
        MEMBER(ServiceCounters, outcomes),
        MEMBER(ServiceCounters, given_up)}},
      {"Metered",
       sizeof(Metered),
       {MEMBER(Metered, version),  MEMBER(Metered, slice_s),     MEMBER(Metered, until_s),   MEMBER(Metered, at_ns),
        MEMBER(Metered, wall_ns),  MEMBER(Metered, good_s),      MEMBER(Metered, trouble_s), MEMBER(Metered, calm_s),
        MEMBER(Metered, doubt_s),  MEMBER(Metered, gone_from_s), MEMBER(Metered, gone_to_s), MEMBER(Metered, outcomes),
        MEMBER(Metered, given_up), MEMBER(Metered, failed),      MEMBER(Metered, slices),    MEMBER(Metered, told),
        MEMBER(Metered, seconds),  MEMBER(Metered, probes),      MEMBER(Metered, down),      MEMBER(Metered, worst)}},
      {"MeasuredSlice",
       sizeof(MeasuredSlice),
       {MEMBER(MeasuredSlice, start_s), MEMBER(MeasuredSlice, until_s), MEMBER(MeasuredSlice, outcomes),
        MEMBER(MeasuredSlice, seconds), MEMBER(MeasuredSlice, probes)}},
      {"Problem", sizeof(Problem), {MEMBER(Problem, since_ns), MEMBER(Problem, text)}},
      {"EventRing", sizeof(EventRing), {{"next", 0, 8}, {"slots", 8, EventRing::kSize * sizeof(Seqlock<Event>)}}},
      {"Event",
       sizeof(Event),
       {MEMBER(Event, number), MEMBER(Event, at_ns), MEMBER(Event, kind), MEMBER(Event, replica), MEMBER(Event, pid),
        MEMBER(Event, incarnation), MEMBER(Event, a), MEMBER(Event, b), MEMBER(Event, origin),
        MEMBER(Event, origin_number), MEMBER(Event, text)}},
      {"Field",
       sizeof(Field),
       {MEMBER(Field, name), MEMBER(Field, offset), MEMBER(Field, stride), MEMBER(Field, repeat),
        MEMBER(Field, count)}},
  };
}

#undef MEMBER

using Row = std::vector<std::string>;

// The document's tables: the rows below each line that begins with `head` cells, by the nearest "### `Name`: N bytes".
class Document {
 public:
  Document() {
    const auto path =
        std::filesystem::path(__FILE__).parent_path().parent_path().parent_path() / "docs/internals/shared-memory.md";
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) read(line);
  }

  // Of the table with this head, as "offset|size|name".
  std::vector<Row> rows(const std::string& head) const {
    const auto found = tables_.find(head);
    return found == tables_.end() ? std::vector<Row>() : found->second;
  }
  const std::map<std::string, std::pair<std::size_t, std::vector<Row>>>& records() const { return records_; }

 private:
  static std::string plain(std::string_view cell) {
    std::string text(trim(cell));
    std::erase(text, '`');
    return text;
  }

  void read(const std::string& line) {
    if (line.starts_with("### `")) {
      const auto end = line.find('`', 5);
      record_ = line.substr(5, end - 5);
      const auto bytes = line.find_first_of("0123456789", end);
      records_[record_].first = bytes == std::string::npos ? 0 : std::stoul(line.substr(bytes));
    } else if (line.starts_with("#")) {
      record_.clear();
    }
    if (!line.starts_with('|')) {
      head_.clear();
      return;
    }
    Row row;
    for (std::size_t at = 1; at < line.size();) {
      const auto end = std::min(line.find('|', at), line.size());
      row.push_back(plain(std::string_view(line).substr(at, end - at)));
      at = end + 1;
    }
    if (row[0].starts_with('-')) return;
    if (head_.empty()) {
      for (std::size_t i = 0; i < std::min<std::size_t>(row.size(), 3); ++i) head_ += (i == 0 ? "" : "|") + row[i];
      return;
    }
    tables_[head_].push_back(row);
    if (!record_.empty()) records_[record_].second.push_back(row);
  }

  std::string record_, head_;
  std::map<std::string, std::vector<Row>> tables_;
  std::map<std::string, std::pair<std::size_t, std::vector<Row>>> records_;
};

std::string text(const Row& row) {
  std::string all;
  for (const std::string& cell : row) all += "|" + cell;
  return all;
}

TEST_CASE("layout: the document has every record, and each member where it is") {
  const Document document;
  REQUIRE_MESSAGE(!document.records().empty(), "docs/internals/shared-memory.md was not found beside the sources");
  const auto known = records();
  CHECK(document.records().size() == known.size());
  for (const Record& record : known) {
    CAPTURE(record.name);
    const auto found = document.records().find(record.name);
    REQUIRE(found != document.records().end());
    const auto& [size, rows] = found->second;
    CHECK(size == record.size);
    CHECK(rows.size() == record.members.size());
    for (std::size_t i = 0; i < std::min(rows.size(), record.members.size()); ++i) {
      const Member& member = record.members[i];
      CHECK(text({rows[i].begin(), rows[i].begin() + 3}) ==
            text({std::to_string(member.offset), std::to_string(member.size), member.name}));
    }
  }
}

// A member that neither this test nor the document knows would leave a gap.
TEST_CASE("layout: members follow one another without gaps") {
  for (const Record& record : records()) {
    CAPTURE(record.name);
    std::size_t at = 0;
    for (const Member& member : record.members) {
      CAPTURE(member.name);
      CHECK(member.offset == at);
      at = member.offset + member.size;
    }
    CHECK(at == record.size);
  }
}

TEST_CASE("layout: the document's limits and values are those of the program") {
  const Document document;
  const std::map<std::string, std::uint64_t> limits = {{"kMagic", kMagic},
                                                       {"kLayout", kLayout},
                                                       {"kReplicasMax", kReplicasMax},
                                                       {"kFields", kFields},
                                                       {"kTimeouts", kTimeouts},
                                                       {"kLatencyBuckets", kLatencyBuckets},
                                                       {"EventRing::kSize", EventRing::kSize},
                                                       {"kNoReplica", kNoReplica},
                                                       {"kSlicesMax", kSlicesMax}};
  std::map<std::string, std::uint64_t> said;
  for (const Row& row : document.rows("constant|value|is")) said[row[0]] = std::stoull(row[1], nullptr, 0);
  CHECK(said == limits);
#define VALUE(name) {#name, static_cast<std::uint64_t>(name)}
  const std::map<std::string, std::uint64_t> values = {VALUE(Wanted::kAbsent),
                                                       VALUE(Wanted::kServe),
                                                       VALUE(Wanted::kDrain),
                                                       VALUE(Health::kUnknown),
                                                       VALUE(Health::kUp),
                                                       VALUE(Health::kDown),
                                                       VALUE(EjectionCause::kNone),
                                                       VALUE(EjectionCause::kConnect),
                                                       VALUE(EjectionCause::kGatewayErrors),
                                                       VALUE(Header::Leave::kDied),
                                                       VALUE(Header::Leave::kEnded),
                                                       VALUE(Header::Leave::kSucceeded),
                                                       VALUE(Outcome::kGood),
                                                       VALUE(Outcome::kBad),
                                                       VALUE(Outcome::kExcluded),
                                                       VALUE(Outcome::kAborted),
                                                       VALUE(Origin::kSupervisor),
                                                       VALUE(Origin::kGateway),
                                                       VALUE(Origin::kAnchor),
                                                       VALUE(Origin::kKeeper)};
#undef VALUE
  std::map<std::string, std::uint64_t> timeouts;
  for (std::size_t i = 0; i < kTimeouts; ++i) timeouts[std::string(name_of(static_cast<Timeout>(i)))] = i;
  CHECK(timeouts.size() == kTimeouts);
  CHECK(name_of(static_cast<Timeout>(kTimeouts)) == "unknown");
  said.clear();
  for (const Row& row : document.rows("number|timeout|limits")) said[row[1]] = std::stoull(row[0]);
  CHECK(said == timeouts);
  said.clear();
  for (const Row& row : document.rows("value|name|meaning")) said[row[1]] = std::stoull(row[0]);
  CHECK(said == values);
}

TEST_CASE("layout: the document has every kind of event") {
  std::map<std::uint64_t, std::string> known, said;
  for (std::uint16_t number = 0; number < 2000; ++number) {
    const std::string_view name = name_of(static_cast<EventKind>(number));
    if (name != "unknown") known[number] = name;
  }
  const Document document;
  for (const Row& row : document.rows("number|kind|carries")) said[std::stoull(row[0])] = row[1];
  CHECK(said == known);
}

TEST_CASE("layout: the document's directory is the one a table has") {
  const Plane plane = std::move(Plane::create().value());
  std::vector<std::string> known, said;
  for (std::size_t i = 0; i < plane->header.fields; ++i) {
    const Field& f = plane->fields[i];
    known.push_back(text({f.name, std::to_string(f.offset), std::to_string(f.stride), std::to_string(f.repeat),
                          std::to_string(f.count)}));
  }
  const Document document;
  for (const Row& row : document.rows("name|offset|stride")) said.push_back(text(row));
  CHECK(said == known);
  CHECK(plane->header.fields_offset == offsetof(Table, fields));
}

template <class T>
T at(const void* memory, std::size_t offset) {
  T value;
  std::memcpy(&value, static_cast<const std::byte*>(memory) + offset, sizeof value);
  return value;
}

TEST_CASE("layout: seqlocks and rings are what the document says, byte by byte") {
  Seqlock<Part> lock;
  lock.store({.pid = 1, .starts = 2, .start_time = 3, .since_ns = 4});
  CHECK(sizeof lock == 8 + sizeof(Part));
  CHECK(at<std::uint32_t>(&lock, 0) == 2);
  CHECK(at<std::uint32_t>(&lock, 8) == 1);
  CHECK(at<std::uint64_t>(&lock, 8 + offsetof(Part, start_time)) == 3);

  const auto ring = std::make_unique<EventRing>();
  for (std::uint16_t i = 0; i < EventRing::kSize + 3; ++i) ring->push({.kind = EventKind::kReady, .replica = i});
  CHECK(at<std::uint64_t>(ring.get(), 0) == EventRing::kSize + 3);
  for (const std::size_t number : {std::size_t{4}, EventRing::kSize, EventRing::kSize + 1, EventRing::kSize + 3}) {
    const std::size_t slot = 8 + (number - 1) % EventRing::kSize * sizeof(Seqlock<Event>) + 8;
    CHECK(at<std::uint64_t>(ring.get(), slot) == number);
    CHECK(at<std::uint16_t>(ring.get(), slot + offsetof(Event, replica)) == number - 1);
  }

  LatencyHistogram histogram;
  histogram.record(1us * 1024 + 512us);  // 2^10 × (1 + 2/4)
  CHECK(at<std::uint64_t>(&histogram, (10 * 4 + 2) * 8) == 1);
}

}  // namespace
}  // namespace nines::plane

#endif  // NINES_OTHER_LAYOUT
