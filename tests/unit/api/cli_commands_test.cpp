// Command-line parts that need no server: usage errors, status text, local files, and the doctor's
// view of folders and SQLite files.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include <sqlite3.h>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "api/cli.hpp"
#include "api/cli_doctor.hpp"
#include "api/cli_output.hpp"
#include "api/cli_records.hpp"
#include "api/cli_status.hpp"
#include "api/local_file.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

namespace fs = std::filesystem;

int run(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "daybook");
  return run_command_line(static_cast<int>(arguments.size()), arguments.data());
}

class CommandLine : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "daybook-cli-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(CommandLine, help_and_version_are_no_failures) {
  EXPECT_EQ(run({"--help"}), kExitOk);
  EXPECT_EQ(run({"--version"}), kExitOk);
  for (const char* command :
       {"serve", "post", "get", "ls", "parked", "hold", "status", "doctor", "config"}) {
    EXPECT_EQ(run({command, "--help"}), kExitOk) << command;
  }
}

TEST_F(CommandLine, wrong_usage_is_2) {
  const std::vector<std::vector<const char*>> cases = {
      {},
      {"frobnicate"},
      {"post"},
      {"post", "x", "--concurrency", "0"},
      {"post", "x", "--time", "yesterday"},
      {"post", "x", "--timeout", "5"},
      {"post", "x", "--url", "ftp://nowhere"},
      {"get"},
      {"get", "no-uuid"},
      {"get", "019a9c3e-7d10-7abc-8def-0123456789ab", "--range", "abc"},
      {"ls", "--since", "yesterday"},
      {"ls", "--limit", "3", "--all"},
      {"parked", "show"},
      {"parked", "replay"},
      {"parked", "replay", "no-uuid"},
      {"serve", "--role", "both"},
      {"config", "--defaults", "--check"},
  };
  for (const auto& arguments : cases) {
    EXPECT_EQ(run(arguments), kExitUsage) << (arguments.empty() ? "nothing" : arguments.front());
  }
}

TEST_F(CommandLine, a_wrong_configuration_is_1_and_a_right_one_0) {
  EXPECT_EQ(run({"config", "--check"}), kExitOk);
  EXPECT_EQ(run({"config", "--check", "--set", "log.level=loud"}), kExitFailed);
  EXPECT_EQ(run({"config", "--set", "log.level=debug", "--set", "archive.prefix=a"}), kExitOk);
  EXPECT_EQ(run({"serve", "--listen", "0.0.0.0:7080"}), kExitFailed);
}

// Sets one variable for one test.
class WithEnvironment {
 public:
  WithEnvironment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    ::setenv(name, value, 1);
  }
  ~WithEnvironment() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }
  WithEnvironment(const WithEnvironment&) = delete;
  WithEnvironment& operator=(const WithEnvironment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

TEST_F(CommandLine, a_flag_wins_over_the_environment) {
  // Each command would accept the one and refuse the other.
  const WithEnvironment url("DAYBOOK_URL", "ftp://nowhere");
  std::ofstream(folder_ / "a.json") << "{}";
  const std::string file = folder_ / "a.json";
  EXPECT_EQ(run({"post", file.c_str(), "--retries", "0"}), kExitUsage);
  EXPECT_EQ(run({"post", file.c_str(), "--retries", "0", "--url", "http://127.0.0.1:1"}),
            kExitFailed);
  const WithEnvironment config("DAYBOOK_CONFIG", "/nowhere/daybook.toml");
  std::ofstream(folder_ / "good.toml") << "[log]\nlevel = \"debug\"\n";
  const std::string good = folder_ / "good.toml";
  EXPECT_EQ(run({"config", "--check"}), kExitFailed);
  EXPECT_EQ(run({"config", "--check", "--config", good.c_str()}), kExitOk);
}

TEST_F(CommandLine, an_unreachable_server_is_1) {
  // Port 1 (tcpmux) is bound nowhere.
  EXPECT_EQ(run({"status", "--url", "http://127.0.0.1:1"}), kExitFailed);
  EXPECT_EQ(run({"ls", "--url", "http://127.0.0.1:1"}), kExitFailed);
  std::ofstream(folder_ / "a.json") << "{}";
  const std::string file = folder_ / "a.json";
  EXPECT_EQ(run({"post", file.c_str(), "--retries", "0", "--url", "http://127.0.0.1:1"}),
            kExitFailed);
}

TEST(CommandLineTime, an_age_is_counted_back_from_now) {
  const auto now = *core::parse_time("2026-11-21T12:00:00Z");
  EXPECT_EQ(parse_when("2h", now), "2026-11-21T10:00:00.000000Z");
  EXPECT_EQ(parse_when("2026-11-21T12:00:00+01:00", now), "2026-11-21T11:00:00.000000Z");
  EXPECT_EQ(parse_when("noon", now), std::nullopt);
}

TEST(CommandLineStatus, names_the_failed_check_and_the_gap) {
  const auto status = boost::json::parse(R"({"version":"0.1.0","runtime":"io_uring","role":"all",
    "uptime_seconds":7500,"records":{"accepted":10,"released":5,"pending":3,"parked":1,
    "unaccounted":1},"buffer":{"bytes":4194304,"oldest_seconds":2.5,"memory_bytes":12000000,
    "memory_max_bytes":0},"pipeline":{"in_flight":{"archive":2,"index":0,"release":1}},
    "memory":{"in_flight_bytes":0,"max_bytes":536870912,"resident_bytes":54000000},
    "subscribers":[{"name":"crm","state":"paused","lag":7,"parked":2},
      {"name":"lake","state":"delivering","lag":0,"parked":0}],
    "pollers":[{"name":"orders","state":"ok"}],
    "disk":{"free_bytes":12000000000,"reserve_bytes":536870912}})");
  const auto readiness = boost::json::parse(R"({"ready":false,"checks":[
    {"name":"buffer","ok":true,"required":true,"detail":""},
    {"name":"object_store","ok":false,"required":false,"detail":"refused\u001b[2J"},
    {"name":"disk","ok":false,"required":true,"detail":"full"}]})");
  EXPECT_EQ(render_status(status, readiness),
            "daybook 0.1.0 is NOT READY: role all, io_uring, up 2 h 5 m\n"
            "  ok    buffer\n"
            "  warn  object_store  refused\\x1b[2J\n"
            "  FAIL  disk          full\n"
            "records     10 accepted, 5 released, 3 pending, 1 parked, 0 dropped\n"
            "            UNACCOUNTED FOR: 1 (accepted must equal released + pending + parked + "
            "dropped; see the "
            "runbook)\n"
            "buffer      4.19 MB waiting, the oldest for 2.5 s; Redis uses 12.0 MB, no limit set\n"
            "pipeline    2 in archive, 0 in index, 1 in release\n"
            "subscribers 1 delivering, 1 paused (crm); furthest behind 7 records; 2 parked\n"
            "pollers     1 ok\n"
            "memory      0 B of 537 MB for payloads in flight; 54.0 MB resident\n"
            "disk        12.0 GB free; records are refused below 537 MB\n");
  // A document of another version must not bring the command down.
  EXPECT_NE(render_status(boost::json::value(nullptr), boost::json::value(3)), "");
}

TEST_F(CommandLine, a_written_file_is_whole_and_a_failed_write_leaves_nothing) {
  const std::string path = folder_ / "out";
  ASSERT_TRUE(write_local_file(path, core::as_bytes("first")));
  ASSERT_TRUE(write_local_file(path, core::as_bytes("second")));
  const auto read = read_local_file(path, 100);
  ASSERT_TRUE(read);
  EXPECT_EQ(core::as_text(read->bytes), "second");
  EXPECT_FALSE(write_local_file(folder_ / "none/out", core::as_bytes("x")));
  fs::create_directories(folder_ / "taken/by-a-folder");
  EXPECT_FALSE(write_local_file(folder_ / "taken", core::as_bytes("x")));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2);
}

TEST_F(CommandLine, reading_stops_at_the_bound) {
  std::ofstream(folder_ / "five") << "12345";
  EXPECT_TRUE(read_local_file(folder_ / "five", 5));
  const auto larger = read_local_file(folder_ / "five", 4);
  ASSERT_FALSE(larger);
  EXPECT_EQ(larger.error().code, core::Code::too_large);
  EXPECT_EQ(read_local_file(folder_ / "none", 4).error().code, core::Code::not_found);
  EXPECT_EQ(read_local_file("/proc/self/status", 1 * core::MiB)->bytes.empty(), false);
}

// --- doctor ---

const Finding* finding_of(const Doctor& doctor, const std::string& subject) {
  for (const Finding& finding : doctor.findings()) {
    if (finding.subject == subject) return &finding;
  }
  return nullptr;
}

TEST_F(CommandLine, doctor_sees_a_folder_that_can_be_made) {
  core::Config config;
  config.node_data_dir = folder_ / "a/b";
  Doctor doctor(config);
  doctor.examine_data_dir();
  ASSERT_NE(finding_of(doctor, "node.data_dir"), nullptr);
  EXPECT_EQ(finding_of(doctor, "node.data_dir")->verdict, Verdict::ok);
  EXPECT_FALSE(fs::exists(folder_ / "a"));
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(CommandLine, doctor_fails_a_disk_below_its_reserve_and_a_folder_that_is_a_file) {
  std::ofstream(folder_ / "file") << "x";
  core::Config config;
  config.node_data_dir = folder_ / "file";
  config.node_disk_reserve = UINT64_MAX;
  Doctor doctor(config);
  doctor.examine_data_dir();
  EXPECT_EQ(finding_of(doctor, "node.data_dir")->verdict, Verdict::fail);
  EXPECT_EQ(finding_of(doctor, "disk space")->verdict, Verdict::fail);
}

TEST_F(CommandLine, doctor_tells_a_sound_sqlite_file_from_a_damaged_one) {
  const fs::path file = folder_ / "metadata.sqlite";
  core::Config config;
  config.metadata_sqlite_file = file;
  config.metadata_sqlite_busy_timeout = std::chrono::seconds(1);
  const auto verdict = [&] {
    Doctor doctor(config);
    doctor.examine_metadata();
    return doctor.findings().at(0).verdict;
  };
  EXPECT_EQ(verdict(), Verdict::ok);  // none yet
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
  const char* fill = "CREATE TABLE records(id TEXT PRIMARY KEY); INSERT INTO records VALUES('a')";
  ASSERT_EQ(sqlite3_exec(database, fill, nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);
  EXPECT_EQ(verdict(), Verdict::ok);
  {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(4096);  // the second page: the table's root
    bytes << std::string(4096, '\x5A');
  }
  EXPECT_EQ(verdict(), Verdict::fail);
}

TEST_F(CommandLine, doctor_says_how_to_start_what_cannot_be_reached) {
  core::Config config;
  config.buffer_url = "redis://127.0.0.1:1";
  Doctor doctor(config);
  doctor.examine_redis();
  ASSERT_EQ(doctor.findings().size(), 1u);
  EXPECT_EQ(doctor.findings()[0].verdict, Verdict::fail);
  EXPECT_NE(doctor.findings()[0].mend.find("redis-cli -h 127.0.0.1 -p 1 PING"), std::string::npos);
}

TEST(DoctorText, shows_the_mend_below_what_failed) {
  const Findings findings = {{Verdict::ok, "clock", "fine", ""},
                             {Verdict::fail, "redis", "gone\n", "start it"}};
  EXPECT_EQ(render_findings(findings),
            "ok    clock  fine\n"
            "FAIL  redis  gone\\x0a\n"
            "             -> start it\n"
            "1 ok, 0 to look at, 1 failed\n");
  EXPECT_EQ(findings_json(findings),
            R"([{"verdict":"ok","subject":"clock","detail":"fine","mend":""},)"
            R"({"verdict":"fail","subject":"redis","detail":"gone\n","mend":"start it"}])");
}

}  // namespace
}  // namespace daybook::api
