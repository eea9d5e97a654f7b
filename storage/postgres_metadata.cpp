#include "storage/postgres_metadata.hpp"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "storage/postgres_errors.hpp"
#include "storage/postgres_feed.hpp"
#include "storage/postgres_rows.hpp"
#include "storage/postgres_schema.hpp"
#include "storage/row_texts.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Deadline;
using core::MetadataQuery;
using core::MetadataRow;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

constexpr int kTransactionAttempts = 6;  // of one that gives way to others
constexpr core::Duration kGiveWay = std::chrono::milliseconds(10);

PostgresStatement sql(std::string text) {
  return {.name = {}, .sql = std::move(text), .parameters = {}};
}

PostgresStatement widen_statement(const std::vector<const MetadataRow*>& rows) {
  std::int64_t skew_ms = 0;
  for (const MetadataRow* row : rows) skew_ms = std::max(skew_ms, clock_skew_ms(row->envelope));
  PostgresStatement widen = sql("UPDATE daybook_clock_skew SET max_ms = $1 WHERE max_ms < $1");
  widen.parameters.add_integer(skew_ms);
  return widen;
}

}  // namespace

PostgresMetadata::PostgresMetadata(io::IoRuntime& runtime, PostgresSettings settings)
    : runtime_(runtime),
      server_(settings.address.str()),
      pool_(runtime, std::move(settings),
            [this](PostgresConnection& connection, Deadline deadline) {
              return prepare(connection, deadline);
            }) {}

std::string PostgresMetadata::describe() const {
  return "postgresql:" + server_;
}

core::Failure PostgresMetadata::failure(const PostgresResult& result) const {
  return core::Failure(classify_sqlstate(result.sqlstate(), result.message(), server_));
}

// --- a new connection ---

Task<Result<void>> PostgresMetadata::prepare(PostgresConnection& connection, Deadline deadline) {
  const auto timeout_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(pool_.settings().statement_timeout);
  PostgresStatements questions = {
      sql("SHOW synchronous_commit"), sql("SHOW fsync"), sql("SHOW transaction_read_only"),
      sql("SET statement_timeout = " + std::to_string(timeout_ms.count()))};
  const std::size_t schema_at = questions.size();
  for (PostgresStatement& question : schema_questions()) questions.push_back(std::move(question));
  const auto answers = co_await connection.exchange(questions, PostgresPipeline::apart, deadline);
  if (!answers) co_return pass(answers);
  if (auto fit = judge_settings(connection, *answers); !fit) co_return fit;
  const auto schema = judge_postgres_schema(connection, *answers, schema_at);
  if (!schema) co_return pass(schema);
  if (schema->state != core::SchemaState::current) {
    co_return core::fail(Code::misconfigured, Origin::metadata, Retry::safe, schema->detail);
  }
  PostgresStatements settings = prepared_statements();
  const std::string_view level = (*answers)[0].ok() ? (*answers)[0].first() : "";
  const bool weak = !level.empty() && level != "on" && level != "remote_apply";
  if (weak) settings.push_back(sql("SET synchronous_commit = on"));
  if (weak && !std::exchange(said_weak_commit_, true)) {
    spdlog::warn(
        "PostgreSQL at {} runs with synchronous_commit = {}: Daybook sets it to on for its own "
        "connections, or a row could be lost after it was committed",
        server_, level);
  }
  const auto set = co_await connection.exchange(settings, PostgresPipeline::apart, deadline);
  if (!set) co_return pass(set);
  for (const PostgresResult& result : *set) {
    if (!result.ok()) co_return failure(result);
  }
  co_return Result<void>{};
}

// What a relative of PostgreSQL does not know it cannot be asked.
Result<void> PostgresMetadata::judge_settings(const PostgresConnection& connection,
                                              const PostgresResults& answers) {
  if (answers[1].ok() && answers[1].first() == "off") {
    return core::fail(Code::misconfigured, Origin::metadata, Retry::safe,
                      "PostgreSQL at " + connection.server() +
                          " runs with fsync = off, so a power cut can destroy the index. Set "
                          "fsync = on in postgresql.conf and reload it.");
  }
  if (answers[2].ok() && answers[2].first() == "on") {
    return core::Failure(classify_sqlstate("25006", "it takes no writes", connection.server()));
  }
  if (!answers[3].ok()) return connection.failure(answers[3]);
  return {};
}

// --- exchanges ---

// One statement's error is the whole's; together, so that nothing runs behind an error.
Task<Result<PostgresResults>> PostgresMetadata::run(PostgresStatements statements,
                                                    Deadline deadline) {
  auto results =
      co_await pool_.exchange(std::move(statements), PostgresPipeline::together, deadline);
  if (!results) co_return results;
  for (const PostgresResult& result : *results) {
    if (result.ok() || result.skipped()) continue;
    const core::Error error = failure(result).error();
    // A standby now, other tables, or statements that a pooler in between has forgotten: the next
    // exchange looks at everything anew.
    const std::string_view state = result.sqlstate();
    if (state == "25006" || state == "0A000" || state.starts_with("26") ||
        error.code == Code::misconfigured || error.code == Code::denied) {
      pool_.drop_kept();
    }
    co_return core::Failure(error);
  }
  co_return results;
}

Task<Result<PostgresResult>> PostgresMetadata::read(PostgresStatement statement,
                                                    Deadline deadline) {
  PostgresStatements one;
  one.push_back(std::move(statement));
  const auto results = co_await run(std::move(one), deadline);
  if (results) co_return results->front();
  core::Error error = results.error();
  if (error.retry == Retry::unknown_outcome) error.retry = Retry::safe;  // it only reads
  co_return core::Failure(std::move(error));
}

Task<Result<std::vector<MetadataRow>>> PostgresMetadata::select(PostgresStatement statement,
                                                                Deadline deadline) {
  const auto found = co_await read(std::move(statement), deadline);
  if (!found) co_return pass(found);
  std::vector<MetadataRow> rows;
  rows.reserve(found->rows());
  for (std::size_t i = 0; i < found->rows(); ++i) {
    auto row = read_postgres_row(*found, i);
    if (!row) co_return pass(row);
    rows.push_back(std::move(*row));
  }
  co_return rows;
}

Task<Result<std::optional<MetadataRow>>> PostgresMetadata::find(core::RecordId id,
                                                                Deadline deadline) {
  auto rows = co_await select(find_statement(id), deadline);
  if (!rows) co_return pass(rows);
  if (rows->empty()) co_return std::nullopt;
  co_return std::move(rows->front());
}

Task<Result<std::vector<MetadataRow>>> PostgresMetadata::list(MetadataQuery query,
                                                              Deadline deadline) {
  if (auto good = check_page(query.limit); !good) co_return pass(good);
  std::int64_t skew_ms = 0;
  if (query.since || query.until) {
    const auto answer = co_await read(sql("SELECT max_ms FROM daybook_clock_skew"), deadline);
    if (!answer) co_return pass(answer);
    if (answer->rows() == 1) skew_ms = answer->integer(0, 0);
  }
  co_return co_await select(postgres_list_statement(query, skew_ms), deadline);
}

Task<Result<std::vector<MetadataRow>>> PostgresMetadata::scan(std::optional<core::RecordId> after,
                                                              std::uint32_t limit,
                                                              Deadline deadline) {
  if (auto good = check_page(limit); !good) co_return pass(good);
  co_return co_await select(scan_statement(after, limit), deadline);
}

Task<Result<std::vector<core::FeedEntry>>> PostgresMetadata::feed(std::uint64_t after,
                                                                  std::uint32_t limit,
                                                                  Deadline deadline) {
  if (auto good = check_page(limit); !good) co_return pass(good);
  const auto found = co_await read(postgres_feed_statement(after, limit), deadline);
  if (!found) co_return pass(found);
  co_return read_postgres_feed(*found);
}

Task<Result<core::FeedBounds>> PostgresMetadata::feed_bounds(Deadline deadline) {
  const auto found = co_await read(postgres_bounds_statement(), deadline);
  if (!found) co_return pass(found);
  co_return read_postgres_bounds(*found);
}

Task<Result<std::uint64_t>> PostgresMetadata::feed_before(core::WallTime since, Deadline deadline) {
  const auto found = co_await read(postgres_before_statement(since), deadline);
  if (!found) co_return pass(found);
  co_return read_postgres_before(*found);
}

Task<Result<void>> PostgresMetadata::probe(Deadline deadline) {
  const auto answer = co_await read(sql("SHOW transaction_read_only"), deadline);
  if (!answer) co_return pass(answer);
  if (answer->first() != "on") co_return Result<void>{};
  pool_.drop_kept();
  co_return core::Failure(classify_sqlstate("25006", "it takes no writes any more", server_));
}

// --- inserting ---

Task<Result<void>> PostgresMetadata::insert(std::vector<MetadataRow> rows, Deadline deadline) {
  if (runtime_.steady_now() >= deadline) {
    co_return core::fail(Code::timeout, Origin::metadata, Retry::safe,
                         "The deadline had passed before the rows were sent to PostgreSQL.");
  }
  if (rows.empty()) co_return Result<void>{};
  std::vector<const MetadataRow*> ordered;
  ordered.reserve(rows.size());
  for (const MetadataRow& row : rows) ordered.push_back(&row);
  // Of two rows of one record the first stays the first: they lie in one array.
  std::ranges::sort(ordered, {},
                    [](const MetadataRow* row) { return std::pair(row->envelope.id, row); });
  std::vector<const MetadataRow*> present;
  auto done = co_await transact(ordered, present, deadline);
  if (!done) {
    // One bad row must not condemn those that happen to be beside it: next time they come with
    // others.
    if (rows.size() > 1 && done.error().retry == Retry::never) done.error().retry = Retry::safe;
    co_return done;
  }
  if (!present.empty()) co_await compare(std::move(present), deadline);
  co_return Result<void>{};
}

Task<Result<void>> PostgresMetadata::transact(const std::vector<const MetadataRow*>& rows,
                                              std::vector<const MetadataRow*>& present,
                                              Deadline deadline) {
  for (int attempt = 1;; ++attempt) {
    PostgresStatements statements;
    statements.reserve(rows.size() + 4);
    statements.push_back(sql("BEGIN ISOLATION LEVEL READ COMMITTED"));
    for (const MetadataRow* row : rows) statements.push_back(insert_statement(*row));
    statements.push_back(widen_statement(rows));
    statements.push_back(publish_statement(rows));
    statements.push_back(sql("COMMIT"));
    const auto results = co_await run(std::move(statements), deadline);
    if (results) {
      if (results->back().command() != "COMMIT") {
        co_return core::fail(Code::unavailable, Origin::metadata, Retry::safe,
                             "PostgreSQL at " + server_ + " rolled a transaction back.");
      }
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if ((*results)[i + 1].command() != "INSERT 0 1") present.push_back(rows[i]);
      }
      co_return Result<void>{};
    }
    const bool gave_way = results.error().code == Code::conflict;
    if (!gave_way) co_return pass(results);
    if (attempt >= kTransactionAttempts) {
      co_return core::fail(Code::unavailable, Origin::metadata, Retry::safe,
                           results.error().detail);
    }
    co_await runtime_.sleep_until(
        std::min(deadline, runtime_.steady_now() + kGiveWay * (1 << attempt)));
  }
}

// The rows that were there already, beside ours. They are committed: that they cannot be read now
// is nobody's trouble.
Task<> PostgresMetadata::compare(std::vector<const MetadataRow*> present, Deadline deadline) {
  PostgresStatements finds;
  finds.reserve(present.size());
  for (const MetadataRow* row : present) finds.push_back(find_statement(row->envelope.id));
  const auto found = co_await run(std::move(finds), deadline);
  if (!found) {
    spdlog::debug("rows that were indexed before could not be compared: {}", found.error().detail);
    co_return;
  }
  for (std::size_t i = 0; i < present.size(); ++i) {
    if ((*found)[i].rows() == 0) continue;
    const auto theirs = read_postgres_row((*found)[i], 0);
    const std::string differs = theirs ? content_difference(*present[i], *theirs) : "form";
    if (differs.empty()) continue;
    ++contradictions_;
    spdlog::error(
        "record {} was indexed before with other content ({}); its row at PostgreSQL {} stays as "
        "it "
        "is. Compare both with the archive: daybook fsck --deep",
        present[i]->envelope.id.str(), differs, server_);
  }
}

}  // namespace daybook::storage
