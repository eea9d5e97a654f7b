#include "storage/trail.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "core/text.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;
namespace fs = std::filesystem;

constexpr std::uint64_t kFileBytes = 64 * core::MiB;
constexpr std::size_t kLinesPerCommit = 4096;

}  // namespace

Trail::Trail(core::Runtime& runtime, core::Workers& writer, std::string dir, core::Duration keep)
    : runtime_(runtime),
      writer_(writer),
      dir_(std::move(dir)),
      keep_(keep),
      lines_(runtime, kLinesPerCommit,
             [this](std::vector<std::string> lines) { return commit(std::move(lines)); }) {}

Trail::~Trail() {
  if (file_ >= 0) ::close(file_);
}

Result<std::unique_ptr<Trail>> Trail::open(core::Runtime& runtime, core::Workers& writer,
                                           std::string dir, core::Duration keep) {
  std::error_code error;
  fs::create_directories(dir, error);
  std::unique_ptr<Trail> trail(new Trail(runtime, writer, std::move(dir), keep));
  if (auto begun = trail->begin_file(); !begun) return pass(std::move(begun));
  return trail;
}

Task<Result<void>> Trail::add(core::RecordId id, core::Sha256 sha256, std::uint64_t size) {
  std::string line = id.str() + " " + sha256.hex() + " " + std::to_string(size) + " " +
                     std::to_string(id.partition()) + "\n";
  co_return co_await lines_.submit(std::move(line));
}

void Trail::remark(core::RecordId id, bool stored) {
  remarks_ += std::string(stored ? kStoredRemark : kFailedRemark) + id.str() + "\n";
  if (std::exchange(remarks_timed_, true)) return;
  runtime_.spawn(write_remarks());
}

Task<> Trail::write_remarks() {
  co_await runtime_.sleep(kRemarkDelay);
  remarks_timed_ = false;
  static_cast<void>(co_await lines_.submit(std::exchange(remarks_, {})));
}

Task<Result<void>> Trail::recover() {
  return lines_.submit({});
}

Task<Result<void>> Trail::commit(std::vector<std::string> lines) {
  Result<void> outcome;
  co_await writer_.run([&] { outcome = write(lines); });
  health_ = outcome;
  co_return outcome;
}

Result<void> Trail::write(const std::vector<std::string>& lines) {
  if (file_ < 0 || file_bytes_ >= kFileBytes) {
    if (auto begun = begin_file(); !begun) return begun;
  }
  std::string text;
  for (const std::string& line : lines) text += line;
  if (file_bytes_ == 0 && !text.empty()) text.insert(0, std::string(kTrailHead) + "\n");
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t written = ::write(file_, text.data() + at, text.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failure("writing");
    at += static_cast<std::size_t>(written);
  }
  if (::fdatasync(file_) != 0) return failure("syncing");
  file_bytes_ += text.size();
  return {};
}

Result<void> Trail::begin_file() {
  if (file_ >= 0) ::close(file_);
  file_bytes_ = 0;
  file_name_ = dir_ + "/" + core::format_time(runtime_.now()) + "-" +
               std::to_string(++file_number_) + ".trail";
  file_ = ::open(file_name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0640);
  if (file_ < 0) return failure("creating a file of");
  const int folder = ::open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder >= 0 && ::fsync(folder) == 0;
  if (folder >= 0) ::close(folder);
  if (!synced) return failure("syncing the folder of");
  delete_old_files();
  return {};
}

void Trail::delete_old_files() {
  std::error_code error;
  const auto before = fs::file_time_type::clock::now() -
                      std::chrono::duration_cast<fs::file_time_type::duration>(keep_);
  for (const auto& entry : fs::directory_iterator(dir_, error)) {
    if (entry.path().extension() != ".trail") continue;
    if (entry.last_write_time(error) < before && !error) fs::remove(entry.path(), error);
  }
}

core::Failure Trail::failure(const char* doing) {
  const int cause = errno;
  if (file_ >= 0) ::close(file_);
  if (file_ >= 0 && file_bytes_ == 0) ::unlink(file_name_.c_str());
  file_ = -1;  // never written again: after a failed fsync nobody knows what is on disk
  return core::fail(
      cause == ENOSPC ? Code::out_of_space : Code::unavailable, Origin::self, Retry::safe,
      std::string(doing) + " the trail in " + dir_ + " failed: " + std::strerror(cause) +
          ". Free space or mend the disk under node.data_dir.");
}

}  // namespace daybook::storage
