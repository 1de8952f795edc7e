#include "normalize.h"

#include <algorithm>
#include <array>

namespace nines::language_id {
namespace {

constexpr char32_t kInvalid = 0xFFFD;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Takes one code point off the front; kInvalid for what is none.
char32_t take(std::string_view& text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xC2 ? 0
                             : first < 0xE0 ? 2
                             : first < 0xF0 ? 3
                             : first < 0xF5 ? 4
                                            : 0;
  if (length <= 1 || text.size() < length) {
    text.remove_prefix(1);
    return length == 1 ? first : kInvalid;
  }
  char32_t code = first & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[i])) {
      text.remove_prefix(i);
      return kInvalid;
    }
    code = (code << 6) | (static_cast<unsigned char>(text[i]) & 0x3FU);
  }
  text.remove_prefix(length);
  return code;
}

void append(std::string& out, char32_t code) {
  const auto tail = [&](unsigned shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

// Latin, Greek and Cyrillic. Not towlower(): a model must not depend on the locale of the machine it runs on.
char32_t lower(char32_t c) {
  const auto within = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
  if (within('A', 'Z')) return c + 0x20;
  if (c < 0xC0) return c;
  if (within(0xC0, 0xDE)) return c == 0xD7 ? c : c + 0x20;
  if (c == 0x130) return 'i';    // İ
  if (c == 0x178) return 0xFF;   // Ÿ
  if (c == 0x1E9E) return 0xDF;  // ẞ
  if (within(0x139, 0x148) || within(0x179, 0x17E)) return c % 2 == 1 ? c + 1 : c;
  if (within(0x100, 0x137) || within(0x14A, 0x177) || within(0x1E00, 0x1EFF)) return c == 0x131 ? c : c | 1;
  if (within(0x391, 0x3A9)) return c + 0x20;
  if (within(0x400, 0x40F)) return c + 0x50;
  if (within(0x410, 0x42F)) return c + 0x20;
  if (within(0x460, 0x481) || within(0x48A, 0x4BF) || within(0x4D0, 0x52F)) return c | 1;
  return c;
}

struct Range {
  char32_t first, last;
};
template <std::size_t N>
bool in_any(char32_t c, const std::array<Range, N>& ranges) {
  return std::ranges::any_of(ranges, [c](Range r) { return c >= r.first && c <= r.last; });
}

// What may stand inside a word unseen: combining marks, soft hyphen, zero-width characters, variation selectors.
constexpr std::array<Range, 6> kIgnored{
    {{0x300, 0x36F}, {0xAD, 0xAD}, {0x200B, 0x200F}, {0x2060, 0x206F}, {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}}};

// Punctuation, digits, symbols, private use: a rough cut outside the alphabets of the corpus.
constexpr std::array<Range, 12> kNoLetters{{{0x00, 0x60},
                                            {0x7B, 0xA9},
                                            {0xAB, 0xB4},
                                            {0xB6, 0xB9},
                                            {0xBB, 0xBF},
                                            {0xD7, 0xD7},
                                            {0xF7, 0xF7},
                                            {0x2000, 0x2BFF},
                                            {0x3000, 0x3003},
                                            {0xE000, 0xF8FF},
                                            {0xFF00, 0xFF20},
                                            {0x1F000, 0x10FFFF}}};

// A combining mark, and letters in pairs: without it, with it. macOS hands text over in that form.
struct Composition {
  char32_t mark;
  std::u32string_view pairs;
};
constexpr std::array<Composition, 11> kCompositions{{{0x300, U"aàeèiìoòuù"},
                                                     {0x301, U"aáeéiíoóuúyýcćnńsśzź"},
                                                     {0x302, U"aâeêiîoôuû"},
                                                     {0x303, U"aãnñoõ"},
                                                     {0x306, U"gğий"},
                                                     {0x307, U"zż"},
                                                     {0x308, U"aäeëiïoöuüyÿеё"},
                                                     {0x30A, U"aå"},
                                                     {0x30C, U"sšzžcč"},
                                                     {0x327, U"cçsş"},
                                                     {0x328, U"aąeę"}}};

char32_t compose(char32_t letter, char32_t mark) {
  for (const Composition& known : kCompositions) {
    if (known.mark != mark) continue;
    for (std::size_t i = 0; i < known.pairs.size(); i += 2) {
      if (known.pairs[i] == letter) return known.pairs[i + 1];
    }
  }
  return letter;
}

}  // namespace

std::string normalize(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool word_ended = false;
  std::size_t last_at = 0;  // of the last letter in `out`
  char32_t last = 0;
  while (!text.empty()) {
    const char32_t c = lower(take(text));
    if (c == kInvalid) continue;
    if (in_any(c, kIgnored)) {
      if (last == 0 || word_ended) continue;
      last = compose(last, c);
      out.resize(last_at);
    } else if (in_any(c, kNoLetters)) {
      word_ended = true;
      continue;
    } else {
      if (word_ended && !out.empty()) out += ' ';
      word_ended = false;
      last_at = out.size();
      last = c;
    }
    append(out, last);
  }
  return out;
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return !is_continuation(c); }));
}

}  // namespace nines::language_id
