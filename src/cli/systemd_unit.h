// The unit under which systemd keeps `nines up` running, for `nines export systemd`. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "app/paths.h"
#include "base/error.h"
#include "config/config.h"

namespace nines::cli {

struct UnitFacts {
  std::string program;              // this program, absolute
  app::Paths paths;                 // of the service; all absolute
  bool state_given = false;         // paths.state is no default, so the command has to name it
  std::optional<std::string> user;  // who runs it; nullopt: root
  std::string home;                 // of that user, absolute; empty: not known
};

// "NAME.service"
std::string unit_name(const config::Config& config);

// `config.service` is set. kInvalid: a path has a control character, for which units have no notation everywhere; or
// the program's has a quote or a backslash, with which systemd starts none.
Result<std::string> systemd_unit(const config::Config& config, const UnitFacts& facts);

// How a unit writes a value that is no list, such as a path: what would be a specifier (%) is none, and neither its end
// nor a backslash there gets lost.
std::string unit_path(std::string_view path);
// The same as a word of a list: in quotes where that is needed.
std::string unit_word(std::string_view text);
// The same as an argument of a command, where also $ means something.
std::string unit_argument(std::string_view text);

}  // namespace nines::cli
