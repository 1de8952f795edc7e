// One value from text, as the file and the command line write it. Complaints name the value and what to do, not
// the key: whoever knows the key says it first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "config/config.h"
#include "config/problem.h"

namespace nines::config {

// "250ms", "1.5s", "10m", "2h", "7d": one number and one unit, exact to the nanosecond, never negative.
Checked<Duration> parse_duration(std::string_view text);

// The shortest text parse_duration() reads back as the same value. REQUIRES d >= 0.
std::string write_duration(Duration d);

// "99.9%" or "99.9 %" -> 0.999, the nearest double to the decimal fraction; above 0 and below 1.
Checked<double> parse_objective(std::string_view text);

// The percentage parse_objective() reads back as the same double. REQUIRES 0 < fraction < 1.
std::string write_objective(double fraction);

// "127.0.0.1:8000", "[::1]:8000", "localhost:8000" (127.0.0.1), ":8000" (0.0.0.0: every IPv4 address).
Checked<Address> parse_address(std::string_view text);

// [a-z0-9][a-z0-9-]{0,62}: a DNS label, fit for file names and metric labels.
Checked<> check_service_name(std::string_view text);

// Words as a shell would split them, with quotes and backslashes but without expansions; what a shell would
// expand or interpret is refused rather than passed on as if nothing were meant.
Checked<std::vector<std::string>> split_words(std::string_view text);

// Starts with '/', printable ASCII without spaces and '#', at most bounds::kPathBytes.
Checked<> check_request_path(std::string_view path);
// ... and without a query.
Checked<> check_route_path(std::string_view path);

// A single argument or environment value: no NUL, at most bounds::kTextBytes.
Checked<> check_text(std::string_view text);
// The command as a whole: a program, at most bounds::kArguments, and either "{port}" or "{socket}" somewhere.
Checked<> check_command(const std::vector<std::string>& command);

// "512B", "32KiB", "64MiB", "1GiB", "1TiB": one whole number and one unit.
Checked<std::uint64_t> parse_size(std::string_view text);
// The shortest text parse_size() reads back as the same value.
std::string write_size(std::uint64_t bytes);

// "20%": whole percent.
Checked<int> parse_percent(std::string_view text, Bounds<int> bounds);

Checked<bool> parse_truth(std::string_view text);

// "10.0.0.0/8", "10.1.2.3", "fd00::/8". Bits behind the prefix are refused: they are a mistake more often than not.
Checked<Network> parse_network(std::string_view text);

// An address that can be connected to: IP and port, no name, not every address at once.
Checked<Address> parse_endpoint(std::string_view text);

// A token of RFC 9110, at most bounds::kFieldNameBytes.
Checked<> check_field_name(std::string_view name);
// The value of a header field: printable ASCII, at most bounds::kFieldNameBytes.
Checked<> check_content_type(std::string_view type);
// RFC 6901: empty, or parts that begin with '/' in which '~' is followed by 0 or 1.
Checked<> check_json_pointer(std::string_view pointer);

// The path of a file or folder, as written: not empty, no NUL, at most bounds::kPathBytes.
Checked<> check_file_path(std::string_view path);
// ... of a file: it ends in a name.
Checked<> check_file_name(std::string_view path);

// "02:00", "2:00": an hour and a minute of a day.
Checked<TimeOfDay> parse_time_of_day(std::string_view text);

// "$0.01", "$1200": dollars, at most bounds::kDollars.
Checked<double> parse_dollars(std::string_view text);
// The shortest text parse_dollars() reads back as the same double. REQUIRES 0 <= dollars.
std::string write_dollars(double dollars);
// "4", "0.5": digits and perhaps a point, at most `max`; and the shortest text that is read back as the same double.
Checked<double> parse_number(std::string_view text, double max);
std::string write_number(double number);

// The form of an IANA name, such as "Europe/Stockholm": fit for a path below a folder. Not whether there is such one.
Checked<> check_zone_name(std::string_view text);

Checked<> check_variable_name(std::string_view name);
// "env:NAME" and "file:PATH" become a Secret, anything else stays text.
Checked<EnvironmentValue> parse_environment_value(std::string_view text);

}  // namespace nines::config
