// Pages of rows in id order out of the metadata table, whose records are spread over windows and
// shards (dynamodb_items.hpp): window by window, the shards of one merged by id. I/O thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/ports/metadata_store.hpp"
#include "storage/dynamodb_client.hpp"
#include "storage/dynamodb_directory.hpp"

namespace daybook::storage {

// What is asked for. The ids from `first` to `last` in their text form, both included.
struct DynamodbRange {
  bool newest_first = true;
  std::string first = "0";
  std::string last = "g";  // behind every id
  std::uint32_t limit = 0;
  core::MetadataQuery filter;  // limit and before of it are of no meaning here
};

[[nodiscard]] DynamodbRange range_of(core::MetadataQuery query);
[[nodiscard]] DynamodbRange range_after(std::optional<core::RecordId> after, std::uint32_t limit);

// Fewer than limit: there are no more.
core::Task<core::Result<std::vector<core::MetadataRow>>> read_range(DynamodbClient& client,
                                                                    DynamodbDirectory& directory,
                                                                    DynamodbRange range,
                                                                    core::Deadline deadline);

// In the order of the ids; nullopt where there is no row.
core::Task<core::Result<std::vector<std::optional<core::MetadataRow>>>> read_rows(
    DynamodbClient& client, std::vector<core::RecordId> ids, core::Deadline deadline);

}  // namespace daybook::storage
