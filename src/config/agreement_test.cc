#include "config/agreement.h"

#include <doctest/doctest.h>

#include "config/changes.h"

namespace nines::config {
namespace {

const std::string kRun = "replicas: {command: [serve, --port, \"{port}\"]}\n";

std::string first_problem(const std::string& yaml) {
  const Parsed parsed = parse(kRun + yaml);
  if (parsed) return "none";
  const Problem& p = parsed.error().front();
  return std::to_string(p.at.line) + ":" + std::to_string(p.at.column) + " " + p.complaint.text();
}

TEST_CASE("agreement: what is written is what is read, and what a child process reads") {
  const Parsed parsed = parse(kRun + R"(timezone: Europe/Stockholm
sla:
  target: 99.9%
  credits: [{below: 99.9%, credit: 10%}, {below: 99%, credit: 30%}]
  monthly_fee: $1200
  exclusions: none
  period: month
  claims: "by mail, within 30 days"
costs:
  per_request: $0.01
  per_hour: $200
  churn: {customers_per_hour: 0.5, per_customer: $900}
  support: {tickets_per_hour: 4, per_ticket: $15.5}
)");
  REQUIRE(parsed.has_value());
  CHECK(parsed->timezone == "Europe/Stockholm");
  CHECK(parsed->sla == Sla{.target = 0.999,
                           .credits = {{0.999, 10}, {0.99, 30}},
                           .monthly_fee = 1200,
                           .exclude_maintenance = false,
                           .claims = "by mail, within 30 days"});
  CHECK(
      parsed->costs ==
      Costs{.per_request = 0.01, .per_hour = 200, .churn = Costs::Factor{0.5, 900}, .support = Costs::Factor{4, 15.5}});
  CHECK(parse(to_yaml(*parsed)) == *parsed);
}

TEST_CASE("agreement: nothing is assumed") {
  const Parsed parsed = parse(kRun + "sla: {target: 99.5%}\ncosts: {per_hour: $1}\n");
  REQUIRE(parsed.has_value());
  CHECK(parsed->sla ==
        Sla{.target = 0.995, .credits = {}, .monthly_fee = {}, .exclude_maintenance = true, .claims = {}});
  CHECK(parsed->costs == Costs{.per_request = {}, .per_hour = 1, .churn = {}, .support = {}});
  CHECK(parse(to_yaml(*parsed)) == *parsed);
  const Parsed without = parse(kRun);
  REQUIRE(without.has_value());
  CHECK(without->timezone == "UTC");
  CHECK_FALSE(without->sla);
  CHECK_FALSE(without->costs);
}

TEST_CASE("agreement: what is wrong, and where") {
  struct Row {
    const char* name;
    std::string yaml, said;
  };
  const Row rows[] = {
      {"no target", "sla: {monthly_fee: $5}", "2:1 sla has no target"},
      {"a target without its sign", "sla: {target: 99.9}", "2:15 sla.target: \"99.9\" has no % sign"},
      {"a typo", "sla: {target: 99%, credit: []}", "2:20 "},
      {"credits that are no list", "sla: {target: 99%, credits: {below: 99%, credit: 1%}}",
       "2:29 sla.credits is a mapping; write a list"},
      {"a credit without its share", "sla: {target: 99%, credits: [{below: 99%}]}", "2:30 this credit has no credit"},
      {"a credit while the target is kept", "sla: {target: 99%, credits: [{below: 99.9%, credit: 1%}]}",
       "2:38 sla.credits.below: 99.9% is above the target of 99%"},
      {"bounds out of order", "sla: {target: 99%, credits: [{below: 98%, credit: 1%}, {below: 99%, credit: 2%}]}",
       "2:64 sla.credits.below: 99% is not below the one before it"},
      {"less for worse", "sla: {target: 99%, credits: [{below: 99%, credit: 20%}, {below: 98%, credit: 10%}]}",
       "2:78 sla.credits.credit: 10% is not more than that of the bound above"},
      {"a credit of more than everything", "sla: {target: 99%, credits: [{below: 99%, credit: 101%}]}",
       "2:51 sla.credits.credit: \"101%\" is out of bounds"},
      {"another period", "sla: {target: 99%, period: year}", "2:28 sla.period: \"year\" is no period"},
      {"another exclusion", "sla: {target: 99%, exclusions: nights}", "2:32 sla.exclusions: \"nights\" is neither"},
      {"money without a sign", "costs: {per_request: 0.01}", "2:22 costs.per_request: \"0.01\" has no $ sign"},
      {"other money", "costs: {per_request: €1}", "2:22 costs.per_request: \"€1\" has no $ sign"},
      {"money with commas", "costs: {per_hour: \"$1,200\"}", "2:19 costs.per_hour: \"1,200\" is not a number"},
      {"negative money", "costs: {per_hour: $-1}", "2:19 costs.per_hour: \"-1\" is not a number"},
      {"half a factor", "costs: {churn: {per_customer: $1}}", "2:9 costs.churn does not say customers_per_hour"},
      {"no costs", "costs: {}", "2:1 costs is empty"},
      {"a zone that is a path", "timezone: ../etc", "2:11 timezone: \"../etc\" is no time zone"},
      {"a zone from the root", "timezone: /etc/passwd", "2:11 timezone: \"/etc/passwd\" is no time zone"},
      {"at the wrong level", "per_request: $1", "2:1 \"per_request\" is no key at this level; indent it below costs:"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const std::string said = first_problem(row.yaml);
    CAPTURE(said);
    CHECK(said.starts_with(row.said));
  }
}

}  // namespace
}  // namespace nines::config
