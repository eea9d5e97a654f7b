#include "api/local_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;

core::Failure refuse(Code code, std::string detail) {
  return core::fail(code, Origin::self, Retry::never, std::move(detail));
}

// For the errno of a call that has just failed.
core::Failure system_failure(const std::string& what) {
  const int number = errno;
  const Code code = number == ENOENT                       ? Code::not_found
                    : number == EACCES || number == EPERM  ? Code::denied
                    : number == ENOSPC || number == EDQUOT ? Code::out_of_space
                                                           : Code::internal;
  return refuse(code, what + ": " + std::strerror(number) + ".");
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

Result<void> write_all(int descriptor, const std::string& path, core::Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_failure(path + " cannot be written");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  if (::fsync(descriptor) != 0) return system_failure(path + " cannot be synced to disk");
  return {};
}

}  // namespace

Result<core::ByteVector> read_descriptor(int descriptor, const std::string& name,
                                         std::uint64_t bytes_max) {
  core::ByteVector bytes;
  std::size_t filled = 0;
  struct stat status{};
  if (::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
    // One more than the size, so that the end is met without growing.
    bytes.resize(std::min<std::uint64_t>(static_cast<std::uint64_t>(status.st_size), bytes_max) +
                 1);
  }
  for (;;) {
    if (filled == bytes.size()) bytes.resize(std::max<std::size_t>(64 * core::KiB, 2 * filled));
    const ssize_t got = ::read(descriptor, bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure(name + " cannot be read");
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
    if (filled > bytes_max) {
      return refuse(Code::too_large,
                    name + " is larger than " + core::format_size(bytes_max) + ".");
    }
  }
  bytes.resize(filled);
  return bytes;
}

Result<LocalFile> read_local_file(const std::string& path, std::uint64_t bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number() < 0) return system_failure(path + " cannot be opened");
  struct stat status{};
  if (::fstat(file.number(), &status) != 0) return system_failure(path + " cannot be examined");
  if (S_ISDIR(status.st_mode)) return refuse(Code::invalid_argument, path + " is a folder.");
  auto bytes = read_descriptor(file.number(), path, bytes_max);
  if (!bytes) return pass(std::move(bytes));
  LocalFile read;
  read.bytes = *std::move(bytes);
  read.regular = S_ISREG(status.st_mode);
  read.mode = status.st_mode & 07777;
  read.modified_at = core::WallTime(std::chrono::seconds(status.st_mtim.tv_sec) +
                                    std::chrono::microseconds(status.st_mtim.tv_nsec / 1000));
  return read;
}

Result<void> write_local_file(const std::string& path, core::Bytes bytes) {
  std::string temporary = path + ".XXXXXX";
  const Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.number() < 0) return system_failure(path + " cannot be written");
  // mkostemp makes a private file; what a user asked for has the rights of any file of theirs.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  auto written = write_all(file.number(), path, bytes);
  if (written && (::fchmod(file.number(), 0666 & ~mask) != 0 ||
                  ::rename(temporary.c_str(), path.c_str()) != 0)) {
    written = system_failure(path + " cannot be written");
  }
  if (!written) ::unlink(temporary.c_str());
  return written;
}

}  // namespace daybook::api
