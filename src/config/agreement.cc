#include "config/agreement.h"

#include "config/values.h"

namespace nines::config {
namespace {

constexpr Key kSlaKeys[] = {{"target"},
                            {"credits"},
                            {"monthly_fee"},
                            {"exclusions"},
                            {"period"},
                            {"claims"},
                            elsewhere("below", "indent it below credits:"),
                            elsewhere("credit", "indent it below credits:")};
constexpr Key kCreditKeys[] = {{"below"}, {"credit"}};
constexpr Key kCostsKeys[] = {{"per_request"}, {"per_hour"}, {"churn"}, {"support"}};
constexpr Key kChurnKeys[] = {{"customers_per_hour"}, {"per_customer"}};
constexpr Key kSupportKeys[] = {{"tickets_per_hour"}, {"per_ticket"}};

constexpr std::string_view kCreditExample = "{below: 99.9%, credit: 10%}";

// Ordered as an agreement has them: the worse it was, the more is owed.
void read_credit(Section& section, std::string_view target, Sla& sla) {
  Sla::Credit credit;
  for (const char* const key : {"below", "credit"}) {
    if (!section.has(key))
      section.complain(section.at(),
                       {"this credit has no " + std::string(key), "write " + std::string(kCreditExample)});
  }
  section.read("below", credit.below, parse_objective);
  section.read("credit", credit.percent,
               [](std::string_view text) { return parse_percent(text, bounds::kCreditPercent); });
  if (credit.below == 0 || credit.percent == 0) return;
  const Position at = section.value("below")->at;
  if (sla.target > 0 && credit.below > sla.target)
    return section.complain(at, section.dotted("below"),
                            {write_objective(credit.below) + " is above the target of " + std::string(target),
                             "credits begin at the target, or below it"});
  if (!sla.credits.empty() && credit.below >= sla.credits.back().below)
    return section.complain(at, section.dotted("below"),
                            {write_objective(credit.below) + " is not below the one before it",
                             "write the highest bound first, and each once"});
  if (!sla.credits.empty() && credit.percent <= sla.credits.back().percent)
    return section.complain(
        section.value("credit")->at, section.dotted("credit"),
        {std::to_string(credit.percent) + "% is not more than that of the bound above", "a worse month earns more"});
  sla.credits.push_back(credit);
}

void read_credits(Section& section, std::string_view target, Sla& sla) {
  const Node* const node = section.value("credits");
  if (node == nullptr) return;
  if (node->kind != Node::Kind::kSequence)
    return section.expected(*node, section.dotted("credits"), "a list, such as [" + std::string(kCreditExample) + "]");
  if (section.too_many(*node, section.dotted("credits"), node->items.size(), bounds::kCredits)) return;
  for (const Node* const item : node->items) {
    if (item->kind != Node::Kind::kMap) {
      section.expected(*item, "a credit", kCreditExample);
      continue;
    }
    Section credit = section.item(*item, section.dotted("credits"), kCreditKeys);
    read_credit(credit, target, sla);
  }
}

Checked<bool> parse_exclusions(std::string_view text) {
  if (text == "maintenance" || text == "none") return text == "maintenance";
  return wrong(quoted(text) + " is neither maintenance nor none",
               "maintenance: what was declared before it began counts neither way; none: it counts as it was");
}

Checked<> check_period(std::string_view text) {
  if (text == "month") return {};
  return wrong(quoted(text) + " is no period of an agreement here", "month is the only one; remove the key");
}

void read_dollars(Section& section, std::string_view key, std::optional<double>& field) {
  section.read(key, field, parse_dollars);
}

struct FactorNames {
  std::string_view section, per_hour, each, example;
};

void read_factor(Section& costs, const FactorNames& names, std::span<const Key> keys,
                 std::optional<Costs::Factor>& field) {
  auto section = costs.section(names.section, keys);
  if (!section) return;
  for (const std::string_view key : {names.per_hour, names.each}) {
    if (!section->has(key))
      section->complain(section->at(), {section->name() + " does not say " + std::string(key),
                                        "write both, such as " + std::string(names.example)});
  }
  Costs::Factor factor;
  section->read(names.per_hour, factor.per_hour,
                [](std::string_view text) { return parse_number(text, bounds::kAnHour); });
  section->read(names.each, factor.each, parse_dollars);
  field = factor;
}

}  // namespace

void read_sla(Section& file, std::optional<Sla>& sla) {
  auto section = file.section("sla", kSlaKeys);
  if (!section) return;
  Sla read;
  if (!section->has("target"))
    section->complain(section->at(), {"sla has no target", "say what is promised, such as target: 99.9%"});
  section->read("target", read.target, parse_objective);
  read_credits(*section, read.target > 0 ? write_objective(read.target) : "", read);
  read_dollars(*section, "monthly_fee", read.monthly_fee);
  section->read("exclusions", read.exclude_maintenance, parse_exclusions);
  std::string period;
  section->read("period", period, checked_by(check_period));
  section->read("claims", read.claims, checked_by(check_text));
  sla = std::move(read);
}

void read_costs(Section& file, std::optional<Costs>& costs) {
  auto section = file.section("costs", kCostsKeys);
  if (!section) return;
  if (section->entries().empty())
    return section->complain(section->at(), {"costs is empty", "say what a request earns: per_request: $0.01"});
  Costs read;
  read_dollars(*section, "per_request", read.per_request);
  read_dollars(*section, "per_hour", read.per_hour);
  read_factor(*section,
              {"churn", "customers_per_hour", "per_customer", "{customers_per_hour: 0.5, per_customer: $900}"},
              kChurnKeys, read.churn);
  read_factor(*section, {"support", "tickets_per_hour", "per_ticket", "{tickets_per_hour: 4, per_ticket: $15}"},
              kSupportKeys, read.support);
  costs = read;
}

}  // namespace nines::config
