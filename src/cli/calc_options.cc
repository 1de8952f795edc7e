#include "cli/calc_options.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "config/values.h"

namespace nines::cli {
namespace {

using availability::Availability;
using availability::Ratio;

template <class T>
using Read = std::expected<T, std::string>;
using Words = std::optional<std::string>;

constexpr std::uint64_t kFailuresMax = 1'000'000'000;
constexpr double kNumberMax = 1e15;
constexpr std::size_t kComponentsMax = 1000;

// Which question an option belongs to; several may share one.
enum Question : std::uint16_t {
  kMtbf = 1,
  kMttf = 2,
  kFailures = 4,
  kTarget = 8,
  kKnown = 16,
  kSeries = 32,
  kParallel = 64,
  kKOfN = 128,
};

struct Option {
  const char* name;
  bool given;
  Question asks;           // the question it asks by itself; 0: none
  std::uint16_t belongs;   // to these questions
  const char* belongs_to;  // as said to a person
};

std::unexpected<std::string> wrong(const std::string& option, const std::string& why) {
  return std::unexpected(option + ": " + why);
}

Read<Duration> duration(const char* option, const std::string& text) {
  const auto parsed = config::parse_duration(text);
  if (!parsed) return wrong(option, parsed.error().text());
  return *parsed;
}

Read<Ratio> share(const char* option, const std::string& text) {
  const auto parsed = availability::parse_share(text);
  if (!parsed) return wrong(option, parsed.error().text());
  return *parsed;
}

Read<Availability> availability_in(const char* option, const std::string& text) {
  const auto parsed = share(option, text);
  if (!parsed) return std::unexpected(parsed.error());
  return Availability::of_unavailability(complement(*parsed));
}

Read<availability::Objective> objective(const char* option, const std::string& text) {
  const auto parsed = availability::parse_objective(text);
  if (!parsed) return wrong(option, parsed.error().text());
  return *parsed;
}

Read<std::vector<Availability>> components(const char* option, const std::vector<std::string>& texts) {
  if (texts.size() > kComponentsMax) return wrong(option, "at most " + std::to_string(kComponentsMax) + " components");
  std::vector<Availability> result;
  for (const std::string& text : texts) {
    const auto one = availability_in(option, text);
    if (!one) return std::unexpected(one.error());
    result.push_back(*one);
  }
  return result;
}

// A plain decimal number, at most 10^15.
Read<double> number(const char* option, std::string_view text, const char* what) {
  double value = 0;
  const bool plain = !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (!plain || error != std::errc{} || end != text.data() + text.size() || value > kNumberMax)
    return wrong(option, config::quoted(text) + " is not " + what);
  return value;
}

Read<availability::Dollars> dollars(const char* option, std::string_view text) {
  if (text.starts_with('$')) text.remove_prefix(1);
  const auto amount =
      number(option, text, "an amount; write 0.01, or '$0.01' in single quotes, so that the shell leaves it alone");
  if (!amount) return std::unexpected(amount.error());
  return availability::Dollars{*amount};
}

Read<int> whole(const char* option, std::string_view text, int most) {
  const auto parsed = parse_unsigned(text);
  if (!parsed || *parsed < 1 || *parsed > static_cast<std::uint64_t>(most))
    return wrong(option, config::quoted(text) + " is not a number from 1 to " + std::to_string(most));
  return static_cast<int>(*parsed);
}

Read<CalcOptions::Mtbf> mtbf_of(const CalcWords& words) {
  if (!words.mttr) return std::unexpected("--mtbf needs --mttr, how long a repair takes: --mtbf 240h --mttr 2h");
  const auto mtbf = duration("--mtbf", *words.mtbf), mttr = duration("--mttr", *words.mttr);
  if (!mtbf) return std::unexpected(mtbf.error());
  if (!mttr) return std::unexpected(mttr.error());
  if (*mtbf == 0s) return wrong("--mtbf", "must be longer than 0s");
  if (*mttr > *mtbf) {
    return wrong("--mttr",
                 "a repair cannot take longer than --mtbf, which counts from one failure's start to the next "
                 "one's; if yours counts the time up only, it is --mttf");
  }
  return CalcOptions::Mtbf{.mtbf = *mtbf, .mttr = *mttr};
}

Read<CalcOptions::Mttf> mttf_of(const CalcWords& words) {
  if (!words.mttr) return std::unexpected("--mttf needs --mttr, how long a repair takes: --mttf 238h --mttr 2h");
  const auto mttf = duration("--mttf", *words.mttf), mttr = duration("--mttr", *words.mttr);
  if (!mttf) return std::unexpected(mttf.error());
  if (!mttr) return std::unexpected(mttr.error());
  if (*mttf == 0s) return wrong("--mttf", "must be longer than 0s");
  if (*mttr > Duration::max() - *mttf) return wrong("--mttr", "together with --mttf longer than 292 years");
  return CalcOptions::Mttf{.mttf = *mttf, .mttr = *mttr};
}

Read<CalcOptions::Failures> failures_of(const CalcWords& words) {
  CalcOptions::Failures result;
  const auto count = parse_unsigned(*words.failures);
  if (!count || *count > kFailuresMax)
    return wrong("--failures",
                 config::quoted(*words.failures) + " is not a number from 0 to " + std::to_string(kFailuresMax));
  result.failures = *count;
  if (!words.period) return std::unexpected("--failures needs --period, the time in which they were: --period 720h");
  if (!words.downtime && *count > 0)
    return std::unexpected("--failures needs --downtime, how long all of them were together: --downtime 6h");
  const auto period = duration("--period", *words.period),
             downtime = duration("--downtime", words.downtime.value_or("0s"));
  if (!period) return std::unexpected(period.error());
  if (!downtime) return std::unexpected(downtime.error());
  if (*period == 0s) return wrong("--period", "must be longer than 0s");
  if (*downtime > *period) return wrong("--downtime", "cannot be longer than --period");
  if (*count == 0 && *downtime > 0s) return wrong("--downtime", "without a failure there is none");
  result.period = *period;
  result.downtime = *downtime;
  if (words.confidence) {
    const auto confidence = share("--confidence", *words.confidence);
    if (!confidence) return std::unexpected(confidence.error());
    result.confidence = confidence->value();
    // Nearer to 1 the bounds are nothing and everything.
    if (result.confidence <= 0 || result.confidence > 0.9999)
      return wrong("--confidence", "must be above 0% and at most 99.99%");
  }
  return result;
}

Read<std::variant<Availability, CalcOptions::Mttf>> each_of(const CalcWords& words) {
  const int given = (words.each ? 1 : 0) + (words.mtbf ? 1 : 0) + (words.mttf ? 1 : 0);
  if (given != 1 || (words.each && words.mttr)) {
    return std::unexpected(
        "--k-of-n needs to know each component: either --each 99%, or --mttf and --mttr, or --mtbf and --mttr");
  }
  if (words.each) {
    const auto each = availability_in("--each", *words.each);
    if (!each) return std::unexpected(each.error());
    if (each->unavailability() >= 1) return wrong("--each", "components that never work are no group");
    return *each;
  }
  CalcOptions::Mttf result;
  if (words.mttf) {
    const auto mttf = mttf_of(words);
    if (!mttf) return std::unexpected(mttf.error());
    result = *mttf;
  } else {
    const auto mtbf = mtbf_of(words);
    if (!mtbf) return std::unexpected(mtbf.error());
    result = {.mttf = mtbf->mtbf - mtbf->mttr, .mttr = mtbf->mttr};
  }
  if (result.mttf == 0s) return wrong("--mttr", "as long as --mtbf leaves no time up");
  if (result.mttr == 0s) return wrong("--mttr", "must be longer than 0s: repaired at once nothing is ever down");
  return result;
}

Read<CalcOptions::KOfN> k_of_n(const CalcWords& words) {
  CalcOptions::KOfN result;
  const std::string_view text = *words.k_of_n;
  const auto slash = text.find('/');
  const auto enough = parse_unsigned(text.substr(0, slash));
  const auto size = parse_unsigned(slash == std::string_view::npos ? "" : text.substr(slash + 1));
  if (!enough || !size || *enough < 1 || *enough > *size ||
      *size > static_cast<std::uint64_t>(availability::kGroupMax)) {
    return wrong("--k-of-n", config::quoted(text) +
                                 " is not K/N, so many of so many that are enough, such as 2/3; at most " +
                                 std::to_string(availability::kGroupMax));
  }
  result.group = {
      .enough = static_cast<int>(*enough), .size = static_cast<int>(*size), .crews = static_cast<int>(*size)};
  if (words.crews) {
    const auto crews = whole("--crews", *words.crews, result.group.size);
    if (!crews) return std::unexpected(crews.error());
    result.group.crews = *crews;
  }
  if (words.common_cause) {
    const auto beta = share("--common-cause", *words.common_cause);
    if (!beta) return std::unexpected(beta.error());
    result.group.common_cause = *beta;
  }
  const auto each = each_of(words);
  if (!each) return std::unexpected(each.error());
  result.each = *each;
  return result;
}

Read<std::optional<availability::CostModel>> cost_of(const CalcWords& words) {
  if (!words.price && !words.per_hour && !words.cost_per_hour) return std::nullopt;
  if (words.price.has_value() != words.per_hour.has_value())
    return std::unexpected("--price and --per-hour belong together: what a request earns, and how many an hour has");
  availability::CostModel model;
  if (words.price) {
    const auto price = dollars("--price", *words.price);
    const auto requests = number("--per-hour", *words.per_hour, "a number of requests, such as 1000");
    if (!price) return std::unexpected(price.error());
    if (!requests) return std::unexpected(requests.error());
    model.per_request = *price;
    model.requests = {*requests};
  }
  if (words.cost_per_hour) {
    const auto cost = dollars("--cost-per-hour", *words.cost_per_hour);
    if (!cost) return std::unexpected(cost.error());
    model.per_hour = *cost;
  }
  return model;
}

// The one question that is asked, or why there is none.
Read<Question> question_of(const CalcWords& words) {
  const bool group = words.k_of_n.has_value();
  // Within a group these say what each component is like.
  const auto by_itself = [&](Question question) { return group ? Question{} : question; };
  const std::array options = {
      Option{"--mtbf", words.mtbf.has_value(), by_itself(kMtbf), kMtbf | kKOfN, ""},
      Option{"--mttf", words.mttf.has_value(), by_itself(kMttf), kMttf | kKOfN, ""},
      Option{"--failures", words.failures.has_value(), kFailures, kFailures, ""},
      Option{"--target", words.target.has_value(), kTarget, kTarget, ""},
      Option{"--availability", words.availability.has_value(), kKnown, kKnown, ""},
      Option{"--series", !words.series.empty(), kSeries, kSeries, ""},
      Option{"--parallel", !words.parallel.empty(), kParallel, kParallel, ""},
      Option{"--k-of-n", group, kKOfN, kKOfN, ""},
      Option{"--mttr", words.mttr.has_value(), {}, kMtbf | kMttf | kKOfN, "--mtbf or --mttf"},
      Option{"--period", words.period.has_value(), {}, kFailures, "--failures"},
      Option{"--downtime", words.downtime.has_value(), {}, kFailures, "--failures"},
      Option{"--confidence", words.confidence.has_value(), {}, kFailures, "--failures"},
      Option{"--each", words.each.has_value(), {}, kKOfN, "--k-of-n"},
      Option{"--crews", words.crews.has_value(), {}, kKOfN, "--k-of-n"},
      Option{"--common-cause", words.common_cause.has_value(), {}, kKOfN, "--k-of-n"},
  };
  const Option* asked = nullptr;
  for (const Option& option : options) {
    if (!option.given || option.asks == Question{}) continue;
    if (asked != nullptr)
      return std::unexpected(std::string(asked->name) + " and " + option.name +
                             " are two questions: ask one at a time");
    asked = &option;
  }
  for (const Option& option : options) {
    if (option.given && option.asks == Question{} && (asked == nullptr || (option.belongs & asked->asks) == 0))
      return std::unexpected(std::string(option.name) + " belongs to " + option.belongs_to +
                             (asked != nullptr ? ", not to " + std::string(asked->name) : ""));
  }
  if (asked != nullptr) return asked->asks;
  return std::unexpected(
      "say what is known, such as: nines calc --target 99.9%, or nines calc --mtbf 240h --mttr 2h; see "
      "`nines calc --help`");
}

using Asked = decltype(CalcOptions::of);

// The question with what was read, or why it could not be.
template <class Asks, class T>
Read<Asked> asking(const Read<T>& read) {
  if (!read) return std::unexpected(read.error());
  return Asks{*read};
}

Read<Asked> ask(Question question, const CalcWords& words) {
  switch (question) {
    case kMtbf: return asking<CalcOptions::Mtbf>(mtbf_of(words));
    case kMttf: return asking<CalcOptions::Mttf>(mttf_of(words));
    case kFailures: return asking<CalcOptions::Failures>(failures_of(words));
    case kTarget: return asking<CalcOptions::Target>(objective("--target", *words.target));
    case kKnown: return asking<CalcOptions::Known>(availability_in("--availability", *words.availability));
    case kSeries: return asking<CalcOptions::Series>(components("--series", words.series));
    case kParallel: return asking<CalcOptions::Parallel>(components("--parallel", words.parallel));
    case kKOfN: break;
  }
  return asking<CalcOptions::KOfN>(k_of_n(words));
}

}  // namespace

std::expected<CalcOptions, std::string> calc_options(const CalcWords& words) {
  const auto question = question_of(words);
  if (!question) return std::unexpected(question.error());
  auto of = ask(*question, words);
  if (!of) return std::unexpected(std::move(of.error()));
  CalcOptions options{.of = std::move(*of), .json = words.json};
  if (words.month) {
    const auto month = availability::parse_month(*words.month);
    if (!month) return wrong("--month", month.error().text());
    options.month = *month;
  }
  auto cost = cost_of(words);
  if (!cost) return std::unexpected(std::move(cost.error()));
  options.cost = *cost;
  return options;
}

}  // namespace nines::cli
