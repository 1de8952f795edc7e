#include "storage/destination.h"

namespace nines::storage {

Result<> check_name(const std::string& name) {
  const bool bad = name.empty() || name.front() == '.' || name.size() > 200 || name.find('/') != std::string::npos ||
                   name.find('\0') != std::string::npos;
  if (bad) return failure(Code::kInvalid, "\"" + name + "\" cannot be the name of a backup");
  return {};
}

}  // namespace nines::storage
