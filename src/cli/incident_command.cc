// nines incident: what happened, and what people say of it. Who says something about the record adds to it, through the
// supervisor, whose log the keeper records; what was measured stays as it is.
#include <boost/json.hpp>
#include <cstdio>

#include "cli/commands.h"
#include "cli/document.h"
#include "cli/record.h"
#include "cli/report.h"
#include "ledger/slice.h"

namespace nines::cli {
namespace {

namespace json = boost::json;
using ledger::Incident;

std::int64_t unix_seconds(WallTime t) { return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count(); }
WallTime at(std::int64_t second) { return WallTime(std::chrono::seconds(second)); }
unsigned long long printable(std::uint64_t id) { return id; }

int show(const Record& record, const Incident& incident, bool as_json) {
  const auto text_of = [&](WallTime t) { return local_text(t, record.zone); };
  if (as_json) return say({kDone, json_of(incident)});
  std::printf("incident %llu: %s\n", printable(incident.id), one_line(describe(incident)).c_str());
  std::printf("  began     after %s, at %s at the latest\n", text_of(incident.last_good).c_str(),
              text_of(incident.first_bad).c_str());
  std::printf("  recorded  %s\n", text_of(incident.detected).c_str());
  std::printf("  ended     %s\n", incident.ended ? text_of(*incident.ended).c_str() : "it goes on");
  std::printf("  cause     %s: %s\n", std::string(name_of(incident.cause)).c_str(),
              one_line(incident.evidence).c_str());
  if (incident.acknowledged)
    std::printf("  acked     %s: %s\n", text_of(incident.acknowledged->at).c_str(),
                one_line(incident.acknowledged->text).c_str());
  if (incident.part_of) std::printf("  part of   incident %llu\n", printable(*incident.part_of));
  for (const std::uint64_t part : incident.parts) std::printf("  includes  incident %llu\n", printable(part));
  for (const Incident::Remark& note : incident.notes)
    std::printf("  note      %s: %s\n", text_of(note.at).c_str(), one_line(note.text).c_str());
  for (const std::uint64_t seq : incident.rows) {
    const auto rows = record.reader.rows({.after_seq = seq - 1, .limit = 1});
    if (!rows || rows->empty() || rows->front().seq != seq) continue;
    const ledger::Event& event = rows->front().event;
    std::printf("  row %-6llu %s  %s %s%s%s\n", printable(seq), text_of(event.when.wall).c_str(), event.target.c_str(),
                event.kind.c_str(), event.text.empty() ? "" : ": ", one_line(event.text).c_str());
  }
  return kDone;
}

int list(const Record& record, const std::vector<Incident>& incidents, bool as_json) {
  const availability::Interval& period = record.period.interval;
  json::array all;
  for (const Incident& incident : incidents) {
    if (incident.first_bad >= period.end || (incident.ended && *incident.ended < period.begin)) continue;
    if (as_json) {
      all.push_back(json::parse(json_of(incident)));
      continue;
    }
    std::printf("%6llu  %s  %s\n", printable(incident.id), local_text(incident.first_bad, record.zone).c_str(),
                one_line(describe(incident)).c_str());
  }
  return as_json ? say({kDone, json::serialize(all)}) : kDone;
}

// A person's words about the record, with who says them at their end.
struct Saying {
  std::string kind;
  std::int64_t a = 0, b = 0;
  std::string text;
};

int tell(const Record& record, const Saying& saying, const std::string& done) {
  const std::string text = saying.text.empty() ? user_name() : saying.text + "; " + user_name();
  const json::object body{{"kind", saying.kind}, {"a", saying.a}, {"b", saying.b}, {"text", text}};
  const auto answer =
      ask_service(record.paths, {.method = "POST", .target = "/v1/events", .body = json::serialize(body)});
  return answer ? say({kDone, done}) : say(answer.error());
}

const Incident* find(const std::vector<Incident>& incidents, std::uint64_t id) {
  const auto found = std::ranges::find(incidents, id, &Incident::id);
  return found == incidents.end() ? nullptr : &*found;
}

int unknown(std::uint64_t id) {
  return say(
      refuse(kNo, "there is no incident " + std::to_string(id) + "; `nines incident list` shows those of this month")
          .error());
}

int merge(const Record& record, const std::vector<Incident>& incidents, const Incident& whole,
          const IncidentOptions& options) {
  const Incident* const part = find(incidents, *options.other);
  if (part == nullptr) return unknown(*options.other);
  if (part == &whole) return say(refuse(kWrong, "an incident cannot be part of itself").error());
  for (const Incident* const one : {&whole, part})
    if (one->part_of)
      return say(refuse(kNo, "incident " + std::to_string(one->id) + " is part of incident " +
                                 std::to_string(*one->part_of) + " already")
                     .error());
  if (!part->parts.empty())
    return say(refuse(kNo, "others are part of incident " + std::to_string(part->id) + ": merge it the other way round")
                   .error());
  return tell(
      record,
      {"incidents_merged", static_cast<std::int64_t>(whole.id), static_cast<std::int64_t>(part->id), options.text},
      "incident " + std::to_string(part->id) + " is part of incident " + std::to_string(whole.id));
}

// Of whole slices, since nothing finer can be told later.
int correct(const Record& record, const Incident* incident, const IncidentOptions& options) {
  constexpr std::int64_t kFinest = 10, kMost = 31 * 86'400;
  availability::Interval span = record.period.interval;
  if (!options.period.from) {
    if (!incident->of_service())
      return say(
          refuse(kNo, "no second is missing for incident " + std::to_string(incident->id) + ": no user noticed it")
              .error());
    if (!incident->ended)
      return say(refuse(kNo, "incident " + std::to_string(incident->id) + " goes on; name --from and --to").error());
    span = {incident->first_bad, *incident->ended};
  }
  const std::int64_t from = ledger::start_of(ledger::Grain::kTenSeconds, unix_seconds(span.begin));
  const std::int64_t to = ledger::start_of(ledger::Grain::kTenSeconds, unix_seconds(span.end) + kFinest - 1);
  if (at(to) > record.now + std::chrono::seconds(kFinest))
    return say(refuse(kWrong, "--to is still to come: only what was measured can be corrected").error());
  if (to - from > kMost) return say(refuse(kWrong, "at most 31 days are corrected at once").error());
  const std::string as(ledger::Corrections::word_of(*options.as));
  return tell(record, {"corrected", from, to, as + ": " + options.text},
              "from " + local_text(at(from), record.zone) + " to " + local_text(at(to), record.zone) +
                  " is corrected: it was " + as + "; what was measured stays beside it");
}

}  // namespace

int perform(const GlobalOptions& global, const IncidentOptions& options) {
  const auto record = open_record(global, options.period);
  if (!record) return say(record.error());
  const availability::Interval all{WallTime{}, record->now};
  const auto incidents = record->reader.incidents(options.id ? all : record->period.interval);
  if (!incidents) return say(refuse(kNo, incidents.error().text()).error());
  const Incident* const incident = options.id ? find(*incidents, *options.id) : nullptr;
  if (options.id && incident == nullptr) return unknown(*options.id);
  const std::string id = options.id ? "incident " + std::to_string(*options.id) : "";
  const auto number = static_cast<std::int64_t>(options.id.value_or(0));
  switch (options.action) {
    case IncidentOptions::Action::kList: return list(*record, *incidents, options.json);
    case IncidentOptions::Action::kShow: return show(*record, *incident, options.json);
    case IncidentOptions::Action::kAcknowledge:
      if (incident->acknowledged)
        return say({kDone, id + " was acknowledged already, by " + incident->acknowledged->text});
      return tell(*record, {"incident_acknowledged", number, 0, options.text}, id + " is acknowledged");
    case IncidentOptions::Action::kNote:
      return tell(*record, {"incident_noted", number, 0, options.text}, id + " has a note");
    case IncidentOptions::Action::kMerge: return merge(*record, *incidents, *incident, options);
    case IncidentOptions::Action::kCorrect: return correct(*record, incident, options);
  }
  return kWrong;
}

}  // namespace nines::cli
