// What the file store asks of the kernel, with errno turned into an Error: descriptors, temporary
// files, folders whose entries are on disk, bytes hashed while they are written. Blocking; worker
// threads only. For storage/file_store.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>

#include <unistd.h>

#include "core/digest.hpp"
#include "core/ports/runtime.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::storage::files {

// The one place that turns errno into an Error. None of these outcomes leaves a part of an object
// behind.
[[nodiscard]] core::Failure classify(int error, std::string_view doing,
                                     const std::filesystem::path& file);
// No key is to blame where the archive's own folder is gone, or is no folder: it will be back.
[[nodiscard]] core::Failure archive_is_away(core::Error error);
[[nodiscard]] core::Failure too_late(std::string_view doing);
[[nodiscard]] bool passed(core::Deadline deadline);

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

[[nodiscard]] Descriptor open_file(const std::filesystem::path& file, int flags);

// A temporary file that vanishes with this object unless it was renamed.
class TemporaryFile {
 public:
  TemporaryFile(std::filesystem::path name, Descriptor descriptor)
      : name_(std::move(name)), descriptor_(std::move(descriptor)) {}
  ~TemporaryFile() {
    if (!name_.empty()) ::unlink(name_.c_str());
  }
  TemporaryFile(TemporaryFile&& other) noexcept
      : name_(std::exchange(other.name_, {})), descriptor_(std::move(other.descriptor_)) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  [[nodiscard]] int fd() const { return descriptor_.get(); }
  [[nodiscard]] const std::filesystem::path& name() const { return name_; }
  // 0 or errno; EEXIST where target exists, which stays.
  int rename_to(const std::filesystem::path& target);

 private:
  std::filesystem::path name_;
  Descriptor descriptor_;
};

// The lock tells a second process, which cleans up at its start, that this file is in use.
[[nodiscard]] core::Result<TemporaryFile> make_temporary(const std::filesystem::path& name);

// 0 or errno.
[[nodiscard]] int write_all(int fd, core::Bytes bytes);
// Writes the slices in pieces, so that a deadline is noticed; returns the digest of what was
// written.
[[nodiscard]] core::Result<core::Sha256> write_hashed(const TemporaryFile& file,
                                                      const core::Slices& slices,
                                                      core::Deadline deadline);

[[nodiscard]] core::Result<void> sync_folder(const std::filesystem::path& folder);
// Makes folder and its missing parents, each entry on disk before the next one is made.
[[nodiscard]] core::Result<void> make_folders(const std::filesystem::path& folder);

struct OpenObject {
  Descriptor descriptor;
  std::uint64_t size = 0;
};

// Code::not_found where there is none; key is for the message.
[[nodiscard]] core::Result<OpenObject> open_object(const std::filesystem::path& file,
                                                   std::string_view key);

}  // namespace daybook::storage::files
