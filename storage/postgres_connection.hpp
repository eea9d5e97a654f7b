// PostgresConnection: one libpq connection on our runtime. libpq reads and writes its socket
// without ever blocking; the waits are ours (io/descriptor_wait), each with a deadline, and so are
// the name look-ups. I/O thread only; one exchange at a time.
//
// It is always in pipeline mode (libpq 14 and later): statements go out together and their results
// are read while the rest is still being sent. Parameters and results are in binary form.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/task.hpp"
#include "io/runtime.hpp"
#include "storage/postgres_settings.hpp"

typedef struct pg_conn PGconn;  // as libpq-fe.h has them
typedef struct pg_result PGresult;

namespace daybook::storage {

// Type numbers, fixed in PostgreSQL and its relatives (pg_type.dat).
using PostgresType = unsigned int;
inline constexpr PostgresType kPostgresInt8 = 20;
inline constexpr PostgresType kPostgresText = 25;
inline constexpr PostgresType kPostgresTimestamptz = 1184;
inline constexpr PostgresType kPostgresUuid = 2950;
inline constexpr PostgresType kPostgresUuidArray = 2951;

struct PostgresParameters {
  std::vector<PostgresType> types;
  std::vector<std::optional<std::string>> values;  // in binary form; nullopt is NULL

  void add(PostgresType type, std::optional<std::string> value);
  void add_text(std::string_view text);
  void add_integer(std::int64_t number);
};

// sql alone: run once. name and sql: prepared under that name, with parameters.types. name alone:
// the prepared one is run.
struct PostgresStatement {
  std::string name;
  std::string sql;
  PostgresParameters parameters;
};
using PostgresStatements = std::vector<PostgresStatement>;

class PostgresResult {
 public:
  explicit PostgresResult(PGresult* handle);
  [[nodiscard]] bool ok() const;
  // Not run, because a statement before it in the same pipeline failed.
  [[nodiscard]] bool skipped() const;
  [[nodiscard]] std::string_view sqlstate() const;  // of an error
  [[nodiscard]] std::string_view message() const;
  [[nodiscard]] std::string_view command() const;  // its tag: "COMMIT", "INSERT 0 1"
  [[nodiscard]] std::size_t rows() const;
  [[nodiscard]] PostgresType type(int column) const;
  [[nodiscard]] bool is_null(std::size_t row, int column) const;
  // The view lives as long as the result.
  [[nodiscard]] std::string_view value(std::size_t row, int column) const;
  [[nodiscard]] std::int64_t integer(std::size_t row, int column) const;  // int4 or int8
  [[nodiscard]] std::string_view first() const;  // "" where there is no row

 private:
  std::shared_ptr<PGresult> handle_;
};
using PostgresResults = std::vector<PostgresResult>;

// together: statements behind one that fails are skipped. apart: each for itself, outside of a
// transaction.
enum class PostgresPipeline { together, apart };

class PostgresConnection {
 public:
  // Tries the hosts and their addresses in turn, each for its share of the time.
  [[nodiscard]] static core::Task<core::Result<std::unique_ptr<PostgresConnection>>> open(
      io::IoRuntime& runtime, const PostgresSettings& settings, core::Deadline deadline);
  ~PostgresConnection();
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;

  // One result for each statement, errors among them. An Error: the connection was lost or the
  // deadline passed, both with retry unknown_outcome; the connection is broken() then. A
  // transaction that is left open is rolled back. The statements must stay until it returns.
  [[nodiscard]] core::Task<core::Result<PostgresResults>> exchange(
      const PostgresStatements& statements, PostgresPipeline pipeline, core::Deadline deadline);

  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] bool uses_tls() const;
  [[nodiscard]] std::string server_version() const;
  [[nodiscard]] const std::string& server() const { return server_; }
  // The Error of a result that is not ok().
  [[nodiscard]] core::Failure failure(const PostgresResult& result) const;

 private:
  struct Target {
    PostgresAddress::Host host;
    std::string address;  // empty for a Unix socket
  };
  PostgresConnection(io::IoRuntime& runtime, std::string server);

  static core::Task<core::Result<std::vector<Target>>> resolve(io::IoRuntime& runtime,
                                                               const PostgresSettings& settings,
                                                               core::Deadline deadline);
  core::Task<core::Result<void>> connect(const PostgresSettings& settings, Target target,
                                         core::Deadline deadline);
  core::Task<core::Result<PostgresResults>> pipeline_of(const PostgresStatements& statements,
                                                        PostgresPipeline pipeline,
                                                        core::Deadline deadline);
  [[nodiscard]] bool send(const PostgresStatement& statement);
  core::Task<core::Result<void>> wait_for_result(core::Deadline deadline);
  core::Task<core::Result<PGresult*>> next_result(core::Deadline deadline);
  [[nodiscard]] core::Failure lost() const;

  io::IoRuntime& runtime_;
  const std::string server_;  // for people
  PGconn* handle_ = nullptr;
  bool broken_ = false;
};

}  // namespace daybook::storage
