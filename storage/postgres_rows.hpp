// The tables of the PostgreSQL metadata store: how a MetadataRow becomes a row and back, and the
// SQL of its statements. Pure but for the result it reads; postgres_metadata.cpp runs it, and
// postgres_schema has the tables themselves.
//
//   uuid for ids, timestamptz for times, bigint for numbers, text for everything else; frames,
//   attributes and context are JSON texts, as in SQLite.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/ports/metadata_store.hpp"
#include "storage/postgres_connection.hpp"

namespace daybook::storage {

// Prepared on each connection under these names.
inline constexpr const char* kPostgresInsert = "daybook_insert";
inline constexpr const char* kPostgresFind = "daybook_find";
[[nodiscard]] PostgresStatements prepared_statements();

inline constexpr std::size_t kPostgresColumns = 29;
// "id, tenant, …", as read_postgres_row() wants them.
[[nodiscard]] std::string postgres_column_names();

// Runs the prepared statements.
[[nodiscard]] PostgresStatement insert_statement(const core::MetadataRow& row);
[[nodiscard]] PostgresStatement find_statement(const core::RecordId& id);

// Every column of read_postgres_row() without a row, to compare their types with ours.
[[nodiscard]] PostgresStatement shape_statement();
// The name of the first column whose type is not ours; "" where all are.
[[nodiscard]] std::string misshapen_column(const PostgresResult& shape);

[[nodiscard]] PostgresStatement scan_statement(const std::optional<core::RecordId>& after,
                                               std::uint32_t limit);
// skew_ms: the largest clock_skew_ms() of any row.
[[nodiscard]] PostgresStatement postgres_list_statement(const core::MetadataQuery& query,
                                                        std::int64_t skew_ms);

// A value nobody could have written is Code::damaged.
[[nodiscard]] core::Result<core::MetadataRow> read_postgres_row(const PostgresResult& result,
                                                                std::size_t row);

}  // namespace daybook::storage
