#include "app/descriptors.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/fd.h"

namespace nines::app {
namespace {

using Outcome = ReceivedDescriptors::Outcome;

struct Pair {
  Pair() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    a = Fd(ends[0]);
    b = Fd(ends[1]);
  }
  Fd a, b;
};

TEST_CASE("descriptors: they arrive in order, as the same open files, and closed on exec") {
  Pair pair;
  const Fd one(::open("/dev/null", O_RDONLY)), two(::open("/dev/zero", O_RDONLY));
  const int sent[] = {one.get(), two.get(), one.get()};
  REQUIRE(send_descriptors(pair.a.get(), sent, 42));
  const ReceivedDescriptors got = receive_descriptors(pair.b.get());
  REQUIRE(got.outcome == Outcome::kWhole);
  CHECK(got.number == 42);
  REQUIRE(got.count == 3);
  char byte = 1;
  CHECK(::read(got.descriptors[0], &byte, 1) == 0);
  CHECK(::read(got.descriptors[1], &byte, 1) == 1);
  CHECK((::fcntl(got.descriptors[2], F_GETFD) & FD_CLOEXEC) != 0);
  for (std::size_t i = 0; i < got.count; ++i) ::close(got.descriptors[i]);
}

TEST_CASE("descriptors: nothing, nobody, and no socket") {
  Pair pair;
  CHECK(receive_descriptors(pair.b.get()).outcome == Outcome::kNone);
  pair.a.reset();
  CHECK(receive_descriptors(pair.b.get()).outcome == Outcome::kEnd);
  const Fd null(::open("/dev/null", O_RDWR));
  const int sent[] = {null.get()};
  CHECK(!send_descriptors(pair.b.get(), sent, 0));
  CHECK(!send_descriptors(null.get(), sent, 0));
}

TEST_CASE("descriptors: of a message that does not fit nothing is kept") {
  Pair pair;
  const Fd null(::open("/dev/null", O_RDONLY));
  const std::vector<int> sent(8, null.get());
  REQUIRE(send_descriptors(pair.a.get(), sent, 0));
  const Fd lowest_free(::dup(null.get()));
  const auto next = static_cast<rlim_t>(lowest_free.get()) + 3;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit tight{.rlim_cur = next, .rlim_max = limit.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &tight);
  const ReceivedDescriptors got = receive_descriptors(pair.b.get());
  ::setrlimit(RLIMIT_NOFILE, &limit);
  CHECK(got.outcome == Outcome::kIncomplete);
  CHECK(got.count == 0);
  const Fd same(::dup(null.get()));
  CHECK(static_cast<rlim_t>(same.get()) < next);
}

}  // namespace
}  // namespace nines::app
