#include "app/beacon.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <boost/json.hpp>

#include "base/text.h"

namespace nines::app {

namespace json = boost::json;

Result<Beacon> Beacon::open(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!file) return failure(os_error(errno, "open " + path));
  if (const int error = ::posix_fallocate(file.get(), 0, kSize); error != 0)
    return failure(os_error(error, "make room for " + path));
  return Beacon(std::move(file));
}

Result<> Beacon::renew(const SignOfLife& sign) {
  std::string line;
  std::string who = sign.stopped_by;
  do {
    const json::value value = {
        {"table", std::to_string(sign.table_id)}, {"boot", sign.boot_id}, {"until", sign.until}, {"stopped_by", who}};
    line = json::serialize(value);
    who.resize(who.size() / 2);
  } while (line.size() >= kSize && !who.empty());
  line.resize(kSize - 1, ' ');
  line += '\n';
  if (::pwrite(file_.get(), line.data(), line.size(), 0) != static_cast<ssize_t>(line.size()))
    return failure(os_error(errno, "renew the sign of life"));
  return {};
}

Result<SignOfLife> read_sign_of_life(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return failure(os_error(errno, "open " + path));
  std::array<char, Beacon::kSize> bytes{};
  const ssize_t size = ::pread(file.get(), bytes.data(), bytes.size(), 0);
  boost::system::error_code error;
  const json::value value = json::parse({bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))}, error);
  const json::object* const object = error ? nullptr : value.if_object();
  const auto text = [&](const char* key) -> const json::string* {
    const json::value* const found = object != nullptr ? object->if_contains(key) : nullptr;
    return found != nullptr ? found->if_string() : nullptr;
  };
  const json::value* const until = object != nullptr ? object->if_contains("until") : nullptr;
  const auto* const table = text("table");
  const auto* const boot = text("boot");
  const auto* const stopped_by = text("stopped_by");
  const auto id = table != nullptr ? parse_unsigned(*table) : std::nullopt;
  if (!id || boot == nullptr || stopped_by == nullptr || until == nullptr || !until->is_int64())
    return failure(Code::kInvalid, path + " is no sign of life of a service");
  return SignOfLife{*id, std::string(*boot), until->as_int64(), std::string(*stopped_by)};
}

}  // namespace nines::app
