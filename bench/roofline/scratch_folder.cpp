#include "bench/roofline/scratch_folder.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include <sys/prctl.h>

namespace daybook::bench::roofline {
namespace {

struct Folders {
  std::mutex mutex;
  std::set<std::filesystem::path> paths;
};
// Never destroyed: the waiting thread may need it to the last.
Folders& folders() {
  static auto* const all = new Folders;
  return *all;
}

sigset_t interrupts() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

void remove_folder(const std::filesystem::path& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

}  // namespace

ScratchFolder::ScratchFolder(const std::filesystem::path& parent) {
  std::filesystem::create_directories(parent, error_);
  if (error_) return;
  std::string path = (parent / "roofline.XXXXXX").string();
  const std::lock_guard lock(folders().mutex);
  if (::mkdtemp(path.data()) == nullptr) {
    error_ = std::error_code(errno, std::generic_category());
  } else {
    path_ = path;
    folders().paths.insert(path_);
  }
}

ScratchFolder::~ScratchFolder() {
  if (path_.empty()) return;
  const std::lock_guard lock(folders().mutex);
  remove_folder(path_);
  folders().paths.erase(path_);
}

void remove_folders_when_interrupted() {
  const sigset_t set = interrupts();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::thread([set] {
    int signal = 0;
    while (::sigwait(&set, &signal) != 0) {
    }
    const std::lock_guard lock(folders().mutex);
    for (const std::filesystem::path& path : folders().paths) remove_folder(path);
    std::_Exit(128 + signal);
  }).detach();
}

void become_child() {
  const sigset_t set = interrupts();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
}

}  // namespace daybook::bench::roofline
