#include "storage/store_files.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "core/limits.hpp"

namespace daybook::storage::files {

using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;
using std::filesystem::path;

core::Failure classify(int error, std::string_view doing, const path& file) {
  const std::string what = "Could not " + std::string(doing) + " " + file.string() + ": " +
                           std::generic_category().message(error) + ". ";
  const auto failed = [&](Code code, Retry retry, std::string_view advice) {
    return core::fail(code, Origin::object_store, retry, what + std::string(advice));
  };
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return failed(Code::out_of_space, Retry::safe,
                    "Free space there, or enlarge the disk or quota.");
    case EACCES:
    case EPERM:
      return failed(Code::denied, Retry::safe,
                    "Give the user that runs Daybook write access to it.");
    case EROFS:
      return failed(Code::unavailable, Retry::safe, "Mount the file system writable again.");
    case EMFILE:
    case ENFILE:
      return failed(Code::overloaded, Retry::safe, "Raise the limit on open files (ulimit -n).");
    case ENAMETOOLONG:
      return failed(Code::invalid_argument, Retry::never, "Use a shorter key.");
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case EEXIST:
      return failed(Code::conflict, Retry::never,
                    "The key needs a folder where an object is, or the other way round.");
    case ENOENT:
      return failed(Code::unavailable, Retry::safe,
                    "The archive folder is gone: mount or restore it; Daybook goes on by itself.");
    default:
      return failed(Code::unavailable, Retry::safe, "Check the disk and the kernel's log.");
  }
}

core::Failure archive_is_away(core::Error error) {
  if (error.code == Code::conflict) {
    error.code = Code::unavailable;
    error.retry = Retry::safe;
    error.detail += " Or the archive folder itself is away: mount or restore it.";
  }
  return core::Failure(std::move(error));
}

core::Failure too_late(std::string_view doing) {
  return core::fail(Code::timeout, Origin::object_store, Retry::unknown_outcome,
                    "The deadline passed before the file store could " + std::string(doing) + ".");
}

bool passed(Deadline deadline) {
  return std::chrono::steady_clock::now() >= deadline;
}

Descriptor open_file(const path& file, int flags) {
  return Descriptor(::open(file.c_str(), flags | O_CLOEXEC, 0640));
}

int TemporaryFile::rename_to(const path& target) {
  if (::renameat2(AT_FDCWD, name_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno != EINVAL && errno != ENOSYS) return errno;
    // A file system that cannot do it in one step, as NFS: two names for a moment.
    if (::link(name_.c_str(), target.c_str()) != 0) return errno;
    ::unlink(name_.c_str());
  }
  name_.clear();
  return 0;
}

Result<TemporaryFile> make_temporary(const path& name) {
  Descriptor descriptor = open_file(name, O_WRONLY | O_CREAT | O_EXCL);
  // The name is ours, so ENOTDIR speaks of the archive folder and not of a key.
  if (!descriptor.valid()) return classify(errno == ENOTDIR ? ENOENT : errno, "create", name);
  (void)::flock(descriptor.get(),
                LOCK_EX | LOCK_NB);  // without locks there, nobody cleans up either
  return TemporaryFile(name, std::move(descriptor));
}

int write_all(int fd, core::Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return 0;
}

Result<void> sync_folder(const path& folder) {
  const Descriptor descriptor = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!descriptor.valid()) return classify(errno, "open the folder", folder);
  if (::fsync(descriptor.get()) != 0) return classify(errno, "fsync the folder", folder);
  return {};
}

Result<void> make_folders(const path& folder) {
  path parent;
  for (const path& part : folder) {
    const path current = parent / part;
    if (::mkdir(current.c_str(), 0750) == 0) {
      if (auto synced = sync_folder(parent.empty() ? path(".") : parent); !synced) return synced;
    } else if (errno != EEXIST && errno != EISDIR) {
      return classify(errno, "make the folder", current);
    }
    parent = current;
  }
  return {};
}

Result<core::Sha256> write_hashed(const TemporaryFile& file, const core::Slices& slices,
                                  Deadline deadline) {
  core::Sha256Hasher hasher;
  for (core::Bytes slice : slices) {
    while (!slice.empty()) {
      if (passed(deadline)) return too_late("write the object");
      const core::Bytes piece = slice.first(std::min(slice.size(), core::limits::kBlockBytes));
      hasher.update(piece);
      if (const int error = write_all(file.fd(), piece); error != 0) {
        return classify(error, "write", file.name());
      }
      slice = slice.subspan(piece.size());
    }
  }
  return hasher.finish();
}

Result<OpenObject> open_object(const path& file, std::string_view key) {
  const auto missing = [&] {
    return core::fail(Code::not_found, Origin::object_store, Retry::never,
                      "There is no object " + std::string(key) + ".");
  };
  Descriptor descriptor = open_file(file, O_RDONLY | O_NONBLOCK);  // a FIFO would block the worker
  if (!descriptor.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return missing();
    return classify(errno, "open", file);
  }
  struct stat status{};
  if (::fstat(descriptor.get(), &status) != 0) return classify(errno, "stat", file);
  if (!S_ISREG(status.st_mode)) return missing();
  return OpenObject{std::move(descriptor), static_cast<std::uint64_t>(status.st_size)};
}

}  // namespace daybook::storage::files
