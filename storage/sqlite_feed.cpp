#include "storage/sqlite_feed.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <utility>

#include "core/text.hpp"
#include "storage/sqlite_rows.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::FeedBounds;
using core::FeedEntry;
using core::Origin;
using core::Result;
using core::Retry;

constexpr std::string_view kReadHead = "SELECT last, published_at FROM feed_head";
constexpr std::string_view kWriteHead = "UPDATE feed_head SET last = ?, published_at = ?";
constexpr std::string_view kPublish =
    "INSERT INTO feed (sequence, id, published_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING";
// Where everything was deleted, the first that will be kept is the next.
constexpr std::string_view kReadBounds =
    "SELECT feed, coalesce((SELECT min(sequence) FROM feed), last + 1), last FROM feed_head";
constexpr std::string_view kReadBefore =
    "SELECT coalesce((SELECT sequence - 1 FROM feed WHERE published_at >= ? "
    "ORDER BY published_at, sequence LIMIT 1), last) FROM feed_head";

core::WallTime wall_now() {
  return std::chrono::floor<core::WallTime::duration>(std::chrono::system_clock::now());
}

core::Failure damaged() {
  return core::fail(Code::damaged, Origin::metadata, Retry::never,
                    "The metadata file's feed has lost its head; restore the file from a backup.");
}

// SQLite's numbers are signed; no feed gets that far.
std::int64_t number_of(std::uint64_t sequence) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min<std::uint64_t>(sequence, kMost));
}

struct Head {
  std::int64_t last = 0;
  std::string published_at;
};

Result<Head> read_head(SqliteConnection& connection) {
  const auto select = connection.prepare(kReadHead);
  if (!select) return pass(select);
  SqliteStatement statement(connection, *select);
  const auto found = statement.step();
  if (!found) return pass(found);
  if (!*found) return damaged();
  return Head{statement.integer(0), std::string(statement.text(1))};
}

Result<void> write_head(SqliteConnection& connection, const Head& head) {
  const auto update = connection.prepare(kWriteHead);
  if (!update) return pass(update);
  SqliteStatement statement(connection, *update);
  statement.bind(head.last);
  statement.bind(head.published_at);
  if (auto done = statement.step(); !done) return pass(done);
  return {};
}

}  // namespace

Result<void> publish(SqliteConnection& connection,
                     const std::vector<const core::MetadataRow*>& rows) {
  if (rows.empty()) return {};
  auto head = read_head(connection);
  if (!head) return pass(head);
  const auto insert = connection.prepare(kPublish);
  if (!insert) return pass(insert);
  SqliteStatement statement(connection, *insert);
  const core::WallTime now = wall_now();
  for (const core::MetadataRow* row : rows) {
    // Texts of times are ordered as the times are.
    head->published_at =
        std::max(head->published_at, core::format_time(std::max(now, row->envelope.received_at)));
    const std::string id = row->envelope.id.str();
    statement.bind(head->last + 1);
    statement.bind(id);
    statement.bind(head->published_at);
    if (auto done = statement.step(); !done) return pass(done);
    statement.reset();
    // A record that was deleted by hand and came back has its number.
    head->last += connection.changed_rows();
  }
  return write_head(connection, *head);
}

Result<std::vector<FeedEntry>> read_feed(SqliteConnection& connection, std::uint64_t after,
                                         std::uint32_t limit) {
  const auto select = connection.prepare(kReadFeed);
  if (!select) return pass(select);
  SqliteStatement statement(connection, *select);
  statement.bind(number_of(after));
  statement.bind(static_cast<std::int64_t>(limit));
  std::vector<FeedEntry> page;
  for (;;) {
    const auto more = statement.step();
    if (!more) return pass(more);
    if (!*more) return page;
    auto row = read_record(statement);
    if (!row) return pass(row);
    const auto published_at = core::parse_time(statement.text(kFeedPublishedAt));
    if (!published_at) return damaged();
    page.push_back({static_cast<std::uint64_t>(statement.integer(kFeedSequence)), *published_at,
                    std::move(*row)});
  }
}

Result<FeedBounds> read_feed_bounds(SqliteConnection& connection) {
  const auto select = connection.prepare(kReadBounds);
  if (!select) return pass(select);
  SqliteStatement statement(connection, *select);
  const auto found = statement.step();
  if (!found) return pass(found);
  if (!*found) return damaged();
  return FeedBounds{std::string(statement.text(0)),
                    static_cast<std::uint64_t>(statement.integer(1)),
                    static_cast<std::uint64_t>(statement.integer(2))};
}

Result<std::uint64_t> read_feed_before(SqliteConnection& connection, core::WallTime since) {
  const auto select = connection.prepare(kReadBefore);
  if (!select) return pass(select);
  const std::string since_text = core::format_time(since);
  SqliteStatement statement(connection, *select);
  statement.bind(since_text);
  const auto found = statement.step();
  if (!found) return pass(found);
  if (!*found) return damaged();
  return static_cast<std::uint64_t>(statement.integer(0));
}

}  // namespace daybook::storage
