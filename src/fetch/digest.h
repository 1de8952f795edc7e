// Hashes of bytes in memory, as signed requests need them.
#pragma once

#include <string>
#include <string_view>

namespace nines::fetch {

std::string sha256(std::string_view bytes);  // 32 raw bytes
std::string md5(std::string_view bytes);     // 16 raw bytes; S3 asks for it as a checksum, it protects from nobody
std::string hmac_sha256(std::string_view key, std::string_view bytes);
std::string hex(std::string_view raw);  // lower case
std::string base64(std::string_view raw);

}  // namespace nines::fetch
