#include "live.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "cli/render.h"
#include "cli/terminal.h"

namespace nines::demo {
namespace {

std::size_t terminal_rows() {
  constexpr std::size_t kUsual = 24;
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : kUsual;
}

// Paints each page over the one before. No cursor, and long lines are cut rather than folded, while it lives.
class Canvas {
 public:
  Canvas() { put("\x1b[?25l\x1b[?7l"); }
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;
  ~Canvas() { put("\x1b[?7h\x1b[?25h"); }

  void show(const std::string& page) {
    std::string out = painted_ > 0 ? "\r\x1b[" + std::to_string(painted_) + "A" : "\r";
    painted_ = 0;
    const std::size_t fits = terminal_rows() - 1;
    for (std::size_t at = 0; at < page.size() && painted_ < fits; ++painted_) {
      const std::size_t end = std::min(page.find('\n', at), page.size());
      out += page.substr(at, end - at) + "\x1b[K\n";
      at = end + 1;
    }
    put(out + "\x1b[J");
  }

 private:
  static void put(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  }

  std::size_t painted_ = 0;  // lines
};

}  // namespace

Task<Result<>> show_live(net::Loop& loop, Service& service) {
  Canvas canvas;
  while (true) {
    const auto status = co_await service.status();
    if (!status) co_return failure(status.error());
    canvas.show(cli::render_status(*status, cli::style_here()));
    if (auto slept = co_await loop.sleep(1s); !slept) co_return failure(slept.error());
  }
}

}  // namespace nines::demo
