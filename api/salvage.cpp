#include "api/salvage.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "api/cli_post.hpp"
#include "api/local_file.hpp"
#include "core/frame.hpp"
#include "core/http/fields.hpp"
#include "core/limits.hpp"
#include "core/object_check.hpp"
#include "core/sealed_object.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

namespace fs = std::filesystem;
using core::Code;
using core::Origin;
using core::RecordId;
using core::Result;
using core::Retry;

// The largest payload where nothing compresses, its envelope and its checks.
constexpr std::uint64_t kFileBytesMax =
    core::limits::kBodyBytesCeiling + core::limits::kEnvelopeBytesMax + core::MiB;

constexpr std::string_view kExtension = ".zst";

core::Failure failure(Code code, std::string detail) {
  return core::fail(code, Origin::self, Retry::never, std::move(detail));
}

core::Failure system_failure(const std::string& what) {
  return failure(Code::internal, what + ": " + std::strerror(errno));
}

std::string user_name() {
  const uid_t user = ::geteuid();
  if (const passwd* entry = ::getpwuid(user)) return entry->pw_name;  // NOLINT: one thread
  return std::to_string(user);
}

// One write, so that two commands at once do not mix their lines.
Result<void> append_line(const std::string& path, const std::string& line) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return system_failure(path + " cannot be opened");
  const ssize_t written = ::write(file, line.data(), line.size());
  const bool whole = written == static_cast<ssize_t>(line.size()) && ::fsync(file) == 0;
  Result<void> done;
  if (!whole) done = system_failure(path + " cannot be written");
  ::close(file);
  return done;
}

Result<void> sync_folder(const std::string& path) {
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return system_failure(path + " cannot be opened");
  Result<void> done;
  if (::fsync(folder) != 0) done = system_failure(path + " cannot be made durable");
  ::close(folder);
  return done;
}

Result<std::vector<RecordId>> list_files(const std::string& folder) {
  std::vector<RecordId> ids;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  if (error == std::errc::no_such_file_or_directory) return ids;
  for (const fs::directory_iterator end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.ends_with(kExtension)) continue;
    const auto id =
        RecordId::parse(std::string_view(name).substr(0, name.size() - kExtension.size()));
    if (id) ids.push_back(*id);
  }
  if (error) return failure(Code::internal, folder + " cannot be listed: " + error.message());
  std::ranges::sort(ids);
  return ids;
}

}  // namespace

std::string SalvageFolder::file_of(const RecordId& id) const {
  const std::string name = "/" + id.str() + std::string(kExtension);
  std::error_code error;
  return fs::exists(refused_path() + name, error) ? refused_path() + name : path_ + name;
}

Result<std::vector<RecordId>> SalvageFolder::list() const {
  return list_files(path_);
}

Result<std::vector<RecordId>> SalvageFolder::list_refused() const {
  return list_files(refused_path());
}

Result<SalvageFolder::Payload> SalvageFolder::open(const RecordId& id) const {
  auto file = read_local_file(file_of(id), kFileBytesMax);
  if (!file) {
    if (file.error().code != Code::not_found) return pass(std::move(file));
    return failure(Code::not_found, "There is no " + file_of(id) +
                                        "; daybook salvage list shows "
                                        "what there is.");
  }
  auto checked = core::check_object(file->bytes, core::CheckDepth::payload);
  if (!checked) {
    return failure(Code::damaged, file_of(id) + " is damaged: " + checked.error().detail);
  }
  if (checked->head.envelope.id != id) {
    return failure(Code::damaged,
                   file_of(id) + " holds the record " + checked->head.envelope.id.str() + ".");
  }
  return Payload{std::move(checked->head.envelope), std::move(file->bytes)};
}

std::uint64_t SalvageFolder::stored_size(const RecordId& id) const {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file_of(id), error);
  return error ? 0 : size;
}

Result<void> SalvageFolder::take_out(
    const RecordId& id, std::string_view action,
    const std::vector<std::pair<std::string, std::string>>& facts) const {
  const auto now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
  boost::json::object line = {{"action", action},
                              {"id", id.str()},
                              {"at", core::format_time(now)},
                              {"who", user_name()},
                              {"stored_size", stored_size(id)}};
  for (const auto& [name, value] : facts) line[name] = value;
  if (auto written = append_line(path_ + "/log.jsonl", boost::json::serialize(line) + "\n");
      !written) {
    return written;
  }
  if (auto durable = sync_folder(path_); !durable) return durable;  // the log may be new
  const std::string file = file_of(id);
  if (::unlink(file.c_str()) != 0 && errno != ENOENT) {
    return system_failure(file + " cannot be removed");
  }
  return sync_folder(fs::path(file).parent_path());
}

// The stored form names itself: `zstd -dc` prints the payload, its first frame is the envelope.
Result<std::string> write_salvage(const std::string& data_dir, const core::SealedObject& object) {
  const std::string name = "salvage/" + object.envelope().id.str() + std::string(kExtension);
  std::error_code error;
  fs::create_directories(data_dir + "/salvage", error);
  core::ByteVector bytes;
  for (core::Bytes slice : object.slices()) bytes.insert(bytes.end(), slice.begin(), slice.end());
  if (auto written = write_local_file(data_dir + "/" + name, bytes); !written) {
    return pass(std::move(written));
  }
  return name;
}

Result<core::ByteVector> payload_of(const SalvageFolder::Payload& payload) {
  const core::Envelope& envelope = payload.envelope;
  auto head = core::open_head(payload.stored);
  if (!head) return pass(std::move(head));
  core::ByteVector bytes;
  bytes.reserve(envelope.size);
  core::Bytes rest = core::Bytes(payload.stored).subspan(head->data_offset);
  for (const std::uint32_t frame_bytes : envelope.frames) {
    const std::size_t size =
        std::min<std::uint64_t>(core::limits::kBlockBytes, envelope.size - bytes.size());
    auto block = core::decompress_frame(rest.first(frame_bytes), size);
    if (!block) return pass(std::move(block));
    bytes.insert(bytes.end(), block->begin(), block->end());
    rest = rest.subspan(frame_bytes);
  }
  if (core::sha256(core::Bytes(bytes)) != envelope.sha256) {
    return failure(Code::damaged, "The payload's SHA-256 is not the one of its envelope.");
  }
  return bytes;
}

core::http::Fields salvage_fields(const core::Envelope& envelope) {
  core::http::Fields fields;
  fields.add("Accept", "application/json, application/problem+json");
  if (!envelope.content_type.empty()) fields.add("Content-Type", envelope.content_type);
  fields.add("Content-Digest", core::http::format_content_digest(envelope.sha256));
  const auto attribute = [&fields](const std::string& name, const std::string& value) {
    if (!value.empty()) fields.add("ce-" + name, encode_attribute(value));
  };
  attribute("source", envelope.source);
  attribute("id", envelope.event_id);
  attribute("type", envelope.type);
  attribute("subject", envelope.subject);
  if (envelope.event_time) attribute("time", core::format_time(*envelope.event_time));
  for (const auto& [name, value] : envelope.attributes) attribute(name, value);
  // ce-source and ce-id make the key by themselves (ingest_head.cpp).
  const bool of_event = !envelope.source.empty() && !envelope.event_id.empty() &&
                        envelope.idempotency_key == envelope.source + " " + envelope.event_id;
  if (!of_event) {
    fields.add("Idempotency-Key", envelope.idempotency_key.empty()
                                      ? "daybook-salvage-" + envelope.id.str()
                                      : envelope.idempotency_key);
  }
  return fields;
}

}  // namespace daybook::api
