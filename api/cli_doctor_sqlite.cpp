// The doctor's questions to the embedded metadata store.
#include <filesystem>
#include <memory>
#include <optional>

#include <sqlite3.h>

#include "api/cli_doctor.hpp"

namespace daybook::api {
namespace {

namespace fs = std::filesystem;

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

// The first column of the first row; nullopt with the reason in `why` where there is none.
std::optional<std::string> first_value(const Database& database, const char* sql,
                                       std::string& why) {
  sqlite3_stmt* raw = nullptr;
  const int prepared = sqlite3_prepare_v2(database.get(), sql, -1, &raw, nullptr);
  const Statement statement(raw);
  if (prepared == SQLITE_OK && sqlite3_step(statement.get()) == SQLITE_ROW) {
    const unsigned char* text = sqlite3_column_text(statement.get(), 0);
    return std::string(text == nullptr ? "" : reinterpret_cast<const char*>(text));
  }
  why = sqlite3_errmsg(database.get());
  return std::nullopt;
}

}  // namespace

void Doctor::examine_sqlite() {
  const std::string& file = config_.metadata_sqlite_file;
  std::error_code error;
  if (!fs::exists(file, error)) {
    return examine_writable_folder("metadata (sqlite)", fs::path(file).parent_path().string());
  }
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
  const Database database(raw);
  const std::string restore =
      "Stop Daybook, move the file away and restore it from a backup; the "
      "archived objects carry the same facts";
  if (opened != SQLITE_OK) {
    return note(Verdict::fail, "metadata (sqlite)",
                file + " cannot be opened: " + sqlite3_errstr(opened), restore);
  }
  sqlite3_busy_timeout(database.get(),
                       static_cast<int>(config_.metadata_sqlite_busy_timeout.count()));
  std::string why;
  const auto verdict = first_value(database, "PRAGMA quick_check(1)", why);
  if (!verdict || *verdict != "ok") {
    return note(Verdict::fail, "metadata (sqlite)",
                file + " is damaged or no database: " + (verdict ? *verdict : why), restore);
  }
  const auto rows = first_value(database, "SELECT count(*) FROM records", why);
  note(Verdict::ok, "metadata (sqlite)",
       file + " is sound" + (rows ? ", " + *rows + " records" : ", without records yet"));
}

}  // namespace daybook::api
