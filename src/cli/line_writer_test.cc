#include "cli/line_writer.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>

#include "base/fd.h"

namespace nines::cli {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  std::string rest() {
    write.reset();
    std::string text;
    std::array<char, 65536> buffer;
    for (ssize_t n = 0; (n = ::read(read.get(), buffer.data(), buffer.size())) > 0;)
      text.append(buffer.data(), static_cast<std::size_t>(n));
    return text;
  }
  Fd read, write;
};

TEST_CASE("line writer: everything said is written, in order") {
  Pipe pipe;
  std::string expected;
  {
    LineWriter out(pipe.write.get());
    for (int i = 0; i < 1000; ++i) {
      out.line(std::to_string(i));
      expected += std::to_string(i) + "\n";
    }
  }
  CHECK(pipe.rest() == expected);
}

TEST_CASE("line writer: nobody reads, and nobody waits") {
  Pipe pipe;
  std::string text;
  {
    LineWriter out(pipe.write.get());
    const std::string line(200, 'x');
    // More than the pipe and the queue hold together: were line() to wait, this would never end.
    for (std::size_t i = 0; i < 3 * LineWriter::kQueueMax; ++i) out.line(line);
    std::thread reader([&] {
      std::array<char, 65536> buffer;
      for (ssize_t n = 0;
           !text.contains("left out") && (n = ::read(pipe.read.get(), buffer.data(), buffer.size())) > 0;)
        text.append(buffer.data(), static_cast<std::size_t>(n));
    });
    reader.join();
  }
  CHECK(text.contains(" lines left out: nobody read them\n"));
}

TEST_CASE("line writer: a reader that leaves is no reason to end") {
  ::signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  pipe.read.reset();
  LineWriter out(pipe.write.get());
  for (int i = 0; i < 100; ++i) out.line("into the void");
}

}  // namespace
}  // namespace nines::cli
