// The feed of the PostgreSQL metadata store: its SQL and its results. Pure; postgres_metadata.cpp
// runs it, and postgres_schema has the tables.
//
// - The numbers are given by the last statement of the transaction that inserts the rows. It
//   updates the one row of daybook_feed_head, so that whoever publishes holds that row until the
//   commit: the next one counts on from what was committed, or from what was there before, where
//   the transaction was rolled back. So numbers have no gap, and become visible in their order.
// - New are those rows of the batch that have no line in daybook_feed: a record and its line are
//   committed together, and nobody else can have inserted the record, as its id was ours from the
//   INSERT on. That is so at READ COMMITTED, where the statement sees what was committed before it
//   began; a batch whose COMMIT had an unknown outcome gets no second numbers when it comes again.
// - Locks are taken in one order by everybody, rows by id, clock skew, head, so no circle can form.
#pragma once

#include <cstdint>
#include <vector>

#include "core/ports/metadata_store.hpp"
#include "storage/postgres_connection.hpp"

namespace daybook::storage {

// rows: those that were just inserted or were there, by id ascending.
[[nodiscard]] PostgresStatement publish_statement(
    const std::vector<const core::MetadataRow*>& rows);

[[nodiscard]] PostgresStatement postgres_feed_statement(std::uint64_t after, std::uint32_t limit);
[[nodiscard]] core::Result<std::vector<core::FeedEntry>> read_postgres_feed(
    const PostgresResult& result);

[[nodiscard]] PostgresStatement postgres_bounds_statement();
[[nodiscard]] core::Result<core::FeedBounds> read_postgres_bounds(const PostgresResult& result);

[[nodiscard]] PostgresStatement postgres_before_statement(core::WallTime since);
[[nodiscard]] core::Result<std::uint64_t> read_postgres_before(const PostgresResult& result);

}  // namespace daybook::storage
