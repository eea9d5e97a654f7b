#include "storage/spool_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/check.hpp"
#include "storage/spool_segment.hpp"

namespace daybook::storage {

using core::ByteVector;
using core::Code;
using core::Origin;
using core::Result;
using core::Retry;

namespace {

constexpr std::size_t kWriteBytes = core::MiB;

Result<void> sync_folder(const std::string& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = file >= 0 && ::fsync(file) == 0;
  const int cause = errno;
  if (file >= 0) ::close(file);
  errno = cause;
  if (!synced) return segment_failure(folder, "syncing");
  return {};
}

}  // namespace

core::Failure segment_failure(const std::string& path, const char* doing) {
  const int cause = errno;
  return core::fail(cause == ENOSPC || cause == EDQUOT ? Code::out_of_space : Code::unavailable,
                    Origin::self, Retry::safe,
                    std::string(doing) + " " + path + " failed: " + std::strerror(cause) +
                        ". Free space or mend the disk under node.data_dir.");
}

Result<void> copy_bytes(const std::string& from, std::uint64_t offset, std::uint64_t length,
                        const std::string& to) {
  auto source = SegmentReader::open(from);
  if (!source) return pass(std::move(source));
  const int file = ::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (file < 0) return segment_failure(to, "creating");
  Result<void> outcome;
  while (outcome && length > 0) {
    auto piece = source->read(offset, std::min<std::uint64_t>(length, kWriteBytes));
    if (!piece || piece->empty()) {
      if (!piece) outcome = pass(std::move(piece));
      break;
    }
    const ssize_t written = ::write(file, piece->data(), piece->size());
    if (written <= 0) {
      outcome = segment_failure(to, "writing");
      break;
    }
    offset += static_cast<std::uint64_t>(written);
    length -= static_cast<std::uint64_t>(written);
  }
  if (outcome && ::fsync(file) != 0) outcome = segment_failure(to, "syncing");
  ::close(file);
  return outcome;
}

// --- writing ---

void SegmentWriter::Free::operator()(std::byte* memory) const {
  std::free(memory);
}

SegmentWriter::SegmentWriter(std::string path, std::uint64_t number)
    : path_(std::move(path)),
      number_(number),
      block_(static_cast<std::byte*>(std::aligned_alloc(spool::kAlignment, kWriteBytes))) {
  CHECK(block_ != nullptr);
}

SegmentWriter::~SegmentWriter() {
  if (file_ >= 0) ::close(file_);
}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(std::string path,
                                                             const std::string& folder,
                                                             std::uint64_t number) {
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(std::move(path), number));
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
  writer->file_ = ::open(writer->path_.c_str(), kFlags | O_DIRECT, 0640);
  writer->direct_ = writer->file_ >= 0;
  if (writer->file_ < 0 && errno == EINVAL) {  // no O_DIRECT here; the name may exist by now
    ::unlink(writer->path_.c_str());
    writer->file_ = ::open(writer->path_.c_str(), kFlags, 0640);
  }
  if (writer->file_ < 0) return segment_failure(writer->path_, "creating");
  if (auto synced = sync_folder(folder); !synced) {
    ::unlink(writer->path_.c_str());  // nobody would look at it before the next start
    return pass(std::move(synced));
  }
  return writer;
}

Result<void> SegmentWriter::append(const std::string& head, const core::Slices& body) {
  CHECK(head.size() % spool::kAlignment == 0);
  if (auto written = write_padded({core::as_bytes(head)}); !written) return written;
  return write_padded(body);
}

Result<void> SegmentWriter::write_padded(const core::Slices& slices) {
  std::size_t filled = 0;
  for (core::Bytes slice : slices) {
    while (!slice.empty()) {
      const std::size_t piece = std::min(slice.size(), kWriteBytes - filled);
      std::memcpy(block_.get() + filled, slice.data(), piece);
      filled += piece;
      slice = slice.subspan(piece);
      if (filled < kWriteBytes) continue;
      if (auto flushed = flush(filled); !flushed) return flushed;
      filled = 0;
    }
  }
  const std::size_t padded = spool::aligned(filled);
  std::memset(block_.get() + filled, 0, padded - filled);
  return flush(padded);
}

// A short write goes on from a multiple of the alignment; what it leaves is written again.
Result<void> SegmentWriter::flush(std::size_t bytes) {
  for (std::size_t at = 0; at < bytes;) {
    const ssize_t written =
        ::pwrite(file_, block_.get() + at, bytes - at, static_cast<off_t>(bytes_ + at));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return segment_failure(path_, "writing");
    const std::size_t whole = static_cast<std::size_t>(written) / spool::kAlignment;
    if (whole == 0) {
      errno = ENOSPC;  // not even one aligned piece: the disk takes no more
      return segment_failure(path_, "writing");
    }
    at += whole * spool::kAlignment;
  }
  bytes_ += bytes;
  return {};
}

Result<void> SegmentWriter::sync() {
  if (::fdatasync(file_) != 0) return segment_failure(path_, "syncing");
  return {};
}

void SegmentWriter::abandon(std::uint64_t keep) {
  if (keep == 0) {
    ::unlink(path_.c_str());
  } else {
    static_cast<void>(::ftruncate(file_, static_cast<off_t>(keep)));
  }
}

// --- reading ---

Result<SegmentReader> SegmentReader::open(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat facts{};
  if (file < 0) return segment_failure(path, "opening");
  if (::fstat(file, &facts) != 0) {
    ::close(file);
    return segment_failure(path, "looking at");
  }
  return SegmentReader(path, file, static_cast<std::uint64_t>(facts.st_size));
}

SegmentReader::~SegmentReader() {
  if (file_ >= 0) ::close(file_);
}

SegmentReader::SegmentReader(SegmentReader&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)), bytes_(other.bytes_) {}

Result<ByteVector> SegmentReader::read(std::uint64_t offset, std::uint64_t length) {
  ByteVector bytes(length);
  std::size_t filled = 0;
  while (filled < length) {
    const ssize_t got =
        ::pread(file_, bytes.data() + filled, length - filled, static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return segment_failure(path_, "reading");
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

}  // namespace daybook::storage
