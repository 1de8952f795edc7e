#include "cli/line_writer.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>

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
  // Until nobody has the other end open any more.
  std::string rest() {
    write.reset();
    std::string text;
    while (read_into(text)) {
    }
    return text;
  }
  bool read_into(std::string& text) {
    std::array<char, 65536> buffer;
    const ssize_t n = ::read(read.get(), buffer.data(), buffer.size());
    if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
    return n > 0;
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
    while (!text.contains("left out") && pipe.read_into(text)) {
    }
  }
  text += pipe.rest();
  CHECK(text.contains(" lines left out: nobody read them\n"));
}

TEST_CASE("line writer: whoever ends does not wait for a reader") {
  Pipe pipe;
  const auto began = std::chrono::steady_clock::now();
  {
    LineWriter out(pipe.write.get());
    for (std::size_t i = 0; i < LineWriter::kQueueMax; ++i) out.line(std::string(200, 'x'));
  }
  CHECK(std::chrono::steady_clock::now() - began < LineWriter::kPatience + 5s);
  // The line at which it hangs is the last one, and then it lets go of the pipe.
  const std::string text = pipe.rest();
  CHECK(!text.empty());
  CHECK(text.size() < LineWriter::kQueueMax * 201);
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
