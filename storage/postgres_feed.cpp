#include "storage/postgres_feed.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "storage/postgres_bytes.hpp"
#include "storage/postgres_rows.hpp"

namespace daybook::storage {
namespace {

using core::FeedBounds;
using core::FeedEntry;
using core::MetadataRow;
using core::Result;

PostgresStatement sql(std::string text) {
  return {.name = {}, .sql = std::move(text), .parameters = {}};
}

core::Failure no_head() {
  return core::fail(core::Code::damaged, core::Origin::metadata, core::Retry::never,
                    "The table daybook_feed_head has lost its row; restore the database from a "
                    "backup.");
}

}  // namespace

// Where nothing is new, the head is not touched.
PostgresStatement publish_statement(const std::vector<const MetadataRow*>& rows) {
  std::vector<core::RecordId> ids;
  ids.reserve(rows.size());
  for (const MetadataRow* row : rows) {
    if (ids.empty() || ids.back() != row->envelope.id) ids.push_back(row->envelope.id);
  }
  PostgresStatement publish = sql(
      "WITH fresh AS ("
      "SELECT id, received_at, row_number() OVER (ORDER BY id) AS place FROM daybook_records r "
      "WHERE id = ANY ($1) AND NOT EXISTS (SELECT 1 FROM daybook_feed f WHERE f.id = r.id)), "
      "counted AS (SELECT count(*) AS entries, max(received_at) AS newest FROM fresh), "
      "head AS (UPDATE daybook_feed_head h SET last = h.last + c.entries, published_at = "
      "greatest(h.published_at, clock_timestamp(), c.newest) FROM counted c WHERE c.entries > 0 "
      "RETURNING h.last - c.entries AS before, h.published_at) "
      "INSERT INTO daybook_feed (sequence, id, published_at) "
      "SELECT head.before + fresh.place, fresh.id, head.published_at FROM head, fresh");
  publish.parameters.add(kPostgresUuidArray, id_array_bytes(ids, kPostgresUuid));
  return publish;
}

PostgresStatement postgres_feed_statement(std::uint64_t after, std::uint32_t limit) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  PostgresStatement feed =
      sql("SELECT " + postgres_column_names() +
          ", f.sequence, f.published_at FROM daybook_feed f JOIN daybook_records USING (id) "
          "WHERE f.sequence > $1 ORDER BY f.sequence LIMIT $2");
  feed.parameters.add_integer(static_cast<std::int64_t>(std::min<std::uint64_t>(after, kMost)));
  feed.parameters.add_integer(limit);
  return feed;
}

Result<std::vector<FeedEntry>> read_postgres_feed(const PostgresResult& result) {
  constexpr int kSequence = kPostgresColumns;
  constexpr int kPublishedAt = kSequence + 1;
  std::vector<FeedEntry> page;
  page.reserve(result.rows());
  for (std::size_t i = 0; i < result.rows(); ++i) {
    auto row = read_postgres_row(result, i);
    if (!row) return pass(row);
    page.push_back({static_cast<std::uint64_t>(result.integer(i, kSequence)),
                    time_of(result.value(i, kPublishedAt)), std::move(*row)});
  }
  return page;
}

PostgresStatement postgres_bounds_statement() {
  return sql(
      "SELECT feed::text, coalesce((SELECT min(sequence) FROM daybook_feed), last + 1), last "
      "FROM daybook_feed_head");
}

Result<FeedBounds> read_postgres_bounds(const PostgresResult& result) {
  if (result.rows() != 1) return no_head();
  return FeedBounds{std::string(result.value(0, 0)),
                    static_cast<std::uint64_t>(result.integer(0, 1)),
                    static_cast<std::uint64_t>(result.integer(0, 2))};
}

PostgresStatement postgres_before_statement(core::WallTime since) {
  PostgresStatement before =
      sql("SELECT coalesce((SELECT sequence - 1 FROM daybook_feed WHERE published_at >= $1 "
          "ORDER BY published_at, sequence LIMIT 1), last) FROM daybook_feed_head");
  before.parameters.add(kPostgresTimestamptz, time_bytes(since));
  return before;
}

Result<std::uint64_t> read_postgres_before(const PostgresResult& result) {
  if (result.rows() != 1) return no_head();
  return static_cast<std::uint64_t>(result.integer(0, 0));
}

}  // namespace daybook::storage
