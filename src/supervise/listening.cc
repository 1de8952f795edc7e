#include "supervise/listening.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "supervise/procfs.h"
#include "supervise/sockets.h"

namespace nines::supervise {
namespace {

using Family = Listening::Family;

// A listening socket that a connection to 127.0.0.1 or ::1 could reach. Those on other addresses do not concern us.
struct Candidate {
  std::uint64_t inode;
  Family family;
  bool loopback;
  pid_t owner = 0;  // 0: no process of the replica
};

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

std::optional<Candidate> candidate_of(const ListeningSocket& socket) {
  const auto& words = socket.address;
  const std::uint32_t any = htonl(INADDR_ANY), loopback = htonl(INADDR_LOOPBACK);
  const bool mapped = socket.ipv6 && words[0] == 0 && words[1] == 0 && words[2] == htonl(0xFFFF);  // ::ffff:127.0.0.1
  if (!socket.ipv6 || mapped) {
    const std::uint32_t address = mapped ? words[3] : words[0];
    if (address != any && address != loopback) return std::nullopt;
    return Candidate{socket.inode, Family::kIpv4, address == loopback};
  }
  if (words[0] != 0 || words[1] != 0 || words[2] != 0) return std::nullopt;
  if (words[3] != 0 && words[3] != htonl(1)) return std::nullopt;
  return Candidate{socket.inode, Family::kIpv6, words[3] != 0};
}

// Notes which candidates `pid` holds. A process that is gone holds none; false when we may not look.
bool look_into(pid_t pid, std::span<Candidate> candidates) {
  std::array<char, 32> path;
  std::snprintf(path.data(), path.size(), "/proc/%d/fd", pid);
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.data()));
  const auto allowed = [pid] {
    if (errno != EACCES && errno != EPERM) return true;
    const auto stat = read_process_stat(pid);
    return !stat || stat->dead();  // a zombie's folder belongs to root, and is empty
  };
  if (!directory) return allowed();
  while (const dirent* entry = ::readdir(directory.get())) {
    std::array<char, 64> target;
    const ssize_t size = ::readlinkat(::dirfd(directory.get()), entry->d_name, target.data(), target.size());
    if (size < 0 && !allowed()) return false;
    if (size <= 0) continue;
    std::string_view name(target.data(), static_cast<std::size_t>(size));
    if (!name.starts_with("socket:[") || !name.ends_with(']')) continue;
    const auto inode = parse_unsigned(name.substr(8, name.size() - 9));
    for (Candidate& candidate : candidates)
      if (inode == candidate.inode) candidate.owner = pid;
  }
  return true;
}

bool all_owned(std::span<const Candidate> candidates) {
  return std::ranges::all_of(candidates, [](const Candidate& c) { return c.owner != 0; });
}

Result<> find_owners(pid_t leader, std::span<Candidate> candidates) {
  bool allowed = look_into(leader, candidates);
  if (all_owned(candidates)) return {};
  for (const pid_t pid : followers_of(leader)) {
    allowed = look_into(pid, candidates) && allowed;
    if (all_owned(candidates)) return {};
  }
  if (allowed) return {};
  return failure(Code::kRefused, "cannot see whether it belongs to process " + std::to_string(leader) +
                                     ": it runs as another user; run nines as that user or as root");
}

Listening judge(std::span<const Candidate> candidates) {
  const auto has = [&](bool ours, Family family) {
    return std::ranges::any_of(candidates,
                               [&](const Candidate& c) { return (c.owner != 0) == ours && c.family == family; });
  };
  Listening result;
  result.family = candidates.front().family;
  if (result.family != Family::kUnix)
    result.family = has(true, Family::kIpv4) || !has(true, Family::kIpv6) ? Family::kIpv4 : Family::kIpv6;
  for (const Candidate& c : candidates) {
    if (c.owner == 0) continue;
    if (c.family == result.family) result.owner_pid = c.owner;
    result.loopback_only = result.loopback_only && c.loopback;
  }
  result.foreign = has(false, result.family) || result.owner_pid == 0;
  return result;
}

Result<std::vector<Candidate>> candidates_at(std::uint16_t port) {
  const auto sockets = listening_sockets(port);
  if (!sockets) return failure(sockets.error());
  std::vector<Candidate> candidates;
  for (const ListeningSocket& socket : *sockets)
    if (const auto candidate = candidate_of(socket)) candidates.push_back(*candidate);
  return candidates;
}

Result<std::vector<Candidate>> candidates_at(std::string_view path) {
  const auto inodes = listening_unix_sockets(path);
  if (!inodes) return failure(inodes.error());
  std::vector<Candidate> candidates;
  for (const std::uint64_t inode : *inodes) candidates.push_back({inode, Family::kUnix, true});
  return candidates;
}

template <class Where>
Result<std::optional<Listening>> find_listener_at(pid_t leader, Where where) {
  std::optional<Listening> result;
  // A worker that ends between the two reads looks like a stranger; so a stranger has to be seen twice.
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto candidates = candidates_at(where);
    if (!candidates) return failure(std::move(candidates.error()));
    if (candidates->empty()) return std::nullopt;
    if (auto found = find_owners(leader, *candidates); !found) return failure(std::move(found.error()));
    result = judge(*candidates);
    if (result->proven()) return result;
  }
  return result;
}

}  // namespace

Result<std::optional<Listening>> find_listener(pid_t leader, std::uint16_t port) {
  return find_listener_at(leader, port);
}

Result<std::optional<Listening>> find_listener(pid_t leader, std::string_view path) {
  return find_listener_at(leader, path);
}

}  // namespace nines::supervise
