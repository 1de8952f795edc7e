// Where backups go: a flat set of named, immutable objects. What is here is what a folder, an object store and an
// rclone remote can all do: nothing is ever appended to or overwritten, and an object is either there as a whole or
// not.
//
//   put(name) ── write … write ── commit ──► durable, and visible under its name
//                      └── destroyed without commit, or the process died: nothing was there
//
// Errors: kLimit the disk or quota is full; kExists there is such an object; kNotFound there is none; kInvalid a name
// that could be no object's; kIo, kRefused. Everything blocks. A destination may be used by several threads and
// processes; an Upload or Download by one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace nines::storage {

struct Object {
  std::string name;
  std::uint64_t bytes = 0;
  WallTime modified{};  // as the destination says; any other value means that the object is another one
};

// Never hidden, never a path: what are left are names a person could have chosen. kInvalid.
Result<> check_name(const std::string& name);

class Upload {
 public:
  virtual ~Upload() = default;
  virtual Result<> write(std::string_view bytes) = 0;
  // Durable when it returns. kExists when the name was taken meanwhile. Nothing may be called afterwards.
  virtual Result<Object> commit() = 0;
};

class Download {
 public:
  virtual ~Download() = default;
  // How many bytes it put into the buffer; 0 at the end.
  virtual Result<std::size_t> read(std::span<char> buffer) = 0;
};

class Destination {
 public:
  virtual ~Destination() = default;

  virtual Result<std::unique_ptr<Upload>> put(const std::string& name) = 0;
  // Reads what the medium holds, not what a cache remembers of the writing, as far as that can be had.
  virtual Result<std::unique_ptr<Download>> open(const std::string& name) = 0;
  // Sorted by name. Empty, and no error, where nothing was ever put.
  virtual Result<std::vector<Object>> list() = 0;
  // Durable when it returns. kNotFound.
  virtual Result<> remove(const std::string& name) = 0;

  // The destination as a person writes it, and an object in it.
  virtual std::string where() const = 0;
  virtual std::string where(const std::string& name) const = 0;
};

}  // namespace nines::storage
