#include "tests/contract/sync_faults.hpp"

#include <array>
#include <cerrno>
#include <mutex>
#include <utility>

#include <sys/syscall.h>
#include <unistd.h>

namespace daybook::tests {
namespace {

std::mutex hook_mutex;
std::function<int(const std::string&)> current_hook;

int ask_hook(int fd) {
  const std::lock_guard lock(hook_mutex);
  if (!current_hook) return 0;
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
  return current_hook(std::string(path.data(), length > 0 ? static_cast<std::size_t>(length) : 0));
}

int sync_unless_refused(int fd, long number) {
  if (const int error = ask_hook(fd); error != 0) {
    errno = error;
    return -1;
  }
  return static_cast<int>(::syscall(number, fd));
}

}  // namespace

SyncHook::SyncHook(std::function<int(const std::string& path)> hook) {
  const std::lock_guard lock(hook_mutex);
  current_hook = std::move(hook);
}

SyncHook::~SyncHook() {
  const std::lock_guard lock(hook_mutex);
  current_hook = nullptr;
}

}  // namespace daybook::tests

extern "C" int fsync(int fd) {
  return daybook::tests::sync_unless_refused(fd, SYS_fsync);
}
extern "C" int fdatasync(int fd) {
  return daybook::tests::sync_unless_refused(fd, SYS_fdatasync);
}
