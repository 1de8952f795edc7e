#include "backup/retention.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

namespace nines::backup {
namespace {

// Which hour, day, week or month a moment lies in, as a number: equal within, different without.
using Period = long long (*)(std::chrono::local_seconds);

long long hour_of(std::chrono::local_seconds t) {
  return std::chrono::floor<std::chrono::hours>(t).time_since_epoch().count();
}
long long day_of(std::chrono::local_seconds t) {
  return std::chrono::floor<std::chrono::days>(t).time_since_epoch().count();
}
// Day 0 was a Thursday; weeks begin on Monday.
long long week_of(std::chrono::local_seconds t) {
  const long long monday = day_of(t) + 3;
  return monday >= 0 ? monday / 7 : (monday - 6) / 7;
}
long long month_of(std::chrono::local_seconds t) {
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(t));
  return static_cast<int>(date.year()) * 12LL + static_cast<unsigned>(date.month());
}

struct Bucket {
  const char* name;
  Period period;
  int left;
  long long last = std::numeric_limits<long long>::min();
};

void keep_for(Decision& decision, const char* why) {
  decision.keep = true;
  decision.why += (decision.why.empty() ? "" : ", ") + std::string(why);
}

// `members`: indices of candidates that all count, newest first.
void apply(std::span<const Candidate> candidates, std::span<const std::size_t> members, const Keep& keep,
           const LocalOffset& offset, std::vector<Decision>& decisions) {
  std::array buckets = {Bucket{"hourly", hour_of, keep.hourly}, Bucket{"daily", day_of, keep.daily},
                        Bucket{"weekly", week_of, keep.weekly}, Bucket{"monthly", month_of, keep.monthly}};
  int last_left = keep.last;
  for (const std::size_t index : members) {
    Decision& decision = decisions[index];
    const WallTime time = candidates[index].time;
    const bool oldest = index == members.back();
    decision.keep = false;
    if (index == members.front()) keep_for(decision, "newest");
    if (last_left-- > 0) keep_for(decision, "last");
    const std::chrono::local_seconds local(
        (std::chrono::floor<std::chrono::seconds>(time) + offset(time)).time_since_epoch());
    for (Bucket& bucket : buckets) {
      const long long period = bucket.period(local);
      // The oldest stays while a rule has places left, so that history grows until the rule is full.
      if (bucket.left <= 0 || (period == bucket.last && !oldest)) continue;
      bucket.last = period;
      --bucket.left;
      keep_for(decision, bucket.name);
    }
    if (keep.within > 0ns && candidates[members.front()].time - time <= keep.within) keep_for(decision, "within");
  }
}

}  // namespace

std::vector<Decision> decide(std::span<const Candidate> candidates, const Keep& keep, const LocalOffset& offset) {
  std::vector<Decision> decisions(candidates.size());
  std::vector<std::size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, std::ranges::greater(), [&](std::size_t i) { return std::pair(candidates[i].time, i); });
  for (const bool complete : {true, false}) {
    std::vector<std::size_t> members;
    std::ranges::copy_if(order, std::back_inserter(members), [&](std::size_t i) {
      return candidates[i].ours && candidates[i].verified && candidates[i].complete == complete;
    });
    if (!members.empty()) apply(candidates, members, keep, offset, decisions);
  }
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (!candidates[i].ours) {
      decisions[i].why = "of another service";
    } else if (!candidates[i].verified) {
      decisions[i].why = "not verified";
    }
  }
  return decisions;
}

}  // namespace nines::backup
