#include "gateway/admission_queue.h"

#include <algorithm>
#include <optional>

#include "base/check.h"

namespace nines::gateway {

// One request's place in the queue, for as long as it waits.
class AdmissionQueue::Place {
 public:
  Place(AdmissionQueue& queue, Joins joins) : queue_(queue), ahead_(joins == Joins::kAhead) {
    auto& places = queue.places_;
    const auto at = ahead_ ? std::ranges::find_if(places, [](const Place* p) { return !p->ahead_; }) : places.end();
    places.insert(at, this);
    if (!queue.look_.armed()) queue.loop_.timers().arm(queue.look_, queue.loop_.now() + queue.limits_.look);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  // Whoever leaves may have been woken for a slot that it did not take.
  ~Place() {
    std::erase(queue_.places_, this);
    queue_.wake_head();
    if (queue_.places_.empty()) queue_.look_.disarm();
  }

  class Turn final : public net::Operation, private net::Timer {
   public:
    Turn(Place& place, Instant until) : Operation(place.queue_.loop_), place_(place), until_(until) {}
    ~Turn() {
      if (place_.turn_ == this) place_.turn_ = nullptr;
    }
    bool await_ready() {
      place_.turn_ = this;
      loop_.timers().arm(*this, until_);
      return false;
    }
    // kTimedOut, kCancelled.
    Result<> await_resume() { return std::move(result_); }
    void finish(Result<> result) {
      place_.turn_ = nullptr;
      disarm();
      result_ = std::move(result);
      complete();
    }

   private:
    void on_timer() override { finish(failure(Code::kTimedOut, "waited too long")); }
    void withdraw() override { finish(net::cancelled()); }
    Place& place_;
    Instant until_;
    Result<> result_;
  };
  // Ends when it is this one's turn to ask again.
  Turn turn(Instant until) { return {*this, until}; }
  void wake() {
    if (turn_ != nullptr) turn_->finish({});
  }

 private:
  AdmissionQueue& queue_;
  const bool ahead_;
  Turn* turn_ = nullptr;
};

AdmissionQueue::AdmissionQueue(net::Loop& loop, const AdmissionLimits& limits, std::size_t share, std::uint64_t seed)
    : loop_(loop), limits_(limits), share_(share), random_(seed) {}

AdmissionQueue::~AdmissionQueue() { INVARIANT(places_.empty()); }

Task<Admitted> AdmissionQueue::admit(const Picker& pick, Instant deadline, Joins joins) {
  if (places_.empty() || joins == Joins::kAhead) {
    const Pick first = pick();
    last_pick_ = first.what;
    if (first.what == Pick::What::kSlot) co_return Admitted{.what = Admitted::What::kSlot, .slot = first.slot};
  }
  if (joins == Joins::kAtEnd && places_.size() >= share_) co_return refusal(Admitted::What::kFull);
  Place place(*this, joins);
  while (true) {
    const auto waited = co_await place.turn(deadline);
    if (!waited && waited.error().code() == Code::kCancelled) co_return Admitted{Admitted::What::kCancelled};
    const Pick picked = pick();
    last_pick_ = picked.what;
    if (picked.what == Pick::What::kSlot) co_return Admitted{.what = Admitted::What::kSlot, .slot = picked.slot};
    if (picked.what == Pick::What::kTriedAll) wake_after(place);
    if (waited) continue;
    co_return refusal(picked.what == Pick::What::kFull ? Admitted::What::kTimedOut : Admitted::What::kNobody);
  }
}

void AdmissionQueue::on_attempt_end() {
  rate_.on_end(loop_.now());
  wake_head();
}

void AdmissionQueue::wake_head() {
  if (!places_.empty()) places_.front()->wake();
}

void AdmissionQueue::wake_after(const Place& place) {
  auto next = std::ranges::find(places_, &place);
  if (next == places_.end()) return;
  ++next;
  if (next != places_.end()) (*next)->wake();
}

void AdmissionQueue::look() {
  wake_head();
  if (!places_.empty()) loop_.timers().arm(look_, loop_.now() + limits_.look);
}

Admitted AdmissionQueue::refusal(Admitted::What what) {
  const bool outage = what == Admitted::What::kNobody || last_pick_ == Pick::What::kNobody;
  const double jitter = random_.unit();
  return {.what = what,
          .retry_after_seconds = outage
                                     ? retry_after_outage_seconds(limits_, jitter)
                                     : retry_after_seconds(limits_, waiting(), rate_.per_second(loop_.now()), jitter)};
}

}  // namespace nines::gateway
