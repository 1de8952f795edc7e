#include "cli/sla.h"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "cli/terminal.h"
#include "config/values.h"

namespace nines::cli {
namespace {

namespace json = boost::json;
using availability::Availability;

constexpr double kConfidence = 0.90;

std::string percent(Availability a) { return availability::format_percent(a) + " %"; }
std::string target_text(const SlaFacts& facts) { return percent(facts.promise.target.availability()); }

// As often as replicas are checked, within the prober's bounds.
Duration probe_interval(const config::Config& config) {
  return std::clamp<Duration>(config.replicas.health.interval, 1s, 5s);
}

std::string probe_text(const config::Config& config) {
  const auto& path = config.replicas.health.path;
  return (path ? "GET " + *path : std::string("a TCP connect")) + " every " +
         config::write_duration(probe_interval(config));
}

// Several copies on one machine stand on what that machine is promised; so does the gateway in front of others.
Finding machine_finding(const SlaFacts& facts) {
  const availability::Agreement& single = availability::ec2_instance();
  const bool elsewhere = !facts.config.replicas.endpoints.empty();
  const bool promised = facts.promise.target.budget >= single.promise().budget;
  return {.about = "one machine",
          .is = promised ? Finding::Is::kGood : Finding::Is::kCannot,
          .why = std::string(elsewhere ? "the gateway runs" : "the gateway and every replica run") +
                 " on this machine; a single virtual machine is promised " + percent(single.promise().availability()) +
                 " by its provider (" + std::string(single.source) + ", " + std::to_string(single.year) + ")" +
                 (promised ? "" : ", which is less than " + target_text(facts) + ": the rest would be luck")};
}

Finding replicas_finding(const SlaFacts& facts) {
  const config::Replicas& replicas = facts.config.replicas;
  const std::string count = std::to_string(replicas.count);
  if (replicas.count < 2)
    return {.about = "replicas",
            .is = Finding::Is::kOpen,
            .why = "one: each time it ends, hangs or starts anew is downtime; with two it need not be"};
  if (replicas.endpoints.empty())
    return {.about = "replicas", .is = Finding::Is::kGood, .why = count + ", so that one of them may fail at a time"};
  std::set<std::string> machines;
  for (const config::Endpoint& endpoint : replicas.endpoints) machines.insert(endpoint.at.ip);
  return {.about = "replicas",
          .is = machines.size() > 1 ? Finding::Is::kGood : Finding::Is::kOpen,
          .why = count + " endpoints on " + std::to_string(machines.size()) +
                 (machines.size() == 1 ? " address" : " addresses; whether these share a zone is not known here")};
}

Finding health_finding(const SlaFacts& facts) {
  const bool asked = facts.config.replicas.health.path.has_value();
  return {.about = "health check",
          .is = asked ? Finding::Is::kGood : Finding::Is::kOpen,
          .why = asked ? probe_text(facts.config)
                       : "a TCP connect only: a server that accepts and answers nothing passes, until requests fail"};
}

// From the bounds of the time to failure, at the repair time that was seen.
std::string interval_text(const availability::Operation& operation, const availability::RepairFigures& repair) {
  const auto mttf = availability::mttf_interval(operation, kConfidence);
  const auto at = [&](Duration up) {
    return Availability::of_unavailability(availability::ratio(repair.mttr, up + repair.mttr));
  };
  return percent(at(mttf.low)) + " to " + (mttf.high ? percent(at(*mttf.high)) : "100 %") + " with 90 % confidence";
}

Finding observed_finding(const SlaFacts& facts) {
  const std::string about = "observed";
  if (!facts.observed || !facts.observed->contractual || !facts.observed->contractual->observed)
    return {.about = about, .is = Finding::Is::kOpen, .why = "nothing was measured yet: `nines up`, and wait"};
  const ledger::Report& report = *facts.observed;
  const availability::ObservedTime time = availability::contractual(report.account);
  const auto missing = availability::ratio(time.down, time.known());
  const std::string seen =
      percent(*report.contractual->observed) + " in the " + format_duration(time.known()) + " that are known";
  if (!facts.promise.target.met_by(missing))
    return {.about = about, .is = Finding::Is::kCannot, .why = seen + ": less than was promised"};
  const auto repair = availability::repair_figures(report.operation);
  if (!repair) {
    const std::string bound = "no outage: the time to failure is at least " +
                              format_duration(availability::mttf_at_least(report.operation, 0.95)) + " (95 %)";
    return {.about = about,
            .is = Finding::Is::kOpen,
            .why = seen + "; " + bound + ", and how long a repair takes was never seen"};
  }
  const auto mttf = availability::mttf_interval(report.operation, kConfidence);
  const bool sure = facts.promise.target.met_by(availability::ratio(repair->mttr, mttf.low + repair->mttr));
  return {.about = about,
          .is = sure ? Finding::Is::kGood : Finding::Is::kOpen,
          .why = seen + "; " + interval_text(report.operation, *repair) +
                 (sure ? "" : ": too little was seen to be sure of " + target_text(facts))};
}

std::string_view name_of(Finding::Is is) {
  switch (is) {
    case Finding::Is::kGood: return "yes";
    case Finding::Is::kOpen: return "open";
    case Finding::Is::kCannot: return "no";
  }
  return "open";
}

Part promise_part(const SlaFacts& facts) {
  const auto allowed = [&](Duration month) {
    return format_duration(availability::allowed_downtime(facts.promise.target, month));
  };
  return {.title = "What is promised",
          .figures = {{"availability", target_text(facts), "of the time of each calendar month, " + facts.timezone},
                      {"that allows", allowed(availability::kThirtyDays),
                       "of downtime in a month of 30 days; " + allowed(31 * 24h) + " in one of 31"}}};
}

Part measured_part(const SlaFacts& facts) {
  std::string at;
  for (const config::Address& address : facts.config.listen) at += (at.empty() ? "" : ", ") + address.text();
  return {
      .title = "How it is measured",
      .figures = {
          {"where", at, "by nines, at the gateway through which every request goes, each second"},
          {"down", "a second", "in which there were requests and all failed, or none and the last probe had failed"},
          {"a probe", "as a client", probe_text(facts.config) + " at the public address"},
          {"failed", "a request", "answered with 5xx, reset, timed out, or cut off before its end"},
          {"not counted", "a request", "answered with 429, refused as malformed, or given up by its client"},
          {"unknown", "as down", "time that nobody watched, when the month is settled"},
          {"the record", "", "is chained by hashes: nines check-ledger; nines explain says where each second went"}}};
}

Part credits_part(const SlaFacts& facts) {
  Part part{.title = "Credits", .figures = {}};
  const config::Sla& sla = facts.promise.sla;
  for (const availability::CreditTier& tier : facts.promise.tiers) {
    if (tier.credit.part == 0) continue;
    const std::string money =
        sla.monthly_fee ? ", " + dollars_text(tier.credit.value() * *sla.monthly_fee) : std::string();
    part.figures.push_back({"below " + percent(tier.below.availability()), share_text(tier.credit),
                            "of the month's fee" + money + "; exactly at the bound it is not owed"});
  }
  if (part.figures.empty()) part.figures.push_back({"credits", "none", "were agreed (`sla: {credits: […]}`)"});
  return part;
}

Part terms_part(const SlaFacts& facts) {
  const config::Sla& sla = facts.promise.sla;
  return {.title = "Terms",
          .figures = {{"maintenance", sla.exclude_maintenance ? "excluded" : "included",
                       sla.exclude_maintenance
                           ? "only what was declared before it began (nines maintenance); it is told all the same"
                           : "it counts as what it was"},
                      {"a claim", "", sla.claims.value_or("how one is made is not said (`sla: {claims: …}`)")},
                      {"evidence", "", "nines report --month, with every incident and what is not known"}}};
}

}  // namespace

std::vector<Finding> findings_of(const SlaFacts& facts) {
  return {machine_finding(facts), replicas_finding(facts), health_finding(facts), observed_finding(facts)};
}

bool can_keep(const std::vector<Finding>& findings) {
  return std::ranges::none_of(findings, [](const Finding& f) { return f.is == Finding::Is::kCannot; });
}

Document sla_document(const SlaFacts& facts) {
  Document document{.title = "Service level agreement: " + facts.service,
                    .subtitle = "As nines.yaml says it; times in " + facts.timezone,
                    .parts = {promise_part(facts), measured_part(facts), credits_part(facts), terms_part(facts)},
                    .verdict = ""};
  const auto findings = findings_of(facts);
  Part keep{.title = "Whether this set-up can keep it", .figures = {}};
  for (const Finding& finding : findings)
    keep.figures.push_back({finding.about, std::string(name_of(finding.is)), finding.why});
  document.parts.push_back(std::move(keep));
  const bool open = std::ranges::any_of(findings, [](const Finding& f) { return f.is == Finding::Is::kOpen; });
  document.verdict = !can_keep(findings) ? "this set-up cannot keep " + target_text(facts)
                     : open ? "nothing known speaks against " + target_text(facts) + ", but it is not shown"
                            : "this set-up can keep " + target_text(facts) + ", as far as is known";
  return document;
}

std::string sla_json(const SlaFacts& facts) {
  const config::Sla& sla = facts.promise.sla;
  json::array credits, findings;
  for (const availability::CreditTier& tier : facts.promise.tiers)
    if (tier.credit.part > 0)
      credits.push_back(json::object{{"below", tier.below.availability().fraction()}, {"credit", tier.credit.value()}});
  const auto found = findings_of(facts);
  for (const Finding& finding : found)
    findings.push_back(json::object{{"about", finding.about}, {"holds", name_of(finding.is)}, {"why", finding.why}});
  const auto observed = facts.observed ? facts.observed->contractual : std::nullopt;
  return json::serialize(json::object{
      {"service", facts.service},
      {"target", facts.promise.target.availability().fraction()},
      {"period", "month"},
      {"timezone", facts.timezone},
      {"probe", probe_text(facts.config)},
      {"credits", std::move(credits)},
      {"monthly_fee", sla.monthly_fee ? json::value(*sla.monthly_fee) : json::value()},
      {"maintenance_excluded", sla.exclude_maintenance},
      {"claims", sla.claims ? json::value(*sla.claims) : json::value()},
      {"observed", observed && observed->observed ? json::value(observed->observed->fraction()) : json::value()},
      {"findings", std::move(findings)},
      {"can_keep", can_keep(found)}});
}

}  // namespace nines::cli
