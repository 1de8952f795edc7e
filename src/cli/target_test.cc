#include "cli/target.h"

#include <doctest/doctest.h>

namespace nines::cli {
namespace {

TEST_CASE("target: a replica is named exactly, and a wrong name gets the nearest") {
  const std::vector<std::string> names = {"a-1", "a-2", "a-10"};
  CHECK(choose_replica("a-10", names).value() == "a-10");
  CHECK(choose_replica("a-3", names).error().text == "nines: there is no replica `a-3`; did you mean `a-1`?");
  CHECK(choose_replica("frontend", names).error().text ==
        "nines: there is no replica `frontend`; there are a-1, a-2, a-10");
  CHECK(choose_replica("a-1", {}).error().text == "nines: there is no replica `a-1`; there is none at all");
  CHECK(choose_replica("a-3", names).error().exit_status == kWrong);
}

TEST_CASE("target: why nobody answers decides the exit status") {
  const app::Paths paths{.config_file = "/x/nines.yaml", .folder = "/x", .state = "/x/.nines", .run = "/run/n"};
  struct Row {
    Code code;
    std::optional<std::int64_t> holder;
    int exit_status;
    const char* contains;
  };
  const Row rows[] = {
      {Code::kUnavailable, std::nullopt, kNotRunning, "not running (state folder /x/.nines): `nines up` starts it"},
      {Code::kUnavailable, 47, kNo, "the supervisor, pid 47, is just starting or ending"},
      {Code::kTimedOut, 47, kNo, "`kill -CONT 47` wakes it"},
      {Code::kTimedOut, 0, kNo, "nines: the supervisor does not answer"},
      {Code::kClosed, 47, kNo, "does not answer (boom)"},
      {Code::kRefused, 47, kNo, "nines: boom"},
      {Code::kNotFound, 47, kWrong, "nines: boom"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.contains);
    const Reply reply = explain(Error(row.code, "boom"), paths, row.holder);
    CHECK(reply.exit_status == row.exit_status);
    CHECK(reply.text.contains(row.contains));
  }
}

}  // namespace
}  // namespace nines::cli
