#include "cli/sla.h"

#include <doctest/doctest.h>
#include <boost/json.hpp>

namespace nines::cli {
namespace {

config::Config config_of(double target, int count) {
  config::Config config;
  config.replicas.command = {"serve", "{port}"};
  config.replicas.count = count;
  config.replicas.health.path = "/health";
  config.sla = config::Sla{.target = target, .credits = {{target, 10}, {0.9, 50}}, .monthly_fee = 1200};
  return config;
}

// So many days of which so many seconds, in as many outages, were down.
ledger::Report measured(std::uint64_t days, std::uint64_t down, int outages) {
  constexpr std::int64_t kFrom = 1'800'000'000;
  const auto length = static_cast<std::int64_t>(days) * 86'400;
  ledger::Total total{.sum = {.start = kFrom}, .from = kFrom, .to = kFrom + length};
  total.sum.down = down;
  total.sum.up = static_cast<std::uint64_t>(length) - down;
  const WallTime from{std::chrono::seconds(kFrom)};
  const availability::Interval all{from, from + std::chrono::seconds(length)};
  std::vector<ledger::Incident> incidents(static_cast<std::size_t>(outages));
  for (ledger::Incident& incident : incidents)
    incident.severity = ledger::Incident::Severity::kDown, incident.first_bad = from, incident.ended = from + 1s;
  return ledger::report_of({.asked = all, .window = all, .since = from, .total = total, .incidents = incidents});
}

SlaFacts facts_of(const config::Config& config, std::optional<ledger::Report> observed) {
  return {.service = "api",
          .timezone = "UTC",
          .config = config,
          .promise = Promise(*config.sla),
          .observed = std::move(observed)};
}

std::string verdicts(const SlaFacts& facts) {
  std::string all;
  for (const Finding& finding : findings_of(facts))
    all += finding.is == Finding::Is::kGood ? '+' : finding.is == Finding::Is::kOpen ? '?' : '-';
  return all;
}

TEST_CASE("sla: whether a set-up can keep what is promised") {
  config::Config endpoints = config_of(0.99, 2);
  endpoints.replicas.command.clear();
  endpoints.replicas.endpoints = {{.at = {"10.0.0.1", 80}}, {.at = {"10.0.0.2", 80}}};
  config::Config beside = endpoints;
  beside.replicas.endpoints[1].at = {"10.0.0.1", 81};
  config::Config unasked = config_of(0.99, 2);
  unasked.replicas.health.path.reset();
  struct Row {
    const char* name;
    SlaFacts facts;
    const char* verdicts;  // machine, replicas, health, observed
  };
  const Row rows[] = {
      {"nothing measured", facts_of(config_of(0.99, 2), {}), "+++?"},
      {"more than a machine is promised", facts_of(config_of(0.999, 2), {}), "-++?"},
      {"just as much as that", facts_of(config_of(0.995, 2), {}), "+++?"},
      {"one replica", facts_of(config_of(0.99, 1), {}), "+?+?"},
      {"a connect is no answer", facts_of(unasked, {}), "++??"},
      {"two machines", facts_of(endpoints, {}), "+++?"},
      {"two ports of one", facts_of(beside, {}), "+?+?"},
      {"quiet, so no repair was seen", facts_of(config_of(0.99, 2), measured(90, 0, 0)), "+++?"},
      {"well within it", facts_of(config_of(0.99, 2), measured(90, 600, 5)), "++++"},
      {"within it, by few outages", facts_of(config_of(0.99, 2), measured(1, 860, 1)), "+++?"},
      {"on its bound", facts_of(config_of(0.99, 2), measured(1, 864, 20)), "+++?"},
      {"a second more", facts_of(config_of(0.99, 2), measured(1, 865, 20)), "+++-"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(verdicts(row.facts) == row.verdicts);
    CHECK(can_keep(findings_of(row.facts)) == !std::string_view(row.verdicts).contains('-'));
  }
}

TEST_CASE("sla: the document and its values") {
  const SlaFacts facts = facts_of(config_of(0.999, 2), measured(90, 600, 5));
  const std::string text = render(sla_document(facts), ReportFormat::kText);
  for (const char* const words :
       {"Service level agreement: api", "43 min 12 s", "44 min 38 s in one of 31", "GET /health every 2s",
        "below 99.9 %", "10 %", "$120", "promised 99.5 % by its provider (Amazon Compute Service Level Agreement",
        "how one is made is not said", "this set-up cannot keep 99.9 %", "with 90 % confidence"}) {
    CAPTURE(words);
    CHECK(text.contains(words));
  }
  CHECK(render(sla_document(facts), ReportFormat::kMarkdown).contains("## Credits"));
  const auto json = boost::json::parse(sla_json(facts)).as_object();
  CHECK(json.at("target").to_number<double>() == 0.999);
  CHECK(json.at("credits").as_array().size() == 2);
  CHECK_FALSE(json.at("can_keep").as_bool());
  CHECK(json.at("claims").is_null());
  CHECK(boost::json::parse(sla_json(facts_of(config_of(0.99, 2), {}))).at("observed").is_null());
}

}  // namespace
}  // namespace nines::cli
