#include <cstdio>
#include <ctime>

#include "cli/commands.h"
#include "cli/report.h"
#include "cli/target.h"
#include "config/config.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

using availability::Interval;

std::chrono::seconds local_offset(WallTime t) {
  const std::time_t second = std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
  std::tm local{};
  ::localtime_r(&second, &local);
  return std::chrono::seconds(local.tm_gmtoff);
}

Interval local_month(std::chrono::year_month month) {
  // Offsets do not change within hours of both ends, but for a few clocks a century.
  const Interval rough = availability::month_window(month);
  return availability::month_window(month, local_offset(rough.begin), local_offset(rough.end));
}

struct Period {
  Interval interval;
  std::string text;
};

Answered<Period> period_of(const ReportOptions& options, WallTime now) {
  if (options.from) {
    const Interval interval{options.from->resolve(now), options.to ? options.to->resolve(now) : now};
    if (interval.empty()) return refuse(kWrong, "--from is not before " + std::string(options.to ? "--to" : "now"));
    return Period{interval, "that time"};
  }
  if (options.month) {
    const auto month = availability::parse_month(*options.month);
    if (!month) return refuse(kWrong, "--month: " + month.error().text());
    return Period{local_month(*month), *options.month};
  }
  const auto today = std::chrono::floor<std::chrono::days>(now + local_offset(now));
  const std::chrono::year_month_day date(today);
  const std::chrono::year_month month = date.year() / date.month();
  char text[16];
  std::snprintf(text, sizeof text, "%04d-%02u", static_cast<int>(month.year()), static_cast<unsigned>(month.month()));
  return Period{local_month(month), text};
}

std::string percent_text(double objective) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g%%", objective * 100);
  return text;
}

}  // namespace

int perform(const GlobalOptions& global, const ReportOptions& options) {
  const auto paths = find_service(global, /*dead_too=*/true);
  if (!paths) return say(paths.error());
  const WallTime now = net::wall_time();
  const auto period = period_of(options, now);
  if (!period) return say(period.error());
  const auto reader = ledger::Reader::open(paths->ledger_file());
  if (!reader) return say({kNo, "nines: " + reader.error().text()});
  const auto report = ledger::report_of(*reader, period->interval, now);
  if (!report) return say({kNo, "nines: " + report.error().text()});
  ReportFacts facts{.service = paths->folder.substr(paths->folder.rfind('/') + 1),
                    .period = period->text,
                    .objective = {},
                    .objective_text = "",
                    .offset = local_offset};
  if (!paths->config_file.empty()) {
    if (const auto config = config::load(paths->config_file)) {
      if (config->service) facts.service = *config->service;
      if (config->objective) {
        facts.objective_text = percent_text(*config->objective);
        if (const auto objective = availability::parse_objective(facts.objective_text)) facts.objective = *objective;
      }
    } else {
      std::fprintf(stderr, "nines: %s cannot be read, so there is no objective in this report\n",
                   paths->config_file.c_str());
    }
  }
  std::fputs(render(*report, facts, options.json ? ReportFormat::kJson : options.format).c_str(), stdout);
  const bool missed = facts.objective && verdict_of(*report, *facts.objective) == ledger::Verdict::kMissed;
  return missed ? kNo : kDone;
}

}  // namespace nines::cli
