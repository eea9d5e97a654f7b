#include "storage/sqlite_rows.hpp"

#include <utility>

#include "core/text.hpp"
#include "storage/row_texts.hpp"

namespace daybook::storage {

using core::Code;
using core::MetadataQuery;
using core::MetadataRow;
using core::Origin;
using core::Result;
using core::Retry;

// Times are RFC 3339 in UTC with six digits, so that text order is time order.
const std::array<const char*, kSqliteSchemaVersion> kSqliteSchemaSteps = {
    R"sql(
CREATE TABLE records (
  id TEXT PRIMARY KEY NOT NULL,
  tenant TEXT NOT NULL,
  source TEXT NOT NULL,
  event_id TEXT NOT NULL,
  type TEXT NOT NULL,
  subject TEXT NOT NULL,
  event_time TEXT,
  received_at TEXT NOT NULL,
  content_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  stored_size INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  stored_sha256 TEXT NOT NULL,
  data_offset INTEGER NOT NULL,
  frames TEXT NOT NULL,
  object_key TEXT NOT NULL,
  object_location TEXT NOT NULL,
  object_version TEXT NOT NULL,
  partition INTEGER NOT NULL,
  position TEXT NOT NULL,
  leaf_index INTEGER,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  durability TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  attributes TEXT NOT NULL,
  indexed_at TEXT NOT NULL
) STRICT;
CREATE INDEX records_by_tenant ON records (tenant, id);
CREATE INDEX records_by_type ON records (type, id);
CREATE INDEX records_by_source ON records (source, id);
CREATE INDEX records_by_subject ON records (subject, id);
CREATE INDEX records_by_state ON records (state, id);
CREATE TABLE clock_skew (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  max_ms INTEGER NOT NULL
) STRICT;
INSERT INTO clock_skew VALUES (1, 0);
PRAGMA user_version = 1;
)sql",
    // Records that are there already are published in the order of their ids, as if each had been
    // when it was received. The feed's name is a random UUID (RFC 9562 section 5.4).
    R"sql(
ALTER TABLE records ADD COLUMN context TEXT NOT NULL DEFAULT '{}';
ALTER TABLE records ADD COLUMN started_at TEXT;
ALTER TABLE records ADD COLUMN archived_at TEXT;
CREATE TABLE feed (
  sequence INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  published_at TEXT NOT NULL
) STRICT;
CREATE INDEX feed_by_time ON feed (published_at);
INSERT INTO feed
  SELECT row_number() OVER (ORDER BY id), id,
         max(received_at) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING)
  FROM records;
CREATE TABLE feed_head (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  feed TEXT NOT NULL,
  last INTEGER NOT NULL,
  published_at TEXT NOT NULL
) STRICT;
INSERT INTO feed_head
  SELECT 1,
         lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' ||
               substr(hex(randomblob(2)), 2) || '-' || substr('89AB', 1 + (random() & 3), 1) ||
               substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
         count(*), coalesce(max(published_at), '')
  FROM feed;
PRAGMA user_version = 2;
)sql",
};

// The order of insert_record() and read_record().
#define DAYBOOK_RECORD_COLUMNS                                                                 \
  "id, tenant, source, event_id, type, subject, event_time, received_at, content_type, size, " \
  "stored_size, sha256, stored_sha256, data_offset, frames, object_key, object_location, "     \
  "object_version, partition, position, state, attempts, durability, idempotency_key, "        \
  "attributes, indexed_at, context, started_at, archived_at"
const std::string_view kInsertRecord =
    "INSERT INTO records (" DAYBOOK_RECORD_COLUMNS
    ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO "
    "NOTHING";
const std::string_view kFindRecord = "SELECT " DAYBOOK_RECORD_COLUMNS " FROM records WHERE id = ?";
const std::string_view kScanRecords =
    "SELECT " DAYBOOK_RECORD_COLUMNS " FROM records WHERE id > ? ORDER BY id LIMIT ?";
// The feed leads, whatever the planner thinks: its numbers are the order.
const std::string_view kReadFeed =
    "SELECT " DAYBOOK_RECORD_COLUMNS
    ", feed.sequence, feed.published_at FROM feed CROSS JOIN records USING (id) "
    "WHERE feed.sequence > ? ORDER BY feed.sequence LIMIT ?";
const std::string_view kWidenClockSkew = "UPDATE clock_skew SET max_ms = ?1 WHERE max_ms < ?1";

namespace {

constexpr std::string_view kSelectRecords = "SELECT " DAYBOOK_RECORD_COLUMNS " FROM records";
#undef DAYBOOK_RECORD_COLUMNS
enum Column {
  kId,
  kTenant,
  kSource,
  kEventId,
  kType,
  kSubject,
  kEventTime,
  kReceivedAt,
  kContentType,
  kSize,
  kStoredSize,
  kSha256,
  kStoredSha256,
  kDataOffset,
  kFrames,
  kObjectKey,
  kObjectLocation,
  kObjectVersion,
  kPartition,
  kPosition,
  kState,
  kAttempts,
  kDurability,
  kIdempotencyKey,
  kAttributes,
  kIndexedAt,
  kContext,
  kStartedAt,
  kArchivedAt,
};

std::string text_of(const std::optional<core::WallTime>& time) {
  return time ? core::format_time(*time) : "";
}

void bind_time(SqliteStatement& statement, const std::string& text) {
  if (text.empty()) {
    statement.bind_null();
  } else {
    statement.bind(text);
  }
}

// false: there is a text, and it is no time.
bool read_time(std::string_view text, std::optional<core::WallTime>& time) {
  if (text.empty()) return true;
  time = core::parse_time(text);
  return time.has_value();
}

}  // namespace

Result<void> insert_record(SqliteStatement& insert, const MetadataRow& row) {
  const core::Envelope& envelope = row.envelope;
  const std::string id = envelope.id.str();
  const std::string event_time = text_of(envelope.event_time);
  const std::string received_at = core::format_time(envelope.received_at);
  const std::string sha256 = envelope.sha256.hex();
  const std::string stored_sha256 = row.stored_sha256.hex();
  const std::string frames = frames_text(envelope.frames);
  const std::string attributes = attributes_text(envelope.attributes);
  const std::string indexed_at = core::format_time(row.indexed_at);
  const std::string context = attributes_text(envelope.context);
  const std::string started_at = text_of(row.started_at);
  const std::string archived_at = text_of(row.archived_at);

  insert.bind(id);
  insert.bind(envelope.tenant);
  insert.bind(envelope.source);
  insert.bind(envelope.event_id);
  insert.bind(envelope.type);
  insert.bind(envelope.subject);
  bind_time(insert, event_time);
  insert.bind(received_at);
  insert.bind(envelope.content_type);
  insert.bind(static_cast<std::int64_t>(envelope.size));
  insert.bind(static_cast<std::int64_t>(row.stored_size));
  insert.bind(sha256);
  insert.bind(stored_sha256);
  insert.bind(static_cast<std::int64_t>(row.data_offset));
  insert.bind(frames);
  insert.bind(row.object_key);
  insert.bind(row.object_location);
  insert.bind(row.object_version);
  insert.bind(static_cast<std::int64_t>(envelope.partition));
  insert.bind(row.position);
  insert.bind(row.state);
  insert.bind(static_cast<std::int64_t>(row.attempts));
  insert.bind(envelope.durability);
  insert.bind(envelope.idempotency_key);
  insert.bind(attributes);
  insert.bind(indexed_at);
  insert.bind(context);
  bind_time(insert, started_at);
  bind_time(insert, archived_at);
  const auto done = insert.step();
  insert.reset();  // the texts above end with this scope
  if (!done) return pass(done);
  return {};
}

Result<MetadataRow> read_record(const SqliteStatement& statement) {
  const auto damaged = [&](std::string_view column) {
    return core::fail(Code::damaged, Origin::metadata, Retry::never,
                      "The metadata row " + std::string(statement.text(kId)) + " has an unusable " +
                          std::string(column) + "; restore the metadata file from a backup.");
  };
  const auto id = core::RecordId::parse(statement.text(kId));
  const auto received_at = core::parse_time(statement.text(kReceivedAt));
  const auto sha256 = core::Sha256::from_hex(statement.text(kSha256));
  const auto stored_sha256 = core::Sha256::from_hex(statement.text(kStoredSha256));
  auto frames = parse_frames(statement.text(kFrames));
  auto attributes = parse_attributes(statement.text(kAttributes));
  const auto indexed_at = core::parse_time(statement.text(kIndexedAt));
  auto context = parse_attributes(statement.text(kContext));
  if (!id) return damaged("id");
  if (!received_at) return damaged("received_at");
  if (!sha256) return damaged("sha256");
  if (!stored_sha256) return damaged("stored_sha256");
  if (!frames) return damaged("frames");
  if (!attributes) return damaged("attributes");
  if (!indexed_at) return damaged("indexed_at");
  if (!context) return damaged("context");

  MetadataRow row;
  core::Envelope& envelope = row.envelope;
  envelope.id = *id;
  envelope.tenant = statement.text(kTenant);
  envelope.source = statement.text(kSource);
  envelope.event_id = statement.text(kEventId);
  envelope.type = statement.text(kType);
  envelope.subject = statement.text(kSubject);
  if (!read_time(statement.text(kEventTime), envelope.event_time)) return damaged("event_time");
  envelope.received_at = *received_at;
  envelope.content_type = statement.text(kContentType);
  envelope.size = static_cast<std::uint64_t>(statement.integer(kSize));
  envelope.sha256 = *sha256;
  envelope.frames = std::move(*frames);
  envelope.partition = static_cast<std::uint32_t>(statement.integer(kPartition));
  envelope.durability = statement.text(kDurability);
  envelope.idempotency_key = statement.text(kIdempotencyKey);
  envelope.attributes = std::move(*attributes);
  envelope.context = std::move(*context);
  row.stored_size = static_cast<std::uint64_t>(statement.integer(kStoredSize));
  row.stored_sha256 = *stored_sha256;
  row.data_offset = static_cast<std::uint64_t>(statement.integer(kDataOffset));
  row.object_key = statement.text(kObjectKey);
  row.object_location = statement.text(kObjectLocation);
  row.object_version = statement.text(kObjectVersion);
  row.position = statement.text(kPosition);
  row.state = statement.text(kState);
  row.attempts = static_cast<std::uint32_t>(statement.integer(kAttempts));
  if (!read_time(statement.text(kStartedAt), row.started_at)) return damaged("started_at");
  if (!read_time(statement.text(kArchivedAt), row.archived_at)) return damaged("archived_at");
  row.indexed_at = *indexed_at;
  return row;
}

ListStatement list_statement(const MetadataQuery& query, std::int64_t skew_ms) {
  ListStatement list{.sql = std::string(kSelectRecords), .texts = {}, .limit = query.limit};
  const auto condition = [&](std::string_view text, std::string value) {
    list.sql += list.texts.empty() ? " WHERE " : " AND ";
    list.sql += text;
    list.texts.push_back(std::move(value));
  };
  // From the most to the least selective by nature. The first one given is answered by its index,
  // in id order; "+" keeps the planner, which knows no figures, from choosing another one.
  bool indexed = false;
  const auto filter = [&](std::string_view column, const std::optional<std::string>& value) {
    if (!value) return;
    condition((indexed ? "+" : "") + std::string(column) + " = ?", *value);
    indexed = true;
  };
  filter("subject", query.subject);
  filter("source", query.source);
  filter("type", query.type);
  filter("tenant", query.tenant);
  filter("state", query.state);
  const IdRange ids = id_range(query, skew_ms);
  if (query.since) condition("received_at >= ?", core::format_time(*query.since));
  if (ids.first) condition("id >= ?", ids.first->str());
  if (query.until) condition("received_at < ?", core::format_time(*query.until));
  if (ids.end) condition("id < ?", ids.end->str());
  if (query.before) condition("id < ?", query.before->str());
  list.sql += " ORDER BY id DESC LIMIT ?";
  return list;
}

}  // namespace daybook::storage
