#include "plane/plane.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <new>

#include "base/check.h"

namespace nines::plane {
namespace {

Result<void*> map(int fd, std::size_t size, int protection) {
  void* const memory = ::mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return failure(os_error(errno, "map the shared table"));
  return memory;
}

Result<std::size_t> size_of(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return failure(os_error(errno, "look at the shared table"));
  return static_cast<std::size_t>(status.st_size);
}

constexpr std::string_view kNumberings[] = {"next_incarnation", "gateway_epoch", "log"};

void describe(Table& table) {
  static_assert(std::is_standard_layout_v<Table>);
  std::uint32_t used = 0;
  const auto add = [&](std::string_view name, std::size_t offset, std::size_t count, std::size_t stride = 0,
                       std::size_t repeat = 1) {
    INVARIANT(used < kFields);
    Field& field = table.fields[used++];
    set_field(field.name, name);
    field.offset = static_cast<std::uint32_t>(offset);
    field.stride = static_cast<std::uint32_t>(stride);
    field.repeat = static_cast<std::uint32_t>(repeat);
    field.count = static_cast<std::uint32_t>(count);
  };
  const auto per_replica = [&](std::string_view name, std::size_t offset, std::size_t count) {
    add(name, offsetof(Table, observed) + offset, count, sizeof(Observed), kReplicasMax);
  };
  add("next_incarnation", offsetof(Table, header.next_incarnation), 1);
  add("gateway_epoch", offsetof(Table, header.gateway_epoch), 1);
  add("log", offsetof(Table, log), 1);
  per_replica("replica.requests", offsetof(Observed, requests), 1);
  per_replica("replica.errors", offsetof(Observed, errors), 1);
  per_replica("replica.connect_failures", offsetof(Observed, connect_failures), 1);
  per_replica("replica.gateway_errors", offsetof(Observed, gateway_errors), 1);
  per_replica("replica.ejections", offsetof(Observed, ejections), 1);
  per_replica("replica.hangs", offsetof(Observed, hangs), 1);
  per_replica("replica.latency", offsetof(Observed, latency), kLatencyBuckets);
  add("service.requests", offsetof(Table, service.requests), 1);
  add("service.errors", offsetof(Table, service.errors), 1);
  add("service.client_errors", offsetof(Table, service.client_errors), 1);
  add("service.replayed", offsetof(Table, service.replayed), 1);
  add("service.abandoned", offsetof(Table, service.abandoned), 1);
  add("service.unroutable", offsetof(Table, service.unroutable), 1);
  add("service.connections_refused", offsetof(Table, service.connections_refused), 1);
  add("service.rejected_queue_full", offsetof(Table, service.rejected_queue_full), 1);
  add("service.rejected_queue_time", offsetof(Table, service.rejected_queue_time), 1);
  add("service.retries_denied", offsetof(Table, service.retries_denied), 1);
  add("service.replays_after_exit", offsetof(Table, service.replays_after_exit), 1);
  add("service.streams", offsetof(Table, service.streams), 1);
  add("service.streams_interrupted", offsetof(Table, service.streams_interrupted), 1);
  add("service.upgrades", offsetof(Table, service.upgrades), 1);
  add("service.access_lines_dropped", offsetof(Table, service.access_lines_dropped), 1);
  add("service.timeouts", offsetof(Table, service.timeouts), kTimeouts);
  add("service.latency", offsetof(Table, service.latency), kLatencyBuckets);
  add("service.outcomes", offsetof(Table, service.outcomes), kOutcomes);
  add("service.given_up", offsetof(Table, service.given_up), 1);
  table.header.fields_offset = offsetof(Table, fields);
  table.header.fields = used;
}

// The part of a header that never moves.
struct Constant {
  std::uint64_t magic;
  std::uint32_t layout, size;
  std::uint64_t id;
  std::uint32_t fields_offset, fields;
};
static_assert(offsetof(Header, fields) == offsetof(Constant, fields) && offsetof(Header, fields) == 28);

std::span<const Field> fields_of(const std::byte* memory, std::size_t size) {
  if (size < sizeof(Constant)) return {};
  // Read once: whoever made it may still be writing.
  Constant header;
  std::memcpy(&header, memory, sizeof header);
  if (header.magic != kMagic || header.size != size || header.fields_offset % alignof(Field) != 0) return {};
  if (header.fields_offset > size || (size - header.fields_offset) / sizeof(Field) < header.fields) return {};
  return {reinterpret_cast<const Field*>(memory + header.fields_offset), header.fields};
}

const Field* find(std::span<const Field> fields, std::string_view name) {
  for (const Field& field : fields) {
    if (std::string_view(field.name, ::strnlen(field.name, sizeof field.name)) == name) return &field;
  }
  return nullptr;
}

// Number `index` of a field's group; nullptr outside the table.
std::atomic<std::uint64_t>* number_at(std::byte* memory, std::size_t size, const Field& field, std::size_t group,
                                      std::size_t index) {
  const std::size_t at = field.offset + group * field.stride + index * sizeof(std::uint64_t);
  if (group >= field.repeat || index >= field.count || at % sizeof(std::uint64_t) != 0 || at > size - 8) return nullptr;
  return reinterpret_cast<std::atomic<std::uint64_t>*>(memory + at);
}

}  // namespace

std::string_view words_of(EjectionCause cause) {
  switch (cause) {
    case EjectionCause::kConnect: return "connections to it fail";
    case EjectionCause::kGatewayErrors: return "requests break, time out or get 502, 503 or 504";
    case EjectionCause::kNone: break;
  }
  return "unknown";
}

std::string probe_key(const Table& table) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(table.header.id));
  return text;
}

std::optional<Metered> metered_in(const Table& table) {
  std::optional<Metered> newest;
  for (const auto& copy : table.metered) {
    const auto metered = copy.load();
    if (metered && metered->version > (newest ? newest->version : 0)) newest = metered;
  }
  return newest;
}

void keep(Table& table, Metered& metered) {
  ++metered.version;
  table.metered[metered.version % 2].store(metered);
}

void forget_counts(Observed& observed) {
  for (auto* const count : {&observed.requests, &observed.errors, &observed.connect_failures, &observed.gateway_errors,
                            &observed.ejections, &observed.hangs})
    count->store(0, std::memory_order_relaxed);
  observed.latency.clear();
}

std::string_view name_of(Timeout timeout) {
  switch (timeout) {
    case Timeout::kRequestHead: return "request_head";
    case Timeout::kRequestBody: return "request_body";
    case Timeout::kConnect: return "connect";
    case Timeout::kFirstByte: return "first_byte";
    case Timeout::kStreamIdle: return "stream_idle";
    case Timeout::kAnswerIdle: return "answer_idle";
    case Timeout::kClientWrite: return "client_write";
    case Timeout::kQueue: return "queue";
    case Timeout::kKeepAlive: return "keep_alive";
    case Timeout::kTunnelIdle: return "tunnel_idle";
  }
  return "unknown";
}

Result<Plane> Plane::create() {
  Fd fd(::memfd_create("nines-plane", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd || ::ftruncate(fd.get(), sizeof(Table)) != 0) return failure(os_error(errno, "create the shared table"));
  auto memory = map(fd.get(), sizeof(Table), PROT_READ | PROT_WRITE);
  if (!memory) return std::unexpected(memory.error());
  // Whoever has the descriptor may write, nobody may pull the memory from under the others.
  ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  auto* const table = new (*memory) Table;
  table->header.size = sizeof(Table);
  if (::getrandom(&table->header.id, sizeof table->header.id, 0) != sizeof table->header.id)
    return failure(os_error(errno, "draw a random number"));
  describe(*table);
  return Plane(std::move(fd), table);
}

Result<Plane> Plane::attach(Fd fd) {
  const auto size = size_of(fd.get());
  if (!size) return failure(size.error());
  if (*size < sizeof(Constant)) return failure(Code::kInvalid, "this is no shared table of nines");
  // Another layout may be longer or shorter: as much as is there is enough to tell.
  auto memory = map(fd.get(), std::max(*size, sizeof(Table)), PROT_READ | PROT_WRITE);
  if (!memory) return std::unexpected(memory.error());
  const Constant header = *static_cast<const Constant*>(*memory);
  const bool ours = header.layout == kLayout && header.size == sizeof(Table) && *size == sizeof(Table);
  if (header.magic == kMagic && ours) return Plane(std::move(fd), static_cast<Table*>(*memory));
  ::munmap(*memory, std::max(*size, sizeof(Table)));
  if (header.magic != kMagic) return failure(Code::kInvalid, "this is no shared table of nines");
  return failure(Code::kExists, "the shared table has layout " + std::to_string(header.layout) + " with " +
                                    std::to_string(*size) + " bytes, this program's is " + std::to_string(kLayout) +
                                    " with " + std::to_string(sizeof(Table)));
}

Plane::Plane(Plane&& other) noexcept : fd_(std::move(other.fd_)), table_(std::exchange(other.table_, nullptr)) {}

Plane::~Plane() {
  if (table_ != nullptr) ::munmap(table_, sizeof(Table));
}

Result<ForeignTable> ForeignTable::attach(const Fd& fd) {
  const auto size = size_of(fd.get());
  if (!size) return failure(size.error());
  if (*size < sizeof(Constant)) return failure(Code::kInvalid, "this is no shared table of nines");
  const auto memory = map(fd.get(), *size, PROT_READ | PROT_WRITE);
  if (!memory) return std::unexpected(memory.error());
  ForeignTable table(static_cast<std::byte*>(*memory), *size);
  if (fields_of(table.memory_, table.size_).empty())
    return failure(Code::kInvalid, "this is no shared table of nines, or it does not describe itself");
  return table;
}

ForeignTable::ForeignTable(ForeignTable&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), size_(other.size_) {}

ForeignTable::~ForeignTable() {
  if (memory_ != nullptr) ::munmap(memory_, size_);
}

void ForeignTable::move_counters_to(Table& table) {
  const auto old_fields = fields_of(memory_, size_);
  auto* const fresh = reinterpret_cast<std::byte*>(&table);
  for (const Field& to : fields_of(fresh, sizeof table)) {
    if (std::ranges::find(kNumberings, std::string_view(to.name)) != std::end(kNumberings)) continue;
    const Field* const from = find(old_fields, to.name);
    if (from == nullptr || from->count != to.count) continue;  // other buckets cannot be added to these
    for (std::size_t group = 0; group < std::min(from->repeat, to.repeat); ++group) {
      for (std::size_t i = 0; i < to.count; ++i) {
        auto* const old = number_at(memory_, size_, *from, group, i);
        auto* const counter = number_at(fresh, sizeof table, to, group, i);
        if (old != nullptr && counter != nullptr && *old != 0) counter->fetch_add(old->exchange(0));
      }
    }
  }
}

void ForeignTable::continue_numbers_in(Table& table) const {
  const auto fields = fields_of(memory_, size_);
  const auto number = [&](std::string_view name) -> std::uint64_t {
    const Field* const field = find(fields, name);
    const auto* const at = field != nullptr ? number_at(memory_, size_, *field, 0, 0) : nullptr;
    const std::uint64_t value = at != nullptr ? at->load() : 0;
    // No counting gets that far: it is damage, and going on behind it would wrap around.
    return value < 1ULL << 62 ? value : 0;
  };
  const auto raise = [](std::atomic<std::uint64_t>& value, std::uint64_t least) {
    if (value < least) value = least;
  };
  raise(table.header.next_incarnation, number("next_incarnation"));
  raise(table.header.gateway_epoch, number("gateway_epoch"));
  table.log.begin_behind(number("log"));
}

}  // namespace nines::plane
