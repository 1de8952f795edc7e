#include "app/backup_schedule.h"

#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>

#include "base/test_support.h"

namespace nines::app {
namespace {

// A mount whose server is gone: whoever asks it waits until it comes back.
class Hanging final : public storage::Destination {
 public:
  Result<std::unique_ptr<storage::Upload>> put(const std::string&) override { return failure(Code::kIo, ""); }
  Result<std::unique_ptr<storage::Download>> open(const std::string&) override { return failure(Code::kIo, ""); }
  Result<std::vector<storage::Object>> list() override {
    std::unique_lock lock(mutex_);
    ++asked_;
    changed_.wait(lock, [this] { return back_; });
    return std::vector<storage::Object>{{.name = "backup-20261123-020000.tar.zst"}};
  }
  Result<> remove(const std::string&) override { return failure(Code::kIo, ""); }
  std::string where() const override { return "/hangs"; }
  std::string where(const std::string& name) const override { return "/hangs/" + name; }

  void come_back() {
    const std::lock_guard lock(mutex_);
    back_ = true;
    changed_.notify_all();
  }
  int asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool back_ = false;
  int asked_ = 0;
};

struct Stage {
  testing::Folder folder;
  net::EpollLoop loop;
  Service service;
  std::shared_ptr<Hanging> hanging = std::make_shared<Hanging>();
  std::unique_ptr<BackupSchedule> schedule;
  CancelScope until_ended;

  Stage() {
    service.paths.folder = service.paths.state = folder.path();
    std::filesystem::create_directory(folder / "backups");
    folder.file("backups/backup-20261124-020000.tar.zst", "");
    service.config.backups = {{.to = "hangs"}, {.to = "backups"}};
    schedule = std::make_unique<BackupSchedule>(loop, service,
                                                [this](std::string where) -> std::shared_ptr<storage::Destination> {
                                                  if (where.ends_with("hangs")) return hanging;
                                                  return storage::open_directory(std::move(where));
                                                });
  }
  ~Stage() { hanging->come_back(); }

  // Runs the schedule until this holds.
  template <class Condition>
  bool runs_until(Condition condition) {
    TaskGroup group;
    CancelScope scope;
    group.start(schedule->run().under(scope));
    const bool held = testing::eventually([&] {
      loop.turn(loop.now() + 2ms);
      return condition();
    });
    scope.cancel();
    CHECK(testing::eventually([&] {
      if (!group.empty()) loop.turn(loop.now() + 2ms);
      return group.empty();
    }));
    return held;
  }
};

TEST_CASE("backup schedule: a destination that hangs holds up neither the loop, nor the others, nor our end") {
  Stage stage;
  CHECK(stage.runs_until([&] { return stage.schedule->archives().size() == 1 && stage.hanging->asked() == 1; }));
  CHECK(stage.schedule->archives()[0].archive == "backup-20261124-020000.tar.zst");
  stage.schedule.reset();  // with its thread still in list()
}

TEST_CASE("backup schedule: a destination that comes back is seen") {
  Stage stage;
  CHECK(stage.runs_until([&] {
    if (stage.schedule->archives().size() == 1) stage.hanging->come_back();
    return stage.schedule->archives().size() == 2;
  }));
  CHECK(stage.schedule->archives()[0].archive == "backup-20261124-020000.tar.zst");
}

}  // namespace
}  // namespace nines::app
