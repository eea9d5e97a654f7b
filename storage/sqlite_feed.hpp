// The feed of the SQLite metadata store.
//
//   feed        (sequence, id, published_at): one line per record, in the order of the commits
//   feed_head   one row: the feed's name, its last number, and when that was published
//
// The numbers are given inside the transaction that inserts the rows. SQLite lets one transaction
// write at a time, so numbers are committed in their order and without a gap.
#pragma once

#include <cstdint>
#include <vector>

#include "core/ports/metadata_store.hpp"
#include "storage/sqlite_connection.hpp"

namespace daybook::storage {

// Numbers these rows, which are new, in their order. Inside a transaction.
[[nodiscard]] core::Result<void> publish(SqliteConnection& connection,
                                         const std::vector<const core::MetadataRow*>& rows);

// An entry whose record was deleted by hand is left out.
[[nodiscard]] core::Result<std::vector<core::FeedEntry>> read_feed(SqliteConnection& connection,
                                                                   std::uint64_t after,
                                                                   std::uint32_t limit);
[[nodiscard]] core::Result<core::FeedBounds> read_feed_bounds(SqliteConnection& connection);
[[nodiscard]] core::Result<std::uint64_t> read_feed_before(SqliteConnection& connection,
                                                           core::WallTime since);

}  // namespace daybook::storage
