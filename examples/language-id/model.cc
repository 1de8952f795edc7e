#include "model.h"

#include <fasttext/fasttext.h>

#include <algorithm>
#include <exception>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "normalize.h"
#include "sha256.h"

namespace nines::language_id {
namespace {

constexpr std::string_view kLabelPrefix = "__label__";

}  // namespace

// fastText checks the first bytes of a file only when it opens the file itself, by a name, and the end of it never.
class Model::Classifier final : public fasttext::FastText {
 public:
  // What fastText throws.
  void load(std::istream& in) {
    if (!checkModel(in)) throw std::invalid_argument("it does not begin like one");
    loadModel(in);
    if (!in) throw std::invalid_argument("it ends too early");
  }
};

Model::Model(std::unique_ptr<Classifier> classifier, std::string name)
    : classifier_(std::move(classifier)), name_(std::move(name)) {}
Model::~Model() = default;

Result<std::unique_ptr<const Model>> Model::load(const std::filesystem::path& path) {
  auto bytes = read_file(path);
  if (!bytes) {
    return failure(Error(bytes.error().code(),
                         "there is no model to load: build it with `./dev build`, or name another with --model",
                         std::move(bytes.error())));
  }
  auto expected = read_checksum(path);
  if (!expected) {
    return failure(Error(expected.error().code(),
                         "the model cannot be checked: build it again, or write its checksum with `sha256sum`",
                         std::move(expected.error())));
  }
  const std::string digest = sha256_of(*bytes);
  if (digest != *expected) {
    return failure(Code::kInvalid, path.string() + " is damaged: its SHA-256 is " + digest + ", expected " + *expected +
                                       "; put the right file back, or build it again");
  }
  auto classifier = std::make_unique<Classifier>();
  try {
    std::istringstream in(std::move(*bytes));
    classifier->load(in);
  } catch (const std::exception& e) {
    return failure(Code::kInvalid, path.string() + " is no fastText model: " + e.what());
  }
  return std::unique_ptr<const Model>(new Model(std::move(classifier), "language-id@" + digest.substr(0, 12)));
}

std::optional<Verdict> Model::classify(std::string_view text) const {
  const std::string words = normalize(text);
  if (words.empty()) return std::nullopt;
  std::istringstream line(words + "\n");
  std::vector<std::pair<fasttext::real, std::string>> best;
  classifier_->predictLine(line, best, 1, 0);
  if (best.empty()) return std::nullopt;
  const auto& [probability, label] = best.front();
  // fastText keeps logarithms with a small offset against log(0): a certain answer comes out above 1.
  return Verdict{.label = label.substr(kLabelPrefix.size()),
                 .confidence = std::clamp(static_cast<double>(probability), 0.0, 1.0)};
}

}  // namespace nines::language_id
