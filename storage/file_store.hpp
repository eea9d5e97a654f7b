// FileStore: the object store on a local folder; the embedded default.
//
//   <folder>/<key>              an object; it appears by rename and is never seen in part
//   <folder>/.tmp/put-<unique>  a put that is under way; locked (flock) by its process
//
// - put: write the temporary file, hashing what is written; compare the digest; fsync; compare the
//   size; rename; fsync the folder. New folders are made durable the same way, parents first.
// - After a failed fsync the temporary file is gone: the kernel may have dropped its pages, so a
//   second fsync on it would report a success that never was.
// - PutObject's content_type and metadata are not stored: the object describes itself
//   (core/sealed_object.hpp).
// - Objects have no versions and are never replaced: other bytes for a key are Code::conflict.
// All file work runs on the workers; members may be called from any thread.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/ports/object_store.hpp"
#include "core/ports/workers.hpp"

namespace daybook::storage {

class FileStore final : public core::ObjectStore {
 public:
  struct Settings {
    std::filesystem::path folder;  // made if missing, parents too
    bool clean_up = true;          // remove what dead writers left in .tmp
  };

  // Blocks: for start-up. Removes temporary files that a process left behind when it died; those of
  // a process that is alive stay. workers must outlive the store.
  [[nodiscard]] static core::Result<std::unique_ptr<FileStore>> open(const Settings& settings,
                                                                     core::Workers& workers);

  core::Task<core::Result<core::ObjectVersion>> put(core::PutObject object,
                                                    core::Deadline deadline) override;
  core::Task<core::Result<core::ObjectInfo>> head(std::string key,
                                                  core::Deadline deadline) override;
  core::Task<core::Result<core::ByteVector>> get(std::string key,
                                                 std::optional<core::ByteRange> range,
                                                 core::Deadline deadline) override;
  // Folders that are symbolic links are not entered.
  core::Task<core::Result<std::vector<core::ListedObject>>> list(std::string prefix,
                                                                 std::string after, std::size_t max,
                                                                 core::Deadline deadline) override;
  // Makes, fills and removes a small temporary file.
  core::Task<core::Result<void>> probe(core::Deadline deadline) override;
  [[nodiscard]] std::string describe() const override;

 private:
  FileStore(std::filesystem::path folder, core::Workers& workers);

  core::Result<void> prepare(bool clean_up);
  core::Result<void> holds_already(const std::filesystem::path& target,
                                   const core::PutObject& object, core::Deadline deadline) const;
  core::Result<core::ObjectVersion> put_now(const core::PutObject& object, core::Deadline deadline);
  core::Result<core::ObjectInfo> head_now(const std::string& key, core::Deadline deadline) const;
  core::Result<core::ByteVector> get_now(const std::string& key,
                                         std::optional<core::ByteRange> range,
                                         core::Deadline deadline) const;
  core::Result<std::vector<core::ListedObject>> list_now(const std::string& prefix,
                                                         const std::string& after, std::size_t max,
                                                         core::Deadline deadline) const;
  core::Result<void> probe_now(core::Deadline deadline);
  core::Result<void> make_folder_durable(const std::filesystem::path& folder);
  std::string temporary_name();

  const std::filesystem::path folder_;     // absolute
  const std::filesystem::path temporary_;  // folder_/.tmp
  core::Workers& workers_;
  const std::string run_;  // makes temporary names of this process its own
  std::atomic<std::uint64_t> next_temporary_ = 0;

  // Folders below folder_ whose entries in their parents are known to be on disk. A folder that
  // merely exists may have been made a moment ago by a put that has not fsynced its parent yet.
  std::mutex mutex_;
  std::set<std::filesystem::path> durable_folders_;
};

// Temporary files of a file store in `folder` that nobody writes any more, with their age. Blocks.
struct Leftover {
  std::filesystem::path file;
  core::Duration age{};
};
[[nodiscard]] std::vector<Leftover> find_leftovers(const std::filesystem::path& folder);

// "a/b/c": parts of 1 to 255 bytes, together at most 1024, none of them "." or "..", no NUL, and
// the first one not ".tmp".
[[nodiscard]] core::Result<void> check_file_store_key(std::string_view key);

}  // namespace daybook::storage
