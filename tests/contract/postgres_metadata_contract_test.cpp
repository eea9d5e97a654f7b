// The metadata store contract, that of its feed, and what is PostgreSQL's own, on a real server.
// Every suite here has Postgresql in its name, so that one process can run them all on one server.
#include <chrono>
#include <cstdlib>
#include <thread>

#include <gtest/gtest.h>

#include "core/text.hpp"
#include "storage/postgres_metadata.hpp"
#include "storage/postgres_schema.hpp"
#include "tests/contract/metadata_feed_contract.hpp"
#include "tests/contract/postgresql.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

using core::Code;
using core::SchemaState;

// A store on a database of its own with its runtime, as the contract wants it.
class PostgresFixture {
 public:
  static std::string skip_reason() { return Postgresql::instance().skip_reason(); }
  PostgresFixture() {
    if (!skip_reason().empty()) return;
    const auto settings = Postgresql::instance().settings(Postgresql::instance().fresh_schema());
    storage::PostgresSchema schema(runtime_, settings);
    if (!run_on_io(runtime_, schema.migrate(false, soon()))) std::abort();
    store_ = std::make_unique<storage::PostgresMetadata>(runtime_, settings);
    other_ = std::make_unique<storage::PostgresMetadata>(runtime_, settings);
  }
  core::MetadataStore& store() { return *store_; }
  core::MetadataStore& other_store() { return *other_; }
  void run(core::Task<> task) { run_on_io(runtime_, std::move(task)); }

 private:
  io::IoRuntime runtime_;
  std::unique_ptr<storage::PostgresMetadata> store_;
  std::unique_ptr<storage::PostgresMetadata> other_;
};

// What the contract does not say.
class PostgresqlStore : public testing::Test {
 protected:
  void SetUp() override {
    if (!server_.skip_reason().empty()) GTEST_SKIP() << server_.skip_reason();
    schema_ = server_.fresh_schema();
  }

  std::unique_ptr<storage::PostgresMetadata> store(const std::string& options = "") {
    return store_with(server_.settings(schema_, options));
  }
  std::unique_ptr<storage::PostgresMetadata> store_with(storage::PostgresSettings settings) {
    return std::make_unique<storage::PostgresMetadata>(runtime_, std::move(settings));
  }
  void migrate() {
    storage::PostgresSchema schema(runtime_, server_.settings(schema_));
    const auto steps = run_on_io(runtime_, schema.migrate(false, soon()));
    ASSERT_TRUE(steps) << steps.error().detail;
  }
  core::MetadataRow row() {
    now_ += std::chrono::seconds(1);
    return full_row(ids_.next(now_, 1), now_);
  }
  core::Result<void> insert(core::MetadataStore& into, std::vector<core::MetadataRow> rows,
                            core::Deadline deadline = soon()) {
    return run_on_io(runtime_, into.insert(std::move(rows), deadline));
  }
  std::string psql(const std::string& sql) {
    return server_.psql(sql, schema_).value_or("psql failed");
  }

  // Runs PL/pgSQL before each row that is inserted.
  void on_insert(const std::string& body) {
    EXPECT_EQ(
        psql("CREATE SEQUENCE tries MINVALUE -100 START 1; CREATE FUNCTION hook() RETURNS trigger "
             "LANGUAGE plpgsql "
             "AS \\$\\$ BEGIN " +
             body +
             " RETURN NEW; END \\$\\$; CREATE TRIGGER hook BEFORE INSERT ON daybook_records FOR "
             "EACH ROW EXECUTE FUNCTION hook()"),
        "");
  }

  const Postgresql& server_ = Postgresql::instance();
  std::string schema_;
  io::IoRuntime runtime_;
  core::RecordIdGenerator ids_;
  core::WallTime now_ = wall_time(1'795'233'906'123'456);
};

TEST_F(PostgresqlStore, is_refused_without_its_tables_and_works_once_they_are_made) {
  auto none = store();
  const auto refused = insert(*none, {row()});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::misconfigured);
  EXPECT_NE(refused.error().detail.find("daybook metadata migrate"), std::string::npos);
  migrate();
  EXPECT_TRUE(insert(*store(), {row()}));
}

TEST_F(PostgresqlStore, makes_its_schema_once_and_shows_it_first) {
  storage::PostgresSchema schema(runtime_, server_.settings(schema_));
  const auto planned = run_on_io(runtime_, schema.migrate(true, soon()));
  ASSERT_TRUE(planned) << planned.error().detail;
  EXPECT_EQ(run_on_io(runtime_, schema.status(soon()))->state, SchemaState::missing);
  const auto done = run_on_io(runtime_, schema.migrate(false, soon()));
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(*done, *planned);
  EXPECT_TRUE(run_on_io(runtime_, schema.migrate(false, soon()))->empty());
  EXPECT_TRUE(insert(*store(), {row(), row()}));
  const auto status = run_on_io(runtime_, schema.status(soon()));
  EXPECT_EQ(status->state, SchemaState::current);
  EXPECT_EQ(status->rows, 2);
}

TEST_F(PostgresqlStore, shows_the_sql_that_makes_it_for_whoever_runs_it_by_hand) {
  storage::PostgresSchema schema(runtime_, server_.settings(schema_));
  const auto planned = run_on_io(runtime_, schema.migrate(true, soon()));
  ASSERT_TRUE(planned) << planned.error().detail;
  for (const std::string& step : *planned) EXPECT_EQ(psql(step), "") << step;
  EXPECT_EQ(run_on_io(runtime_, schema.status(soon()))->state, SchemaState::current);
}

TEST_F(PostgresqlStore, serves_with_no_more_rights_than_it_asks_for) {
  migrate();
  psql("CREATE ROLE serving LOGIN PASSWORD 'serving'; GRANT USAGE ON SCHEMA " + schema_ +
       " TO serving; GRANT SELECT ON daybook_schema_versions TO serving; "
       "GRANT SELECT, UPDATE ON daybook_clock_skew, daybook_feed_head TO serving");
  auto settings = server_.settings(schema_);
  settings.address =
      storage::parse_postgres_url("postgresql://serving@127.0.0.1:" + server_.value("PORT") +
                                  "/daybook?options=-csearch_path%3D" + schema_)
          .value();
  settings.password = "serving";
  const auto denied = insert(*store_with(settings), {row()});
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code, Code::denied);
  EXPECT_NE(denied.error().detail.find("Grant the user"), std::string::npos);
  psql("GRANT SELECT, INSERT ON daybook_records, daybook_feed TO serving");
  auto metadata = store_with(settings);
  const auto one = row();
  const auto done = insert(*metadata, {one, one});
  EXPECT_TRUE(done) << done.error().detail;
  EXPECT_EQ(**run_on_io(runtime_, metadata->find(one.envelope.id, soon())), one);
}

TEST_F(PostgresqlStore, tells_schemas_of_others_from_its_own) {
  storage::PostgresSchema schema(runtime_, server_.settings(schema_));
  const auto state = [&] { return run_on_io(runtime_, schema.status(soon()))->state; };
  psql("CREATE TABLE daybook_records (id int)");
  EXPECT_EQ(state(), SchemaState::foreign);
  EXPECT_EQ(run_on_io(runtime_, schema.migrate(false, soon())).error().code, Code::misconfigured);
  psql("DROP TABLE daybook_records");
  migrate();
  EXPECT_EQ(state(), SchemaState::current);
  psql("ALTER TABLE daybook_records RENAME COLUMN sha256 TO digest");
  EXPECT_EQ(state(), SchemaState::foreign);
  psql("ALTER TABLE daybook_records RENAME COLUMN digest TO sha256");
  psql("ALTER TABLE daybook_records ALTER COLUMN size TYPE int");
  EXPECT_EQ(state(), SchemaState::foreign);
  psql("ALTER TABLE daybook_records ALTER COLUMN size TYPE bigint");
  psql("INSERT INTO daybook_schema_versions VALUES (7, now(), 'later')");
  EXPECT_EQ(state(), SchemaState::newer);
  EXPECT_EQ(run_on_io(runtime_, schema.migrate(false, soon())).error().code, Code::misconfigured);
}

TEST_F(PostgresqlStore, counts_rows_that_come_again_with_other_content) {
  migrate();
  auto metadata = store();
  const auto first = row();
  ASSERT_TRUE(insert(*metadata, {first}));
  auto again = first;
  again.indexed_at += std::chrono::seconds(9);
  again.attempts = 7;
  ASSERT_TRUE(insert(*metadata, {row(), again}));
  EXPECT_EQ(metadata->contradictions(), 0);
  auto other = first;
  other.envelope.sha256 = core::sha256(core::as_bytes("other"));
  ASSERT_TRUE(insert(*metadata, {other, row()}));
  EXPECT_EQ(metadata->contradictions(), 1);
  EXPECT_EQ(**run_on_io(runtime_, metadata->find(first.envelope.id, soon())), first);
}

TEST_F(PostgresqlStore, keeps_times_that_clients_make_up) {
  migrate();
  auto metadata = store();
  for (const char* time :
       {"0000-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"}) {
    auto one = row();
    one.envelope.event_time = core::parse_time(time);
    ASSERT_TRUE(one.envelope.event_time) << time;
    const auto done = insert(*metadata, {one});
    ASSERT_TRUE(done) << done.error().detail;
    EXPECT_EQ(**run_on_io(runtime_, metadata->find(one.envelope.id, soon())), one);
  }
}

TEST_F(PostgresqlStore, refuses_a_text_it_cannot_hold_and_goes_on) {
  migrate();
  auto metadata = store();
  auto bad = row();
  bad.envelope.subject = std::string("a\0b", 3);
  const auto alone = insert(*metadata, {bad});
  ASSERT_FALSE(alone);
  EXPECT_EQ(alone.error().code, Code::invalid_argument);
  EXPECT_EQ(alone.error().retry, core::Retry::never);
  const auto beside = insert(*metadata, {row(), bad});
  ASSERT_FALSE(beside);
  EXPECT_EQ(beside.error().retry, core::Retry::safe) << "the good row is tried again";
  EXPECT_TRUE(insert(*metadata, {row()}));
  EXPECT_EQ(psql("SELECT count(*) FROM daybook_records"), "1\n");
}

TEST_F(PostgresqlStore, uses_no_more_connections_than_it_may) {
  migrate();
  auto settings = server_.settings(schema_, "&application_name=bounded");
  settings.connections = 2;
  auto metadata = store_with(std::move(settings));
  std::vector<core::Task<core::Result<void>>> inserts;
  for (int i = 0; i < 12; ++i) inserts.push_back(metadata->insert({row()}, soon()));
  for (const auto& done : run_on_io(runtime_, gather(std::move(inserts)))) EXPECT_TRUE(done);
  EXPECT_EQ(psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bounded'"),
            "2\n");
}

TEST_F(PostgresqlStore, goes_on_after_its_connections_were_ended) {
  migrate();
  auto metadata = store("&application_name=ended");
  ASSERT_TRUE(insert(*metadata, {row()}));
  for (int i = 0; i < 2; ++i) {
    psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ended'");
    const auto done = insert(*metadata, {row()});
    EXPECT_TRUE(done) << done.error().detail;
  }
  EXPECT_EQ(psql("SELECT count(*) FROM daybook_records"), "3\n");
}

TEST_F(PostgresqlStore, runs_a_transaction_that_had_to_give_way_again) {
  migrate();
  auto metadata = store();
  // A sequence does not roll back: the first two attempts are refused, the third is not.
  on_insert("IF nextval('tries') <= 2 THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF;");
  const auto done = insert(*metadata, {row(), row()});
  EXPECT_TRUE(done) << done.error().detail;
  EXPECT_EQ(psql("SELECT last_value FROM tries"), "4\n");
  EXPECT_EQ(psql("SELECT count(*) FROM daybook_records"), "2\n");
  psql("ALTER SEQUENCE tries RESTART WITH -50");
  const auto never = insert(*metadata, {row()});
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().code, Code::unavailable);
  EXPECT_EQ(never.error().retry, core::Retry::safe);
}

TEST_F(PostgresqlStore, inserts_all_rows_or_none) {
  migrate();
  auto metadata = store();
  on_insert("IF NEW.subject = 'bad' THEN RAISE EXCEPTION USING ERRCODE = '23514'; END IF;");
  std::vector<core::MetadataRow> rows = {row(), row(), row()};
  rows[1].envelope.subject = "bad";
  const auto refused = insert(*metadata, rows);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::misconfigured) << refused.error().detail;
  EXPECT_EQ(psql("SELECT count(*) FROM daybook_records"), "0\n");
  EXPECT_TRUE(insert(*metadata, {rows[0], rows[2]}));
}

TEST_F(PostgresqlStore, commits_synchronously_whatever_the_default_is) {
  migrate();
  on_insert("NEW.content_type := current_setting('synchronous_commit');");
  for (const auto& [given, used] :
       {std::pair("off", "on"), {"local", "on"}, {"remote_apply", "remote_apply"}}) {
    auto metadata = store("%20-csynchronous_commit%3D" + std::string(given));
    const auto one = row();
    ASSERT_TRUE(insert(*metadata, {one}));
    EXPECT_EQ(
        run_on_io(runtime_, metadata->find(one.envelope.id, soon())).value()->envelope.content_type,
        used);
  }
}

TEST_F(PostgresqlStore, refuses_a_server_that_takes_no_writes_or_does_not_sync) {
  migrate();
  const auto standby = insert(*store("%20-cdefault_transaction_read_only%3Don"), {row()});
  ASSERT_FALSE(standby);
  EXPECT_EQ(standby.error().code, Code::unavailable);
  EXPECT_NE(standby.error().detail.find("standby"), std::string::npos);
  auto before = store();
  ASSERT_TRUE(insert(*before, {row()}));
  const auto set_fsync = [this](const std::string& value) {
    psql("ALTER SYSTEM SET fsync = " + value);
    psql("SELECT pg_reload_conf()");
    while (psql("SHOW fsync") != value + "\n") {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  };
  set_fsync("off");
  const auto unsafe = insert(*store(), {row()});
  set_fsync("on");
  ASSERT_FALSE(unsafe);
  EXPECT_EQ(unsafe.error().code, Code::misconfigured);
  EXPECT_NE(unsafe.error().detail.find("fsync"), std::string::npos);
}

TEST_F(PostgresqlStore, gives_way_to_other_transactions_and_comes_again) {
  migrate();
  // Every batch widens the clock skew, so that serializable transactions cannot all go through.
  auto metadata = store("%20-cdefault_transaction_isolation%3Dserializable");
  std::vector<core::Task<core::Result<void>>> inserts;
  for (int i = 0; i < 8; ++i) {
    auto one = row();
    one.envelope.received_at += std::chrono::hours(i + 1);
    inserts.push_back(metadata->insert({one}, soon()));
  }
  for (const auto& done : run_on_io(runtime_, gather(std::move(inserts)))) {
    EXPECT_TRUE(done) << done.error().detail;
  }
  EXPECT_EQ(psql("SELECT count(*) FROM daybook_records"), "8\n");
  EXPECT_EQ(psql("SELECT max_ms / 3600000 FROM daybook_clock_skew"), "8\n");
}

TEST_F(PostgresqlStore, waits_for_a_lock_no_longer_than_it_may) {
  migrate();
  auto settings = server_.settings(schema_);
  settings.statement_timeout = std::chrono::milliseconds(300);
  auto metadata = store_with(std::move(settings));
  ASSERT_TRUE(insert(*metadata, {row()}));
  std::thread locked(
      [this] { psql("BEGIN; LOCK TABLE daybook_records; SELECT pg_sleep(3); COMMIT"); });
  while (psql("SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND "
              "relation = '" +
              schema_ + ".daybook_records'::regclass") != "1\n") {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const auto by_server = insert(*metadata, {row()});
  const auto by_us =
      insert(*metadata, {row()}, std::chrono::steady_clock::now() + std::chrono::milliseconds(100));
  locked.join();
  ASSERT_FALSE(by_server);
  EXPECT_EQ(by_server.error().code, Code::timeout) << by_server.error().detail;
  EXPECT_EQ(by_server.error().retry, core::Retry::safe);
  ASSERT_FALSE(by_us);
  EXPECT_EQ(by_us.error().code, Code::timeout) << by_us.error().detail;
  EXPECT_EQ(by_us.error().retry, core::Retry::unknown_outcome);
  EXPECT_TRUE(insert(*metadata, {row()}));
}

TEST_F(PostgresqlStore, tries_each_host_and_takes_sockets_and_tls) {
  migrate();
  const std::string& port = server_.value("PORT");
  const std::string tail = "/daybook?options=-csearch_path%3D" + schema_;
  const std::string folder =
      server_.value("CA_FILE").substr(0, server_.value("CA_FILE").rfind('/'));
  for (const std::string& url :
       {"127.0.0.1:1,127.0.0.1:" + port + tail + "&target_session_attrs=read-write",
        "nowhere.invalid,localhost:" + port + tail,
        "localhost:" + port + tail + "&sslmode=verify-full&sslrootcert=" + server_.value("CA_FILE"),
        tail + "&port=" + port + "&host=" + folder}) {
    auto settings = server_.settings(schema_);
    const auto address = storage::parse_postgres_url("postgresql://daybook@" + url);
    ASSERT_TRUE(address) << url << address.error().detail;
    settings.address = *address;
    const auto done = insert(*store_with(std::move(settings)), {row()});
    EXPECT_TRUE(done) << url << ": " << done.error().detail;
  }
}

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(PostgresqlMetadata, MetadataStoreContract, PostgresFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(PostgresqlMetadata, MetadataFeedContract, PostgresFixture);

}  // namespace daybook::tests
