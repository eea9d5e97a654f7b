// The doctor's questions to PostgreSQL: can it be reached, may this user do what Daybook does, does
// the server keep what it commits, and is the schema this program's? Asked by the adapter's own
// connection, so that doctor and serve see the same.
#include "api/cli_doctor.hpp"
#include "api/metadata_store.hpp"
#include "storage/postgres_schema.hpp"

namespace daybook::api {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);
constexpr const char* kSubject = "metadata (postgresql)";

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

void Doctor::examine_postgresql() {
  if (auto usable = io::probe_backend(); !usable) {
    return note(Verdict::warn, kSubject, "not asked, because the runtime does not work",
                "Mend the runtime first");
  }
  const storage::PostgresSettings settings = postgres_settings(config_);
  const auto facts =
      io::run_to_completion<core::Result<storage::PostgresFacts>>([&](io::IoRuntime& runtime) {
        return
            [](io::IoRuntime& owner,
               storage::PostgresSettings own) -> core::Task<core::Result<storage::PostgresFacts>> {
              storage::PostgresSchema schema(owner, std::move(own));
              co_return co_await schema.examine(owner.steady_now() + kPatience);
            }(runtime, settings);
      });
  if (!facts) {
    return note(Verdict::fail, kSubject, facts.error().detail,
                "By hand: psql \"" + config_.metadata_postgresql_url + "\"");
  }
  const std::string where = settings.address.str();
  note(Verdict::ok, kSubject,
       "version " + facts->server_version + " answers at " + where +
           (facts->uses_tls ? ", over TLS" : ""));
  const bool verified = settings.address.option("sslmode") == "verify-full";
  if (!settings.address.is_local()) {
    note(verified ? Verdict::ok : Verdict::warn, "postgresql tls",
         verified ? "the server's name and certificate are verified"
                  : "the server is not verified: whoever is in between can read and change rows, "
                    "and see who logs in",
         "Add sslmode=verify-full&sslrootcert=/PATH to metadata.postgresql_url");
  }
  if (facts->read_only) {
    note(Verdict::fail, "postgresql role", "it is a standby or read-only: it takes no rows",
         "Name the primary, or all servers with target_session_attrs=read-write");
  }
  if (!facts->fsync.empty()) {
    note(facts->fsync == "on" ? Verdict::ok : Verdict::fail, "postgresql fsync",
         facts->fsync + (facts->fsync == "on" ? "" : ": a power cut can destroy the index"),
         "fsync = on in postgresql.conf, then: SELECT pg_reload_conf()");
  }
  const std::string& level = facts->synchronous_commit;
  if (!level.empty()) {
    const bool strong = level == "on" || level == "remote_apply";
    note(strong ? Verdict::ok : Verdict::warn, "postgresql synchronous_commit",
         level + (strong ? "" : ": Daybook sets it to on for its own connections"),
         "ALTER ROLE … SET synchronous_commit = on, so that others' rows are safe, too");
  }
  const bool current = facts->schema.state == core::SchemaState::current;
  note(current ? Verdict::ok : Verdict::fail, "postgresql schema",
       current
           ? "version " + std::to_string(facts->schema.version) +
                 (facts->schema.rows ? ", " + std::to_string(*facts->schema.rows) + " records" : "")
           : facts->schema.detail,
       facts->schema.state == core::SchemaState::missing ||
               facts->schema.state == core::SchemaState::older
           ? "daybook metadata migrate (--dry-run shows it)"
           : "daybook metadata status");
  if (!facts->missing_privileges.empty()) {
    note(Verdict::fail, "postgresql privileges",
         "this user may not: " + joined(facts->missing_privileges),
         "As the tables' owner: GRANT SELECT, INSERT ON daybook_records TO …; GRANT SELECT, UPDATE "
         "ON daybook_clock_skew TO …; GRANT SELECT ON daybook_schema_versions TO …");
  }
}

}  // namespace daybook::api
