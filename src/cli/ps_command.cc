#include <boost/json.hpp>
#include <cstdio>

#include "cli/commands.h"
#include "cli/render.h"
#include "cli/target.h"

namespace nines::cli {
namespace {

// The part of the status that is about processes, as the service said it.
std::string processes_only(const std::string& status) {
  boost::system::error_code error;
  const auto all = boost::json::parse(status, error);
  boost::json::object part;
  if (error || !all.is_object()) return "{}";
  for (const char* key : {"service", "supervisor", "gateway", "keeper", "replicas"}) {
    if (const auto* value = all.as_object().if_contains(key)) part[key] = *value;
  }
  return boost::json::serialize(part);
}

}  // namespace

int perform(const GlobalOptions& global, const PsOptions& options) {
  const auto paths = find_service(global);
  if (!paths) return say(paths.error());
  const auto answer = ask_service(*paths, {.target = "/v1/status"});
  if (!answer) return say(answer.error());
  const auto status = parse_status(*answer);
  if (!status) return say(refuse(kNo, status.error().text()).error());
  if (options.json) return say({kDone, processes_only(*answer)});
  std::fputs(render_processes(*status, style_here()).c_str(), stdout);
  return kDone;
}

}  // namespace nines::cli
