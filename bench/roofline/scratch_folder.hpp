// A folder for the files of one section, on the disk that is measured; gone with its object, or
// when the run is interrupted.
#pragma once

#include <filesystem>
#include <system_error>

namespace daybook::bench::roofline {

class ScratchFolder {
 public:
  // Not usable (error() says why) where `parent` cannot be made or written.
  explicit ScratchFolder(const std::filesystem::path& parent);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const std::error_code& error() const { return error_; }

 private:
  std::filesystem::path path_;
  std::error_code error_;
};

// From here on SIGINT, SIGTERM and SIGHUP remove the folders that there are and end the program
// with status 128 + the signal's number. Call it first in main: it blocks the signals, and a thread
// that waits for them is the only one to get them.
void remove_folders_when_interrupted();
// In a forked child: signals have their usual effect again, and the parent's death ends it.
void become_child();

}  // namespace daybook::bench::roofline
