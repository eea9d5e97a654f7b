// A folder for the files of one section, on the disk that is measured; gone with its object.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace daybook::bench::roofline {

class ScratchFolder {
 public:
  // Not usable (error() says why) where `parent` cannot be made or written.
  explicit ScratchFolder(const std::filesystem::path& parent) {
    std::filesystem::create_directories(parent, error_);
    if (error_) return;
    std::string path = (parent / "roofline.XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) {
      error_ = std::error_code(errno, std::generic_category());
    } else {
      path_ = path;
    }
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const std::error_code& error() const { return error_; }

 private:
  std::filesystem::path path_;
  std::error_code error_;
};

}  // namespace daybook::bench::roofline
