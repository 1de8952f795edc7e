// The service's status, painted over itself each second.
#pragma once

#include "service.h"

namespace nines::demo {

// Until cancelled (kCancelled), or the service is gone: why it gives no status.
Task<Result<>> show_live(net::Loop& loop, Service& service);

}  // namespace nines::demo
