// SqliteConnection: one connection to an SQLite file with its prepared statements, and classify(),
// the one place that turns SQLite's result codes into Errors. One thread at a time; the owner sees
// to it. Every wait is bounded: limit_waits() clips the busy timeout to the deadline and interrupts
// statements that run past it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/result.hpp"
#include "core/units.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace daybook::storage {

// What a result code (extended or not) means for the caller. message: SQLite's own words.
[[nodiscard]] core::Error classify(int sqlite_code, std::string_view doing, std::string_view file,
                                   std::string_view message);

class SqliteConnection;

// A prepared statement on loan from its connection; reset for the next user when it goes.
// Values are bound in the order of their question marks.
class SqliteStatement {
 public:
  SqliteStatement(SqliteConnection& connection, sqlite3_stmt* handle)
      : connection_(connection), handle_(handle) {}
  ~SqliteStatement();
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  // The text must stay until the statement was stepped or reset.
  void bind(std::string_view text);
  void bind(std::int64_t number);
  void bind_null();
  // true: there is a row; false: the statement is done.
  [[nodiscard]] core::Result<bool> step();
  void reset();  // to bind and step again

  // Of the current row, columns from 0; NULL reads as "" and 0. The view lives until the next step.
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;

 private:
  SqliteConnection& connection_;
  sqlite3_stmt* handle_;
  int bound_ = 0;
  int bind_error_ = 0;  // the first one; step() reports it
};

class SqliteConnection {
 public:
  enum class Mode { read_write_create, read_only };
  [[nodiscard]] static core::Result<std::unique_ptr<SqliteConnection>> open(std::string file,
                                                                            Mode mode);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  // For everything until the next call. A deadline that has passed is an Error at once.
  [[nodiscard]] core::Result<void> limit_waits(core::Duration busy_timeout,
                                               core::Deadline deadline);
  // Prepared once per text.
  [[nodiscard]] core::Result<sqlite3_stmt*> prepare(std::string_view sql);
  [[nodiscard]] core::Result<void> execute(const char* sql);
  // First column of the first row; 0 or "" where there is none.
  [[nodiscard]] core::Result<std::int64_t> integer(std::string_view sql);
  [[nodiscard]] core::Result<std::string> text(std::string_view sql);

  [[nodiscard]] std::int64_t changed_rows() const;  // by the last INSERT, UPDATE or DELETE
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] bool is_read_only() const;
  // The file was renamed or deleted under us: what is written now is lost for everybody else.
  [[nodiscard]] bool file_has_moved() const;
  [[nodiscard]] core::Failure failure(int sqlite_code, std::string_view doing) const;

 private:
  SqliteConnection(sqlite3* handle, std::string file);

  sqlite3* handle_;
  std::string file_;
  core::Deadline deadline_ = core::Deadline::max();
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

// BEGIN IMMEDIATE … COMMIT; rolled back unless committed.
class SqliteTransaction {
 public:
  explicit SqliteTransaction(SqliteConnection& connection) : connection_(connection) {}
  ~SqliteTransaction();
  SqliteTransaction(const SqliteTransaction&) = delete;
  SqliteTransaction& operator=(const SqliteTransaction&) = delete;

  [[nodiscard]] core::Result<void> begin();
  [[nodiscard]] core::Result<void> commit();

 private:
  SqliteConnection& connection_;
};

}  // namespace daybook::storage
