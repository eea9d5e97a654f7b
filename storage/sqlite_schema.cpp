#include "storage/sqlite_schema.hpp"

#include <utility>

#include "storage/blocking_call.hpp"
#include "storage/sqlite_connection.hpp"
#include "storage/sqlite_rows.hpp"

namespace daybook::storage {

using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::SchemaState;
using core::SchemaStatus;
using core::Task;

SqliteSchema::SqliteSchema(SqliteMetadata::Settings settings, core::Workers& worker)
    : settings_(std::move(settings)), worker_(worker) {}

std::string SqliteSchema::describe() const {
  return "sqlite:" + settings_.file.string();
}

Result<SchemaStatus> SqliteSchema::status_now(Deadline deadline) const {
  SchemaStatus status;
  status.wanted = kSqliteSchemaVersion;
  const std::string file = settings_.file.string();
  std::error_code error;
  if (!std::filesystem::exists(settings_.file, error)) {
    status.detail = "There is no file " + file + " yet: serve makes it.";
    return status;
  }
  auto connection = SqliteConnection::open(file, SqliteConnection::Mode::read_only);
  if (!connection) return pass(std::move(connection));
  if (auto in_time = (*connection)->limit_waits(settings_.busy_timeout, deadline); !in_time) {
    return pass(in_time);
  }
  const auto version = (*connection)->integer("PRAGMA user_version");
  if (!version) return pass(version);
  const auto tables = (*connection)->integer("SELECT count(*) FROM sqlite_schema");
  if (!tables) return pass(tables);
  status.version = *version;
  if (*version > kSqliteSchemaVersion) {
    status.state = SchemaState::newer;
    status.detail = file + " was written by a newer Daybook. Start that one, or name another " +
                    "metadata.sqlite_file.";
  } else if (*version == 0 && *tables != 0) {
    status.state = SchemaState::foreign;
    status.detail = file + " belongs to some other program. Name another metadata.sqlite_file.";
  } else if (*version == kSqliteSchemaVersion) {
    status.state = SchemaState::current;
    const auto rows = (*connection)->integer("SELECT count(*) FROM records");
    if (!rows) return pass(rows);
    status.rows = static_cast<std::uint64_t>(*rows);
  } else if (*version != 0) {
    status.state = SchemaState::older;
    status.detail = file + " has an older schema: serve upgrades it.";
  } else {
    status.detail = file + " is empty: serve makes its tables.";
  }
  return status;
}

Result<std::vector<std::string>> SqliteSchema::migrate_now(bool dry_run, Deadline deadline) const {
  const auto status = status_now(deadline);
  if (!status) return pass(status);
  if (status->state == SchemaState::current) return std::vector<std::string>{};
  if (status->state == SchemaState::newer || status->state == SchemaState::foreign) {
    return core::fail(Code::misconfigured, Origin::metadata, core::Retry::never, status->detail);
  }
  if (!dry_run) {
    // Opening makes it; the store is not used, so its workers are not either.
    const auto made = SqliteMetadata::open(settings_, worker_, worker_);
    if (!made) return pass(made);
  }
  return std::vector<std::string>(kSqliteSchemaSteps.begin() + status->version,
                                  kSqliteSchemaSteps.end());
}

Task<Result<SchemaStatus>> SqliteSchema::status(Deadline deadline) {
  co_return co_await call_on<SchemaStatus>(worker_, Origin::metadata,
                                           [this, deadline] { return status_now(deadline); });
}

Task<Result<std::vector<std::string>>> SqliteSchema::migrate(bool dry_run, Deadline deadline) {
  co_return co_await call_on<std::vector<std::string>>(
      worker_, Origin::metadata,
      [this, dry_run, deadline] { return migrate_now(dry_run, deadline); });
}

}  // namespace daybook::storage
