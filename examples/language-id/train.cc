// language-id-train CORPUS MODEL: trains on CORPUS/LANG.txt (one sentence a line), writes MODEL and MODEL.sha256.
//
// The same corpus gives the same file, byte for byte, on the same machine: one thread, one seed, sentences in a fixed
// order. (Another processor may round differently in the C library's exp and log.)
#include <fasttext/fasttext.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "normalize.h"
#include "sha256.h"

namespace nines::language_id {
namespace {

namespace fs = std::filesystem;

struct Language {
  std::string code;
  std::vector<std::string> sentences;
};

std::vector<Language> read_corpus(const fs::path& folder) {
  std::vector<Language> corpus;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".txt") continue;
    Language& language = corpus.emplace_back(entry.path().stem().string());
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      if (std::string words = normalize(line); !words.empty()) language.sentences.push_back(std::move(words));
    }
    if (language.sentences.empty()) throw std::runtime_error(entry.path().string() + " has no sentences");
  }
  if (corpus.size() < 2) throw std::runtime_error(folder.string() + " has no two languages to tell apart");
  std::ranges::sort(corpus, {}, &Language::code);
  return corpus;
}

// fastText takes the lines as they come, so the languages take turns: sorted by language it would learn the last best.
void write_training_file(const std::vector<Language>& corpus, const fs::path& path) {
  std::ofstream out(path);
  for (std::size_t i = 0, written = 1; written > 0; ++i) {
    written = 0;
    for (const Language& language : corpus) {
      if (i >= language.sentences.size()) continue;
      out << "__label__" << language.code << ' ' << language.sentences[i] << '\n';
      ++written;
    }
  }
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

fasttext::Args training_arguments(const fs::path& input) {
  fasttext::Args args;
  args.input = input.string();
  args.model = fasttext::model_name::sup;
  args.loss = fasttext::loss_name::softmax;
  args.lr = 1.0;
  args.epoch = 50;
  args.dim = 16;
  args.minn = 2;
  args.maxn = 5;
  args.bucket = 30'000;  // n-grams share rows by hash: decides the size of the model
  // No word is kept as a word, only its n-grams: smaller, and better on the words a small corpus has not seen.
  args.minCount = 1'000'000;
  args.minCountLabel = 0;
  args.thread = 1;
  args.seed = 1;
  args.verbose = 0;
  return args;
}

void train(const fs::path& corpus, const fs::path& model) {
  if (model.has_parent_path()) fs::create_directories(model.parent_path());
  const fs::path sentences = model.string() + ".train.txt";
  const fs::path unfinished = model.string() + ".new";
  write_training_file(read_corpus(corpus), sentences);
  fasttext::FastText classifier;
  fasttext::Args args = training_arguments(sentences);
  classifier.train(args);
  args.qnorm = true;
  args.dsub = 2;
  classifier.quantize(args);
  classifier.saveModel(unfinished.string());
  fs::remove(sentences);

  const auto bytes = read_file(unfinished);
  if (!bytes) throw std::runtime_error(bytes.error().text());
  std::ofstream checksum(checksum_path(model));
  checksum << checksum_line(sha256_of(*bytes), model);
  if (!checksum.flush()) throw std::runtime_error("cannot write " + checksum_path(model).string());
  fs::rename(unfinished, model);
}

}  // namespace
}  // namespace nines::language_id

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: language-id-train CORPUS_FOLDER MODEL_FILE\n", stderr);
    return 2;
  }
  try {
    nines::language_id::train(argv[1], argv[2]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "language-id-train: %s\n", e.what());
    return 1;
  }
}
