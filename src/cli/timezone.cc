#include "cli/timezone.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/text.h"
#include "config/values.h"

namespace nines::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileMax = 256 * 1024, kNamesMax = 5000;

// The database has copies of itself for other ways to count ("posix", "right"), and lists.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(folder, error);
       !error && entry != fs::recursive_directory_iterator() && names.size() < kNamesMax; entry.increment(error)) {
    const std::string name = fs::path(entry->path()).lexically_relative(folder).string();
    if (name == "posix" || name == "right") entry.disable_recursion_pending();
    if (name.find('.') == std::string::npos && entry->is_regular_file(error)) names.push_back(name);
  }
  return names;
}

std::string nearest_to(const std::string& typed, const std::string& folder) {
  const std::vector<std::string> names = names_in(folder);
  // People type the city.
  for (const std::string& name : names) {
    const std::string_view city = std::string_view(name).substr(name.rfind('/') + 1);
    if (equals_ignoring_case(city, typed) || equals_ignoring_case(name, typed)) return name;
  }
  std::vector<std::string_view> all(names.begin(), names.end());
  if (const auto meant = nearest(typed, all)) return std::string(*meant);
  for (std::string_view& name : all) name.remove_prefix(name.rfind('/') + 1);
  const auto city = nearest(typed, all);
  return city ? names[static_cast<std::size_t>(std::ranges::find(all, *city) - all.begin())] : "";
}

}  // namespace

config::Checked<availability::Zone> find_zone(const std::string& name, const std::string& folder) {
  if (name == "UTC") return availability::Zone();
  if (const auto checked = config::check_zone_name(name); !checked) return std::unexpected(checked.error());
  const fs::path path = fs::path(folder) / name;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    const std::string meant = nearest_to(name, folder);
    return config::wrong(config::quoted(name) + " is no time zone that is known here",
                         !meant.empty()              ? "did you mean " + config::quoted(meant) + "?"
                         : fs::exists(folder, error) ? "such as Europe/Stockholm or UTC"
                                                     : folder + " is missing: install the package tzdata, or take UTC");
  }
  std::ifstream file(path, std::ios::binary);
  std::string bytes(kFileMax, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  auto zone = availability::Zone::parse(name, bytes);
  if (!zone) return config::wrong(zone.error().text(), "install the package tzdata again, or take UTC");
  return std::move(*zone);
}

std::string local_text(WallTime t, const availability::Zone& zone) {
  const std::chrono::seconds offset = zone.offset_at(t);
  std::string text = format_rfc3339(t + offset).substr(0, 19);
  text[10] = ' ';
  if (offset == 0s) return text + "Z";
  const auto minutes = std::chrono::abs(std::chrono::duration_cast<std::chrono::minutes>(offset)).count();
  std::array<char, 16> east{};
  std::snprintf(east.data(), east.size(), "%c%02d:%02d", offset < 0s ? '-' : '+', static_cast<int>(minutes / 60),
                static_cast<int>(minutes % 60));
  return text + east.data();
}

}  // namespace nines::cli
