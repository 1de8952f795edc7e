// The dashboard: one HTML page without scripts and without anything from elsewhere, so that it works when everything
// else is down and can be saved. Pure. Every text is escaped, whoever wrote it.
#pragma once

#include <string>

#include "web/view.h"

namespace nines::web {

struct PageOptions {
  bool refreshes = true;  // by itself, every two seconds. False: it stays as it is, for whoever reads slowly
};

std::string page(const View& view, PageOptions options = {});

}  // namespace nines::web
