#include "cli/calc.h"

#include <array>
#include <boost/json.hpp>
#include <cmath>
#include <cstdio>

#include "availability/nines.h"
#include "availability/repair.h"
#include "cli/terminal.h"

namespace nines::cli {
namespace {

namespace json = boost::json;
using availability::Availability;
using availability::Seconds;

std::string with_digits(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string percent(Availability a) { return format_percent(a) + " %"; }
std::string percent(double share) { return with_digits("%.4g %%", 100 * share); }

std::string money(double amount) {
  if (amount < 100) return with_digits("$%.2f", amount);
  constexpr double kCountable = 1e15;
  return amount < kCountable ? "$" + with_commas(static_cast<std::uint64_t>(std::llround(amount)))
                             : with_digits("$%.4g", amount);
}

double seconds(Duration d) { return Seconds(d).count(); }
// JSON has no infinity.
json::value number(double value) { return std::isfinite(value) ? json::value(value) : json::value(nullptr); }

// Lines and members as they come; the availability first.
class Answer {
 public:
  // `formula`: where the figure is from.
  Answer(Availability a, std::string formula) : availability_(a) {
    line("availability", percent(a), formula);
    const auto nines = format_nines(a);
    line("nines", nines.value_or("no end"), nines ? "−log10(1 − availability), rounded down" : "nothing is missing");
    members_ = {{"availability", a.fraction()},
                {"unavailability", a.unavailability()},
                {"nines", number(availability::nines(a))},
                {"formula", std::move(formula)}};
  }

  void line(std::string label, std::string value, std::string remark = "") {
    table_.row({std::move(label), std::move(value), std::move(remark)});
  }
  void note(std::string text) { table_.note(std::move(text)); }
  void member(std::string_view name, json::value value) { members_[name] = std::move(value); }
  // A time as a line and as a member.
  void time(std::string label, std::string_view name, Seconds value, std::string remark = "") {
    line(std::move(label), figure(value), std::move(remark));
    member(name, number(value.count()));
  }

  Availability availability() const { return availability_; }
  CalcAnswer finish() const { return {table_.text(), json::serialize(members_)}; }

 private:
  Availability availability_;
  TextTable table_{{false, false, false}};
  json::object members_;
};

constexpr Seconds kYearInSeconds = availability::kYear;

void add_short_form(Answer& answer, Availability short_form, const std::string& formula) {
  const double error = answer.availability().unavailability() - short_form.unavailability();
  std::string remark = formula;
  if (error == 0) {
    remark += ": the same here";
  } else {
    remark += ": " + with_digits("%.3g", 100 * error) + " percentage points too high";
  }
  answer.line("short form", percent(short_form), remark);
  answer.member("short_form", json::object{{"availability", short_form.fraction()}, {"error", error}});
}

void add_repair(Answer& answer, Duration mttf, Duration mttr, Duration mtbf) {
  answer.time("MTTF", "mttf_s", mttf, "up, from repaired to the next failure");
  answer.time("MTTR", "mttr_s", mttr, "down, from onset to restored");
  answer.time("MTBF", "mtbf_s", mtbf, "from one failure's start to the next one's");
}

// --mtbf and --mttf. `short_form`: of MTBF ÷ (MTBF + MTTR), with what the user calls MTBF.
Answer of_times(Duration mttf, Duration mttr, const std::string& formula) {
  const Duration mtbf = mttf + mttr;
  Answer answer(Availability::of_unavailability(availability::ratio(mttr, mtbf)), formula);
  add_repair(answer, mttf, mttr, mtbf);
  const availability::Operation once{.up = mttf, .down = mttr, .failures = 1};
  add_short_form(answer, *popular_short_form(once), "the popular MTBF ÷ (MTBF + MTTR)");
  return answer;
}

Answer of(const CalcOptions::Mtbf& asked) {
  return of_times(asked.mtbf - asked.mttr, asked.mttr, "(MTBF − MTTR) ÷ MTBF");
}

Answer of(const CalcOptions::Mttf& asked) { return of_times(asked.mttf, asked.mttr, "MTTF ÷ (MTTF + MTTR)"); }

Answer of(const CalcOptions::Failures& asked) {
  const availability::Operation operation{
      .up = asked.period - asked.downtime, .down = asked.downtime, .failures = asked.failures};
  Answer answer(*availability_of(operation), "up ÷ (up + down), as it was");
  answer.member("failures", asked.failures);
  const auto interval = mttf_interval(operation, asked.confidence);
  // Without a failure the bound is one-sided, and so surer.
  const double confidence = interval.high ? asked.confidence : 1 - (1 - asked.confidence) / 2;
  answer.member("mttf_interval",
                json::object{{"confidence", confidence},
                             {"low_s", seconds(interval.low)},
                             {"high_s", interval.high ? json::value(seconds(*interval.high)) : nullptr}});
  const auto figures = repair_figures(operation);
  if (!figures) {
    answer.line("MTTF", "at least " + figure(interval.low),
                percent(confidence) + " sure, by χ²; no failure in so short a time promises no more");
    return answer;
  }
  add_repair(answer, figures->mttf, figures->mttr, figures->mtbf);
  answer.line("MTTF lies in", figure(interval.low) + " to " + figure(*interval.high),
              percent(confidence) + " sure, by χ²");
  add_short_form(answer, *popular_short_form(operation), "the popular MTBF ÷ (MTBF + MTTR), MTBF = period ÷ failures");
  return answer;
}

Answer of(const CalcOptions::Target& asked) { return {asked.objective.availability(), "the target"}; }
Answer of(const CalcOptions::Known& asked) { return {asked.availability, "as given"}; }

std::string listed(const std::vector<Availability>& components, const char* sign) {
  constexpr std::size_t kListed = 6;
  std::string text;
  for (std::size_t i = 0; i < components.size(); ++i) {
    if (i == kListed) return text + sign + "… (" + std::to_string(components.size()) + ")";
    text += (i == 0 ? "" : sign) + percent(components[i]);
  }
  return text;
}

Answer of(const CalcOptions::Series& asked) {
  Answer answer(in_series(asked.components), "Π Aᵢ: all must work");
  answer.line("in series", listed(asked.components, " · "));
  answer.member("components", asked.components.size());
  return answer;
}

Answer of(const CalcOptions::Parallel& asked) {
  Answer answer(in_parallel(asked.components), "1 − Π (1 − Aᵢ): one is enough, if they fail independently");
  answer.line("in parallel", listed(asked.components, " | "),
              "no repair crew is shared, no cause is common: see --k-of-n");
  answer.member("components", asked.components.size());
  return answer;
}

std::string crews_text(int crews) { return std::to_string(crews) + (crews == 1 ? " repair crew" : " repair crews"); }

Answer of(const CalcOptions::KOfN& asked) {
  const availability::Group& group = asked.group;
  const std::string formula = "continuous-time Markov chain, " + crews_text(group.crews);
  const auto* const times = std::get_if<CalcOptions::Mttf>(&asked.each);
  const Availability each =
      times != nullptr ? Availability::of_unavailability(availability::ratio(times->mttr, times->mttf + times->mttr))
                       : std::get<Availability>(asked.each);
  const auto figures = times != nullptr ? std::optional(group_figures(group, times->mttf, times->mttr)) : std::nullopt;
  Answer answer(figures ? figures->availability : group_availability(group, each), formula);
  answer.line("enough", std::to_string(group.enough) + " of " + std::to_string(group.size), "each " + percent(each));
  const double beta = group.common_cause.value();
  if (beta > 0) {
    availability::Group independent = group;
    independent.common_cause = {0, 1};
    const Availability without = group_availability(independent, each);
    answer.line("common cause", percent(beta), "of failures take all of them down; without it " + percent(without));
  }
  json::object member{{"enough", group.enough},
                      {"size", group.size},
                      {"crews", group.crews},
                      {"common_cause", beta},
                      {"each", each.fraction()}};
  if (figures) {
    answer.line("group MTTF", figure(figures->mttf), "from all up until the group is down");
    answer.line("group MTBF", figure(figures->mtbf), "from one such failure's start to the next one's");
    answer.line("group MTTR", figure(figures->mean_down), "until enough of them are back");
    member["mttf_s"] = number(figures->mttf.count());
    member["mtbf_s"] = number(figures->mtbf.count());
    member["mttr_s"] = number(figures->mean_down.count());
  }
  answer.member("group", std::move(member));
  return answer;
}

// What the answer means in a period: exact where a target was written in decimals.
Duration down_in(const CalcOptions& options, Availability a, Duration period) {
  const auto* const target = std::get_if<CalcOptions::Target>(&options.of);
  return target != nullptr ? allowed_downtime(target->objective, period) : downtime(a, period);
}

void add_downtime(Answer& answer, const CalcOptions& options) {
  struct Period {
    const char* name;
    const char* label;
    Duration length;
    const char* remark;
  };
  static constexpr std::array kPeriods = {
      Period{"day", "down in a day", availability::kDay, ""},
      Period{"week", "in a week", availability::kWeek, ""},
      Period{"30_days", "in 30 days", availability::kThirtyDays, ""},
      Period{"month", "in a mean month", availability::kMeanMonth, "365 days ÷ 12"},
      Period{"year", "in a year", availability::kYear, "365 days"},
  };
  json::object downtimes, costs;
  for (const Period& period : kPeriods) {
    const Duration down = down_in(options, answer.availability(), period.length);
    answer.line(period.label, figure(down), period.remark);
    downtimes[period.name] = seconds(down);
  }
  answer.member("downtime", std::move(downtimes));
  if (options.month) {
    const Duration length = availability::month_window(*options.month).length();
    const Duration down = down_in(options, answer.availability(), length);
    const auto days = length / availability::kDay;
    std::array<char, 16> name{};
    std::snprintf(name.data(), name.size(), "%04d-%02u", static_cast<int>(options.month->year()),
                  static_cast<unsigned>(options.month->month()));
    answer.line("in " + std::string(name.data()), figure(down), std::to_string(days) + " days");
    answer.member("named_month", json::object{{"month", name.data()}, {"days", days}, {"downtime", seconds(down)}});
  }
  if (!options.cost) return;
  const auto cost_in = [&](Duration period) {
    return cost_of(down_in(options, answer.availability(), period), *options.cost).total().amount;
  };
  const double hourly = cost_of(1h, *options.cost).total().amount;
  const bool both = options.cost->requests.count > 0 && options.cost->per_hour.amount > 0;
  answer.line("cost of an hour down", money(hourly), both ? "requests × price, and what else it costs" : "");
  costs["hour_down"] = hourly;
  for (const Period& period : kPeriods) costs[period.name] = cost_in(period.length);
  answer.line("cost in a mean month", money(cost_in(availability::kMeanMonth)));
  answer.line("cost in a year", money(cost_in(availability::kYear)));
  answer.member("cost", std::move(costs));
}

}  // namespace

std::string figure(Seconds time) {
  if (std::isinf(time.count())) return "more than can be reckoned";
  struct Unit {
    double size;
    double below;  // used up to so many seconds
    const char* name;
  };
  constexpr double kMinute = 60, kHour = 3600;
  const std::array units = {Unit{1e-9, 1e-6, "ns"},
                            Unit{1e-6, 1e-3, "µs"},
                            Unit{1e-3, 0.1, "ms"},
                            Unit{1, 2 * kMinute, "s"},
                            Unit{kMinute, 2 * kHour, "min"},
                            Unit{kHour, 3 * kYearInSeconds.count(), "h"},
                            Unit{kYearInSeconds.count(), INFINITY, "years"}};
  if (time.count() == 0) return "0 s";
  for (const Unit& unit : units) {
    if (time.count() >= unit.below) continue;
    const double value = time.count() / unit.size;
    constexpr double kFourDigits = 999.95, kCountable = 1e15;
    if (value < kFourDigits) return with_digits("%.4g ", value) + unit.name;
    if (value < kCountable) return with_commas(static_cast<std::uint64_t>(std::llround(value))) + " " + unit.name;
    return with_digits("%.3e ", value) + unit.name;
  }
  return "";
}

CalcAnswer calculate(const CalcOptions& options) {
  Answer answer = std::visit([](const auto& asked) { return of(asked); }, options.of);
  add_downtime(answer, options);
  return answer.finish();
}

}  // namespace nines::cli
