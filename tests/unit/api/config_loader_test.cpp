// Configuration: precedence, strictness, secrets and the rules between settings.
#include "api/config_loader.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "api/config_settings.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using namespace std::chrono_literals;

class ConfigLoader : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "daybook-config-XXXXXX");
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const std::string path = folder_ / name;
    std::ofstream(path) << text;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  core::Result<LoadedConfig> load_toml(const std::string& text) {
    return load_config({write("daybook.toml", text), {}, {}});
  }
  // The whole complaint, or "" where the configuration was accepted.
  std::string complaint(const core::Result<LoadedConfig>& result) {
    return result ? std::string() : result.error().detail;
  }
  std::string complaint_about(const std::string& toml) { return complaint(load_toml(toml)); }

  std::filesystem::path folder_;
};

SettingSource source_of(const LoadedConfig& loaded, std::string_view section,
                        std::string_view name) {
  const Setting* setting = find_setting(section, name);
  return loaded.sources.at(static_cast<std::size_t>(setting - settings().data()));
}

#define EXPECT_CONTAINS(text, part) \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << "got: " << (text)

TEST_F(ConfigLoader, defaults_load_without_any_source) {
  const auto loaded = load_config({});
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(loaded->config.server_listen, "127.0.0.1:7080");
  EXPECT_EQ(loaded->config.ingest_body_bytes_max, 8 * core::MiB);
  EXPECT_EQ(loaded->config.pipeline_retry_first, 2s);
  EXPECT_FALSE(loaded->config.archive_s3_virtual_host);
  EXPECT_EQ(source_of(*loaded, "server", "listen").origin, SettingOrigin::fallback);
}

TEST_F(ConfigLoader, every_default_lies_within_its_own_bounds) {
  for (const Setting& setting : settings()) {
    EXPECT_TRUE(parse_setting(setting, setting.fallback)) << setting.full_name();
  }
}

TEST_F(ConfigLoader, flags_win_over_environment_over_file_over_default) {
  const std::string file = write("daybook.toml",
                                 "[pipeline]\n"
                                 "archive_concurrency = 2\n"
                                 "index_batch = 2\n"
                                 "attempts_max = 2\n");
  const auto loaded = load_config(
      {file,
       {"DAYBOOK_PIPELINE_INDEX_BATCH=3", "DAYBOOK_PIPELINE_ATTEMPTS_MAX=3", "HOME=/root"},
       {"pipeline.attempts_max=4"}});
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(loaded->config.pipeline_archive_concurrency, 2u);
  EXPECT_EQ(loaded->config.pipeline_index_batch, 3u);
  EXPECT_EQ(loaded->config.pipeline_attempts_max, 4u);
  EXPECT_EQ(loaded->config.pipeline_records_in_flight, 64u);
  EXPECT_EQ(source_of(*loaded, "pipeline", "archive_concurrency").where, file + ":2");
  EXPECT_EQ(source_of(*loaded, "pipeline", "index_batch").where, "DAYBOOK_PIPELINE_INDEX_BATCH");
  EXPECT_EQ(source_of(*loaded, "pipeline", "attempts_max").origin, SettingOrigin::flag);
}

TEST_F(ConfigLoader, toml_values_may_be_native_or_text_with_units) {
  const auto loaded = load_toml(
      "[ingest]\nbody_bytes_max = 1048576\nmemory_max = \"64MiB\"\nadmission_wait = \"250ms\"\n"
      "[archive]\ns3_virtual_host = true\n");
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(loaded->config.ingest_body_bytes_max, core::MiB);
  EXPECT_EQ(loaded->config.ingest_memory_max, 64 * core::MiB);
  EXPECT_EQ(loaded->config.ingest_admission_wait, 250ms);
  EXPECT_TRUE(loaded->config.archive_s3_virtual_host);
}

TEST_F(ConfigLoader, an_empty_file_is_a_valid_configuration) {
  EXPECT_TRUE(load_toml(""));
}

TEST_F(ConfigLoader, a_missing_file_is_named) {
  EXPECT_CONTAINS(complaint(load_config({"/nowhere/daybook.toml", {}, {}})),
                  "/nowhere/daybook.toml cannot be opened: No such file");
  EXPECT_CONTAINS(complaint(load_config({folder_.string(), {}, {}})), "is a folder");
}

TEST_F(ConfigLoader, unknown_names_are_fatal_and_name_the_nearest) {
  const std::string text = complaint_about(
      "[server]\nlisten = \"127.0.0.1:1\"\nidle_timout = \"5s\"\n[pipelin]\nx = 1\n");
  EXPECT_CONTAINS(text, "daybook.toml:3: there is no setting server.idle_timout.");
  EXPECT_CONTAINS(text, "Did you mean server.idle_timeout?");
  EXPECT_CONTAINS(text, "daybook.toml:4: there is no section [pipelin]. Did you mean [pipeline]?");
  EXPECT_CONTAINS(complaint_about("[server]\nsqlite_file = \"x\"\n"),
                  "Did you mean metadata.sqlite_file?");
  EXPECT_CONTAINS(complaint_about("listen = \"x\"\n"), "Did you mean server.listen?");
  EXPECT_CONTAINS(complaint(load_config({{}, {"DAYBOOK_SERVER_LISTN=127.0.0.1:1"}, {}})),
                  "Did you mean DAYBOOK_SERVER_LISTEN?");
  EXPECT_CONTAINS(complaint(load_config({{}, {}, {"log.levle=debug"}})),
                  "--set: there is no setting log.levle. Did you mean log.level?");
}

TEST_F(ConfigLoader, names_for_clients_and_tests_are_not_settings) {
  EXPECT_TRUE(load_config(
      {{}, {"DAYBOOK_URL=x", "DAYBOOK_CONFIG=x", "DAYBOOK_SHARED=x", "DAYBOOK_SOURCE_DIR=x"}, {}}));
}

TEST_F(ConfigLoader, every_problem_is_reported_at_once) {
  const std::string text = complaint_about("[server]\nconnections_max = 0\nfoo = 1\n");
  EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
}

TEST_F(ConfigLoader, wrong_values_say_what_is_allowed_with_an_example) {
  struct Case {
    const char* toml;
    const char* complaint;
  };
  const Case cases[] = {
      {"[server]\nconnections_max = 100001\n",
       "\"100001\" does not fit: server.connections_max is a whole number between 1 and 100000. "
       "Example: connections_max = 12288."},
      {"[server]\nconnections_max = -1\n", "\"-1\" does not fit"},
      {"[server]\nconnections_max = 1.5\n", "has the wrong type: it is a whole number"},
      {"[server]\nidle_timeout = 75\n", "has no unit: write for example \"75s\""},
      {"[server]\nidle_timeout = \"75\"\n", "between 10ms and 1h. Example: idle_timeout = \"75s\""},
      {"[server]\nidle_timeout = \"2h\"\n", "\"2h\" does not fit"},
      {"[server]\nlisten = 7080\n", "server.listen has the wrong type: it is a text"},
      {"[server]\nlisten = [\"127.0.0.1:1\"]\n", "wrong type"},
      {"[ingest]\nbody_bytes_max = \"128MiB\"\n", "between 1B and 64MiB"},
      {"[ingest]\nbody_bytes_max = \"8 parsecs\"\n", "is a size with a unit"},
      {"[archive]\ns3_virtual_host = \"yes\"\n", "is true or false"},
      {"[archive]\ns3_virtual_host = 1\n", "is true or false"},
      {"[archive]\nkind = \"flie\"\n",
       "one of file, s3. Example: kind = \"file\". Did you mean \"file\"?"},
      {"[log]\nlevel = \"debugg\"\n", "Did you mean \"debug\"?"},
      {"[buffer]\ndurability = \"everysec\"\n", "one of fsync, memory, replicated:N"},
      {"[buffer]\ndurability = \"replicated:0\"\n", "one of fsync, memory, replicated:N"},
      {"[buffer]\ndurability = \"replicated:N\"\n", "one of fsync, memory, replicated:N"},
      {"[metadata]\nkind = \"postgres\"\n", "Did you mean \"postgresql\"?"},
      {"[server]\nlisten = \n", "daybook.toml:2: this is not TOML"},
      {"server = 3\n", "server stands outside of every [section]"},
  };
  for (const Case& c : cases) EXPECT_CONTAINS(complaint_about(c.toml), c.complaint);
}

TEST_F(ConfigLoader, dynamodb_needs_both_keys_or_none_and_sound_names) {
  const std::vector<std::string> keys = {"DAYBOOK_METADATA_DYNAMODB_ACCESS_KEY=a",
                                         "DAYBOOK_METADATA_DYNAMODB_SECRET_KEY=b"};
  EXPECT_TRUE(load_config({{}, keys, {"metadata.kind=dynamodb"}}));
  EXPECT_TRUE(load_config({{}, {}, {"metadata.kind=dynamodb"}}));
  EXPECT_CONTAINS(complaint(load_config({{}, {keys[0]}, {"metadata.kind=dynamodb"}})),
                  "belong together");
  for (const char* bad :
       {"dynamodb_endpoint=ftp://x", "dynamodb_endpoint=https://",
        "dynamodb_endpoint=https://key@x", "dynamodb_region=", "dynamodb_region=eu central",
        "dynamodb_table=ab", "dynamodb_table=a b"}) {
    const std::string setting = "metadata." + std::string(bad);
    EXPECT_CONTAINS(complaint(load_config({{}, keys, {"metadata.kind=dynamodb", setting}})),
                    setting.substr(0, setting.find('=')) + ":");
    EXPECT_TRUE(load_config({{}, {}, {setting}})) << "of no meaning with another kind";
  }
}

TEST_F(ConfigLoader, listens_on_loopback_only) {
  for (const char* good : {"127.0.0.1:7080", "127.8.9.10:1", "[::1]:7080", "localhost:65535"}) {
    EXPECT_TRUE(load_config({{}, {}, {"server.listen=" + std::string(good)}})) << good;
  }
  for (const char* bad : {"0.0.0.0:7080", "[::]:7080", "192.168.1.4:80", "example.org:80",
                          "127.example.org:80", "127.0.0.256:80", "127.1:80", "localhost.evil:1"}) {
    EXPECT_CONTAINS(complaint(load_config({{}, {}, {"server.listen=" + std::string(bad)}})),
                    "without authentication Daybook listens on loopback only");
  }
  for (const char* bad : {"7080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:7080",
                          "[127.0.0.1]:80", ":80", "127.0.0.1:80x"}) {
    EXPECT_CONTAINS(complaint(load_config({{}, {}, {"server.listen=" + std::string(bad)}})),
                    "is not HOST:PORT")
        << bad;
  }
}

TEST_F(ConfigLoader, secrets_come_from_environment_or_a_file) {
  const auto direct = load_config({{}, {"DAYBOOK_BUFFER_PASSWORD=opensesame"}, {}});
  ASSERT_TRUE(direct) << direct.error().detail;
  EXPECT_EQ(direct->config.buffer_password, "opensesame");

  const std::string path = write("secret", "from file\n");
  const auto named = load_config({{}, {"DAYBOOK_BUFFER_PASSWORD_FILE=" + path}, {}});
  ASSERT_TRUE(named) << named.error().detail;
  EXPECT_EQ(named->config.buffer_password, "from file");

  const auto toml = load_toml("[buffer]\npassword_file = \"" + path + "\"\n");
  ASSERT_TRUE(toml) << toml.error().detail;
  EXPECT_EQ(toml->config.buffer_password, "from file");
}

TEST_F(ConfigLoader, a_secret_in_the_file_or_on_the_command_line_is_refused_and_not_repeated) {
  const std::string in_file = complaint_about("[buffer]\npassword = \"opensesame\"\n");
  EXPECT_CONTAINS(in_file, "must not stand in a configuration file");
  EXPECT_CONTAINS(in_file, "password_file");
  const std::string in_argv = complaint(load_config({{}, {}, {"buffer.password=opensesame"}}));
  EXPECT_CONTAINS(in_argv, "must not be given on a command line");
  EXPECT_EQ((in_file + in_argv).find("opensesame"), std::string::npos);
  const std::string in_url =
      complaint(load_config({{}, {}, {"buffer.url=redis://:opensesame@127.0.0.1:6379"}}));
  EXPECT_CONTAINS(in_url, "DAYBOOK_BUFFER_PASSWORD");
  EXPECT_EQ(in_url.find("opensesame"), std::string::npos);
}

TEST_F(ConfigLoader, a_secret_file_must_be_private_and_filled) {
  const auto with = [&](const std::string& path) {
    return complaint(load_config({{}, {"DAYBOOK_BUFFER_PASSWORD_FILE=" + path}, {}}));
  };
  EXPECT_CONTAINS(with(write("open", "x", 0644)), "chmod o-rwx");
  EXPECT_EQ(with(write("group", "x", 0640)), "");
  EXPECT_CONTAINS(with(write("empty", "\n")), "is empty");
  EXPECT_CONTAINS(with(write("two", "a\nb\n")), "line break");
  EXPECT_CONTAINS(with(folder_ / "none"), "cannot be opened");
  EXPECT_CONTAINS(with(write("large", std::string(70'000, 'x'))), "larger than 64KiB");
  EXPECT_CONTAINS(complaint(load_config({{},
                                         {"DAYBOOK_BUFFER_PASSWORD=a",
                                          "DAYBOOK_BUFFER_PASSWORD_FILE=" + write("b", "b")},
                                         {}})),
                  "are both set");
}

TEST_F(ConfigLoader, s3_needs_a_bucket_and_no_half_of_a_pair_of_keys) {
  EXPECT_CONTAINS(complaint_about("[archive]\nkind = \"s3\"\n"), "archive.s3_bucket is missing");
  const std::vector<std::string> s3 = {"archive.kind=s3", "archive.s3_bucket=daybook"};
  const auto with = [&](std::vector<std::string> environment, std::vector<std::string> more) {
    more.insert(more.end(), s3.begin(), s3.end());
    return complaint(load_config({{}, std::move(environment), std::move(more)}));
  };
  const std::string key = "DAYBOOK_ARCHIVE_S3_ACCESS_KEY=a";
  const std::string secret = "DAYBOOK_ARCHIVE_S3_SECRET_KEY=SECRETWORD";
  EXPECT_EQ(with({}, {}), "") << "endpoint and keys come from where the AWS tools look";
  EXPECT_EQ(with({key, secret}, {"archive.s3_endpoint=http://127.0.0.1:9000"}), "");
  EXPECT_EQ(with({key, secret, "DAYBOOK_ARCHIVE_S3_SESSION_TOKEN=t"}, {}), "");
  EXPECT_EQ(with({}, {"archive.s3_credentials=instance", "archive.s3_fips=true"}), "");
  EXPECT_CONTAINS(with({key}, {}), "archive.s3_secret_key is missing");
  EXPECT_CONTAINS(with({secret}, {}), "archive.s3_access_key is missing");
  EXPECT_CONTAINS(with({}, {"archive.s3_credentials=static"}), "archive.s3_access_key is missing");
  EXPECT_CONTAINS(with({"DAYBOOK_ARCHIVE_S3_SESSION_TOKEN=t"}, {}), "archive.s3_session_token");
  EXPECT_CONTAINS(with({key, secret}, {"archive.s3_credentials=instance"}),
                  "archive.s3_credentials is \"instance\", but");
  EXPECT_CONTAINS(with({}, {"archive.s3_credentials=magic"}), "web_identity");
  EXPECT_CONTAINS(with({}, {"archive.s3_dualstack=true", "archive.s3_endpoint=http://s3:80"}),
                  "archive.s3_dualstack");
  EXPECT_CONTAINS(with({}, {"archive.s3_endpoint=s3.example.com"}), "archive.s3_endpoint: ");
}

TEST_F(ConfigLoader, postgresql_needs_a_url_without_a_secret) {
  EXPECT_CONTAINS(complaint_about("[metadata]\nkind = \"postgresql\"\n"),
                  "metadata.postgresql_url is missing");
  const auto with = [this](const std::string& url) {
    return complaint(
        load_config({{}, {}, {"metadata.kind=postgresql", "metadata.postgresql_url=" + url}}));
  };
  EXPECT_EQ(with("postgresql://daybook@db.example.com/daybook?sslmode=verify-full"), "");
  EXPECT_CONTAINS(with("mysql://db/x"), "postgresql://USER@HOST");
  const std::string secret = with("postgresql://daybook:opensesame@db/x");
  EXPECT_CONTAINS(secret, "DAYBOOK_METADATA_POSTGRESQL_PASSWORD");
  EXPECT_EQ(secret.find("opensesame"), std::string::npos);
}

TEST_F(ConfigLoader, rules_between_settings_are_checked) {
  EXPECT_CONTAINS(complaint_about("[ingest]\nbody_bytes_max = \"64MiB\"\nmemory_max = \"64MiB\"\n"),
                  "at least twice ingest.body_bytes_max");
  EXPECT_CONTAINS(complaint_about("[pipeline]\nretry_first = \"10m\"\n"), "must not exceed");
  EXPECT_CONTAINS(complaint_about("[archive]\nprefix = \"../x\"\n"), "archive.prefix");
  EXPECT_CONTAINS(complaint_about("[ingest]\ntenant = \"a/b\"\n"), "ingest.tenant");
  EXPECT_CONTAINS(complaint_about("[buffer]\nprefix = \"a{b\"\n"), "buffer.prefix");
  EXPECT_CONTAINS(complaint_about("[buffer]\nusername = \"daybook\"\n"), "buffer.password is not");
  for (const char* url :
       {"redis://127.0.0.1:6379/2", "redis://localhost", "unix:/run/r.sock", "redis://[::1]:6379",
        "rediss://a:1", "redis+sentinel://a,b:2/wal/1", "rediss+cluster://a:1,[::1]"}) {
    EXPECT_EQ(complaint(load_config({{}, {}, {"buffer.url=" + std::string(url)}})), "") << url;
  }
  for (const char* url :
       {"http://127.0.0.1", "redis://", "redis://a:x", "unix:relative", "unix:/", "redis://a:1/x",
        "redis+cluster://a/1", "redis+sentinel://a", "redis://a:1,b:2"}) {
    EXPECT_CONTAINS(complaint(load_config({{}, {}, {"buffer.url=" + std::string(url)}})),
                    "buffer.url: ");
  }
}

TEST_F(ConfigLoader, embedded_stores_live_below_the_data_dir_unless_told_otherwise) {
  const auto loaded = load_config({{}, {}, {"node.data_dir=/srv/daybook"}});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.archive_file_dir, "/srv/daybook/archive");
  EXPECT_EQ(loaded->config.metadata_sqlite_file, "/srv/daybook/metadata.sqlite");
  const auto told = load_config({{}, {}, {"archive.file_dir=/mnt/archive"}});
  ASSERT_TRUE(told);
  EXPECT_EQ(told->config.archive_file_dir, "/mnt/archive");
}

TEST_F(ConfigLoader, printed_defaults_are_complete_and_load_again_to_the_defaults) {
  const std::string text = default_config_toml();
  for (const Setting& setting : settings()) {
    EXPECT_CONTAINS(text, "# " + std::string(setting.help));
    EXPECT_CONTAINS(text, std::string(setting.name));
  }
  const auto loaded = load_toml(text);
  ASSERT_TRUE(loaded) << loaded.error().detail;
  const auto plain = load_config({});
  ASSERT_TRUE(plain);
  for (const Setting& setting : settings()) {
    EXPECT_EQ(setting.get(loaded->config), setting.get(plain->config)) << setting.full_name();
  }
}

TEST_F(ConfigLoader, effective_values_load_again_and_hide_secrets) {
  const auto loaded = load_config({{},
                                   {"DAYBOOK_BUFFER_PASSWORD=opensesame"},
                                   {"server.idle_timeout=90s", "archive.prefix=audit/eu"}});
  ASSERT_TRUE(loaded);
  const std::string text = effective_config_toml(*loaded);
  EXPECT_CONTAINS(text, "# password (set)");
  EXPECT_CONTAINS(text, "# s3_secret_key (not set)");
  EXPECT_CONTAINS(text, "# DAYBOOK_BUFFER_PASSWORD");
  EXPECT_CONTAINS(effective_config_json(*loaded), R"("server.idle_timeout":{"value":"90s")");
  EXPECT_EQ((text + effective_config_json(*loaded)).find("opensesame"), std::string::npos);
  const auto again = load_toml(text);
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(again->config.server_idle_timeout, 90s);
  EXPECT_EQ(again->config.archive_prefix, "audit/eu");
}

TEST_F(ConfigLoader, an_override_without_its_three_parts_is_refused) {
  for (const char* text : {"log.level", "level=debug", "=x", "log=a.b"}) {
    EXPECT_CONTAINS(complaint(load_config({{}, {}, {text}})), "is not SECTION.NAME=VALUE") << text;
  }
  EXPECT_TRUE(load_config({{}, {}, {"archive.prefix=a", "archive.prefix="}}));
}

}  // namespace
}  // namespace daybook::api
