#include <cstdio>

#include "cli/commands.h"

namespace nines::cli {

int say(const Reply& reply) {
  std::fprintf(reply.exit_status == kDone ? stdout : stderr, "%s\n", reply.text.c_str());
  return reply.exit_status;
}

}  // namespace nines::cli
