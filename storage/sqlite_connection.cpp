#include "storage/sqlite_connection.hpp"

#include <algorithm>
#include <utility>

#include <sqlite3.h>

namespace daybook::storage {
namespace {

using core::Code;
using core::Result;
using core::Retry;

// How many steps of SQLite's virtual machine pass between two looks at the clock: well under 1 ms.
constexpr int kStepsPerClockLook = 1000;

int interrupt_when_late(void* deadline) {
  return std::chrono::steady_clock::now() >= *static_cast<const core::Deadline*>(deadline) ? 1 : 0;
}

core::Failure too_late(std::string_view file) {
  return core::fail(Code::timeout, core::Origin::metadata, Retry::safe,
                    "The deadline passed before the metadata file " + std::string(file) +
                        " was used; nothing was changed.");
}

}  // namespace

core::Error classify(int sqlite_code, std::string_view doing, std::string_view file,
                     std::string_view message) {
  const auto error = [&](Code code, Retry retry, std::string_view advice) {
    return core::Error{code, core::Origin::metadata, retry,
                       "SQLite could not " + std::string(doing) + " in " + std::string(file) +
                           " (" + std::string(message) + ", code " + std::to_string(sqlite_code) +
                           "). " + std::string(advice)};
  };
  switch (sqlite_code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return error(Code::unavailable, Retry::safe,
                   "Another process holds its lock: find it with fuser and end its transaction, or "
                   "raise metadata.sqlite_busy_timeout.");
    case SQLITE_FULL:
      return error(Code::out_of_space, Retry::safe, "Free space on its disk.");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return error(
          Code::damaged, Retry::never,
          "The file is damaged: stop Daybook, keep the file for analysis and restore it from "
          "a backup.");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return error(Code::unavailable, Retry::safe,
                   "Give the user that runs Daybook write access to the file and its folder.");
    case SQLITE_CANTOPEN:
      return error(Code::unavailable, Retry::safe,
                   "The folder must exist and belong to the user that runs Daybook.");
    case SQLITE_IOERR:
      return error(Code::unavailable, Retry::safe, "Check the disk and the kernel's log.");
    case SQLITE_INTERRUPT:
      return error(Code::timeout, Retry::safe, "The deadline passed; nothing was changed.");
    case SQLITE_NOMEM:
      return error(Code::overloaded, Retry::safe, "Memory ran out; give Daybook more.");
    case SQLITE_TOOBIG:
      return error(Code::too_large, Retry::never, "A value is larger than SQLite can hold.");
    default:
      return error(Code::internal, Retry::never,
                   "If nobody changed the file's tables by hand, this is a bug of Daybook's.");
  }
}

SqliteStatement::~SqliteStatement() {
  reset();
}

void SqliteStatement::bind(std::string_view text) {
  // An empty view may have no address, and SQLite would read that as NULL.
  const int code = sqlite3_bind_text64(handle_, ++bound_, text.empty() ? "" : text.data(),
                                       text.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (bind_error_ == SQLITE_OK) bind_error_ = code;
}

void SqliteStatement::bind(std::int64_t number) {
  const int code = sqlite3_bind_int64(handle_, ++bound_, number);
  if (bind_error_ == SQLITE_OK) bind_error_ = code;
}

void SqliteStatement::bind_null() {
  const int code = sqlite3_bind_null(handle_, ++bound_);
  if (bind_error_ == SQLITE_OK) bind_error_ = code;
}

Result<bool> SqliteStatement::step() {
  if (bind_error_ != SQLITE_OK) return connection_.failure(bind_error_, "bind a value");
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return connection_.failure(code, "run a statement");
}

void SqliteStatement::reset() {
  sqlite3_reset(handle_);  // repeats the error of the last step, which is known by then
  sqlite3_clear_bindings(handle_);
  bound_ = 0;
  bind_error_ = SQLITE_OK;
}

std::string_view SqliteStatement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

std::int64_t SqliteStatement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}

SqliteConnection::SqliteConnection(sqlite3* handle, std::string file)
    : handle_(handle), file_(std::move(file)) {
  sqlite3_progress_handler(handle_, kStepsPerClockLook, interrupt_when_late, &deadline_);
}

SqliteConnection::~SqliteConnection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  deadline_ = core::Deadline::max();  // the checkpoint at the close of the last connection may take
                                      // its time
  sqlite3_close(handle_);
}

Result<std::unique_ptr<SqliteConnection>> SqliteConnection::open(std::string file, Mode mode) {
  const int flags =
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
      (mode == Mode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &handle, flags, nullptr);
  if (code != SQLITE_OK) {
    core::Failure failed(classify(code, "open the file", file,
                                  handle != nullptr ? sqlite3_errmsg(handle) : "out of memory"));
    sqlite3_close(handle);
    return failed;
  }
  return std::unique_ptr<SqliteConnection>(new SqliteConnection(handle, std::move(file)));
}

Result<void> SqliteConnection::limit_waits(core::Duration busy_timeout, core::Deadline deadline) {
  deadline_ = deadline;
  const auto now = std::chrono::steady_clock::now();
  if (now >= deadline) return too_late(file_);
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(
      std::min<core::Duration>(busy_timeout, deadline - now));
  sqlite3_busy_timeout(handle_, static_cast<int>(std::min<std::int64_t>(wait.count(), 3'600'000)));
  return {};
}

Result<sqlite3_stmt*> SqliteConnection::prepare(std::string_view sql) {
  const std::string key(sql);
  if (const auto known = statements_.find(key); known != statements_.end()) return known->second;
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return failure(code, "prepare a statement");
  statements_.emplace(key, statement);
  return statement;
}

Result<void> SqliteConnection::execute(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure(code, sql);
  return {};
}

Result<std::int64_t> SqliteConnection::integer(std::string_view sql) {
  const auto handle = prepare(sql);
  if (!handle) return pass(handle);
  SqliteStatement statement(*this, *handle);
  const auto row = statement.step();
  if (!row) return pass(row);
  return *row ? statement.integer(0) : 0;
}

Result<std::string> SqliteConnection::text(std::string_view sql) {
  const auto handle = prepare(sql);
  if (!handle) return pass(handle);
  SqliteStatement statement(*this, *handle);
  const auto row = statement.step();
  if (!row) return pass(row);
  return std::string(*row ? statement.text(0) : "");
}

std::int64_t SqliteConnection::changed_rows() const {
  return sqlite3_changes64(handle_);
}

bool SqliteConnection::in_transaction() const {
  return sqlite3_get_autocommit(handle_) == 0;
}

bool SqliteConnection::is_read_only() const {
  return sqlite3_db_readonly(handle_, "main") == 1;
}

bool SqliteConnection::file_has_moved() const {
  int moved = 0;
  const int code = sqlite3_file_control(handle_, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return code == SQLITE_OK && moved != 0;
}

core::Failure SqliteConnection::failure(int sqlite_code, std::string_view doing) const {
  return core::Failure(classify(sqlite_code, doing, file_, sqlite3_errmsg(handle_)));
}

SqliteTransaction::~SqliteTransaction() {
  // SQLite has rolled back by itself after some errors; then there is nothing left to do.
  if (connection_.in_transaction()) (void)connection_.execute("ROLLBACK");
}

Result<void> SqliteTransaction::begin() {
  return connection_.execute("BEGIN IMMEDIATE");
}

Result<void> SqliteTransaction::commit() {
  return connection_.execute("COMMIT");
}

}  // namespace daybook::storage
