// The table `records` of the SQLite metadata store: its schema, how a MetadataRow becomes a row and
// back, and the SQL of a list. Pure but for the statement it fills or reads; sqlite_metadata.cpp
// runs it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/ports/metadata_store.hpp"
#include "storage/sqlite_connection.hpp"

namespace daybook::storage {

inline constexpr std::int64_t kSqliteSchemaVersion = 2;
// [i] makes version i + 1 out of version i; 0 is an empty file.
extern const std::array<const char*, kSqliteSchemaVersion> kSqliteSchemaSteps;
extern const std::string_view kInsertRecord;  // an id that is there already changes nothing
extern const std::string_view kFindRecord;    // by id
extern const std::string_view kScanRecords;   // after an id text, up to a limit, by id ascending
extern const std::string_view kReadFeed;      // after a number, up to a limit; two more columns:
inline constexpr int kFeedSequence = 29;
inline constexpr int kFeedPublishedAt = 30;
extern const std::string_view kWidenClockSkew;

// Binds the row and runs kInsertRecord.
[[nodiscard]] core::Result<void> insert_record(SqliteStatement& insert,
                                               const core::MetadataRow& row);

// The current row of kFindRecord or of a list. A value nobody could have written is Code::damaged.
[[nodiscard]] core::Result<core::MetadataRow> read_record(const SqliteStatement& statement);

// The SQL of a list, the texts for its question marks in order, and last the limit.
struct ListStatement {
  std::string sql;
  std::vector<std::string> texts;
  std::int64_t limit = 0;
};
// skew_ms: the largest clock_skew_ms() of any row (row_texts.hpp).
[[nodiscard]] ListStatement list_statement(const core::MetadataQuery& query, std::int64_t skew_ms);

}  // namespace daybook::storage
