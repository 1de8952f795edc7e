// Text as the model sees it. The trainer and the server share this file: a model is only as good as the agreement
// between the two.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nines::language_id {

// Words of lower-case letters with one space between them; digits, punctuation, symbols and emoji only part words.
// Letters typed as base and combining mark become the one letter the corpus has. Empty when there is no letter.
//
// The language is what is asked for, so case cannot depend on it: İ and I both become i, ı stays.
//
// Takes UTF-8; bytes that are not are skipped.
std::string normalize(std::string_view text);

// Code points, not bytes. REQUIRES: valid UTF-8.
std::size_t count_characters(std::string_view text);

}  // namespace nines::language_id
