#include "app/state_file.h"

#include <sys/stat.h>

#include <filesystem>
#include <sstream>

#include <doctest/doctest.h>

#include "base/test_support.h"

namespace nines::app {
namespace {

using testing::Folder;

plane::Route replica(const char* name, bool full) {
  plane::Route r;
  plane::set_field(r.name, name);
  if (!full) return r;
  r.incarnation = (1ULL << 53) + 1;
  r.pid = 4'194'304;
  r.start_time = 123456789;
  r.port = 29999;
  r.ipv6 = 1;
  r.state = 5;
  r.listening = 1;
  r.ordered = 1;
  r.restarts = 7;
  r.crashes_in_row = 3;
  r.since_ns = 99'000'000'001;
  r.spawned_ns = 98'000'000'001;
  return r;
}

SavedState state() {
  return {.boot_id = this_boot(),
          .fingerprint = "42",
          .next_incarnation = 17,
          .replicas = {replica("web-1", true), replica("web-2", false)}};
}

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_CASE("state file: what is written is read again, to the last field") {
  const Folder folder;
  const std::string path = folder / "state.json";
  for (int i = 0; i < 2; ++i) {  // also over another
    REQUIRE(save_state(path, state()));
    const auto loaded = load_state(path);
    REQUIRE(loaded);
    CHECK(loaded->boot_id == this_boot());
    CHECK(loaded->is_of_this_boot());
    CHECK(loaded->fingerprint == "42");
    CHECK(loaded->next_incarnation == 17);
    REQUIRE(loaded->replicas.size() == 2);
    for (std::size_t k = 0; k < 2; ++k) {
      const plane::Route wanted = state().replicas[k];
      CHECK(std::memcmp(&loaded->replicas[k], &wanted, sizeof wanted) == 0);
    }
    CHECK(loaded->find("web-2") == &loaded->replicas[1]);
    CHECK(loaded->find("web-3") == nullptr);
  }
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE("state file: of another boot, or of none, is not of this one") {
  SavedState other = state();
  CHECK(other.is_of_this_boot());
  other.boot_id = "5b7d2f6e-0000-4000-8000-000000000000";
  CHECK_FALSE(other.is_of_this_boot());
  other.boot_id = "";
  CHECK_FALSE(other.is_of_this_boot());
}

TEST_CASE("state file: cut anywhere it is damaged, and never half of a state") {
  const Folder folder;
  const std::string path = folder / "state.json";
  REQUIRE(save_state(path, state()));
  const std::string whole = read(path);
  for (std::size_t length = 0; length + 1 < whole.size(); ++length) {  // the last byte is a newline
    CAPTURE(length);
    const auto torn = load_state(folder.file("torn", whole.substr(0, length)));
    REQUIRE_FALSE(torn);
    CHECK(torn.error().code() == Code::kInvalid);
  }
}

TEST_CASE("state file: any byte of it may be wrong; it is read or refused, and nothing else") {
  const Folder folder;
  const std::string path = folder / "state.json";
  REQUIRE(save_state(path, state()));
  const std::string whole = read(path);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char wrong : {'\0', '"', '9', '-', '{', '\xff'}) {
      std::string text = whole;
      text[at] = wrong;
      const auto loaded = load_state(folder.file("wrong", text));
      if (!loaded) CHECK(loaded.error().code() == Code::kInvalid);
    }
  }
}

TEST_CASE("state file: what is none") {
  const Folder folder;
  CHECK(load_state(folder / "nothing").error().code() == Code::kNotFound);
  for (const std::string text :
       {"[]", "null", "{}", R"({"version": 2})", R"({"version": "1"})", "7", "{\"version\": 1}"}) {
    CAPTURE(text);
    CHECK(load_state(folder.file("other", text)).error().code() == Code::kInvalid);
  }
}

TEST_CASE("state file: what cannot be written leaves the one before as it was") {
  const Folder folder;
  const std::string path = folder / "state.json";
  REQUIRE(save_state(path, state()));
  const std::string before = read(path);
  std::filesystem::create_directory(path + ".new");
  SavedState next = state();
  next.next_incarnation = 18;
  CHECK_FALSE(save_state(path, next));
  CHECK(read(path) == before);
  CHECK_FALSE(save_state(folder / "no/such/folder", next));
}

TEST_CASE("state file: a person's wishes are read again, or damaged, and never half of them") {
  const Folder folder;
  const std::string path = folder / "wishes.json";
  const Wishes wishes{{"web-1", {.stopped_by = "nines stop (\"anna\")"}},
                      {"web-2", {.drained_by = "bert", .weight = 0}},
                      {"10.0.0.5:8000", {.weight = 1000}}};
  CHECK_FALSE(load_wishes(path));
  REQUIRE(save_wishes(path, wishes));
  CHECK(load_wishes(path) == wishes);
  const std::string whole = read(path);
  for (std::size_t length = 0; length + 1 < whole.size(); ++length) {
    CAPTURE(length);
    CHECK_FALSE(load_wishes(folder.file("torn", whole.substr(0, length))));
  }
  for (const char* damaged : {R"({"a": 1})", R"({"a": {"weight": "1"}})", R"({"a": {"stopped_by": 1}})"})
    CHECK_FALSE(load_wishes(folder.file("damaged", damaged)));
  CHECK(load_wishes(folder.file("later", R"({"a": {"x": "y", "weight": 5}})")) == Wishes{{"a", {.weight = 5}}});
  REQUIRE(save_wishes(path, {{"web-1", {}}}));
  CHECK(load_wishes(path) == Wishes());  // who wants nothing is not in it
  std::filesystem::create_directory(path + ".new");
  CHECK_FALSE(save_wishes(path, wishes));
  CHECK(load_wishes(path) == Wishes());
}

TEST_CASE("state file: without the file, wishes are what the record shows of them") {
  struct Row {
    std::string why;
    int held, weight, configured;
    Wish wish;
  };
  const Row rows[] = {
      {"none", 0, 100, 100, {}},
      {"stopped", 1, 100, 100, {.stopped_by = "a person"}},
      {"drained", 0, 0, 100, {.drained_by = "a person"}},
      {"both", 1, 0, 100, {.stopped_by = "a person", .drained_by = "a person"}},
      {"weighed", 0, 50, 100, {.weight = 50}},
      {"as configured", 0, 50, 50, {}},
      {"configured for nothing", 0, 0, 0, {}},
      {"against that", 0, 100, 0, {.weight = 100}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    plane::Route route{.held = static_cast<std::uint8_t>(row.held), .weight = static_cast<std::uint16_t>(row.weight)};
    const Wish nobody = wish_found_in(route, row.configured);
    CHECK(nobody.drained_by.empty());  // a record without a name is nobody's
    plane::set_field(route.name, "web-1");
    CHECK(wish_found_in(route, row.configured) == row.wish);
  }
}

TEST_CASE("state file: the fingerprint is of what replicas are started from") {
  const config::Launch launch = [] {
    config::Launch l;
    l.command = {"web", "{port}"};
    l.env["A"] = "1";
    return l;
  }();
  const std::string first = fingerprint_of("/srv/web", launch);
  CHECK(fingerprint_of("/srv/web", launch) == first);
  CHECK(fingerprint_of("/srv/other", launch) != first);
  const auto changed = [&](auto change) {
    config::Launch other = launch;
    change(other);
    return fingerprint_of("/srv/web", other) != first;
  };
  CHECK(changed([](config::Launch& l) { l.command.push_back("--fast"); }));
  CHECK(changed([](config::Launch& l) { l.env["A"] = "2"; }));
  CHECK(changed([](config::Launch& l) { l.directory = "elsewhere"; }));
  CHECK(changed([](config::Launch& l) { l.user = "api"; }));
}

}  // namespace
}  // namespace nines::app
