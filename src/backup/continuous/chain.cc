#include "backup/continuous/chain.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <tuple>

#include "backup/continuous/bytes.h"
#include "backup/names.h"
#include "base/check.h"

namespace nines::backup::continuous {
namespace {

namespace json = boost::json;

constexpr std::string_view kPrefix = "backup-live-", kSegment = ".segment", kEpoch = ".json", kStateMagic = "NINESLDG";
constexpr std::array<std::size_t, 5> kWidths = {16, 8, 12, 12, 12};
constexpr std::size_t kEpochBytesMax = 64 * 1024;

std::string hex(std::uint64_t value, std::size_t width) {
  char text[17];
  std::snprintf(text, sizeof text, "%0*llx", static_cast<int>(width), static_cast<unsigned long long>(value));
  return text;
}

std::optional<std::uint64_t> from_hex(std::string_view text, std::size_t width) {
  std::uint64_t value = 0;
  if (text.size() != width) return std::nullopt;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
    value = value << 4 | static_cast<std::uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return value;
}

// The numbers of a name, each in its width, joined by dashes.
std::optional<std::vector<std::uint64_t>> numbers(std::string_view text, std::size_t count) {
  std::vector<std::uint64_t> all;
  for (std::size_t i = 0; i < count; ++i) {
    const bool last = i + 1 == count;
    if (text.size() < kWidths[i] + (last ? 0 : 1) || (!last && text[kWidths[i]] != '-')) return std::nullopt;
    const auto value = from_hex(last ? text : text.substr(0, kWidths[i]), kWidths[i]);
    if (!value) return std::nullopt;
    all.push_back(*value);
    text.remove_prefix(last ? text.size() : kWidths[i] + 1);
  }
  return all;
}

std::optional<std::string_view> inner(std::string_view object, std::string_view suffix) {
  if (!object.starts_with(kPrefix) || !object.ends_with(suffix) || object.size() < kPrefix.size() + suffix.size())
    return std::nullopt;
  return object.substr(kPrefix.size(), object.size() - kPrefix.size() - suffix.size());
}

std::unexpected<Error> misfit(const SegmentName& name, const std::string& why) {
  return failure(Code::kInvalid, "segment " + object_name(name) + " does not fit into its chain: " + why);
}

Result<Epoch> read_epoch(storage::Destination& destination, const std::string& object) {
  auto download = destination.open(object);
  if (!download) return failure(std::move(download.error()));
  std::string text;
  std::array<char, 4096> buffer{};
  while (text.size() < kEpochBytesMax) {
    const auto got = (*download)->read(buffer);
    if (!got) return failure(got.error());
    if (*got == 0) break;
    text.append(buffer.data(), *got);
  }
  const auto broken = [&] { return failure(Code::kInvalid, destination.where(object) + " is damaged"); };
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_object()) return broken();
  const auto string_at = [&](std::string_view key) -> std::optional<std::string> {
    const auto* const found = value.as_object().if_contains(key);
    return found == nullptr || !found->is_string() ? std::nullopt : std::optional(std::string(found->as_string()));
  };
  const auto source = string_at("source"), why = string_at("why"), begun = string_at("begun");
  const auto format = string_at("format");
  const auto time = begun ? parse_time(*begun) : std::nullopt;
  const auto ids = numbers(inner(object, kEpoch).value_or(""), 2);
  if (!source || !why || !time || !ids || format != "nines-continuous-epoch") return broken();
  return Epoch{.lineage = (*ids)[0], .number = (*ids)[1], .source = *source, .why = *why, .begun = *time};
}

}  // namespace

SegmentName name_of(const SegmentHeader& header) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(header.captured).time_since_epoch().count();
  return {header.lineage, header.epoch, header.first, header.last, static_cast<std::uint64_t>(ms)};
}

std::string object_name(const SegmentName& name) {
  const std::array<std::uint64_t, 5> values = {name.lineage, name.epoch, name.first, name.last, name.captured_ms};
  std::string text(kPrefix);
  for (std::size_t i = 0; i < values.size(); ++i) text += (i > 0 ? "-" : "") + hex(values[i], kWidths[i]);
  return text + std::string(kSegment);
}

std::optional<SegmentName> parse_segment_name(std::string_view object) {
  const auto middle = inner(object, kSegment);
  const auto values = middle ? numbers(*middle, kWidths.size()) : std::nullopt;
  if (!values) return std::nullopt;
  const SegmentName name{(*values)[0], (*values)[1], (*values)[2], (*values)[3], (*values)[4]};
  if (name.first == 0 || name.last < name.first) return std::nullopt;
  return name;
}

std::string object_name(const Epoch& epoch) {
  return std::string(kPrefix) + hex(epoch.lineage, kWidths[0]) + "-" + hex(epoch.number, kWidths[1]) +
         std::string(kEpoch);
}

Result<> store_epoch(storage::Destination& destination, const Epoch& epoch) {
  const json::object object{{"format", "nines-continuous-epoch"},
                            {"version", 1},
                            {"source", epoch.source},
                            {"why", epoch.why},
                            {"begun", format_rfc3339(epoch.begun)}};
  auto upload = destination.put(object_name(epoch));
  if (!upload) return failure(std::move(upload.error()));
  if (auto written = (*upload)->write(json::serialize(object) + "\n"); !written) return written;
  auto stored = (*upload)->commit();
  if (!stored) return failure(std::move(stored.error()));
  return {};
}

Result<std::vector<Epoch>> list_epochs(storage::Destination& destination) {
  const auto objects = destination.list();
  if (!objects) return failure(objects.error());
  std::vector<Epoch> epochs;
  for (const storage::Object& object : *objects) {
    const auto middle = inner(object.name, kEpoch);
    if (!middle || !numbers(*middle, 2)) continue;
    auto epoch = read_epoch(destination, object.name);
    if (!epoch) return failure(std::move(epoch.error()));
    epochs.push_back(std::move(*epoch));
  }
  std::ranges::sort(epochs, {},
                    [](const Epoch& epoch) { return std::tuple(epoch.begun, epoch.lineage, epoch.number); });
  return epochs;
}

Result<std::vector<SegmentName>> list_segments(storage::Destination& destination) {
  const auto objects = destination.list();
  if (!objects) return failure(objects.error());
  std::vector<SegmentName> names;
  for (const storage::Object& object : *objects) {
    if (const auto name = parse_segment_name(object.name)) names.push_back(*name);
  }
  std::ranges::sort(names);
  return names;
}

Result<std::vector<SegmentName>> select(std::span<const SegmentName> all, const Wanted& wanted) {
  std::vector<SegmentName> usable;
  for (const SegmentName& name : all) {
    const WallTime captured{std::chrono::milliseconds(name.captured_ms)};
    if (name.lineage == wanted.lineage && name.epoch == wanted.epoch && captured <= wanted.until)
      usable.push_back(name);
  }
  std::vector<SegmentName> way;
  std::uint64_t next = wanted.next;
  while (true) {
    const SegmentName* best = nullptr;
    for (const SegmentName& name : usable) {
      // A merged one may begin before where we are, but only where we stand inside of it already.
      const bool fits = name.first == next || (way.empty() && name.first > 1 && name.first < next && name.last >= next);
      if (fits && (best == nullptr || name.last > best->last)) best = &name;
    }
    if (best == nullptr) break;
    way.push_back(*best);
    next = best->last + 1;
  }
  for (const SegmentName& name : usable) {
    if (name.last >= next)
      return failure(Code::kInvalid, "segment " + std::to_string(next) + " of epoch " + std::to_string(wanted.epoch) +
                                         " is missing, and there are later ones: nothing behind that gap can be "
                                         "restored; `--at` a time before it can");
  }
  return way;
}

Result<> Replay::expect(const SegmentHeader& header, const SegmentName& name) const {
  if (name_of(header) != name) return misfit(name, "its name says otherwise");
  if (!began()) {
    if (!header.is_snapshot()) return misfit(name, "a chain begins with a snapshot");
    return {};
  }
  if (header.lineage != head_.lineage || header.epoch != head_.epoch) return misfit(name, "it is of another epoch");
  if (header.page_size != head_.page_size) return misfit(name, "its pages have another size");
  if (header.last <= head_.last || header.first > head_.last + 1) return misfit(name, "its turn is not now");
  if (header.first <= head_.last) return {};  // merged with what was applied before: the digest after it decides
  if (header.previous != link_) return misfit(name, "it follows another segment than the one before it");
  if (header.before != ledger_.digest() || header.pages_before != ledger_.pages())
    return misfit(name, "it changes another database than the one before it leaves");
  return {};
}

Result<> Replay::apply(storage::Destination& destination, const SegmentName& name, const std::optional<SegmentKey>& key,
                       const OnPage& on_page) {
  auto download = destination.open(object_name(name));
  if (!download) return failure(std::move(download.error()));
  auto reader = SegmentReader::open([&](std::span<char> buffer) { return (*download)->read(buffer); }, key);
  const std::string where = destination.where(object_name(name));
  if (!reader) return failure(std::move(reader.error()).in(where));
  const SegmentHeader header = reader->header();
  if (auto expected = expect(header, name); !expected) return expected;
  ledger_.resize(header.pages_after);
  while (true) {
    const auto page = reader->next();
    if (!page) return failure(Error(page.error()).in(where));
    if (!*page) break;
    ledger_.set((*page)->number, hash_page((*page)->number, (*page)->content));
    if (!on_page) continue;
    if (auto taken = on_page((*page)->number, (*page)->content); !taken) return taken;
  }
  if (ledger_.digest() != header.after) return misfit(name, "the digest of the database after it is another");
  link_ = link_of(header, reader->content_hash());
  head_ = header;
  return {};
}

std::string Replay::save() const {
  INVARIANT(began());
  std::string bytes(kStateMagic);
  bytes += encode_header(head_);
  bytes.append(link_.data(), link_.size());
  for (std::uint32_t page = 1; page <= ledger_.pages(); ++page) {
    append_little_endian(bytes, ledger_.at(page).low);
    append_little_endian(bytes, ledger_.at(page).high);
  }
  ContentHash hash;
  hash.update(bytes);
  const Hash end = hash.finish();
  return bytes.append(end.data(), end.size());
}

Result<Replay> Replay::load(std::string_view bytes) {
  constexpr std::size_t kHashBytes = sizeof(Hash), kBegin = kStateMagic.size() + kSegmentHeaderBytes + kHashBytes;
  const auto broken = [] { return failure(Code::kInvalid, "the state of the continuous backup is damaged"); };
  if (bytes.size() < kBegin + kHashBytes || !bytes.starts_with(kStateMagic)) return broken();
  ContentHash hash;
  hash.update(bytes.substr(0, bytes.size() - kHashBytes));
  const Hash end = hash.finish();
  if (!bytes.ends_with(std::string_view(end.data(), end.size()))) return broken();
  auto header = parse_header(bytes.substr(kStateMagic.size(), kSegmentHeaderBytes));
  if (!header) return failure(std::move(header.error()));
  if (bytes.size() != kBegin + std::size_t{16} * header->pages_after + kHashBytes) return broken();
  Replay replay;
  replay.head_ = *header;
  std::ranges::copy(bytes.substr(kStateMagic.size() + kSegmentHeaderBytes, kHashBytes), replay.link_.begin());
  replay.ledger_.resize(header->pages_after);
  for (std::uint32_t page = 1; page <= header->pages_after; ++page) {
    const std::size_t at = kBegin + std::size_t{16} * (page - 1);
    replay.ledger_.set(page, {little_endian<std::uint64_t>(bytes, at), little_endian<std::uint64_t>(bytes, at + 8)});
  }
  if (replay.ledger_.digest() != header->after) return broken();
  return replay;
}

Digest digest_with(const PageLedger& ledger, std::span<const PageHash> changes, std::uint32_t pages) {
  Digest digest = ledger.digest();
  for (std::uint32_t page = pages + 1; page <= ledger.pages(); ++page) digest -= ledger.at(page);
  for (const PageHash& change : changes) {
    if (change.page <= ledger.pages()) digest -= ledger.at(change.page);
    digest += change.hash;
  }
  return digest;
}

}  // namespace nines::backup::continuous
