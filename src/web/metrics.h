// The counters there are in the text format of Prometheus, version 0.0.4. Pure. Names and meanings:
// docs/internals/web.md. What cannot be read at this moment has no sample: a gap is honest, a zero is not.
#pragma once

#include <string>
#include <string_view>

#include "web/view.h"

namespace nines::web {

inline constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

std::string metrics(const View& view);

}  // namespace nines::web
