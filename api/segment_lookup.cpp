#include "api/segment_lookup.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

namespace daybook::api {
namespace {

using core::Result;
using Found = std::optional<core::MetadataRow>;

Found find_in(core::Bytes segment, const core::ListedObject& listed, const core::RecordId& id) {
  const auto opened = core::open_segment(segment);
  if (!opened) return std::nullopt;
  const auto entry = std::ranges::find(opened->entries, id, &core::SegmentEntry::id);
  if (entry == opened->entries.end()) return std::nullopt;
  const auto checked = core::check_slice(segment, *entry, core::CheckDepth::payload);
  if (!checked) {
    spdlog::error("record {}: its slice of {} is damaged: {}", id.str(), listed.key,
                  checked.error().detail);
    return std::nullopt;
  }
  return core::row_of_object(*checked, listed, {}, entry->offset);
}

}  // namespace

core::Task<Result<Found>> find_in_segments(core::ObjectStore& objects, core::Workers& workers,
                                           std::string folder, core::RecordId id,
                                           core::Deadline deadline) {
  std::string after;
  for (;;) {
    const auto listed =
        co_await objects.list(folder + "segment-", after, core::kListedObjectsMax, deadline);
    if (!listed) co_return pass(listed);
    for (const core::ListedObject& object : *listed) {
      const auto name = core::segment_of_key(object.key);
      if (!name || id < name->first || name->last < id) continue;
      const auto bytes = co_await objects.get(object.key, std::nullopt, deadline);
      if (!bytes) co_return pass(bytes);
      Found found;
      co_await workers.run([&] { found = find_in(*bytes, object, id); });
      if (found) co_return found;
    }
    if (listed->size() < core::kListedObjectsMax) co_return Found{};
    after = listed->back().key;
  }
}

}  // namespace daybook::api
