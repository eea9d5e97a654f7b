// Ladder: where a received record becomes safe. The first rung that takes it is the
// acknowledgement, and the receipt says which one it was:
//
//   buffer   Redis, at the configured durability
//   spool    this node's disk, when Redis cannot take it; it goes to Redis later
//   archived the object store and the metadata store, when the spool cannot either
//   (none)   503; the bytes are salvaged where the disk still takes them, and the answer says where
//
// The bytes are the same on every rung, and so is the id: a record that an unanswered append stored
// after all is met again, not doubled. I/O thread only.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/metrics.hpp"
#include "core/config.hpp"
#include "core/pipeline/fresh_records.hpp"
#include "core/ports/metadata_store.hpp"
#include "core/ports/object_store.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"
#include "core/ports/write_ahead_buffer.hpp"
#include "core/sealed_object.hpp"
#include "core/transform/transform.hpp"
#include "storage/spool.hpp"
#include "storage/trail.hpp"

namespace daybook::api {

class Ladder {
 public:
  struct Services {
    core::Runtime& runtime;
    core::Workers& disk;
    core::WriteAheadBuffer& buffer;
    core::pipeline::FreshRecords& fresh;
    storage::Spool& spool;
    core::ObjectStore& objects;
    core::MetadataStore& metadata;
    storage::Trail& trail;
    Metrics& metrics;
    const core::transform::Transforms& transforms;  // of what goes straight to the archive
  };
  Ladder(Services services, const core::Config& config);

  // Whether some rung can take a record now; an error says what is wrong with the buffer. A buffer
  // that was just lost gets a moment to come back.
  core::Task<core::Result<void>> open();
  // Whether a record that the buffer cannot take has somewhere else to go.
  [[nodiscard]] bool has_other_way() const;
  // Whether the buffer is the rung that will be tried first.
  [[nodiscard]] bool buffer_is_up() const { return services_.buffer.health().has_value(); }

  // A first request with this key, as far as this node knows without the buffer: its record is in
  // the spool, or, while the buffer is away, among the last kKeysKept that were acknowledged here.
  core::Task<core::Result<std::optional<core::SettledRequest>>> known(core::IdempotencyKey key);

  // What a request with this key was about to store when its outcome became unknown: its bytes may
  // be on a disk that failed, or in a Redis that did not answer. Repeated, it must be that record.
  [[nodiscard]] std::optional<core::Envelope> unsettled(const core::IdempotencyKey& key) const;

  // Returns the complete receipt when the record is safe.
  core::Task<core::Result<std::string>> store(std::shared_ptr<const core::SealedObject> object,
                                              std::optional<core::IdempotencyKey> key);
  // Several records in one step of the buffer, or none: there is no other rung for them. digest: of
  // the request that brought them. Returns their receipts.
  core::Task<core::Result<std::vector<std::string>>> store_all(
      std::vector<std::shared_ptr<const core::SealedObject>> objects,
      std::optional<core::IdempotencyKey> key, core::Sha256 digest);

 private:
  // A record's line in the trail, which is written while the record is stored.
  struct Line;
  std::shared_ptr<Line> begin_line(const core::Envelope& envelope);
  static core::Task<> wait_for(std::shared_ptr<Line> line);
  core::Task<core::Result<std::string>> climb(std::shared_ptr<const core::SealedObject> shared,
                                              std::optional<core::IdempotencyKey> key);
  core::Task<core::Result<void>> archive(const core::SealedObject& object);
  // What the pipeline would archive of it; null: the object as it is.
  using Transformed = std::unique_ptr<const core::ReheadedObject>;
  core::Task<core::Result<Transformed>> transform(const core::SealedObject& object);
  core::Task<core::Result<core::transform::PayloadValues>> payload_values(
      const core::SealedObject& object, std::vector<core::JsonPointer> pointers);
  core::Task<core::Result<std::string>> salvage(const core::SealedObject& object);
  void acknowledged(const std::string& durability);

  // What the last keys stood for; the oldest are forgotten first.
  template <class T>
  class KeyMemory {
   public:
    explicit KeyMemory(std::size_t kept_max) : kept_max_(kept_max) {}
    void put(const core::IdempotencyKey& key, T value);
    void forget(const core::IdempotencyKey& key);
    [[nodiscard]] const T* find(const core::IdempotencyKey& key) const;

   private:
    std::size_t kept_max_;
    std::unordered_map<std::string, T> values_;
    std::deque<std::string> order_;  // oldest first
  };

  Services services_;
  const core::Config& config_;
  core::SteadyTime down_since_{};  // of the buffer, as requests see it
  bool down_ = false;
  // 1 to 4 KiB each. What is older, or was another node's, is told apart only by the buffer.
  KeyMemory<core::SettledRequest> settled_{10'000};
  KeyMemory<core::Envelope> unsettled_{1'000};
};

}  // namespace daybook::api
