#include "gateway/client_address.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/text.h"

namespace nines::gateway {
namespace {

using Bytes = std::array<std::uint8_t, 16>;

std::optional<Bytes> bytes_of(std::string_view ip) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (ip.empty() || ip.size() >= text.size()) return std::nullopt;
  std::ranges::copy(ip, text.begin());
  Bytes bytes{};
  if (inet_pton(AF_INET6, text.data(), bytes.data()) == 1) return bytes;
  bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (inet_pton(AF_INET, text.data(), bytes.data() + 12) == 1) return bytes;
  return std::nullopt;
}

// "1.2.3.4:80" and "[::1]:80": some proxies add the port.
std::string_view without_port(std::string_view text) {
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    return end == std::string_view::npos ? text : text.substr(1, end - 1);
  }
  const auto colon = text.find(':');
  return colon != std::string_view::npos && colon == text.rfind(':') ? text.substr(0, colon) : text;
}

}  // namespace

Result<> Networks::add(const std::string& ip, int prefix) {
  const auto bytes = bytes_of(ip);
  const bool v6 = ip.find(':') != std::string::npos;
  if (!bytes || prefix < 0 || prefix > (v6 ? 128 : 32))
    return failure(Code::kInvalid, ip + "/" + std::to_string(prefix) + " is no network");
  networks_.push_back({*bytes, v6 ? prefix : prefix + 96});
  return {};
}

bool Networks::contain(std::string_view ip) const {
  if (networks_.empty()) return false;
  const auto bytes = bytes_of(ip);
  if (!bytes) return false;
  return std::ranges::any_of(networks_, [&](const Network& network) {
    const auto whole = static_cast<std::size_t>(network.prefix / 8);
    const int rest = network.prefix % 8;
    if (!std::equal(bytes->begin(), bytes->begin() + static_cast<std::ptrdiff_t>(whole), network.address.begin()))
      return false;
    return rest == 0 || ((*bytes)[whole] ^ network.address[whole]) >> (8 - rest) == 0;
  });
}

std::string client_address(std::string_view peer, std::string_view forwarded_for, const Networks& trusted) {
  std::string_view client = peer;
  while (trusted.contain(client) && !forwarded_for.empty()) {
    const auto comma = forwarded_for.rfind(',');
    const std::string_view before =
        without_port(trim(forwarded_for.substr(comma == std::string_view::npos ? 0 : comma + 1)));
    if (!bytes_of(before)) break;
    client = before;
    forwarded_for = forwarded_for.substr(0, comma == std::string_view::npos ? 0 : comma);
  }
  return std::string(client);
}

bool hands_on_forwarded(std::string_view peer, const Networks& trusted) {
  return trusted.empty() || trusted.contain(peer);
}

}  // namespace nines::gateway
