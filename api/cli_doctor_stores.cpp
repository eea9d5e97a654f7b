// The doctor's questions to what keeps records for good: the node's folder and its disk, the object
// store, and the metadata store.
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/cli_doctor.hpp"
#include "api/cli_output.hpp"

namespace daybook::api {
namespace {

namespace fs = std::filesystem;

// The folder itself, or the nearest one above it that is there.
std::string existing_folder(const std::string& folder) {
  std::error_code error;
  fs::path path = fs::absolute(folder, error);
  while (!path.empty() && !fs::exists(path, error) && path != path.parent_path()) {
    path = path.parent_path();
  }
  return path.string();
}

struct WriteProbe {
  std::string failed;  // the sentence; empty = it worked
  double fsync_seconds = 0;
};

// Makes, fills, fsyncs and removes a small file.
WriteProbe probe_writing(const std::string& folder) {
  std::string name = folder + "/.daybook-doctor-XXXXXX";
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor < 0) return {std::strerror(errno)};
  WriteProbe probe;
  const std::array<char, 4096> block{};
  if (::write(descriptor, block.data(), block.size()) != static_cast<ssize_t>(block.size())) {
    probe.failed = std::string("writing failed: ") + std::strerror(errno);
  }
  const auto before = std::chrono::steady_clock::now();
  if (probe.failed.empty() && ::fsync(descriptor) != 0) {
    probe.failed = std::string("fsync failed: ") + std::strerror(errno);
  }
  probe.fsync_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
  ::close(descriptor);
  ::unlink(name.c_str());
  return probe;
}

}  // namespace

void Doctor::examine_writable_folder(const std::string& subject, const std::string& folder) {
  const std::string existing = existing_folder(folder);
  std::error_code error;
  const bool missing = !fs::exists(folder, error);
  if (!fs::is_directory(existing, error)) {
    return note(Verdict::fail, subject, existing + " is not a folder", "Choose another folder");
  }
  const WriteProbe probe = probe_writing(existing);
  if (!probe.failed.empty()) {
    return note(Verdict::fail, subject, existing + " cannot be written: " + probe.failed,
                "chown or chmod it for the user that runs Daybook, or choose another folder");
  }
  note(Verdict::ok, subject,
       folder + (missing ? " will be made by serve; " : " is writable; ") + "an fsync takes " +
           human_seconds(probe.fsync_seconds));
}

void Doctor::examine_data_dir() {
  examine_writable_folder("node.data_dir", config_.node_data_dir);
  struct statvfs disk{};
  if (::statvfs(existing_folder(config_.node_data_dir).c_str(), &disk) != 0) return;
  const std::uint64_t free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  const std::string detail = human_bytes(free_bytes) + " free; node.disk_reserve is " +
                             human_bytes(config_.node_disk_reserve);
  if (free_bytes < config_.node_disk_reserve) {
    note(Verdict::fail, "disk space", detail + ", so every record is refused with 507",
         "Free space, or lower node.disk_reserve");
  } else {
    note(free_bytes / 2 < config_.node_disk_reserve ? Verdict::warn : Verdict::ok, "disk space",
         detail, "Free space soon: below the reserve records are refused with 507");
  }
  if (disk.f_files != 0 && disk.f_favail < 10'000) {
    note(Verdict::warn, "disk inodes", std::to_string(disk.f_favail) + " inodes are left",
         "Each archived record is one file: use a file system with more inodes");
  }
}

void Doctor::examine_object_store() {
  if (config_.archive_kind == "file") {
    return examine_writable_folder("archive (file)", config_.archive_file_dir);
  }
  examine_s3();
}

void Doctor::examine_metadata() {
  if (config_.metadata_kind == "postgresql") return examine_postgresql();
  if (config_.metadata_kind == "dynamodb") return examine_dynamodb();
  examine_sqlite();
}

}  // namespace daybook::api
