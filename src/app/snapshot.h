// The active configuration as nines' processes inherit it: text in a memfd, which no editor changes under them.
#pragma once

#include "base/error.h"
#include "config/config.h"

namespace nines::app {

Result<config::Config> config_of_snapshot(int fd);

}  // namespace nines::app
