#include "storage/file_store.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <random>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/faults.hpp"
#include "core/limits.hpp"
#include "storage/blocking_call.hpp"
#include "storage/store_files.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;
using std::filesystem::path;
using namespace files;

constexpr std::string_view kTemporaryFolder = ".tmp";
constexpr std::string_view kTemporaryPrefix = "put-";
constexpr std::size_t kKeyBytesMax = 1024;  // S3's bound, so that keys fit either store
constexpr std::size_t kPartBytesMax = 255;  // NAME_MAX of every Linux file system that matters
constexpr std::size_t kDurableFoldersMax = 4096;  // about half a year of hours for one tenant

// Lists a folder tree in the byte order of keys: a folder sorts as its name with '/'.
struct FolderWalk {
  const path& root;
  const std::string& prefix;
  const std::string& after;
  const std::size_t max;
  const Deadline deadline;
  std::vector<core::ListedObject> found;

  // Whether a key that begins with `folder` ("a/b/") can be wanted.
  [[nodiscard]] bool can_hold(const std::string& folder) const {
    const bool in_prefix = folder.starts_with(prefix) || prefix.starts_with(folder);
    return in_prefix && (folder > after || after.starts_with(folder));
  }
  [[nodiscard]] bool is_wanted(const std::string& key) const {
    return key.starts_with(prefix) && key > after;
  }

  Result<void> enter(const std::string& folder);
};

Result<void> FolderWalk::enter(const std::string& folder) {
  if (passed(deadline)) return too_late("list the folder " + folder);
  std::set<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(root / folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (folder.empty() && name == kTemporaryFolder) continue;
    std::error_code gone;  // by now; then it is not listed
    if (entry->symlink_status(gone).type() == std::filesystem::file_type::directory) {
      if (can_hold(folder + name + "/")) names.insert(name + "/");
    } else if (is_wanted(folder + name) && entry->is_regular_file(gone)) {
      names.insert(name);
    }
  }
  if (error && (folder.empty() || error.value() != ENOENT)) {
    return classify(error.value(), "list the folder", root / folder);
  }
  for (const std::string& name : names) {
    if (found.size() == max) return {};
    const std::string key = folder + name;
    if (name.ends_with('/')) {
      if (auto entered = enter(key); !entered) return entered;
      continue;
    }
    std::error_code gone;
    const std::uint64_t size = std::filesystem::file_size(root / key, gone);
    if (!gone) found.push_back({key, size, "file:" + (root / key).string()});
  }
  return {};
}

std::string random_word() {
  std::random_device random;
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "%08x%08x", random(), random());
  return text.data();
}

}  // namespace

std::vector<Leftover> find_leftovers(const path& folder) {
  std::vector<Leftover> found;
  std::error_code error;
  const auto now = std::filesystem::file_time_type::clock::now();
  for (std::filesystem::directory_iterator entry(folder / kTemporaryFolder, error), end;
       !error && entry != end; entry.increment(error)) {
    const Descriptor file = open_file(entry->path(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file.valid() || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) continue;  // in use
    std::error_code gone;
    const auto written = entry->last_write_time(gone);
    if (!gone) {
      found.push_back({entry->path(), std::chrono::duration_cast<core::Duration>(now - written)});
    }
  }
  return found;
}

Result<void> check_file_store_key(std::string_view key) {
  const auto refused = [&](std::string_view why) {
    return core::fail(Code::invalid_argument, Origin::object_store, Retry::never,
                      "The object key \"" + std::string(key.substr(0, 200)) +
                          "\" is refused: " + std::string(why) + ".");
  };
  if (key.empty()) return refused("it is empty");
  if (key.size() > kKeyBytesMax) return refused("it is longer than 1024 bytes");
  if (key.find('\0') != std::string_view::npos) return refused("it contains a NUL byte");
  for (std::size_t at = 0; at <= key.size();) {
    const std::size_t end = std::min(key.find('/', at), key.size());
    const std::string_view part = key.substr(at, end - at);
    if (part.empty()) return refused("it has an empty part (a leading, trailing or double slash)");
    if (part == "." || part == "..") return refused("\".\" and \"..\" are no parts of a key");
    if (part.size() > kPartBytesMax) return refused("a part is longer than 255 bytes");
    if (at == 0 && part == kTemporaryFolder) return refused(".tmp is the store's own folder");
    at = end + 1;
  }
  return {};
}

FileStore::FileStore(path folder, core::Workers& workers)
    : folder_(std::move(folder)),
      temporary_(folder_ / kTemporaryFolder),
      workers_(workers),
      run_(random_word()) {}

Result<std::unique_ptr<FileStore>> FileStore::open(const Settings& settings,
                                                   core::Workers& workers) {
  std::error_code error;
  const path folder = std::filesystem::absolute(settings.folder, error).lexically_normal();
  if (error || settings.folder.empty()) {
    return core::fail(Code::misconfigured, Origin::object_store, Retry::never,
                      "archive.file_dir is no usable path: \"" + settings.folder.string() + "\".");
  }
  // A trailing slash would be an empty last part.
  std::unique_ptr<FileStore> store(
      new FileStore(folder.has_filename() ? folder : folder.parent_path(), workers));
  if (auto prepared = store->prepare(settings.clean_up); !prepared) return pass(prepared);
  return store;
}

Result<void> FileStore::prepare(bool clean_up) {
  if (auto made = make_folders(temporary_); !made) return made;
  if (!clean_up) return {};
  std::error_code error;
  for (std::filesystem::directory_iterator entry(temporary_, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(kTemporaryPrefix)) continue;
    const Descriptor stale = open_file(entry->path(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!stale.valid() || ::flock(stale.get(), LOCK_EX | LOCK_NB) != 0) continue;
    ::unlink(entry->path().c_str());  // its writer is dead: it would hold the lock
  }
  if (error) return classify(error.value(), "list the folder", temporary_);
  return {};
}

std::string FileStore::temporary_name() {
  return std::string(kTemporaryPrefix) + run_ + "-" + std::to_string(next_temporary_++);
}

Result<void> FileStore::make_folder_durable(const path& folder) {
  {
    const std::lock_guard lock(mutex_);
    // Someone may have removed it since; then the way down below makes it again.
    if (durable_folders_.contains(folder) && ::access(folder.c_str(), F_OK) == 0) return {};
  }
  path parent = folder_;
  for (const path& part : folder.lexically_relative(folder_)) {
    const path current = parent / part;
    if (::mkdir(current.c_str(), 0750) != 0 && errno != EEXIST) {
      return classify(errno, "make the folder", current);
    }
    // Also where it existed: the put that made it may still be on its way to this fsync.
    if (auto synced = sync_folder(parent); !synced) return synced;
    parent = current;
  }
  const std::lock_guard lock(mutex_);
  if (durable_folders_.size() >= kDurableFoldersMax) durable_folders_.clear();
  durable_folders_.insert(folder);
  return {};
}

// Whether the key's object is the one to be put: then it was put before.
Result<void> FileStore::holds_already(const path& target, const core::PutObject& object,
                                      Deadline deadline) const {
  const auto existing = get_now(object.key, std::nullopt, deadline);
  if (!existing && existing.error().code != Code::not_found) return pass(existing);
  if (existing && core::sha256(*existing) == object.sha256) return {};
  return core::fail(
      Code::conflict, Origin::object_store, Retry::never,
      target.string() + " exists and holds something else; objects are not replaced.");
}

Result<core::ObjectVersion> FileStore::put_now(const core::PutObject& object, Deadline deadline) {
  if (auto good = check_file_store_key(object.key); !good) return pass(good);
  if (passed(deadline)) return too_late("begin to write");
  const path target = folder_ / object.key;
  auto file = make_temporary(temporary_ / temporary_name());
  if (!file) return archive_is_away(file.error());

  const auto written = write_hashed(*file, object.body, deadline);
  if (!written) return pass(written);
  if (*written != object.sha256) {
    return core::fail(Code::damaged, Origin::object_store, Retry::never,
                      "The bytes for " + object.key + " have SHA-256 " + written->hex() + ", not " +
                          object.sha256.hex() + " as promised; nothing was stored.");
  }
  if (::fsync(file->fd()) != 0) return classify(errno, "fsync", file->name());
  struct stat status{};
  if (::fstat(file->fd(), &status) != 0) return classify(errno, "stat", file->name());
  const std::uint64_t expected = core::total_bytes(object.body);
  if (static_cast<std::uint64_t>(status.st_size) != expected) {
    return core::fail(Code::damaged, Origin::object_store, Retry::safe,
                      "The file for " + object.key + " has " + std::to_string(status.st_size) +
                          " bytes, not " + std::to_string(expected) + "; nothing was stored.");
  }

  if (auto ready = make_folder_durable(target.parent_path()); !ready) {
    std::error_code gone;
    const bool here = std::filesystem::is_directory(temporary_, gone);
    return here ? pass(ready) : archive_is_away(ready.error());
  }
  if (passed(deadline)) return too_late("name the object");
  if (PLANTED("leave_temporary")) std::ofstream(temporary_ / temporary_name()) << "left";
  if (PLANTED("leak_descriptor")) static_cast<void>(::dup(file->fd()));
  if (PLANTED("partial_object")) {
    std::ofstream(target) << core::as_text(object.body.front().first(8));
    return core::ObjectVersion{.location = "file:" + target.string(), .version = {}};
  }
  if (const int error = file->rename_to(target); error == EEXIST) {
    const auto same = holds_already(target, object, deadline);
    if (!same) return pass(same);
  } else if (error != 0) {
    return classify(error, "rename a temporary file to", target);
  }
  if (auto synced = sync_folder(target.parent_path()); !synced) {
    core::Error error = synced.error();
    error.retry = Retry::unknown_outcome;  // seen by readers, but perhaps not after a power cut
    return core::Failure(std::move(error));
  }
  return core::ObjectVersion{.location = "file:" + target.string(), .version = {}};
}

Result<core::ObjectInfo> FileStore::head_now(const std::string& key, Deadline deadline) const {
  if (auto good = check_file_store_key(key); !good) return pass(good);
  if (passed(deadline)) return too_late("look at the object");
  const auto object = open_object(folder_ / key, key);
  if (!object) return pass(object);
  return core::ObjectInfo{.size = object->size};
}

Result<core::ByteVector> FileStore::get_now(const std::string& key,
                                            std::optional<core::ByteRange> range,
                                            Deadline deadline) const {
  if (auto good = check_file_store_key(key); !good) return pass(good);
  if (passed(deadline)) return too_late("read the object");
  const auto object = open_object(folder_ / key, key);
  if (!object) return pass(object);
  const core::ByteRange wanted = range.value_or(core::ByteRange{0, object->size});
  if ((range && wanted.length == 0) || wanted.offset > object->size ||
      wanted.length > object->size - wanted.offset) {
    return core::fail(Code::invalid_argument, Origin::object_store, Retry::never,
                      "The range of " + std::to_string(wanted.length) + " bytes from " +
                          std::to_string(wanted.offset) + " is not inside the " +
                          std::to_string(object->size) + " bytes of " + key + ".");
  }
  core::ByteVector bytes(wanted.length);
  std::size_t done = 0;
  while (done < bytes.size()) {
    if (passed(deadline)) return too_late("read the whole object");
    const std::size_t piece = std::min(bytes.size() - done, core::limits::kBlockBytes);
    const ssize_t got = ::pread(object->descriptor.get(), bytes.data() + done, piece,
                                static_cast<off_t>(wanted.offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return classify(errno, "read", folder_ / key);
    if (got == 0) {
      return core::fail(
          Code::damaged, Origin::object_store, Retry::never,
          key + " became shorter while it was read; objects are never changed by Daybook.");
    }
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

Result<std::vector<core::ListedObject>> FileStore::list_now(const std::string& prefix,
                                                            const std::string& after,
                                                            std::size_t max,
                                                            Deadline deadline) const {
  if (max == 0 || max > core::kListedObjectsMax) {
    return core::fail(Code::invalid_argument, Origin::object_store, Retry::never,
                      "A list has 1 to " + std::to_string(core::kListedObjectsMax) +
                          " objects, not " + std::to_string(max) + ".");
  }
  FolderWalk walk{folder_, prefix, after, max, deadline, {}};
  if (auto walked = walk.enter(""); !walked) return pass(walked);
  return std::move(walk.found);
}

Result<void> FileStore::probe_now(Deadline deadline) {
  if (passed(deadline)) return too_late("write a probe");
  const auto file = make_temporary(temporary_ / temporary_name());
  if (!file) return pass(file);
  if (const int error = write_all(file->fd(), core::as_bytes("probe\n")); error != 0) {
    return classify(error, "write", file->name());
  }
  return {};
}

core::Task<Result<core::ObjectVersion>> FileStore::put(core::PutObject object, Deadline deadline) {
  co_return co_await call_on<core::ObjectVersion>(
      workers_, Origin::object_store,
      [this, object = std::move(object), deadline] { return put_now(object, deadline); });
}

core::Task<Result<core::ObjectInfo>> FileStore::head(std::string key, Deadline deadline) {
  co_return co_await call_on<core::ObjectInfo>(
      workers_, Origin::object_store,
      [this, key = std::move(key), deadline] { return head_now(key, deadline); });
}

core::Task<Result<core::ByteVector>> FileStore::get(std::string key,
                                                    std::optional<core::ByteRange> range,
                                                    Deadline deadline) {
  co_return co_await call_on<core::ByteVector>(
      workers_, Origin::object_store,
      [this, key = std::move(key), range, deadline] { return get_now(key, range, deadline); });
}

core::Task<Result<std::vector<core::ListedObject>>> FileStore::list(std::string prefix,
                                                                    std::string after,
                                                                    std::size_t max,
                                                                    Deadline deadline) {
  co_return co_await call_on<std::vector<core::ListedObject>>(
      workers_, Origin::object_store,
      [this, prefix = std::move(prefix), after = std::move(after), max, deadline] {
        return list_now(prefix, after, max, deadline);
      });
}

core::Task<Result<void>> FileStore::probe(Deadline deadline) {
  co_return co_await call_on<void>(workers_, Origin::object_store,
                                   [this, deadline] { return probe_now(deadline); });
}

std::string FileStore::describe() const {
  return "file:" + folder_.string();
}

}  // namespace daybook::storage
