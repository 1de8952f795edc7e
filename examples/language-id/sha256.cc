#include "sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>

#include "base/check.h"

namespace nines::language_id {
namespace {

constexpr std::size_t kDigits = 64;

bool is_digest(std::string_view text) {
  return text.size() == kDigits && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

char lower(char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::string sha256_of(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  INVARIANT(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) == 1);
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < length; ++i) {
    text += kHex[digest[i] >> 4];
    text += kHex[digest[i] & 15];
  }
  return text;
}

std::filesystem::path checksum_path(const std::filesystem::path& file) { return file.string() + ".sha256"; }

Result<std::string> read_checksum(const std::filesystem::path& file) {
  const std::filesystem::path path = checksum_path(file);
  auto text = read_file(path);
  if (!text) return text;
  std::string digest = text->substr(0, kDigits);
  const std::string rest = text->substr(digest.size());
  const bool one_line = rest.find('\n') >= rest.size() - 1;  // at the end, or not there
  if (!is_digest(digest) || !(rest.starts_with("  ") || rest.starts_with(" *")) || rest.size() < 3 || !one_line) {
    return failure(Code::kInvalid, path.string() + " is no checksum file: expected one line as `sha256sum` writes it");
  }
  std::ranges::transform(digest, digest.begin(), lower);
  return digest;
}

std::string checksum_line(std::string_view digest, const std::filesystem::path& file) {
  return std::string(digest) + "  " + file.filename().string() + "\n";
}

Result<std::string> read_file(const std::filesystem::path& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return failure(os_error(errno, path.string()));
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  if (file.bad()) return failure(os_error(errno != 0 ? errno : EIO, path.string()));
  return bytes;
}

}  // namespace nines::language_id
