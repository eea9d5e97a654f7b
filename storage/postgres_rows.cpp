#include "storage/postgres_rows.hpp"

#include <array>
#include <utility>

#include "storage/postgres_bytes.hpp"
#include "storage/row_texts.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::MetadataRow;
using core::Origin;
using core::Result;
using core::Retry;

struct ColumnOf {
  std::string_view name;
  PostgresType type;
};
// In the order of insert_statement() and read_postgres_row().
constexpr std::array<ColumnOf, kPostgresColumns> kColumns = {{
    {"id", kPostgresUuid},
    {"tenant", kPostgresText},
    {"source", kPostgresText},
    {"event_id", kPostgresText},
    {"type", kPostgresText},
    {"subject", kPostgresText},
    {"event_time", kPostgresTimestamptz},
    {"received_at", kPostgresTimestamptz},
    {"content_type", kPostgresText},
    {"size", kPostgresInt8},
    {"stored_size", kPostgresInt8},
    {"sha256", kPostgresText},
    {"stored_sha256", kPostgresText},
    {"data_offset", kPostgresInt8},
    {"frames", kPostgresText},
    {"object_key", kPostgresText},
    {"object_location", kPostgresText},
    {"object_version", kPostgresText},
    {"partition", kPostgresInt8},
    {"position", kPostgresText},
    {"state", kPostgresText},
    {"attempts", kPostgresInt8},
    {"durability", kPostgresText},
    {"idempotency_key", kPostgresText},
    {"attributes", kPostgresText},
    {"indexed_at", kPostgresTimestamptz},
    {"context", kPostgresText},
    {"started_at", kPostgresTimestamptz},
    {"archived_at", kPostgresTimestamptz},
}};
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

std::string select() {
  return "SELECT " + postgres_column_names() + " FROM daybook_records";
}

std::string parameter(const PostgresParameters& parameters) {
  return "$" + std::to_string(parameters.types.size());
}

void add_time(PostgresParameters& columns, const std::optional<core::WallTime>& time) {
  columns.add(kPostgresTimestamptz, time ? std::optional(time_bytes(*time)) : std::nullopt);
}

}  // namespace

std::string postgres_column_names() {
  std::string names;
  for (const ColumnOf& column : kColumns) {
    names += (names.empty() ? "" : ", ") + std::string(column.name);
  }
  return names;
}

PostgresStatements prepared_statements() {
  PostgresStatement insert{.name = kPostgresInsert, .sql = {}, .parameters = {}};
  std::string numbers;
  for (const ColumnOf& column : kColumns) {
    insert.parameters.types.push_back(column.type);
    numbers += (numbers.empty() ? "" : ", ") + parameter(insert.parameters);
  }
  insert.sql = "INSERT INTO daybook_records (" + postgres_column_names() + ") VALUES (" + numbers +
               ") ON CONFLICT (id) DO NOTHING";
  PostgresStatement find{
      .name = kPostgresFind, .sql = select() + " WHERE id = $1", .parameters = {}};
  find.parameters.types = {kPostgresUuid};
  return {std::move(insert), std::move(find)};
}

PostgresStatement insert_statement(const MetadataRow& row) {
  const core::Envelope& envelope = row.envelope;
  PostgresStatement insert{.name = kPostgresInsert, .sql = {}, .parameters = {}};
  PostgresParameters& columns = insert.parameters;
  columns.add(kPostgresUuid, id_bytes(envelope.id));
  columns.add_text(envelope.tenant);
  columns.add_text(envelope.source);
  columns.add_text(envelope.event_id);
  columns.add_text(envelope.type);
  columns.add_text(envelope.subject);
  add_time(columns, envelope.event_time);
  columns.add(kPostgresTimestamptz, time_bytes(envelope.received_at));
  columns.add_text(envelope.content_type);
  columns.add_integer(static_cast<std::int64_t>(envelope.size));
  columns.add_integer(static_cast<std::int64_t>(row.stored_size));
  columns.add_text(envelope.sha256.hex());
  columns.add_text(row.stored_sha256.hex());
  columns.add_integer(static_cast<std::int64_t>(row.data_offset));
  columns.add_text(frames_text(envelope.frames));
  columns.add_text(row.object_key);
  columns.add_text(row.object_location);
  columns.add_text(row.object_version);
  columns.add_integer(envelope.partition);
  columns.add_text(row.position);
  columns.add_text(row.state);
  columns.add_integer(row.attempts);
  columns.add_text(envelope.durability);
  columns.add_text(envelope.idempotency_key);
  columns.add_text(attributes_text(envelope.attributes));
  columns.add(kPostgresTimestamptz, time_bytes(row.indexed_at));
  columns.add_text(attributes_text(envelope.context));
  add_time(columns, row.started_at);
  add_time(columns, row.archived_at);
  return insert;
}

PostgresStatement find_statement(const core::RecordId& id) {
  PostgresStatement find{.name = kPostgresFind, .sql = {}, .parameters = {}};
  find.parameters.add(kPostgresUuid, id_bytes(id));
  return find;
}

PostgresStatement shape_statement() {
  return {.name = {}, .sql = select() + " LIMIT 0", .parameters = {}};
}

std::string misshapen_column(const PostgresResult& shape) {
  for (std::size_t i = 0; i < kColumns.size(); ++i) {
    if (shape.type(static_cast<int>(i)) != kColumns[i].type) return std::string(kColumns[i].name);
  }
  return "";
}

PostgresStatement scan_statement(const std::optional<core::RecordId>& after, std::uint32_t limit) {
  PostgresStatement scan{.name = {}, .sql = select(), .parameters = {}};
  if (after) {
    scan.parameters.add(kPostgresUuid, id_bytes(*after));
    scan.sql += " WHERE id > $1";
  }
  scan.parameters.add_integer(limit);
  scan.sql += " ORDER BY id LIMIT " + parameter(scan.parameters);
  return scan;
}

PostgresStatement postgres_list_statement(const core::MetadataQuery& query, std::int64_t skew_ms) {
  PostgresStatement list{.name = {}, .sql = select(), .parameters = {}};
  PostgresParameters& parameters = list.parameters;
  const auto condition = [&](std::string_view text, PostgresType type, std::string value) {
    parameters.add(type, std::move(value));
    list.sql += (parameters.types.size() == 1 ? " WHERE " : " AND ") + std::string(text) +
                parameter(parameters);
  };
  const auto filter = [&](std::string_view text, const std::optional<std::string>& value) {
    if (value) condition(text, kPostgresText, *value);
  };
  filter("subject = ", query.subject);
  filter("source = ", query.source);
  filter("type = ", query.type);
  filter("tenant = ", query.tenant);
  filter("state = ", query.state);
  const IdRange ids = id_range(query, skew_ms);
  if (query.since) condition("received_at >= ", kPostgresTimestamptz, time_bytes(*query.since));
  if (ids.first) condition("id >= ", kPostgresUuid, id_bytes(*ids.first));
  if (query.until) condition("received_at < ", kPostgresTimestamptz, time_bytes(*query.until));
  if (ids.end) condition("id < ", kPostgresUuid, id_bytes(*ids.end));
  if (query.before) condition("id < ", kPostgresUuid, id_bytes(*query.before));
  parameters.add_integer(query.limit);
  list.sql += " ORDER BY id DESC LIMIT " + parameter(parameters);
  return list;
}

Result<MetadataRow> read_postgres_row(const PostgresResult& result, std::size_t number) {
  const auto text = [&](Column column) { return std::string(result.value(number, column)); };
  const auto integer = [&](Column column) {
    return static_cast<std::uint64_t>(result.integer(number, column));
  };
  const auto time = [&](Column column) -> std::optional<core::WallTime> {
    if (result.is_null(number, column)) return std::nullopt;
    return time_of(result.value(number, column));
  };
  MetadataRow row;
  core::Envelope& envelope = row.envelope;
  const std::string_view id = result.value(number, kId);
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < bytes.size() && i < id.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(id[i]);
  }
  envelope.id = core::RecordId(bytes);
  const auto damaged = [&](std::string_view column) {
    return core::fail(Code::damaged, Origin::metadata, Retry::never,
                      "The metadata row " + envelope.id.str() + " has an unusable " +
                          std::string(column) + "; restore the database from a backup.");
  };
  const auto sha256 = core::Sha256::from_hex(text(kSha256));
  const auto stored_sha256 = core::Sha256::from_hex(text(kStoredSha256));
  auto frames = parse_frames(result.value(number, kFrames));
  auto attributes = parse_attributes(result.value(number, kAttributes));
  auto context = parse_attributes(result.value(number, kContext));
  if (!sha256) return damaged("sha256");
  if (!stored_sha256) return damaged("stored_sha256");
  if (!frames) return damaged("frames");
  if (!attributes) return damaged("attributes");
  if (!context) return damaged("context");
  envelope.tenant = text(kTenant);
  envelope.source = text(kSource);
  envelope.event_id = text(kEventId);
  envelope.type = text(kType);
  envelope.subject = text(kSubject);
  envelope.event_time = time(kEventTime);
  envelope.received_at = time_of(result.value(number, kReceivedAt));
  envelope.content_type = text(kContentType);
  envelope.size = integer(kSize);
  envelope.sha256 = *sha256;
  envelope.frames = std::move(*frames);
  envelope.partition = static_cast<std::uint32_t>(integer(kPartition));
  envelope.durability = text(kDurability);
  envelope.idempotency_key = text(kIdempotencyKey);
  envelope.attributes = std::move(*attributes);
  envelope.context = std::move(*context);
  row.stored_size = integer(kStoredSize);
  row.stored_sha256 = *stored_sha256;
  row.data_offset = integer(kDataOffset);
  row.object_key = text(kObjectKey);
  row.object_location = text(kObjectLocation);
  row.object_version = text(kObjectVersion);
  row.position = text(kPosition);
  row.state = text(kState);
  row.attempts = static_cast<std::uint32_t>(integer(kAttempts));
  row.started_at = time(kStartedAt);
  row.archived_at = time(kArchivedAt);
  row.indexed_at = time_of(result.value(number, kIndexedAt));
  return row;
}

}  // namespace daybook::storage
