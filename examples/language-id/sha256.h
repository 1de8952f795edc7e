// SHA-256, and the file beside a model that says what the model's is, as `sha256sum` writes it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace nines::language_id {

// 64 lower-case hexadecimal digits.
std::string sha256_of(std::string_view bytes);

// "model.ftz" -> "model.ftz.sha256"
std::filesystem::path checksum_path(const std::filesystem::path& file);

// One line: digest, two spaces (or a space and '*'), name. kNotFound, kIo, kInvalid: not of that form.
Result<std::string> read_checksum(const std::filesystem::path& file);
std::string checksum_line(std::string_view digest, const std::filesystem::path& file);

Result<std::string> read_file(const std::filesystem::path& path);

}  // namespace nines::language_id
