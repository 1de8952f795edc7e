// Text, model and training.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "model.h"
#include "normalize.h"
#include "sha256.h"
#include "test_support.h"

namespace nines::language_id {
namespace {

using testing::Folder;
using testing::Program;
using testing::write_file;

TEST_CASE("normalize: what is no letter parts words, what is one is lower case") {
  struct Row {
    std::string why;
    std::string text;
    std::string expected;
  };
  const Row rows[] = {
      {"nothing", "", ""},
      {"no letters", " 12,5 % !?\n\t€ 🙂 ", ""},
      {"words", "Guten Morgen", "guten morgen"},
      {"punctuation and digits part words", "Ja,nein...3mal", "ja nein mal"},
      {"an apostrophe parts them, too", "s'il l’eau", "s il l eau"},
      {"space is one space, and none around", " \r\n a \t\t b ", "a b"},
      {"Latin-1", "ÀÉÎÕÜßÇÑØ", "àéîõüßçñø"},
      {"multiplication is no letter", "3×4÷2 a×b", "a b"},
      {"capital sharp s", "GROẞ", "groß"},
      {"Latin Extended-A", "ĄĆĘŁŃŚŹŻ Şğ ŽŠ Ÿ", "ąćęłńśźż şğ žš ÿ"},
      {"Turkish İ, I and ı", "İSTANBUL IŞIK ılık", "istanbul işik ılık"},
      {"Cyrillic", "ПРИВЕТ, Ёжик! Ђ", "привет ёжик ђ"},
      {"Greek", "ΑΩ", "αω"},
      {"quotes of all kinds", "«Да» „Ja“ “yes” ¿Qué? ¡Sí!", "да ja yes qué sí"},
      {"letters typed with combining marks", "Schu\u0308ler e\u0301te\u0301 и\u0306 c\u0327a I\u0307yi",
       "schüler été й ça iyi"},
      {"a mark we have no letter for", "x\u0301y", "xy"},
      {"a mark after nothing", "\u0301a \u0301b", "a b"},
      {"soft hyphen and zero width inside a word", "Gu\u00ADten\u200B Tag", "guten tag"},
      {"a byte order mark", "\uFEFFhej", "hej"},
      {"other scripts stay", "你好, שלום", "你好 שלום"},
      {"bytes that are no UTF-8", "a\xff\xc3 b\xe2\x82", "a b"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(normalize(row.text) == row.expected);
    CHECK(normalize(normalize(row.text)) == row.expected);
  }
  CHECK(normalize(std::string_view("a\0b", 3)) == "a b");
}

TEST_CASE("characters are counted, not bytes") {
  CHECK(count_characters("") == 0);
  CHECK(count_characters("aé你🙂") == 4);
}

TEST_CASE("SHA-256 and its file") {
  CHECK(sha256_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const Folder folder;
  const std::string file = folder / "m";
  const std::string digest = sha256_of("abc");
  struct Row {
    std::string why;
    std::string content;
    bool good;
  };
  std::string upper = digest;
  std::ranges::transform(upper, upper.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
  const Row rows[] = {
      {"as written here", checksum_line(digest, file), true},
      {"binary mode", digest + " *m\n", true},
      {"no line end", digest + "  m", true},
      {"upper case", upper + "  m\n", true},
      {"empty", "", false},
      {"no name", digest + "\n", false},
      {"an empty name", digest + "  ", false},
      {"short", digest.substr(1) + "  m\n", false},
      {"long", "0" + digest + "  m\n", false},
      {"not hexadecimal", "g" + digest.substr(1) + "  m\n", false},
      {"two lines", digest + "  m\n" + digest + "  m\n", false},
  };
  CHECK(read_checksum(file).error().code() == Code::kNotFound);
  for (const Row& row : rows) {
    CAPTURE(row.why);
    write_file(file + ".sha256", row.content);
    const auto read = read_checksum(file);
    REQUIRE(read.has_value() == row.good);
    if (row.good) {
      CHECK(*read == digest);
    } else {
      CHECK(read.error().code() == Code::kInvalid);
    }
  }
}

TEST_CASE("a model that is missing, unchecked, damaged or none is refused") {
  const Folder folder;
  const std::string path = folder / "m.ftz";
  const std::string bytes = read_file(LANGUAGE_ID_MODEL).value();
  const auto refused = [&](Code code) {
    const auto model = Model::load(path);
    return !model && model.error().code() == code;
  };
  CHECK(refused(Code::kNotFound));
  write_file(path, bytes);
  CHECK(refused(Code::kNotFound));  // the checksum
  write_file(path + ".sha256", "nonsense");
  CHECK(refused(Code::kInvalid));
  write_file(path + ".sha256", checksum_line(sha256_of(bytes), path));
  const auto good = Model::load(path);
  REQUIRE(good);
  CHECK((*good)->name() == "language-id@" + sha256_of(bytes).substr(0, 12));

  std::string damaged = bytes;
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
  write_file(path, damaged);
  CHECK(refused(Code::kInvalid));
  for (const std::string& other :
       {std::string(), std::string("not a model at all"), bytes.substr(0, bytes.size() - 1)}) {
    write_file(path, other);
    write_file(path + ".sha256", checksum_line(sha256_of(other), path));
    CHECK(refused(Code::kInvalid));
  }
}

TEST_CASE("a text without letters has no language") {
  const auto model = Model::load(LANGUAGE_ID_MODEL);
  REQUIRE(model);
  CHECK_FALSE((*model)->classify("").has_value());
  CHECK_FALSE((*model)->classify("12:30 – 14:00").has_value());
  CHECK((*model)->classify("é").has_value());
  CHECK((*model)->classify("__label__fi </s> 你好").has_value());
}

TEST_CASE("held-out accuracy") {
  const auto model = Model::load(LANGUAGE_ID_MODEL);
  REQUIRE(model);
  std::size_t right = 0, all = 0;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(LANGUAGE_ID_CORPUS "/held-out")) files.push_back(entry);
  std::ranges::sort(files);
  REQUIRE(files.size() == 12);
  for (const auto& path : files) {
    const std::string code = path.stem().string();
    std::size_t mine = 0, lines = 0;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line); ++lines) {
      const auto verdict = (*model)->classify(line);
      REQUIRE(verdict);
      CHECK(verdict->confidence > 0);
      CHECK(verdict->confidence <= 1);
      mine += verdict->label == code ? 1 : 0;
    }
    MESSAGE(code << ": " << mine << " of " << lines);
    right += mine;
    all += lines;
  }
  const double accuracy = static_cast<double>(right) / static_cast<double>(all);
  MESSAGE("all: " << right << " of " << all << ", " << 100 * accuracy << " %, model of "
                  << std::filesystem::file_size(LANGUAGE_ID_MODEL) << " bytes");
  CHECK(accuracy >= 0.97);
}

TEST_CASE("no sentence is both trained on and held out") {
  for (const auto& entry : std::filesystem::directory_iterator(LANGUAGE_ID_CORPUS "/held-out")) {
    std::ifstream trained(LANGUAGE_ID_CORPUS "/train/" + entry.path().filename().string());
    std::vector<std::string> known;
    for (std::string line; std::getline(trained, line);) known.push_back(normalize(line));
    std::ifstream held_out(entry.path());
    for (std::string line; std::getline(held_out, line);) {
      CAPTURE(line);
      CHECK(std::ranges::find(known, normalize(line)) == known.end());
    }
  }
}

TEST_CASE("training again gives the same file, byte for byte") {
  const Folder folder;
  Program trainer({LANGUAGE_ID_TRAINER, LANGUAGE_ID_CORPUS "/train", folder / "sub/model.ftz"}, folder / "log");
  REQUIRE(trainer.exit_status() == 0);
  CHECK(trainer.log().empty());
  const bool same = read_file(folder / "sub/model.ftz").value() == read_file(LANGUAGE_ID_MODEL).value();
  CHECK(same);
  CHECK(read_file(folder / "sub/model.ftz.sha256").value() == read_file(LANGUAGE_ID_MODEL ".sha256").value());
}

}  // namespace
}  // namespace nines::language_id
