#include "config/values.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>

#include "base/check.h"
#include "base/text.h"

namespace nines::config {
namespace {

constexpr std::string_view kDurationHint =
    "write one number and one unit of ms, s, m, h or d, such as 250ms, 1.5s or 10m";

struct Unit {
  std::string_view name;
  Duration size;
};
constexpr std::array kUnits = {Unit{"d", 24h}, Unit{"h", 1h}, Unit{"m", 1min}, Unit{"s", 1s}, Unit{"ms", 1ms}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower_or_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'z'); }

// "12.50" taken apart: whole 12, parts 50, scale 100.
struct Decimal {
  std::uint64_t whole = 0, parts = 0, scale = 1;
};

std::optional<Decimal> parse_decimal(std::string_view text) {
  const auto point = text.find('.');
  const auto whole = parse_unsigned(text.substr(0, point));
  if (!whole) return std::nullopt;
  if (point == std::string_view::npos) return Decimal{.whole = *whole};
  const std::string_view after = text.substr(point + 1);
  const auto parts = parse_unsigned(after);
  if (!parts || after.size() > 15) return std::nullopt;
  Decimal decimal{.whole = *whole, .parts = *parts};
  for (std::size_t i = 0; i < after.size(); ++i) decimal.scale *= 10;
  return decimal;
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

Checked<std::uint16_t> parse_port(std::string_view text) {
  const auto port = parse_unsigned(text);
  if (port == 0U) return wrong("port 0 would be a different port at every start", "choose one from 1 to 65535");
  if (!port || *port > 65535) return wrong(quoted(text) + " is not a port", "a port is a number from 1 to 65535");
  return static_cast<std::uint16_t>(*port);
}

// The address as inet_ntop writes it, so that equal addresses are equal text.
std::optional<std::string> canonical_ip(int family, const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  std::array<char, INET6_ADDRSTRLEN> out{};
  if (inet_pton(family, text.c_str(), bytes.data()) != 1) return std::nullopt;
  if (inet_ntop(family, bytes.data(), out.data(), out.size()) == nullptr) return std::nullopt;
  return std::string(out.data());
}

}  // namespace

Checked<Duration> parse_duration(std::string_view text) {
  const auto number_end = std::find_if(text.begin(), text.end(), [](char c) { return !is_digit(c) && c != '.'; });
  const auto digits = static_cast<std::size_t>(number_end - text.begin());
  const std::string_view unit_name = trim(text.substr(digits));
  if (text.starts_with('-')) return wrong(quoted(text) + " is negative", "a duration is 0s or more");
  const auto number = parse_decimal(text.substr(0, digits));
  if (!number) return wrong(quoted(text) + " is not a duration", std::string(kDurationHint));
  if (unit_name.empty()) {
    return wrong(quoted(text) + " has no unit",
                 "add one, such as " + quoted(std::string(text.substr(0, digits)) + "s"));
  }
  const auto unit = std::ranges::find(kUnits, unit_name, &Unit::name);
  if (unit == kUnits.end()) {
    return wrong(quoted(text) + " has no unit known here, " + quoted(unit_name), std::string(kDurationHint));
  }
  // 128 bits: 64 for the number times 47 for a day in nanoseconds cannot overflow.
  const auto size = static_cast<__int128>(unit->size.count());
  const __int128 parts = size * number->parts;
  if (parts % number->scale != 0) return wrong(quoted(text) + " is finer than a nanosecond", "leave out digits");
  const __int128 total = size * number->whole + parts / number->scale;
  if (total > Duration::max().count()) return wrong(quoted(text) + " is longer than 292 years", "use less");
  return Duration{static_cast<Duration::rep>(total)};
}

std::string write_duration(Duration d) {
  INVARIANT(d >= 0s);
  if (d == 0s) return "0s";
  for (const Unit& unit : kUnits) {
    if (d % unit.size == 0s) return std::to_string(d / unit.size) + std::string(unit.name);
  }
  std::string parts = std::to_string((d % 1ms).count());
  parts.insert(0, 6 - parts.size(), '0');
  return std::to_string(d / 1ms) + "." + parts.substr(0, parts.find_last_not_of('0') + 1) + "ms";
}

Checked<double> parse_objective(std::string_view text) {
  const std::string_view whole = trim(text);
  const std::string fix = "write a percentage above 0% and below 100%, such as 99.9%";
  if (!whole.ends_with('%')) return wrong(quoted(text) + " has no % sign", fix);
  const std::string_view number = trim(whole.substr(0, whole.size() - 1));
  const bool decimal = std::ranges::all_of(number, [](char c) { return is_digit(c) || c == '.'; });
  if (!decimal || number.empty() || !is_digit(number.front()) || !is_digit(number.back())) {
    return wrong(quoted(text) + " is not a percentage", fix);
  }
  // The shift by two places happens in decimal: 99.9 / 100 in binary is not the double next to 0.999.
  const std::string scaled = std::string(number) + "e-2";
  double fraction = 0;
  const auto [end, error] = std::from_chars(scaled.data(), scaled.data() + scaled.size(), fraction);
  if (error != std::errc{} || end != scaled.data() + scaled.size()) {
    return wrong(quoted(text) + " is not a percentage", fix);
  }
  if (!(fraction > 0 && fraction < 1)) return wrong(quoted(text) + " cannot be an objective", fix);
  return fraction;
}

Checked<double> parse_number(std::string_view text, double max) {
  const std::string fix = "write digits, and a point before decimals, at most " + write_number(max);
  const bool decimal = std::ranges::all_of(text, [](char c) { return is_digit(c) || c == '.'; });
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (!decimal || text.empty() || !is_digit(text.front()) || !is_digit(text.back()) || error != std::errc{} ||
      end != text.data() + text.size())
    return wrong(quoted(text) + " is not a number", fix);
  if (number > max) return wrong(quoted(text) + " is out of bounds", fix);
  return number;
}

std::string write_number(double number) {
  INVARIANT(number >= 0);
  std::array<char, 512> buffer{};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, std::chars_format::fixed);
  INVARIANT(error == std::errc{});
  return {buffer.data(), end};
}

Checked<double> parse_dollars(std::string_view text) {
  const std::string_view whole = trim(text);
  if (!whole.starts_with('$')) return wrong(quoted(text) + " has no $ sign", "write dollars, such as $0.01");
  auto amount = parse_number(whole.substr(1), bounds::kDollars);
  if (!amount) amount.error().fix = "write dollars without commas, such as $0.01 or $1200, at most $1000000000000";
  return amount;
}

std::string write_dollars(double dollars) { return "$" + write_number(dollars); }

Checked<> check_zone_name(std::string_view text) {
  const std::string fix = "write a name of the IANA database, such as Europe/Stockholm or UTC";
  const auto allowed = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '+' ||
           c == '/';
  };
  if (text.empty() || text.size() > bounds::kZoneBytes || !std::ranges::all_of(text, allowed) || text.front() == '/' ||
      text.back() == '/' || text.contains("//"))
    return wrong(quoted(text) + " is no time zone", fix);
  return {};
}

std::string write_objective(double fraction) {
  INVARIANT(fraction > 0 && fraction < 1);
  std::array<char, 512> buffer{};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), fraction, std::chars_format::fixed);
  INVARIANT(error == std::errc{});
  std::string digits = std::string(buffer.data(), end).substr(2);  // 0.999 -> 999
  if (digits.size() < 2) digits.append(2 - digits.size(), '0');
  std::string percent = digits.substr(0, 2);
  if (percent.front() == '0') percent.erase(0, 1);
  if (digits.size() > 2) percent += "." + digits.substr(2);
  return percent + "%";
}

Checked<Address> parse_address(std::string_view text) {
  const std::string fix = "write an IP address and a port, such as 127.0.0.1:8000 or \":8000\"";
  if (contains(text, "://")) return wrong(quoted(text) + " is a URL", fix);
  if (!text.empty() && std::ranges::all_of(text, is_digit)) return wrong(quoted(text) + " is only a port", fix);
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong(quoted(text) + " has no port", fix);
  std::string host(text.substr(0, colon));
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (text.ends_with(']'))
    return wrong(quoted(text) + " has no port", "write it as " + quoted(std::string(text) + ":8000"));
  if (!bracketed && contains(host, ":")) {
    return wrong(quoted(text) + " does not say where the address ends",
                 "write IPv6 as \"[::1]:8000\", with the quotes");
  }
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::unexpected(port.error());

  if (host.empty()) host = "0.0.0.0";
  if (host == "localhost") host = "127.0.0.1";
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto ip =
      contains(host, std::string_view("\0", 1)) ? std::nullopt : canonical_ip(bracketed ? AF_INET6 : AF_INET, host);
  if (!ip) return wrong(quoted(host) + " is not an IP address", "names are not looked up here; " + fix);
  return Address{*ip, *port};
}

std::string Launch::program() const {
  if (container) return container->image;
  return command.empty() ? std::string() : command.front();
}

bool Launch::by_socket() const {
  return std::ranges::any_of(command, [](const std::string& argument) { return contains(argument, "{socket}"); });
}

std::string Address::text() const { return (is_ipv6() ? "[" + ip + "]" : ip) + ":" + std::to_string(port); }

Checked<> check_service_name(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 63 && text.front() != '-' &&
                    std::ranges::all_of(text, [](char c) { return is_lower_or_digit(c) || c == '-'; });
  if (good) return {};
  return wrong(quoted(text) + " is not a service name",
               "use 1 to 63 of a-z, 0-9 and -, and begin with a letter or digit, such as language-id");
}

Checked<> check_request_path(std::string_view path) {
  if (!path.starts_with('/')) return wrong(quoted(path) + " is not a path", "a path starts with /");
  if (path.size() > bounds::kPathBytes) {
    return wrong("this path is longer than " + std::to_string(bounds::kPathBytes) + " bytes", "shorten it");
  }
  if (!std::ranges::all_of(path, [](char c) { return c > ' ' && c < 0x7f; })) {
    return wrong(quoted(path) + " has characters no URL has", "write them as %20 and the like");
  }
  if (contains(path, "#")) return wrong(quoted(path) + " has a fragment", "leave out # and what follows");
  return {};
}

Checked<> check_route_path(std::string_view path) {
  const auto checked = check_request_path(path);
  if (!checked) return checked;
  if (contains(path, "?"))
    return wrong(quoted(path) + " has a query", "a route is a path; leave out ? and what follows");
  return {};
}

Checked<> check_text(std::string_view text) {
  if (contains(text, std::string_view("\0", 1))) {
    return wrong("this text has a zero byte", "no program can receive one; remove it");
  }
  if (text.size() > bounds::kTextBytes) {
    return wrong("this text is longer than " + std::to_string(bounds::kTextBytes) + " bytes", "put it into a file");
  }
  return {};
}

Checked<> check_command(const std::vector<std::string>& command) {
  const std::string example = "such as [my-server, --port, \"{port}\"]";
  if (command.empty() || command.front().empty()) return wrong("the command names no program", "write one, " + example);
  if (command.size() > bounds::kArguments) {
    return wrong("the command has more than " + std::to_string(bounds::kArguments) + " arguments", "use a script");
  }
  const auto has = [&](std::string_view part) {
    return std::ranges::any_of(command, [&](const std::string& argument) { return contains(argument, part); });
  };
  if (has("{port}") && has("{socket}"))
    return wrong("the command has both {port} and {socket}", "a replica is reached by one of them; remove the other");
  if (has("{port}") || has("{socket}")) return {};
  for (const std::string_view almost : {"{PORT}", "{Port}", "{ port }", "{prot}", "{ports}"}) {
    if (has(almost)) return wrong("the command has no {port}", "write {port} where it says " + std::string(almost));
  }
  for (const std::string_view almost : {"{SOCKET}", "{Socket}", "{ socket }", "{sock}", "{uds}"}) {
    if (has(almost)) return wrong("the command has no {socket}", "write {socket} where it says " + std::string(almost));
  }
  return wrong("the command has no {port}",
               "say where the port goes, " + example +
                   ", or {socket} for a Unix socket; for a server that reads a variable: [sh, -c, \"PORT={port} exec "
                   "my-server\"]");
}

namespace {

struct SizeUnit {
  std::string_view name;
  std::uint64_t size;
};
constexpr std::array kSizeUnits = {SizeUnit{"TiB", 1ULL << 40}, SizeUnit{"GiB", 1ULL << 30},
                                   SizeUnit{"MiB", 1ULL << 20}, SizeUnit{"KiB", 1ULL << 10}, SizeUnit{"B", 1}};

}  // namespace

Checked<std::uint64_t> parse_size(std::string_view text) {
  const std::string hint = "write one whole number and one unit of B, KiB, MiB, GiB or TiB, such as 32KiB";
  const auto digits = static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
  const auto number = parse_unsigned(text.substr(0, digits));
  const std::string_view unit_name = trim(text.substr(digits));
  if (!number) return wrong(quoted(text) + " is not a size", hint);
  if (unit_name.empty())
    return wrong(quoted(text) + " has no unit", "add one, such as " + quoted(std::string(text) + "KiB"));
  const auto unit = std::ranges::find(kSizeUnits, unit_name, &SizeUnit::name);
  if (unit == kSizeUnits.end()) return wrong(quoted(text) + " has no unit known here, " + quoted(unit_name), hint);
  if (*number > UINT64_MAX / unit->size) return wrong(quoted(text) + " is more than any machine has", "use less");
  return *number * unit->size;
}

std::string write_size(std::uint64_t bytes) {
  for (const SizeUnit& unit : kSizeUnits)
    if (bytes % unit.size == 0 && bytes >= unit.size) return std::to_string(bytes / unit.size) + std::string(unit.name);
  return "0B";
}

Checked<int> parse_percent(std::string_view text, Bounds<int> bounds) {
  const auto percent = [](int n) { return std::to_string(n) + "%"; };
  const std::string fix = "write a whole percentage from " + percent(bounds.min) + " to " + percent(bounds.max);
  const std::string_view whole = trim(text);
  if (!whole.ends_with('%')) return wrong(quoted(text) + " has no % sign", fix);
  const auto number = parse_unsigned(trim(whole.substr(0, whole.size() - 1)));
  if (!number) return wrong(quoted(text) + " is not a whole percentage", fix);
  if (*number < static_cast<std::uint64_t>(bounds.min) || *number > static_cast<std::uint64_t>(bounds.max))
    return wrong(quoted(text) + " is out of bounds", fix);
  return static_cast<int>(*number);
}

Checked<bool> parse_truth(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return wrong(quoted(text) + " is neither true nor false", "write true or false");
}

Checked<Network> parse_network(std::string_view text) {
  const std::string fix = "write an address, or one and a number of bits, such as 10.0.0.0/8 or \"fd00::/8\"";
  const auto slash = text.find('/');
  const std::string host(text.substr(0, slash));
  const bool v6 = contains(host, ":");
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  if (contains(host, std::string_view("\0", 1)) || inet_pton(v6 ? AF_INET6 : AF_INET, host.c_str(), bytes.data()) != 1)
    return wrong(quoted(host) + " is not an IP address", fix);
  const int most = v6 ? 128 : 32;
  const auto prefix =
      slash == std::string_view::npos ? std::optional<std::uint64_t>(most) : parse_unsigned(text.substr(slash + 1));
  if (!prefix || *prefix > static_cast<std::uint64_t>(most))
    return wrong(quoted(text.substr(slash + 1)) + " is no number of bits",
                 "it must be from 0 to " + std::to_string(most));
  for (int bit = static_cast<int>(*prefix); bit < most; ++bit) {
    if ((bytes[static_cast<std::size_t>(bit / 8)] >> (7 - bit % 8) & 1) != 0)
      return wrong(quoted(text) + " has bits behind its prefix",
                   "name the network's first address, or /" + std::to_string(most));
  }
  return Network{*canonical_ip(v6 ? AF_INET6 : AF_INET, host), static_cast<int>(*prefix)};
}

std::string Network::text() const { return ip + "/" + std::to_string(prefix); }

Checked<Address> parse_endpoint(std::string_view text) {
  auto address = parse_address(text);
  const std::string fix = "write the IP address and the port of a server, such as 10.0.0.5:8000";
  if (!address) {
    const auto colon = text.rfind(':');
    const std::string_view host = text.substr(0, colon);
    const bool name = colon != std::string_view::npos && !host.empty() && !contains(host, ":") &&
                      !contains(text, "/") &&
                      !std::ranges::all_of(host, [](char c) { return is_digit(c) || c == '.'; }) &&
                      parse_port(text.substr(colon + 1));
    if (name)
      return wrong(quoted(host) + " is a name, and names are not looked up in this version of nines",
                   "write its IP address, such as 10.0.0.5" + std::string(text.substr(colon)));
    address.error().fix = fix;
    return address;
  }
  if (address->ip == "0.0.0.0" || address->ip == "::")
    return wrong(quoted(text) + " is every address, and no server", fix);
  return address;
}

Checked<> check_field_name(std::string_view name) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  const auto fits = [&](char c) {
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || kMarks.find(c) != std::string_view::npos;
  };
  if (!name.empty() && name.size() <= bounds::kFieldNameBytes && std::ranges::all_of(name, fits)) return {};
  return wrong(quoted(name) + " is not the name of a header", "write one, such as X-Session-Id");
}

Checked<> check_content_type(std::string_view type) {
  const bool printable = std::ranges::all_of(type, [](char c) { return c >= ' ' && c < 0x7f; });
  if (printable && contains(type, "/") && type.size() <= bounds::kFieldNameBytes && trim(type) == type) return {};
  return wrong(quoted(type) + " is not a content type", "write one, such as application/json");
}

Checked<> check_json_pointer(std::string_view pointer) {
  const std::string fix = "write where in the answer, such as /label or /choices/0/text";
  if (pointer.empty()) return {};
  if (!pointer.starts_with('/')) return wrong(quoted(pointer) + " is not a JSON pointer", fix);
  for (std::size_t at = pointer.find('~'); at != std::string_view::npos; at = pointer.find('~', at + 1)) {
    if (at + 1 == pointer.size() || (pointer[at + 1] != '0' && pointer[at + 1] != '1'))
      return wrong(quoted(pointer) + " has a ~ that stands for nothing", "write ~0 for ~ and ~1 for / inside a key");
  }
  if (pointer.size() > bounds::kPathBytes) return wrong("this pointer is too long", fix);
  return check_text(pointer);
}

Checked<> check_file_path(std::string_view path) {
  if (path.empty()) return wrong("this path is empty", "name a file or folder");
  if (contains(path, std::string_view("\0", 1))) return wrong("this path has a zero byte", "remove it");
  if (path.size() <= bounds::kPathBytes) return {};
  return wrong("this path is longer than " + std::to_string(bounds::kPathBytes) + " bytes", "shorten it");
}

Checked<> check_file_name(std::string_view path) {
  if (const auto checked = check_file_path(path); !checked) return checked;
  const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  if (name.empty() || name == "." || name == "..")
    return wrong(quoted(path) + " names a folder", "name the file in it, such as data/app.db");
  return {};
}

Checked<TimeOfDay> parse_time_of_day(std::string_view text) {
  const std::string fix = "write hours and minutes of a day in quotes, from \"00:00\" to \"23:59\"";
  const auto colon = text.find(':');
  const auto hour = parse_unsigned(text.substr(0, colon));
  if (colon == std::string_view::npos || colon > 2 || !hour || *hour > 23 || text.size() - colon != 3)
    return wrong(quoted(text) + " is not a time of day", fix);
  const auto minute = parse_unsigned(text.substr(colon + 1));
  if (!minute || *minute > 59) return wrong(quoted(text) + " is not a time of day", fix);
  return TimeOfDay{static_cast<int>(*hour), static_cast<int>(*minute)};
}

std::string TimeOfDay::text() const {
  const auto two = [](int n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  return two(hour) + ":" + two(minute);
}

Checked<> check_variable_name(std::string_view name) {
  const auto fits = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (!name.empty() && name.size() <= 255 && !is_digit(name.front()) && std::ranges::all_of(name, fits)) return {};
  return wrong(quoted(name) + " is not a variable's name", "use letters, digits and _, and begin with no digit");
}

Checked<EnvironmentValue> parse_environment_value(std::string_view text) {
  if (const auto checked = check_text(text); !checked) return std::unexpected(checked.error());
  if (text.starts_with("env:")) {
    const std::string_view name = text.substr(4);
    if (const auto checked = check_variable_name(name); !checked) return std::unexpected(checked.error());
    return Secret(Secret::Source::kEnvironment, std::string(name));
  }
  if (text.starts_with("file:")) {
    if (text.size() == 5) return wrong("\"file:\" names no file", "write file:PATH");
    return Secret(Secret::Source::kFile, std::string(text.substr(5)));
  }
  return std::string(text);
}

}  // namespace nines::config
