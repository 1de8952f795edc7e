#include "app/gateway_lanes.h"

#include <sys/random.h>

#include "base/check.h"
#include "net/condition.h"

namespace nines::app {
namespace {

// Request ids are drawn from it: a gateway must never give the ids of another one again, in this service's life or the
// next.
std::uint64_t seed() {
  std::uint64_t number = 0;
  INVARIANT(::getrandom(&number, sizeof number, 0) == sizeof number);
  return number;
}

}  // namespace

GatewayLanes::GatewayLanes(plane::Table& table, Options options)
    : table_(table), settings_(std::move(options.settings)), verdict_changed_(std::move(options.verdict_changed)) {
  access_ = std::make_unique<AccessWriter>(
      options.access_log, SharedLog::Options{.path = options.access_file}, settings_.workers,
      [this](std::uint64_t lines) { table_.service.access_lines_dropped.fetch_add(lines, std::memory_order_relaxed); });
  for (std::size_t i = 0; i < settings_.workers; ++i) {
    lanes_.push_back(std::make_unique<Lane>());
    Lane& lane = *lanes_.back();
    lane.worker = std::make_unique<gateway::Worker>(lane.loop, table_, settings_, seed());
    lane.worker->log_to(access_->log(i));
    for (const int fd : options.listeners) lane.worker->serve(lane.loop.adopt_listener(fd));
  }
  checker_ = std::make_unique<gateway::HealthChecker>(loop(), table_, settings_, seed(), [this] { verdict_changed(); });
  for (const auto& lane : lanes_) lane->worker->on_suspicion([this] { loop().post([this] { checker_->judge(); }); });
}

GatewayLanes::~GatewayLanes() = default;

void GatewayLanes::run(Task<void> main) {
  for (std::size_t i = 1; i < lanes_.size(); ++i) {
    Lane& lane = *lanes_[i];
    lane.thread = std::thread([&lane] { lane.loop.run(); });
  }
  loop().run(std::move(main));
  for (std::size_t i = 1; i < lanes_.size(); ++i) {
    lanes_[i]->loop.post([&lane = *lanes_[i]] { lane.loop.stop(); });
    lanes_[i]->thread.join();
  }
}

Task<void> GatewayLanes::refresh() {
  checker_->refresh();
  co_await on_every_lane([](Lane& lane) -> Task<void> {
    lane.worker->refresh();
    co_return;
  });
}

Task<void> GatewayLanes::stop_accepting() {
  co_await checker_->stop();
  co_await on_every_lane([](Lane& lane) -> Task<void> { co_await lane.worker->stop_accepting(); });
}

Task<void> GatewayLanes::drain(http::Connections::Patience patience) {
  struct Drain {
    static Task<void> run(Lane& lane, http::Connections::Patience p) { co_await lane.worker->drain(p); }
  };
  co_await on_every_lane([patience](Lane& lane) { return Drain::run(lane, patience); });
}

Task<void> GatewayLanes::close_idle() {
  co_await on_every_lane([](Lane& lane) -> Task<void> {
    lane.worker->close_idle();
    co_return;
  });
}

void GatewayLanes::verdict_changed() {
  for (const auto& lane : lanes_) {
    if (lane == lanes_.front()) {
      lane->worker->refresh();
    } else {
      lane->loop.post([worker = lane->worker.get()] { worker->refresh(); });
    }
  }
  if (verdict_changed_) verdict_changed_();
}

// Runs a task on every lane, each on its own thread, and returns when the last has ended. Not cancellable: it ends
// when the tasks do. On the first lane.
Task<void> GatewayLanes::on_every_lane(const std::function<Task<void>(Lane&)>& task) {
  struct Gather {
    net::Loop& loop;
    net::Condition one_ended;
    std::size_t left;
  };
  struct There {
    static Task<void> run(Lane& lane, const std::function<Task<void>(Lane&)>& task, Gather& gather,
                          net::EpollLoop& home) {
      co_await task(lane);
      home.post([&gather] {
        --gather.left;
        gather.one_ended.notify_all();
      });
    }
    static Task<void> wait(Gather& gather) {
      while (gather.left > 0) (void)co_await gather.one_ended.wait();
    }
  };
  Gather gather{loop(), net::Condition(loop()), lanes_.size() - 1};
  for (std::size_t i = 1; i < lanes_.size(); ++i) {
    lanes_[i]->loop.post(
        [this, &lane = *lanes_[i], &task, &gather] { lane.loop.start(There::run(lane, task, gather, loop())); });
  }
  CancelScope shield;
  co_await task(*lanes_.front()).under(shield);
  co_await There::wait(gather).under(shield);
}

}  // namespace nines::app
