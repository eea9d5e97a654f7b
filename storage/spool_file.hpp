// The files under the spool: one written to its end, any number read. Blocking; one thread each.
#pragma once

#include <memory>
#include <string>

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::storage {

// `doing` what with `path` failed, with errno's text and what helps.
[[nodiscard]] core::Failure segment_failure(const std::string& path, const char* doing);

// Copies bytes of a file into a new one and syncs it; an existing one of that name is replaced.
[[nodiscard]] core::Result<void> copy_bytes(const std::string& from, std::uint64_t offset,
                                            std::uint64_t length, const std::string& to);

class SegmentWriter {
 public:
  // Makes the file and syncs its folder. O_DIRECT where the file system has it.
  static core::Result<std::unique_ptr<SegmentWriter>> create(std::string path,
                                                             const std::string& folder,
                                                             std::uint64_t number);
  ~SegmentWriter();
  SegmentWriter(const SegmentWriter&) = delete;
  SegmentWriter& operator=(const SegmentWriter&) = delete;

  // head and body, each padded with zeros to the alignment. On failure the file is spent.
  core::Result<void> append(const std::string& head, const core::Slices& body);
  core::Result<void> sync();
  // Cuts off what was never synced; best effort, the file is spent.
  void abandon(std::uint64_t keep);

  [[nodiscard]] std::uint64_t number() const { return number_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] bool direct() const { return direct_; }

 private:
  SegmentWriter(std::string path, std::uint64_t number);
  core::Result<void> write_padded(const core::Slices& slices);
  core::Result<void> flush(std::size_t bytes);

  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::string path_;
  std::uint64_t number_;
  std::uint64_t bytes_ = 0;
  std::unique_ptr<std::byte[], Free> block_;  // aligned, as O_DIRECT wants it
  int file_ = -1;
  bool direct_ = false;
};

class SegmentReader {
 public:
  static core::Result<SegmentReader> open(const std::string& path);
  ~SegmentReader();
  SegmentReader(SegmentReader&& other) noexcept;
  SegmentReader& operator=(SegmentReader&&) = delete;

  // Fewer bytes than asked for only at the end of the file.
  core::Result<core::ByteVector> read(std::uint64_t offset, std::uint64_t length);
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  SegmentReader(std::string path, int file, std::uint64_t bytes)
      : path_(std::move(path)), file_(file), bytes_(bytes) {}
  std::string path_;
  int file_;
  std::uint64_t bytes_;
};

}  // namespace daybook::storage
