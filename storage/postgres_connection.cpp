#include "storage/postgres_connection.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <libpq-fe.h>

#include "io/descriptor_wait.hpp"
#include "io/resolve.hpp"
#include "storage/postgres_bytes.hpp"
#include "storage/postgres_errors.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

constexpr int kBinary = 1;

// What the URL does not say. A peer that vanished without a word is noticed by the kernel, too; a
// Kerberos library would block.
constexpr std::array<std::array<const char*, 2>, 3> kDefaults = {{
    {"gssencmode", "disable"},
    {"tcp_user_timeout", "30000"},
    {"fallback_application_name", "daybook"},
}};

core::Failure too_slow(const std::string& server, std::string_view what, Retry retry) {
  return core::fail(Code::timeout, Origin::metadata, retry,
                    "PostgreSQL at " + server + " " + std::string(what) + " before the deadline.");
}

}  // namespace

void PostgresParameters::add(PostgresType type, std::optional<std::string> value) {
  types.push_back(type);
  values.push_back(std::move(value));
}
void PostgresParameters::add_text(std::string_view text) {
  add(kPostgresText, std::string(text));
}
void PostgresParameters::add_integer(std::int64_t number) {
  add(kPostgresInt8, to_network(number));
}

PostgresResult::PostgresResult(PGresult* handle) : handle_(handle, PQclear) {}

bool PostgresResult::ok() const {
  const auto status = PQresultStatus(handle_.get());
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}
bool PostgresResult::skipped() const {
  return PQresultStatus(handle_.get()) == PGRES_PIPELINE_ABORTED;
}
std::string_view PostgresResult::sqlstate() const {
  const char* text = PQresultErrorField(handle_.get(), PG_DIAG_SQLSTATE);
  return text == nullptr ? "" : text;
}
std::string_view PostgresResult::message() const {
  const char* text = PQresultErrorField(handle_.get(), PG_DIAG_MESSAGE_PRIMARY);
  return text == nullptr ? PQresultErrorMessage(handle_.get()) : text;
}
std::string_view PostgresResult::command() const {
  return PQcmdStatus(handle_.get());
}
std::size_t PostgresResult::rows() const {
  return static_cast<std::size_t>(PQntuples(handle_.get()));
}
PostgresType PostgresResult::type(int column) const {
  return PQftype(handle_.get(), column);
}
bool PostgresResult::is_null(std::size_t row, int column) const {
  return PQgetisnull(handle_.get(), static_cast<int>(row), column) != 0;
}
std::string_view PostgresResult::value(std::size_t row, int column) const {
  return {PQgetvalue(handle_.get(), static_cast<int>(row), column),
          static_cast<std::size_t>(PQgetlength(handle_.get(), static_cast<int>(row), column))};
}
std::int64_t PostgresResult::integer(std::size_t row, int column) const {
  return from_network(value(row, column));
}
std::string_view PostgresResult::first() const {
  return rows() == 0 ? "" : value(0, 0);
}

PostgresConnection::PostgresConnection(io::IoRuntime& runtime, std::string server)
    : runtime_(runtime), server_(std::move(server)) {}

PostgresConnection::~PostgresConnection() {
  PQfinish(handle_);
}

bool PostgresConnection::uses_tls() const {
  return PQsslInUse(handle_) != 0;
}

std::string PostgresConnection::server_version() const {
  const char* version = PQparameterStatus(handle_, "server_version");
  return version == nullptr ? "unknown" : version;
}

core::Failure PostgresConnection::failure(const PostgresResult& result) const {
  return core::Failure(classify_sqlstate(result.sqlstate(), result.message(), server_));
}

core::Failure PostgresConnection::lost() const {
  return core::Failure(connection_lost(PQerrorMessage(handle_), server_));
}

// --- connecting ---

// A name without an address is passed over as long as another host has one.
Task<Result<std::vector<PostgresConnection::Target>>> PostgresConnection::resolve(
    io::IoRuntime& runtime, const PostgresSettings& settings, Deadline deadline) {
  std::vector<Target> targets;
  Result<void> none;
  for (const PostgresAddress::Host& host : settings.address.hosts) {
    if (host.host.starts_with('/')) {
      targets.push_back({host, ""});
      continue;
    }
    auto addresses = co_await io::resolve(runtime, host.host, Origin::metadata, deadline);
    if (!addresses) {
      none = pass(std::move(addresses));
      none.error().detail += " Mend metadata.postgresql_url.";
      continue;
    }
    for (std::string& address : *addresses) targets.push_back({host, std::move(address)});
  }
  if (targets.empty()) co_return pass(std::move(none));
  co_return targets;
}

Task<Result<std::unique_ptr<PostgresConnection>>> PostgresConnection::open(
    io::IoRuntime& runtime, const PostgresSettings& settings, Deadline deadline) {
  auto targets = co_await resolve(runtime, settings, deadline);
  if (!targets) co_return pass(std::move(targets));
  Result<void> outcome;
  for (std::size_t i = 0; i < targets->size(); ++i) {
    const core::SteadyTime now = runtime.steady_now();
    const auto share = (deadline - now) / static_cast<std::int64_t>(targets->size() - i);
    std::unique_ptr<PostgresConnection> connection(
        new PostgresConnection(runtime, settings.address.str()));
    outcome = co_await connection->connect(settings, (*targets)[i], now + share);
    if (outcome) co_return std::move(connection);
    // A server that has judged our credentials is not asked again at its next address.
    if (outcome.error().code == Code::denied) break;
  }
  co_return pass(std::move(outcome));
}

Task<Result<void>> PostgresConnection::connect(const PostgresSettings& settings, Target target,
                                               Deadline deadline) {
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  const auto add = [&](const char* keyword, const std::string& value) {
    if (value.empty()) return;
    keywords.push_back(keyword);
    values.push_back(value.c_str());
  };
  add("host", target.host.host);
  add("hostaddr", target.address);
  add("port", target.host.port);
  add("password", settings.password);
  for (const auto& [keyword, value] : settings.address.options) add(keyword.c_str(), value);
  for (const auto& [keyword, value] : kDefaults) {
    if (!settings.address.option(keyword).empty()) continue;
    keywords.push_back(keyword);
    values.push_back(value);
  }
  keywords.push_back("client_encoding");
  values.push_back("UTF8");
  keywords.push_back(nullptr);
  values.push_back(nullptr);

  handle_ = PQconnectStartParams(keywords.data(), values.data(), 0);
  if (handle_ == nullptr) {
    co_return core::fail(Code::overloaded, Origin::metadata, Retry::safe,
                         "Memory ran out while connecting to PostgreSQL.");
  }
  PQsetErrorVerbosity(handle_, PQERRORS_VERBOSE);  // with the SQLSTATE
  PQsetNoticeProcessor(handle_, [](void*, const char*) {}, nullptr);
  PostgresPollingStatusType next =
      PQstatus(handle_) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
    const auto ready = co_await io::wait_until_ready(
        runtime_, PQsocket(handle_),
        next == PGRES_POLLING_READING ? io::Readiness::readable : io::Readiness::writable,
        deadline);
    if (!ready) co_return pass(ready);
    if (!*ready) co_return too_slow(server_, "took no connection", Retry::safe);
    next = PQconnectPoll(handle_);
  }
  const bool usable = next == PGRES_POLLING_OK && PQsetnonblocking(handle_, 1) == 0 &&
                      PQenterPipelineMode(handle_) == 1;
  if (usable) co_return Result<void>{};
  co_return core::Failure(classify_connecting(PQerrorMessage(handle_), server_));
}

// --- exchanging ---

Task<Result<PostgresResults>> PostgresConnection::exchange(const PostgresStatements& statements,
                                                           PostgresPipeline pipeline,
                                                           Deadline deadline) {
  broken_ = true;  // until every result is there
  auto results = co_await pipeline_of(statements, pipeline, deadline);
  if (!results) co_return results;
  if (PQtransactionStatus(handle_) != PQTRANS_IDLE) {
    const PostgresStatements rollback = {{.name = {}, .sql = "ROLLBACK", .parameters = {}}};
    const auto rolled_back = co_await pipeline_of(rollback, PostgresPipeline::apart, deadline);
    if (!rolled_back || PQtransactionStatus(handle_) != PQTRANS_IDLE) co_return results;
  }
  broken_ = PQstatus(handle_) != CONNECTION_OK;
  co_return results;
}

Task<Result<PostgresResults>> PostgresConnection::pipeline_of(const PostgresStatements& statements,
                                                              PostgresPipeline pipeline,
                                                              Deadline deadline) {
  const bool apart = pipeline == PostgresPipeline::apart;
  for (const PostgresStatement& statement : statements) {
    if (!send(statement) || (apart && PQpipelineSync(handle_) != 1)) co_return lost();
  }
  if (!apart && PQpipelineSync(handle_) != 1) co_return lost();
  PostgresResults results;
  results.reserve(statements.size());
  for (std::size_t i = 0; i < statements.size(); ++i) {
    // Each has one result and an end; a synchronisation point has no end of its own.
    auto result = co_await next_result(deadline);
    if (!result) co_return pass(result);
    if (*result == nullptr) co_return lost();
    results.emplace_back(*result);
    const auto end = co_await next_result(deadline);
    if (!end) co_return pass(end);
    if (*end != nullptr) {
      PQclear(*end);
      co_return lost();
    }
    // The server ended the connection and could still say why (57P01): nothing follows.
    if (PQstatus(handle_) != CONNECTION_OK) co_return lost();
    if (!apart && i + 1 < statements.size()) continue;
    const auto synced = co_await next_result(deadline);
    if (!synced) co_return pass(synced);
    const bool in_step = PQresultStatus(*synced) == PGRES_PIPELINE_SYNC;
    PQclear(*synced);
    if (!in_step) co_return lost();
  }
  co_return results;
}

bool PostgresConnection::send(const PostgresStatement& statement) {
  const PostgresParameters& given = statement.parameters;
  const int count = static_cast<int>(given.types.size());
  if (!statement.name.empty() && !statement.sql.empty()) {
    return PQsendPrepare(handle_, statement.name.c_str(), statement.sql.c_str(), count,
                         given.types.data()) == 1;
  }
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const auto& value : given.values) {
    values.push_back(value ? value->data() : nullptr);
    lengths.push_back(value ? static_cast<int>(value->size()) : 0);
  }
  const std::vector<int> formats(values.size(), kBinary);
  if (statement.sql.empty()) {
    return PQsendQueryPrepared(handle_, statement.name.c_str(), count, values.data(),
                               lengths.data(), formats.data(), kBinary) == 1;
  }
  return PQsendQueryParams(handle_, statement.sql.c_str(), count, given.types.data(), values.data(),
                           lengths.data(), formats.data(), kBinary) == 1;
}

// Until PQgetResult can be called without waiting. What is still to be sent is sent meanwhile, and
// what comes is read, or both sides would wait for each other.
Task<Result<void>> PostgresConnection::wait_for_result(Deadline deadline) {
  for (;;) {
    const int unsent = PQflush(handle_);
    if (unsent < 0) co_return lost();
    if (unsent == 0 && PQisBusy(handle_) == 0) co_return Result<void>{};
    const auto ready = co_await io::wait_until_ready(
        runtime_, PQsocket(handle_), unsent == 0 ? io::Readiness::readable : io::Readiness::either,
        deadline);
    if (!ready) co_return pass(ready);
    if (!*ready) co_return too_slow(server_, "gave no answer", Retry::unknown_outcome);
    if (PQconsumeInput(handle_) != 1) co_return lost();
  }
}

Task<Result<PGresult*>> PostgresConnection::next_result(Deadline deadline) {
  if (auto ready = co_await wait_for_result(deadline); !ready) co_return pass(std::move(ready));
  co_return PQgetResult(handle_);
}

}  // namespace daybook::storage
