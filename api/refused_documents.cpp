#include "api/refused_documents.hpp"

#include <algorithm>
#include <filesystem>

#include <spdlog/spdlog.h>

#include "api/local_file.hpp"
#include "api/message_source.hpp"
#include "api/record_context.hpp"
#include "api/salvage.hpp"
#include "core/limits.hpp"
#include "core/sealed_object.hpp"

namespace daybook::api {

using core::Task;

namespace {

// Of a file that was found at start, the digest of its document is not known until it is asked for:
// the same bytes may then be kept once more.
constexpr core::Sha256 kUnknown{};

// A busy flag that goes with the task.
class Turn {
 public:
  explicit Turn(bool& taken) : taken_(taken) { taken_ = true; }
  ~Turn() { taken_ = false; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  bool& taken_;
};

}  // namespace

RefusedDocuments::RefusedDocuments(Services services, const core::Config& config)
    : services_(services),
      config_(config),
      folder_(SalvageFolder(config.node_data_dir).refused_path()) {
  Metrics& metrics = services_.metrics;
  metrics.add(metrics.refused_kept, {}, 0);
  metrics.set(metrics.refused_kept_bytes, 0);
}

std::string RefusedDocuments::path_of(const core::RecordId& id) const {
  return folder_ + "/" + id.str() + ".zst";
}

void RefusedDocuments::open() {
  const SalvageFolder salvage(config_.node_data_dir);
  const auto ids = salvage.list_refused();
  if (!ids) {
    spdlog::warn("salvage: {}", ids.error().detail);
    return;
  }
  for (const core::RecordId& id : *ids) {
    kept_.push_back({id, kUnknown, salvage.stored_size(id)});
    bytes_ += kept_.back().bytes;
  }
  forget_oldest(config_.ingest_refused_keep_max);
}

void RefusedDocuments::forget_oldest(std::uint64_t bytes_max) {
  while (bytes_ > bytes_max && !kept_.empty()) {
    std::error_code error;  // gone is gone: a command may have dropped it
    std::filesystem::remove(path_of(kept_.front().id), error);
    bytes_ -= kept_.front().bytes;
    kept_.pop_front();
  }
  services_.metrics.set(services_.metrics.refused_kept_bytes, static_cast<double>(bytes_));
}

Task<std::string> RefusedDocuments::keep(core::Envelope about, std::string reason,
                                         RecordSource& document) {
  if (busy_ || config_.ingest_refused_keep_max == 0) co_return std::string();
  const Turn turn(busy_);
  auto sealer = services_.ingest.make_sealer(static_cast<int>(config_.ingest_compression_level));
  if (!co_await fill(document, sealer)) co_return std::string();
  auto sealed = co_await sealer.finish();
  const auto known = std::ranges::find(kept_, sealed.sha256, &Kept::sha256);
  if (known != kept_.end()) co_return known->id.str();

  about.id = ids_.next(services_.runtime.now(), 0);
  about.size = sealed.size;
  about.sha256 = sealed.sha256;
  about.received_at = services_.runtime.now();
  about.context["refused"] = bounded_context(reason);
  for (const core::ByteVector& frame : sealed.frames) {
    about.frames.push_back(static_cast<std::uint32_t>(frame.size()));
  }
  const auto object =
      std::make_shared<const core::SealedObject>(std::move(about), std::move(sealed.frames));
  if (!co_await write(object)) co_return std::string();
  kept_.push_back({object->envelope().id, sealed.sha256, object->stored_size()});
  bytes_ += object->stored_size();
  services_.metrics.add(services_.metrics.refused_kept, {});
  forget_oldest(config_.ingest_refused_keep_max);
  co_return object->envelope().id.str();
}

// False: it did not come whole, or is larger than any that is taken.
Task<bool> RefusedDocuments::fill(RecordSource& document, core::PayloadSealer& sealer) const {
  for (std::uint64_t size = 0; size <= message_bytes_max(config_);) {
    co_await sealer.make_room();
    const auto bytes = co_await document.read(sealer.room());
    if (!bytes) co_return false;
    if (*bytes == 0) co_return size != 0;
    sealer.filled(*bytes);
    size += *bytes;
  }
  co_return false;
}

Task<bool> RefusedDocuments::write(std::shared_ptr<const core::SealedObject> object) {
  if (object->stored_size() > config_.ingest_refused_keep_max) co_return false;
  core::Result<void> written;
  co_await services_.disk.run([&] {
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    core::ByteVector bytes;
    bytes.reserve(object->stored_size());
    for (core::Bytes slice : object->slices())
      bytes.insert(bytes.end(), slice.begin(), slice.end());
    written = write_local_file(path_of(object->envelope().id), bytes);
  });
  if (!written) spdlog::warn("salvage: {}", written.error().detail);
  co_return written.has_value();
}

}  // namespace daybook::api
