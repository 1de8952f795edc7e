#include "app/state_file.h"

#include <fcntl.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/fd.h"
#include "base/text.h"
#include "storage/files.h"

namespace nines::app {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kVersion = 1;

json::object to_json(const plane::Route& r) {
  return {{"name", r.name},
          {"incarnation", r.incarnation},
          {"pid", r.pid},
          {"start_time", r.start_time},
          {"port", r.port},
          {"ipv6", r.ipv6 != 0},
          {"socket", r.socket},
          {"state", r.state},
          {"listening", r.listening != 0},
          {"ordered", r.ordered != 0},
          {"restarts", r.restarts},
          {"crashes_in_row", r.crashes_in_row},
          {"since_ns", r.since_ns},
          {"spawned_ns", r.spawned_ns},
          {"release", r.release}};
}

// Throws what Boost.JSON throws when a key is missing or of another type: the file is torn then, whatever it says.
plane::Route replica_of(const json::object& o) {
  plane::Route r;
  plane::set_field(r.name, std::string(o.at("name").as_string()));
  r.incarnation = o.at("incarnation").to_number<std::uint64_t>();
  r.pid = o.at("pid").to_number<std::uint32_t>();
  r.start_time = o.at("start_time").to_number<std::uint64_t>();
  r.port = o.at("port").to_number<std::uint16_t>();
  r.ipv6 = o.at("ipv6").as_bool() ? 1 : 0;
  if (const json::value* const socket = o.if_contains("socket")) plane::set_field(r.socket, socket->as_string());
  r.state = o.at("state").to_number<std::uint8_t>();
  r.listening = o.at("listening").as_bool() ? 1 : 0;
  r.ordered = o.at("ordered").as_bool() ? 1 : 0;
  r.restarts = o.at("restarts").to_number<std::uint64_t>();
  r.crashes_in_row = o.at("crashes_in_row").to_number<std::uint32_t>();
  r.since_ns = o.at("since_ns").to_number<std::int64_t>();
  r.spawned_ns = o.at("spawned_ns").to_number<std::int64_t>();
  if (const json::value* const release = o.if_contains("release")) r.release = release->to_number<std::uint32_t>();
  return r;
}

Result<SavedState> parse(const std::string& text, const std::string& path) try {
  const json::object o = json::parse(text).as_object();
  if (o.at("version").to_number<std::uint64_t>() != kVersion)
    return failure(Code::kInvalid, path + " is of another version of nines");
  SavedState state{.boot_id = std::string(o.at("boot_id").as_string()),
                   .fingerprint = std::string(o.at("fingerprint").as_string()),
                   .next_incarnation = o.at("next_incarnation").to_number<std::uint64_t>(),
                   .replicas = {}};
  for (const json::value& replica : o.at("replicas").as_array())
    state.replicas.push_back(replica_of(replica.as_object()));
  return state;
} catch (const std::exception& torn) {
  return failure(Code::kInvalid, path + " is damaged: " + torn.what());
}

Result<std::string> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return failure(Code::kNotFound, "there is no " + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// By a rename, and not waiting for the disk: it is good for one boot, and written often.
Result<> replace(const std::string& path, std::string_view content) {
  const std::string fresh = path + ".new";
  const Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!file) return failure(os_error(errno, "write " + path));
  if (auto written = storage::write_all(file.get(), content, "write " + path); !written) return written;
  if (::rename(fresh.c_str(), path.c_str()) != 0) return failure(os_error(errno, "write " + path));
  return {};
}

// FNV-1a: nobody gains by a collision, since the configuration is the user's own.
std::string hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return std::to_string(value);
}

}  // namespace

std::string this_boot() {
  static const std::string kId = [] {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string text;
    std::getline(file, text);
    return text;
  }();
  return kId;
}

bool SavedState::is_of_this_boot() const { return boot_id == this_boot() && !boot_id.empty(); }

const plane::Route* SavedState::find(std::string_view name) const {
  for (const plane::Route& replica : replicas) {
    if (replica.name == name) return &replica;
  }
  return nullptr;
}

std::string fingerprint_of(const std::string& folder, const config::Launch& launch) {
  // Not by to_yaml(): a later version writes more keys, and its replicas are still the same.
  std::string what = folder;
  const auto add = [&what](const std::string& text) { what += '\0' + text; };
  for (const std::string& argument : launch.command) add(argument);
  if (const auto& container = launch.container) {
    add("container " + container->image);
    add(container->network == config::Container::Network::kHost ? "host" : std::to_string(container->port));
    add(std::to_string(container->memory) + " " + std::to_string(container->cpu_percent));
    for (const std::string& word : container->command) add(word);
    for (const std::string& volume : container->volumes) add("volume " + volume);
  }
  if (launch.directory) add("directory " + *launch.directory);
  if (launch.user) add("user " + *launch.user);
  for (const auto& [name, value] : launch.env) {
    const auto* const secret = std::get_if<config::Secret>(&value);
    add(name);
    add(secret != nullptr ? "secret " + secret->reference() : "text " + std::get<std::string>(value));
  }
  return hash(what);
}

Result<SavedState> load_state(const std::string& path) {
  const auto text = read(path);
  return text ? parse(*text, path) : failure(text.error());
}

Result<> save_state(const std::string& path, const SavedState& state) {
  json::array replicas;
  for (const plane::Route& replica : state.replicas) replicas.push_back(to_json(replica));
  const json::object object{{"version", kVersion},
                            {"boot_id", state.boot_id},
                            {"fingerprint", state.fingerprint},
                            {"next_incarnation", state.next_incarnation},
                            {"replicas", std::move(replicas)}};
  return replace(path, json::serialize(object) + "\n");
}

Wish wish_in(const Wishes& wishes, std::string_view name) {
  const auto found = wishes.find(name);
  return found == wishes.end() ? Wish() : found->second;
}

Wish wish_found_in(const plane::Route& route, int configured) {
  constexpr const char* kSomebody = "a person";  // whose name was in the file
  Wish wish;
  if (route.held != 0) wish.stopped_by = kSomebody;
  if (route.name[0] == '\0' || route.weight == configured) return wish;
  if (route.weight == 0) {
    wish.drained_by = kSomebody;
  } else {
    wish.weight = route.weight;
  }
  return wish;
}

Result<Wishes> load_wishes(const std::string& path) {
  const auto text = read(path);
  if (!text) return failure(text.error());
  const auto damaged = failure(Code::kInvalid, path + " is damaged");
  boost::system::error_code bad;
  const json::value value = json::parse(*text, bad);
  if (bad || !value.is_object()) return damaged;
  Wishes wishes;
  for (const auto& [name, of_one] : value.as_object()) {
    if (!of_one.is_object()) return damaged;
    Wish& wish = wishes[name];
    for (const auto& [key, wanted] : of_one.as_object()) {
      if (key == "weight") {
        if (!wanted.is_int64()) return damaged;
        wish.weight = static_cast<int>(
            std::clamp<std::int64_t>(wanted.as_int64(), config::bounds::kWeight.min, config::bounds::kWeight.max));
      } else if (key == "stopped_by" || key == "drained_by") {
        if (!wanted.is_string()) return damaged;
        (key == "stopped_by" ? wish.stopped_by : wish.drained_by) = wanted.as_string();
      }
    }
  }
  return wishes;
}

Result<> save_wishes(const std::string& path, const Wishes& wishes) {
  json::object object;
  for (const auto& [name, wish] : wishes) {
    json::object of_one;
    if (!wish.stopped_by.empty()) of_one["stopped_by"] = wish.stopped_by;
    if (!wish.drained_by.empty()) of_one["drained_by"] = wish.drained_by;
    if (wish.weight) of_one["weight"] = *wish.weight;
    if (!of_one.empty()) object[name] = std::move(of_one);
  }
  return storage::write_file_atomically(path, json::serialize(object) + "\n", 0640);
}

}  // namespace nines::app
