#include "cli/releases.h"

#include <algorithm>
#include <boost/json.hpp>

#include "cli/status.h"

namespace nines::cli {
namespace {

namespace json = boost::json;

std::string text_in(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

std::uint64_t number_in(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  boost::system::error_code bad;
  const auto number = value != nullptr && value->is_number() ? value->to_number<std::uint64_t>(bad) : 0;
  return bad ? 0 : number;
}

std::string outcome_in_words(const ReleaseStatus& release, const ReleasesStatus& all, const Style& style) {
  if (release.number == all.active) return style.paint(Colour::kGreen, "active");
  if (release.outcome == "rolled_back") return style.paint(Colour::kRed, "rolled back");
  if (release.outcome == "under_way") return style.paint(Colour::kYellow, "under way");
  return style.paint(Colour::kDim, "replaced");
}

}  // namespace

const ReleaseStatus* ReleasesStatus::find(std::uint64_t number) const {
  const auto found = std::ranges::find(releases, number, &ReleaseStatus::number);
  return found == releases.end() ? nullptr : &*found;
}

Result<ReleasesStatus> parse_releases(std::string_view text) {
  boost::system::error_code bad;
  const json::value value = json::parse(text, bad);
  if (bad || !value.is_object()) return failure(Code::kProtocol, "the service's answer is no JSON object");
  const json::object& object = value.as_object();
  ReleasesStatus status;
  status.active = number_in(object, "active");
  if (const auto* const deploy = object.if_contains("deploy"); deploy != nullptr && deploy->is_object()) {
    const json::object& o = deploy->as_object();
    status.deploy = DeployStatus{.release = number_in(o, "release"),
                                 .stage = text_in(o, "stage"),
                                 .progress = text_in(o, "progress"),
                                 .why = text_in(o, "why")};
  }
  if (const auto* const all = object.if_contains("releases"); all != nullptr && all->is_array()) {
    for (const json::value& one : all->as_array()) {
      if (!one.is_object()) continue;
      const json::object& o = one.as_object();
      status.releases.push_back({.number = number_in(o, "release"),
                                 .what = text_in(o, "what"),
                                 .by = text_in(o, "by"),
                                 .at = parse_rfc3339(text_in(o, "at")),
                                 .outcome = text_in(o, "outcome"),
                                 .why = text_in(o, "why")});
    }
  }
  return status;
}

std::string render_releases(const ReleasesStatus& releases, const Style& style) {
  TextTable table({true, false, false, false, false});
  const auto head = [&](std::string_view text) { return style.paint(Colour::kDim, text); };
  table.row({head("RELEASE"), head("WHEN"), head("BY"), head("CHANGED"), head("OUTCOME")});
  for (auto it = releases.releases.rbegin(); it != releases.releases.rend(); ++it) {
    table.row({std::to_string(it->number), it->at ? ago(*it->at, style.now) : "-", it->by,
               it->what.empty() ? "-" : it->what, outcome_in_words(*it, releases, style)});
    if (!it->why.empty()) table.note("         " + it->why);
  }
  std::string text = table.text();
  if (releases.deploy)
    text += "\n" + std::string("under way: release ") + std::to_string(releases.deploy->release) + ", " +
            releases.deploy->progress + "\n";
  return text;
}

}  // namespace nines::cli
