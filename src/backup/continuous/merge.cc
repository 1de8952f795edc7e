#include "backup/continuous/merge.h"

#include <algorithm>
#include <map>

#include "base/check.h"

namespace nines::backup::continuous {
namespace {

WallTime captured_of(const SegmentName& name) { return WallTime(std::chrono::milliseconds(name.captured_ms)); }

std::int64_t window_of(const SegmentName& name, const MergeLevel& level) {
  return captured_of(name).time_since_epoch() / level.window;
}

bool is_old_enough(std::int64_t window, const MergeLevel& level, WallTime now) {
  return WallTime(level.window * (window + 1)) + level.age <= now;
}

bool is_within(const SegmentName& part, const SegmentName& whole) {
  return part.lineage == whole.lineage && part.epoch == whole.epoch && part != whole && part.first >= whole.first &&
         part.last <= whole.last;
}

// The coarsest level at which it may be merged with the one behind it.
bool may_join(const SegmentName& a, const SegmentName& b, WallTime now) {
  if (a.lineage != b.lineage || a.epoch != b.epoch || a.first == 1 || b.first != a.last + 1) return false;
  return std::ranges::any_of(kMergeLevels, [&](const MergeLevel& level) {
    const std::int64_t window = window_of(a, level);
    return window == window_of(b, level) && is_old_enough(window, level, now);
  });
}

struct Merged {
  SegmentHeader header;
  Hash link{};
  std::map<std::uint32_t, std::string> pages;
};

struct Loaded {
  SegmentHeader header;
  Hash content_hash{};
};

Result<Loaded> load(storage::Destination& destination, const SegmentName& name, const std::optional<SegmentKey>& key,
                    const Replay::OnPage& on_page) {
  const std::string where = destination.where(object_name(name));
  auto download = destination.open(object_name(name));
  if (!download) return failure(std::move(download.error()));
  auto reader = SegmentReader::open([&](std::span<char> buffer) { return (*download)->read(buffer); }, key);
  if (!reader) return failure(std::move(reader.error()).in(where));
  if (name_of(reader->header()) != name)
    return failure(Code::kInvalid, where + " is another segment than its name says");
  while (true) {
    const auto page = reader->next();
    if (!page) return failure(Error(page.error()).in(where));
    if (!*page) return Loaded{.header = reader->header(), .content_hash = reader->content_hash()};
    if (auto taken = on_page((*page)->number, (*page)->content); !taken) return failure(std::move(taken.error()));
  }
}

Result<Merged> gather(storage::Destination& destination, std::span<const SegmentName> parts,
                      const std::optional<SegmentKey>& key) {
  Merged merged;
  std::uint64_t held = 0;
  for (const SegmentName& name : parts) {
    const auto loaded = load(destination, name, key, [&](std::uint32_t page, std::string_view content) -> Result<> {
      std::string& place = merged.pages[page];
      held += content.size() - place.size();
      if (held > kMergeBytesMax)
        return failure(Code::kLimit, "these segments are too large to be merged; they stay as they are");
      place = content;
      return {};
    });
    if (!loaded) return failure(loaded.error());
    const SegmentHeader& part = loaded->header;
    SegmentHeader& whole = merged.header;
    if (name == parts.front()) {
      whole = part;
    } else if (part.previous != merged.link || part.before != whole.after || part.pages_before != whole.pages_after) {
      return failure(Code::kInvalid, "segment " + object_name(name) + " does not follow the one before it");
    } else {
      whole.last = part.last;
      whole.captured = part.captured;
      whole.commits += part.commits;
      whole.compared = whole.compared || part.compared;
      whole.fork = whole.fork || part.fork;
      whole.pages_after = part.pages_after;
      whole.after = part.after;
      whole.position = part.position;
    }
    merged.link = link_of(part, loaded->content_hash);
    for (auto cut = merged.pages.upper_bound(whole.pages_after); cut != merged.pages.end();) {
      held -= cut->second.size();
      cut = merged.pages.erase(cut);
    }
  }
  merged.header.represents = merged.link;
  merged.header.pages = static_cast<std::uint32_t>(merged.pages.size());
  return merged;
}

}  // namespace

MergePlan plan_merges(std::span<const SegmentName> all, WallTime now) {
  std::vector<SegmentName> names(all.begin(), all.end());
  MergePlan plan;
  for (const SegmentName& part : names) {
    if (std::ranges::any_of(names, [&](const SegmentName& whole) { return is_within(part, whole); }))
      plan.superfluous.push_back(part);
  }
  std::erase_if(names, [&](const SegmentName& name) {
    return std::ranges::find(plan.superfluous, name) != plan.superfluous.end();
  });
  std::ranges::sort(names);
  std::vector<SegmentName> run;
  const auto close = [&] {
    if (run.size() > 1) plan.merges.push_back(run);
    run.clear();
  };
  for (const SegmentName& name : names) {
    if (!run.empty() && !may_join(run.back(), name, now)) close();
    run.push_back(name);
  }
  close();
  return plan;
}

Result<SegmentName> merge(storage::Destination& destination, std::span<const SegmentName> parts,
                          const std::optional<SegmentKey>& key) {
  INVARIANT(parts.size() > 1 && parts.front().first > 1);
  auto merged = gather(destination, parts, key);
  if (!merged) return failure(std::move(merged.error()));
  const SegmentName name = name_of(merged->header);
  auto upload = destination.put(object_name(name));
  if (!upload) return failure(std::move(upload.error()));
  SegmentWriter writer(merged->header, key, [&](std::string_view bytes) { return (*upload)->write(bytes); });
  for (const auto& [page, content] : merged->pages)
    if (auto added = writer.add(page, content); !added) return failure(std::move(added.error()));
  if (auto finished = writer.finish(); !finished) return failure(std::move(finished.error()));
  if (auto stored = (*upload)->commit(); !stored) return failure(std::move(stored.error()));
  std::map<std::uint32_t, std::string>& expected = merged->pages;
  const auto back = load(destination, name, key, [&](std::uint32_t page, std::string_view content) -> Result<> {
    if (expected[page] == content) return {};
    return failure(Code::kInvalid, destination.where(object_name(name)) + " is not what was written to it");
  });
  if (!back) {
    (void)destination.remove(object_name(name));  // the parts are there still
    return failure(back.error());
  }
  for (const SegmentName& part : parts)
    if (auto removed = destination.remove(object_name(part)); !removed) return failure(std::move(removed.error()));
  return name;
}

Result<> remove_superfluous(storage::Destination& destination, std::span<const SegmentName> all,
                            std::span<const SegmentName> superfluous, const std::optional<SegmentKey>& key) {
  for (const SegmentName& whole : all) {
    std::vector<SegmentName> parts;
    for (const SegmentName& part : superfluous)
      if (is_within(part, whole)) parts.push_back(part);
    if (parts.empty() || std::ranges::find(superfluous, whole) != superfluous.end()) continue;
    const auto sound =
        load(destination, whole, key, [](std::uint32_t /*page*/, std::string_view /*content*/) { return Result<>(); });
    if (!sound) return failure(sound.error());
    for (const SegmentName& part : parts)
      if (auto removed = destination.remove(object_name(part)); !removed) return removed;
  }
  return {};
}

}  // namespace nines::backup::continuous
