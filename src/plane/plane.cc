#include "plane/plane.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <new>

namespace nines::plane {
namespace {

Result<void*> map(int fd) {
  void* const memory = ::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return failure(os_error(errno, "map the shared table"));
  return memory;
}

}  // namespace

Result<Plane> Plane::create() {
  Fd fd(::memfd_create("nines-plane", MFD_CLOEXEC));
  if (!fd || ::ftruncate(fd.get(), sizeof(Table)) != 0) return failure(os_error(errno, "create the shared table"));
  auto memory = map(fd.get());
  if (!memory) return std::unexpected(memory.error());
  auto* const table = new (*memory) Table;
  table->header.size = sizeof(Table);
  return Plane(std::move(fd), table);
}

Result<Plane> Plane::attach(Fd fd) {
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return failure(os_error(errno, "look at the shared table"));
  if (status.st_size != static_cast<off_t>(sizeof(Table))) {
    return failure(Code::kInvalid, "the shared table has " + std::to_string(status.st_size) +
                                       " bytes, this program's has " + std::to_string(sizeof(Table)));
  }
  auto memory = map(fd.get());
  if (!memory) return std::unexpected(memory.error());
  auto* const table = static_cast<Table*>(*memory);
  Plane plane(std::move(fd), table);
  if (table->header.magic != kMagic || table->header.layout != kLayout || table->header.size != sizeof(Table)) {
    return failure(Code::kInvalid, "the shared table has layout " + std::to_string(table->header.layout) +
                                       ", this program's is " + std::to_string(kLayout));
  }
  return plane;
}

Plane::Plane(Plane&& other) noexcept : fd_(std::move(other.fd_)), table_(std::exchange(other.table_, nullptr)) {}

Plane::~Plane() {
  if (table_ != nullptr) ::munmap(table_, sizeof(Table));
}

}  // namespace nines::plane
