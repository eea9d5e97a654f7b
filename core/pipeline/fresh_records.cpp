#include "core/pipeline/fresh_records.hpp"

namespace daybook::core::pipeline {

void FreshRecords::keep(std::shared_ptr<const SealedObject> object) {
  const RecordId id = object->envelope().id;
  const std::uint64_t size = object->stored_size();
  if (size > bytes_max_ || places_.contains(id)) return;
  bytes_ += size;
  places_[id] = objects_.insert(objects_.end(), std::move(object));
  while (bytes_ > bytes_max_) forget(RecordId(objects_.front()->envelope().id));
}

void FreshRecords::forget(const RecordId& id) {
  const auto found = places_.find(id);
  if (found == places_.end()) return;
  bytes_ -= (*found->second)->stored_size();
  objects_.erase(found->second);
  places_.erase(found);
}

std::shared_ptr<const SealedObject> FreshRecords::take(const BufferEntry& entry) {
  auto object = peek(entry);
  forget(entry.id);
  return object;
}

std::shared_ptr<const SealedObject> FreshRecords::peek(const BufferEntry& entry) const {
  const auto found = places_.find(entry.id);
  if (found == places_.end()) return nullptr;
  const auto& object = *found->second;
  const bool same =
      object->stored_size() == entry.stored_size && object->stored_sha256() == entry.stored_sha256;
  return same ? object : nullptr;
}

}  // namespace daybook::core::pipeline
