#include "app/environment.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace nines::app {
namespace {

Result<std::string> read_secret(const config::Secret& secret, const std::string& folder) {
  if (secret.source() == config::Secret::Source::kEnvironment) {
    const char* const value = std::getenv(secret.name().c_str());
    if (value == nullptr)
      return failure(Code::kNotFound,
                     "the environment variable " + secret.name() + " is not set; set it where nines is started");
    return value;
  }
  const std::string path = secret.name().starts_with('/') ? secret.name() : folder + "/" + secret.name();
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) return failure(Code::kNotFound, "cannot read the secret in " + path);
  std::string value = text.str();
  // Editors end files with a newline; no secret in an environment variable does.
  while (value.ends_with('\n') || value.ends_with('\r')) value.pop_back();
  if (value.find('\0') != std::string::npos)
    return failure(Code::kInvalid, path + " contains a NUL byte, which no environment variable can hold");
  return value;
}

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> environment_of(const config::Replicas& replicas,
                                                                        const std::string& folder) {
  std::vector<std::pair<std::string, std::string>> environment;
  for (const auto& [name, value] : replicas.env) {
    if (const auto* const text = std::get_if<std::string>(&value)) {
      environment.emplace_back(name, *text);
      continue;
    }
    auto secret = read_secret(std::get<config::Secret>(value), folder);
    if (!secret) return failure(std::move(secret.error()).in("replicas.env." + name));
    environment.emplace_back(name, std::move(*secret));
  }
  return environment;
}

}  // namespace nines::app
