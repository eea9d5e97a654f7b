#include "storage/postgres_schema.hpp"

#include <array>
#include <utility>

#include "storage/postgres_rows.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;
using core::SchemaState;
using core::SchemaStatus;
using core::Task;

constexpr std::string_view kUndefinedTable = "42P01";
constexpr std::string_view kUndefinedColumn = "42703";
constexpr int kLockAttempts = 5;
constexpr core::Duration kCountPatience = std::chrono::seconds(10);

// Harmless where it is there already; a version table without its other rows is no schema yet.
constexpr std::array kPreparation = {
    "CREATE TABLE IF NOT EXISTS daybook_schema_versions (\n"
    "  version bigint PRIMARY KEY,\n"
    "  applied_at timestamptz NOT NULL DEFAULT now(),\n"
    "  program text NOT NULL)",
    "INSERT INTO daybook_schema_versions (version, program) VALUES (0, 'lock')\n"
    "  ON CONFLICT (version) DO NOTHING",
};

struct Step {
  std::int64_t version;
  const char* sql;
};
// Never changed once released: a later version is more steps.
constexpr std::array kSteps = {
    Step{1,
         "CREATE TABLE daybook_records (\n"
         "  id uuid PRIMARY KEY,\n"
         "  tenant text NOT NULL,\n"
         "  source text NOT NULL,\n"
         "  event_id text NOT NULL,\n"
         "  type text NOT NULL,\n"
         "  subject text NOT NULL,\n"
         "  event_time timestamptz,\n"
         "  received_at timestamptz NOT NULL,\n"
         "  content_type text NOT NULL,\n"
         "  size bigint NOT NULL,\n"
         "  stored_size bigint NOT NULL,\n"
         "  sha256 text NOT NULL,\n"
         "  stored_sha256 text NOT NULL,\n"
         "  data_offset bigint NOT NULL,\n"
         "  frames text NOT NULL,\n"
         "  object_key text NOT NULL,\n"
         "  object_location text NOT NULL,\n"
         "  object_version text NOT NULL,\n"
         "  partition bigint NOT NULL,\n"
         "  position text NOT NULL,\n"
         "  leaf_index bigint,\n"
         "  state text NOT NULL,\n"
         "  attempts bigint NOT NULL,\n"
         "  durability text NOT NULL,\n"
         "  idempotency_key text NOT NULL,\n"
         "  attributes text NOT NULL,\n"
         "  indexed_at timestamptz NOT NULL)"},
    // Ids are in the order of time, so each of these answers its filter page by page.
    Step{1, "CREATE INDEX daybook_records_by_tenant ON daybook_records (tenant, id)"},
    Step{1, "CREATE INDEX daybook_records_by_type ON daybook_records (type, id)"},
    Step{1, "CREATE INDEX daybook_records_by_source ON daybook_records (source, id)"},
    Step{1, "CREATE INDEX daybook_records_by_subject ON daybook_records (subject, id)"},
    Step{1, "CREATE INDEX daybook_records_by_state ON daybook_records (state, id)"},
    Step{1,
         "CREATE TABLE daybook_clock_skew (\n"
         "  one bigint PRIMARY KEY CHECK (one = 1),\n"
         "  max_ms bigint NOT NULL)"},
    Step{1, "INSERT INTO daybook_clock_skew VALUES (1, 0)"},
    Step{2,
         "ALTER TABLE daybook_records\n"
         "  ADD COLUMN context text NOT NULL DEFAULT '{}',\n"
         "  ADD COLUMN started_at timestamptz,\n"
         "  ADD COLUMN archived_at timestamptz"},
    // An older program that still runs inserts no more: its rows would get no number.
    Step{2, "ALTER TABLE daybook_records ALTER COLUMN context DROP DEFAULT"},
    // Records that are there already are published in the order of their ids, as if each had been
    // when it was received.
    Step{2,
         "CREATE TABLE daybook_feed AS\n"
         "  SELECT row_number() OVER (ORDER BY id) AS sequence, id,\n"
         "         max(received_at) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS published_at\n"
         "  FROM daybook_records"},
    Step{2,
         "ALTER TABLE daybook_feed\n"
         "  ADD PRIMARY KEY (sequence), ADD UNIQUE (id),\n"
         "  ALTER COLUMN published_at SET NOT NULL"},
    Step{2, "CREATE INDEX daybook_feed_by_time ON daybook_feed (published_at, sequence)"},
    Step{2,
         "CREATE TABLE daybook_feed_head (\n"
         "  one bigint PRIMARY KEY CHECK (one = 1),\n"
         "  feed uuid NOT NULL,\n"
         "  last bigint NOT NULL,\n"
         "  published_at timestamptz NOT NULL)"},
    Step{2,
         "INSERT INTO daybook_feed_head\n"
         "  SELECT 1, gen_random_uuid(), count(*), coalesce(max(published_at), 'epoch')\n"
         "  FROM daybook_feed"},
};
static_assert(kSteps.back().version == kPostgresSchemaVersion);

PostgresStatement sql(std::string text) {
  return {.name = {}, .sql = std::move(text), .parameters = {}};
}

std::string done_text(std::int64_t version) {
  return "INSERT INTO daybook_schema_versions (version, program) VALUES (" +
         std::to_string(version) + ", 'daybook')";
}

core::Failure refused(const SchemaStatus& status) {
  return core::fail(Code::misconfigured, Origin::metadata, Retry::safe, status.detail);
}

}  // namespace

std::vector<std::string> postgres_schema_steps(std::int64_t from, std::int64_t to) {
  std::vector<std::string> steps;
  if (from == 0) steps.assign(kPreparation.begin(), kPreparation.end());
  for (std::size_t i = 0; i < kSteps.size(); ++i) {
    if (kSteps[i].version <= from || kSteps[i].version > to) continue;
    steps.emplace_back(kSteps[i].sql);
    const bool last = i + 1 == kSteps.size() || kSteps[i + 1].version != kSteps[i].version;
    if (last) steps.push_back(done_text(kSteps[i].version));
  }
  return steps;
}

PostgresStatements schema_questions() {
  return {sql("SELECT coalesce(max(version), 0) FROM daybook_schema_versions"), shape_statement()};
}

Result<SchemaStatus> judge_postgres_schema(const PostgresConnection& connection,
                                           const PostgresResults& results, std::size_t first) {
  const PostgresResult& version = results[first];
  const PostgresResult& shape = results[first + 1];
  const auto known = [](const PostgresResult& result) {
    return result.ok() || result.sqlstate() == kUndefinedTable ||
           result.sqlstate() == kUndefinedColumn;
  };
  if (!known(version)) return connection.failure(version);
  if (!known(shape)) return connection.failure(shape);
  SchemaStatus status;
  status.wanted = kPostgresSchemaVersion;
  const std::string where = "The database at " + connection.server();
  const auto judged = [&](SchemaState state, const std::string& detail) {
    status.state = state;
    status.detail = detail;
    return status;
  };
  if (version.sqlstate() == kUndefinedColumn) {
    return judged(SchemaState::foreign, where +
                                            " has a table daybook_schema_versions that is not "
                                            "Daybook's. Use another database or schema.");
  }
  status.version = version.ok() ? version.integer(0, 0) : 0;
  if (status.version > kPostgresSchemaVersion) {
    return judged(SchemaState::newer,
                  where + " has schema version " + std::to_string(status.version) +
                      ", and this program knows versions up to " +
                      std::to_string(kPostgresSchemaVersion) +
                      ": a newer Daybook made it. Start that one, or name another database.");
  }
  const bool no_table = shape.sqlstate() == kUndefinedTable;
  if (status.version == 0) {
    if (no_table) {
      return judged(SchemaState::missing, where +
                                              " has no tables for the index yet. Make them with: "
                                              "daybook metadata migrate.");
    }
    return judged(SchemaState::foreign,
                  where +
                      " has a table daybook_records that some other program made. Use another "
                      "database or schema.");
  }
  if (status.version < kPostgresSchemaVersion) {
    return judged(SchemaState::older, where + " has schema version " +
                                          std::to_string(status.version) + ", this program needs " +
                                          std::to_string(kPostgresSchemaVersion) +
                                          ". Upgrade it with: daybook metadata migrate.");
  }
  if (!shape.ok()) {
    return judged(SchemaState::foreign, where + " has a daybook_records of another shape (" +
                                            std::string(shape.message()) +
                                            "). Restore it, or use another database.");
  }
  if (const std::string column = misshapen_column(shape); !column.empty()) {
    return judged(SchemaState::foreign, where + " has a daybook_records of another shape (column " +
                                            column +
                                            " is of another type). Restore it, or use another "
                                            "database.");
  }
  return judged(SchemaState::current, "");
}

PostgresSchema::PostgresSchema(io::IoRuntime& runtime, PostgresSettings settings)
    : runtime_(runtime), settings_(std::move(settings)) {}

std::string PostgresSchema::describe() const {
  return "postgresql:" + settings_.address.str();
}

Task<Result<SchemaStatus>> PostgresSchema::status_on(PostgresConnection& connection,
                                                     Deadline deadline) {
  const PostgresStatements questions = schema_questions();
  const auto answers = co_await connection.exchange(questions, PostgresPipeline::apart, deadline);
  if (!answers) co_return pass(answers);
  co_return judge_postgres_schema(connection, *answers, 0);
}

Task<Result<SchemaStatus>> PostgresSchema::status(Deadline deadline) {
  auto connection = co_await PostgresConnection::open(runtime_, settings_, deadline);
  if (!connection) co_return pass(std::move(connection));
  auto status = co_await status_on(**connection, deadline);
  if (!status || status->state != SchemaState::current) co_return status;
  const PostgresStatements count = {sql("SELECT count(*) FROM daybook_records")};
  const Deadline patience = std::min(deadline, runtime_.steady_now() + kCountPatience);
  const auto counted = co_await (*connection)->exchange(count, PostgresPipeline::apart, patience);
  if (counted && counted->front().ok()) {
    status->rows = static_cast<std::uint64_t>(counted->front().integer(0, 0));
  }
  co_return status;
}

Task<Result<std::vector<std::string>>> PostgresSchema::migrate(bool dry_run, Deadline deadline) {
  auto connection = co_await PostgresConnection::open(runtime_, settings_, deadline);
  if (!connection) co_return pass(std::move(connection));
  auto status = co_await status_on(**connection, deadline);
  if (!status) co_return pass(std::move(status));
  if (status->state == SchemaState::current) co_return std::vector<std::string>{};
  if (status->state == SchemaState::newer || status->state == SchemaState::foreign) {
    co_return refused(*status);
  }
  std::vector<std::string> steps = postgres_schema_steps(status->version, kPostgresSchemaVersion);
  for (std::string& step : steps) step += ";";  // to be run by hand, too
  if (dry_run) co_return steps;
  if (auto applied = co_await apply(**connection, deadline); !applied) {
    co_return pass(std::move(applied));
  }
  co_return steps;
}

// One transaction, one pipeline. Another process may migrate at the same moment: it holds the row
// of version 0, and when we get it our steps fail as a whole, because they are done; then it is
// looked at again. So it is where making the table of versions collides (two of CREATE TABLE IF NOT
// EXISTS may), and where a distributed database puts transactions in order by refusing one.
Task<Result<void>> PostgresSchema::apply(PostgresConnection& connection, Deadline deadline) {
  const PostgresStatements prepare = {sql(kPreparation[0]), sql(kPreparation[1])};
  Result<void> outcome;
  for (int attempt = 1; attempt <= kLockAttempts; ++attempt) {
    const auto prepared = co_await connection.exchange(prepare, PostgresPipeline::apart, deadline);
    if (!prepared) co_return pass(prepared);
    const auto before = co_await status_on(connection, deadline);
    if (!before) co_return pass(before);
    if (before->state == SchemaState::current) co_return Result<void>{};
    PostgresStatements all = {
        sql("BEGIN"),
        sql("SELECT version FROM daybook_schema_versions WHERE version = 0 FOR UPDATE")};
    for (const std::string& step : postgres_schema_steps(before->version, kPostgresSchemaVersion)) {
      all.push_back(sql(step));
    }
    all.push_back(sql("COMMIT"));
    const auto results = co_await connection.exchange(all, PostgresPipeline::together, deadline);
    if (!results) co_return pass(results);
    outcome = {};
    for (const PostgresResult& result : *results) {
      if (!result.ok() && !result.skipped()) outcome = connection.failure(result);
    }
    if (outcome) co_return outcome;
    co_await runtime_.sleep(std::chrono::milliseconds(100) * attempt);
  }
  co_return outcome;
}

Task<Result<PostgresFacts>> PostgresSchema::examine(Deadline deadline) {
  auto connection = co_await PostgresConnection::open(runtime_, settings_, deadline);
  if (!connection) co_return pass(std::move(connection));
  PostgresFacts facts;
  facts.server_version = (*connection)->server_version();
  facts.uses_tls = (*connection)->uses_tls();
  auto schema = co_await status(deadline);
  if (!schema) co_return pass(std::move(schema));
  facts.schema = std::move(*schema);
  struct Privilege {
    const char* table;
    const char* privilege;
  };
  constexpr std::array kPrivileges = {
      Privilege{"daybook_records", "SELECT"},    Privilege{"daybook_records", "INSERT"},
      Privilege{"daybook_clock_skew", "SELECT"}, Privilege{"daybook_clock_skew", "UPDATE"},
      Privilege{"daybook_feed", "SELECT"},       Privilege{"daybook_feed", "INSERT"},
      Privilege{"daybook_feed_head", "SELECT"},  Privilege{"daybook_feed_head", "UPDATE"}};
  PostgresStatements questions = {sql("SHOW synchronous_commit"), sql("SHOW fsync"),
                                  sql("SHOW transaction_read_only")};
  for (const Privilege& wanted : kPrivileges) {
    questions.push_back(sql("SELECT has_table_privilege('" + std::string(wanted.table) + "', '" +
                            wanted.privilege + "')::int"));
  }
  const auto answers =
      co_await (*connection)->exchange(questions, PostgresPipeline::apart, deadline);
  if (!answers) co_return pass(answers);
  const PostgresResults& all = *answers;
  if (all[0].ok()) facts.synchronous_commit = all[0].first();
  if (all[1].ok()) facts.fsync = all[1].first();
  facts.read_only = all[2].ok() && all[2].first() == "on";
  for (std::size_t i = 0; i < kPrivileges.size(); ++i) {
    const PostgresResult& granted = all[3 + i];
    if (!granted.ok() || granted.integer(0, 0) == 1) continue;
    facts.missing_privileges.push_back(std::string(kPrivileges[i].privilege) + " on " +
                                       kPrivileges[i].table);
  }
  co_return facts;
}

}  // namespace daybook::storage
