// The trained language identifier: a quantized fastText classifier over character n-grams.
//
// Thread: classify() changes nothing and may run anywhere.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace nines::language_id {

struct Verdict {
  std::string label;  // "de"
  double confidence = 0;
};

class Model {
 public:
  // Reads the model and the checksum beside it, and refuses one that is not what was trained: a flipped bit answers
  // wrongly without ever failing. The bytes that were checked are the bytes that are used. kNotFound, kInvalid, kIo.
  static Result<std::unique_ptr<const Model>> load(const std::filesystem::path& path);
  ~Model();

  // nullopt: the text has no letters. REQUIRES: UTF-8.
  std::optional<Verdict> classify(std::string_view text) const;

  // "language-id@" and the first 12 digits of the model's SHA-256.
  const std::string& name() const { return name_; }

 private:
  class Classifier;
  Model(std::unique_ptr<Classifier> classifier, std::string name);

  std::unique_ptr<Classifier> classifier_;
  std::string name_;
};

}  // namespace nines::language_id
