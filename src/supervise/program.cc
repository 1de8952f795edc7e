// find_program of process.h: what would be executed, and why it cannot be, before anything is forked. A wrong command
// is the commonest first mistake, so each way to be wrong has words of its own.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>

#include "supervise/process.h"

namespace nines::supervise {
namespace {

constexpr std::string_view kUsualPath = "/usr/local/bin:/usr/bin:/bin";

std::string in_quotes(std::string_view text) { return "`" + std::string(text) + "`"; }

std::string path_variable(const Command& command) {
  for (const auto& [name, value] : command.environment)
    if (name == "PATH") return value;
  const char* ours = std::getenv("PATH");
  return ours != nullptr ? ours : std::string(kUsualPath);
}

Result<std::filesystem::path> working_directory(const Command& command) {
  std::error_code error;
  auto absolute = std::filesystem::absolute(command.directory.empty() ? "." : command.directory, error);
  if (error) return failure(os_error(error.value(), "find the working directory " + in_quotes(command.directory)));
  struct stat status{};
  if (::stat(absolute.c_str(), &status) != 0)
    return failure(os_error(errno, "enter the working directory " + in_quotes(absolute.native())));
  if (!S_ISDIR(status.st_mode))
    return failure(Code::kInvalid, "the working directory " + in_quotes(absolute.native()) + " is not a directory");
  if (::faccessat(AT_FDCWD, absolute.c_str(), X_OK, AT_EACCESS) != 0)
    return failure(os_error(errno, "enter the working directory " + in_quotes(absolute.native())));
  return absolute;
}

Result<> check_executable(const std::filesystem::path& file) {
  struct stat status{};
  if (::stat(file.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      return failure(Code::kNotFound,
                     "there is no file " + in_quotes(file.native()) + ": check the path of the command");
    return failure(os_error(errno, "look at " + in_quotes(file.native())));
  }
  if (S_ISDIR(status.st_mode))
    return failure(Code::kInvalid, in_quotes(file.native()) + " is a directory: name the program inside it");
  if (!S_ISREG(status.st_mode)) return failure(Code::kInvalid, in_quotes(file.native()) + " is not a file");
  if ((status.st_mode & 0111) == 0)
    return failure(Code::kRefused, in_quotes(file.native()) + " is not executable: run `chmod +x " + file.native() +
                                       "`, or name its interpreter first (for instance python3)");
  if (::faccessat(AT_FDCWD, file.c_str(), X_OK, AT_EACCESS) != 0)
    return failure(Code::kRefused, "no permission to execute " + in_quotes(file.native()) +
                                       ": check its owner and mode, and that its file system is not mounted noexec");
  return {};
}

Result<std::filesystem::path> find_in_path(std::string_view name, std::string_view path,
                                           const std::filesystem::path& directory) {
  std::optional<Error> closest;  // found, but not executable: more useful than "not found"
  for (std::string_view rest = path;;) {
    const auto colon = rest.find(':');
    auto file = directory / rest.substr(0, colon) / name;
    auto checked = check_executable(file);
    if (checked) return file;
    if (checked.error().code() == Code::kRefused && !closest) closest = std::move(checked.error());
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  if (closest) return failure(std::move(*closest));
  std::string message = "there is no command " + in_quotes(name) + " in PATH (" + std::string(path) + "): install it";
  const bool beside_us = check_executable(directory / name).has_value();
  message += beside_us ? ", or write ./" + std::string(name) + " for the one in " + in_quotes(directory.native())
                       : " or write its path";
  return failure(Code::kNotFound, std::move(message));
}

struct Interpreter {
  std::string path;
  std::string argument;
};

// Not trim(): a carriage return is what we look for.
std::string_view without_blanks(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::optional<Interpreter> interpreter_of(const std::filesystem::path& file) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return std::nullopt;  // executable but not readable: exec will say
  std::array<char, 256> head;    // BINPRM_BUF_SIZE: the kernel reads no more either
  const ssize_t size = ::read(fd.get(), head.data(), head.size());
  std::string_view line(head.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  if (!line.starts_with("#!")) return std::nullopt;
  line = line.substr(2, line.find('\n') - 2);
  line = without_blanks(line);
  const auto space = std::min(line.find_first_of(" \t"), line.size());
  return Interpreter{std::string(line.substr(0, space)), std::string(without_blanks(line.substr(space)))};
}

// exec says "no such file" about the script when it means the interpreter.
Result<> check_interpreter(const std::filesystem::path& file, std::string_view path,
                           const std::filesystem::path& directory) {
  const auto found = interpreter_of(file);
  if (!found) return {};
  const auto blame = [&](std::string_view name, std::string_view advice) {
    return failure(Code::kNotFound, "the first line of " + in_quotes(file.native()) + " asks for " + in_quotes(name) +
                                        ", which cannot be executed: " + std::string(advice));
  };
  if (found->path.ends_with('\r') || found->argument.ends_with('\r'))
    return blame(found->path.substr(0, found->path.find('\r')) + "\\r",
                 "the file has Windows line ends; run `sed -i 's/\\r$//' " + file.native() + "`");
  if (!check_executable(directory / found->path)) return blame(found->path, "install it or correct the line");
  // `#!/usr/bin/env python3`: env exists, and then fails after the exec, as an exit with 127.
  const std::string& name = found->argument;
  const bool env = std::filesystem::path(found->path).filename() == "env";
  if (!env || name.empty() || name.front() == '-' || name.find('/') != std::string::npos) return {};
  if (name.find(' ') != std::string::npos) return blame(name, "write `env -S` before more than one word");
  if (!find_in_path(name, path, directory)) return blame(name, "install it or correct the line");
  return {};
}

}  // namespace

Result<std::string> find_program(const Command& command) {
  if (command.argv.empty() || command.argv.front().empty())
    return failure(Code::kInvalid, "the command is empty: name the program to run");
  auto directory = working_directory(command);
  if (!directory) return failure(std::move(directory.error()));

  const std::string& name = command.argv.front();
  const std::string path = path_variable(command);
  std::filesystem::path file = *directory / name;
  if (name.find('/') == std::string::npos) {
    auto found = find_in_path(name, path, *directory);
    if (!found) return failure(std::move(found.error()));
    file = std::move(*found);
  } else if (auto checked = check_executable(file); !checked) {
    return failure(std::move(checked.error()));
  }
  if (auto checked = check_interpreter(file, path, *directory); !checked) return failure(std::move(checked.error()));
  return file.string();
}

}  // namespace nines::supervise
