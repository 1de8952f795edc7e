// A secret in the configuration is only ever a reference: `env:NAME` or `file:PATH`. This type knows where the
// value is and never holds it, so no snapshot, message or log can show it; who needs the value reads it at the
// moment of use.
#pragma once

#include <cstdint>
#include <string>

namespace nines::config {

class Secret {
 public:
  enum class Source : std::uint8_t { kEnvironment, kFile };

  Secret(Source source, std::string name) : source_(source), name_(std::move(name)) {}

  Source source() const { return source_; }
  // The variable's name, or the path, relative to the configuration file's folder.
  const std::string& name() const { return name_; }
  // As written in the file: "env:NAME", "file:PATH".
  std::string reference() const { return (source_ == Source::kEnvironment ? "env:" : "file:") + name_; }

  bool operator==(const Secret&) const = default;

 private:
  Source source_;
  std::string name_;
};

}  // namespace nines::config
