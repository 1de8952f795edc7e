// split_words(): a command written as one string.
#include <optional>

#include "config/values.h"

namespace nines::config {
namespace {

class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  Checked<std::vector<std::string>> run() {
    while (at_ < text_.size() && !complaint_) step();
    if (!complaint_ && quote_ != 0) {
      complaint_ =
          Complaint{std::string("a ") + quote_ + " is never closed", "close it, or write the command as a list"};
    }
    if (complaint_) return std::unexpected(*complaint_);
    end_word();
    return std::move(words_);
  }

 private:
  void step() {
    const char c = text_[at_++];
    if (quote_ != 0 && c == quote_) {
      quote_ = 0;
    } else if (quote_ == '\'') {
      add(c);
    } else if (c == '\\') {
      escape();
    } else if (means_something(c)) {
      complaint_ =
          Complaint{std::string(1, c) + " means something to a shell, and no shell runs this command",
                    "put it in single quotes if it is meant as it stands, or ask for a shell: [\"sh\", \"-c\", \"…\"]"};
    } else if (quote_ == '"') {
      add(c);
    } else if (c == '\'' || c == '"') {
      quote_ = c;
      word_ = word_ ? word_ : std::string();  // '' is a word too
    } else if (c == ' ' || c == '\t' || c == '\n') {
      end_word();
    } else {
      add(c);
    }
  }

  // Between double quotes a shell expands only $ and `; ~ and # are special only where a word begins.
  bool means_something(char c) const {
    constexpr std::string_view kEverywhere = "$`", kUnquoted = "|&;<>*?[]()", kAtStart = "~#";
    if (kEverywhere.find(c) != std::string_view::npos) return true;
    if (quote_ != 0) return false;
    return kUnquoted.find(c) != std::string_view::npos || (!word_ && kAtStart.find(c) != std::string_view::npos);
  }

  // Between double quotes a backslash escapes only what would be special there.
  void escape() {
    if (at_ == text_.size()) {
      complaint_ = Complaint{"the command ends in a backslash", "remove it, or write the command as a list"};
      return;
    }
    const char next = text_[at_++];
    if (quote_ == '"' && std::string_view("\"\\$`").find(next) == std::string_view::npos) add('\\');
    add(next);
  }

  void add(char c) {
    if (!word_) word_.emplace();
    *word_ += c;
  }
  void end_word() {
    if (word_) words_.push_back(*std::move(word_));
    word_.reset();
  }

  std::string_view text_;
  std::size_t at_ = 0;
  char quote_ = 0;  // the open quote, or 0
  std::optional<std::string> word_;
  std::vector<std::string> words_;
  std::optional<Complaint> complaint_;
};

}  // namespace

Checked<std::vector<std::string>> split_words(std::string_view text) { return Splitter(text).run(); }

}  // namespace nines::config
