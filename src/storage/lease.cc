#include "storage/lease.h"

#include "base/check.h"

namespace nines::storage {

Result<> probe_conditions(ConditionalStore& store, const std::string& name) {
  const auto ignored = [&] {
    return failure(Code::kRefused,
                   "this server of S3 ignores conditional writes (If-None-Match, If-Match), so no two machines can "
                   "share it safely: use another, or let one machine write");
  };
  auto created = store.create(name, "1");
  if (!created && created.error().code() != Code::kExists) return failure(std::move(created.error()));
  const auto again = store.create(name, "2");
  if (again) return ignored();
  if (again.error().code() != Code::kExists) return failure(again.error());
  const auto found = store.read(name);
  if (!found) return failure(found.error());
  const auto replaced = store.replace(name, found->content == "3" ? "4" : "3", found->version);
  if (!replaced && replaced.error().code() != Code::kExists) return failure(replaced.error());
  if (!replaced)
    return failure(Code::kRefused,
                   "this server of S3 refuses conditional writes (If-Match) though the condition holds, so a lease on "
                   "it could not be renewed: use another, or let one machine write");
  const auto outdated = store.replace(name, "5", found->version);
  if (outdated) return ignored();
  if (outdated.error().code() != Code::kExists) return failure(outdated.error());
  return {};
}

Lease::Lease(LeaseOptions options) : options_(std::move(options)) { INVARIANT(options_.margin < options_.ttl); }

Lease::Order Lease::write(Step step, std::string version) {
  return {step, std::move(version), options_.holder + "\n" + std::to_string(++writes_)};
}

Lease::Order Lease::see(const std::optional<Versioned>& found, Instant now) {
  if (lost_) return {Step::kLost};
  // Perhaps by a write whose end was not known: then under a version that was not seen before.
  if (found && found->content.starts_with(options_.holder + "\n")) return write(Step::kReplace, found->version);
  if (!version_.empty()) {
    refused();  // it is gone or another's: whoever did that may write by now
    return {Step::kLost};
  }
  if (!found) return write(Step::kCreate, "");
  if (seen_ != found->version) {
    seen_ = found->version;
    since_ = now;
  }
  if (now - since_ < options_.ttl + options_.margin) return {Step::kWait};
  return write(Step::kReplace, found->version);
}

void Lease::done(std::string version, Instant begun) {
  if (lost_) return;
  version_ = std::move(version);
  begun_ = begun;
  seen_.reset();
}

void Lease::refused() {
  lost_ = lost_ || !version_.empty();
  version_.clear();
  seen_.reset();
}

bool Lease::held(Instant now) const { return !version_.empty() && now < begun_ + (options_.ttl - options_.margin); }

Instant Lease::renew_at() const { return begun_ + (options_.ttl - options_.margin) / 3; }

}  // namespace nines::storage
