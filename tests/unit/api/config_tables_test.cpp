// Tables of the configuration that may occur more than once: what is read, what is refused, and
// what is printed of them.
#include "api/config_tables.hpp"

#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "api/config_loader.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using namespace std::chrono_literals;

class ConfigTables : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "daybook-tables-XXXXXX");
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    secret_ = write("secret", "opensesame\n");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const std::string path = folder_ / name;
    std::ofstream(path) << text;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  core::Result<LoadedConfig> load(const std::string& text) {
    return load_config({write("daybook.toml", text), {}, {}});
  }
  // The whole complaint without the folder, or "" where the configuration was accepted.
  std::string complaint(const std::string& toml) {
    const auto result = load(toml);
    std::string text = result ? "" : result.error().detail;
    const std::string folder = folder_.string() + "/";
    for (auto at = text.find(folder); at != std::string::npos; at = text.find(folder)) {
      text.erase(at, folder.size());
    }
    return text;
  }

  std::filesystem::path folder_;
  std::string secret_;
};

#define EXPECT_CONTAINS(text, part) \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << "got: " << (text)

constexpr const char* kPoller = "[[poller]]\nname = \"a\"\nurl = \"http://h/\"\n";

TEST_F(ConfigTables, are_read_in_the_order_of_the_file) {
  const auto loaded = load(
      "[[poller]]\nname = \"one\"\nurl = \"https://h/x/?k=1\"\ninterval = \"5s\"\n"
      "response_bytes_max = 1024\nheaders = { X-A = \"b\", X-C = \"\" }\n"
      "header_files = { Authorization = \"" +
      secret_ + "\" }\n" +
      "[[subscriber]]\nname = \"s\"\nurl = \"http://h\"\nformat = \"cloudevents-binary\"\n" +
      "[[poller]]\nname = \"two\"\nurl = \"http://h/\"\nenabled = false\n" +
      "[[transform]]\nname = \"t\"\nwhen = { type = \"a.*\" }\n"
      "[[transform.steps]]\ndrop = \"x\"\n"
      "[[transform.steps]]\nlookup = \"f.csv\"\nkey = \"host\"\ntake = [\"b\", \"a\"]\n");
  ASSERT_TRUE(loaded) << loaded.error().detail;
  const core::Config& config = loaded->config;
  ASSERT_EQ(config.pollers.size(), 2u);
  EXPECT_EQ(config.pollers[0].name, "one");
  EXPECT_EQ(config.pollers[0].interval, 5s);
  EXPECT_EQ(config.pollers[0].timeout, 30s) << "a default";
  EXPECT_EQ(config.pollers[0].response_bytes_max, 1024u);
  EXPECT_EQ(config.pollers[0].headers, (core::FieldTable{{"X-A", "b"}, {"X-C", ""}}));
  EXPECT_EQ(config.pollers[0].header_files.at("Authorization").text, "opensesame");
  EXPECT_FALSE(config.pollers[1].enabled);
  EXPECT_EQ(config.subscribers.at(0).url, "http://h");
  ASSERT_EQ(config.transforms.at(0).steps.size(), 2u);
  EXPECT_EQ(config.transforms[0].when, (core::FieldTable{{"type", "a.*"}}));
  EXPECT_EQ(config.transforms[0].steps[1].take, (core::FieldList{"b", "a"}));
  EXPECT_TRUE(config.transforms[0].steps[1].has("key"));
  EXPECT_FALSE(config.transforms[0].steps[1].has("to"));
  EXPECT_TRUE(config.transforms[0].steps[1].where.ends_with("daybook.toml:21"));
}

TEST_F(ConfigTables, every_default_lies_within_its_own_bounds) {
  const auto check = [](std::span<const Field> fields) {
    for (const Field& field : fields) {
      EXPECT_TRUE(parse_setting(field, field.fallback)) << field.full_name();
    }
  };
  check(fields_of(core::PollerConfig{}));
  check(fields_of(core::SubscriberConfig{}));
  check(fields_of(core::TransformConfig{}));
  check(fields_of(core::TransformStepConfig{}));
}

TEST_F(ConfigTables, what_is_wrong_is_named_with_its_line) {
  const std::string poller = kPoller;
  struct Case {
    std::string toml;
    const char* complaint;
  };
  const Case cases[] = {
      {poller + "intervall = \"5s\"\n",
       "daybook.toml:4: there is no setting poller.intervall. Did you mean poller.interval?"},
      {poller + "interval = 5\n",
       "daybook.toml:4: poller.interval = 5 has no unit: write for "
       "example \"5s\""},
      {poller + "interval = \"8d\"\n",
       "daybook.toml:4: \"8d\" does not fit: poller.interval is a "
       "duration with a unit (ms, s, m, h, d) between 10ms and 7d"},
      {poller + "enabled = \"yes\"\n", "daybook.toml:4: \"yes\" does not fit"},
      {poller + "method = \"PUT\"\n", "one of GET, POST"},
      {poller + "headers = [\"a\"]\n",
       "daybook.toml:4: poller.headers has the wrong type: it is a table of texts, at most 64. "
       "Example: headers = { name = \"text\" }."},
      {poller + "headers = { a = 1 }\n", "poller.headers has the wrong type"},
      {poller + "headers = { a = { b = \"c\" } }\n", "poller.headers has the wrong type"},
      {poller + "header_files = { a = \"none\" }\n",
       "daybook.toml:4: poller.header_files: Secret: none cannot be opened"},
      {"[[poller]]\nname = \"a\"\n", "daybook.toml:1: poller.url is missing. Example: url = "},
      {"[poller]\nname = \"a\"\n",
       "daybook.toml:1: poller may occur more than once: write [[poller]]."},
      {"poller = [1]\n", "daybook.toml:1: poller is a list of tables: [[poller]]."},
      {"[[pollers]]\nname = \"a\"\n",
       "daybook.toml:1: there is no table [[pollers]]. Did you mean [[poller]]?"},
      {"[[server]]\nlisten = \"a\"\n", "there is no table [[server]]."},
      {"[[transform]]\nname = \"t\"\nstep = 1\n", "Did you mean transform.steps?"},
      {"[[transform]]\nname = \"t\"\nsteps = { drop = \"a\" }\n",
       "transform.steps may occur more than once"},
      {"[[transform]]\nname = \"t\"\nsteps = [{ drp = \"a\" }]\n",
       "daybook.toml:3: there is no setting step.drp. Did you mean step.drop?"},
      {"[[transform]]\nname = \"t\"\nsteps = [{ hash = \"a\", salt_file = \"none\" }]\n",
       "daybook.toml:3: step.salt_file: Secret: none cannot be opened"},
      {"[[transform]]\nname = \"t\"\nsteps = [{ lookup = \"a.csv\", take = \"a\" }]\n",
       "step.take has the wrong type: it is a list of texts, at most 64. Example: take = "},
  };
  for (const Case& c : cases) EXPECT_CONTAINS(complaint(c.toml), c.complaint);
}

TEST_F(ConfigTables, names_are_words_and_each_its_own) {
  const std::string poller = kPoller;
  EXPECT_EQ(
      complaint(
          poller +
          "[[subscriber]]\nname = \"a\"\nurl = \"http://h\"\nformat = \"cloudevents-binary\"\n"),
      "");
  EXPECT_CONTAINS(
      complaint(poller + poller),
      "daybook.toml:5: poller.name: \"a\" is the name of the one at daybook.toml:2 too.");
  for (const char* bad : {"", "a b", "a.b", "ä", "a{b"}) {
    EXPECT_CONTAINS(
        complaint("[[subscriber]]\nname = \"" + std::string(bad) + "\"\nurl = \"http://h\"\n"),
        "daybook.toml:2: subscriber.name: ");
  }
}

TEST_F(ConfigTables, urls_are_checked_and_their_query_is_not_repeated) {
  for (const char* bad : {"ftp://h/?key=opensesame", "h/x", "http://a b/?key=opensesame",
                          "http://u:p@h/?key=opensesame", "http://h/?key=opensesame#x"}) {
    const std::string text =
        complaint("[[poller]]\nname = \"a\"\nurl = \"" + std::string(bad) + "\"\n");
    EXPECT_CONTAINS(text, "daybook.toml:3: poller.url: ");
    EXPECT_EQ(text.find("opensesame"), std::string::npos) << text;
  }
}

TEST_F(ConfigTables, nobody_is_told_of_its_own_records) {
  const auto said = [this](const std::string& listen, const std::string& kind,
                           const std::string& url) {
    return complaint("[server]\nlisten = \"" + listen + "\"\n[[" + kind +
                     "]]\nname = \"a\"\nurl = \"" + url + "\"\n");
  };
  for (const char* kind : {"poller", "subscriber"}) {
    for (const auto& [listen, url] : std::vector<std::pair<const char*, const char*>>{
             {"127.0.0.1:7080", "http://127.0.0.1:7080/messages?key=opensesame"},
             {"127.0.0.1:7080", "http://LOCALHOST:7080/v1/feed"},
             {"127.0.0.1:7080", "http://0.0.0.0:7080"},
             {"127.0.0.1:80", "http://localhost/messages"},
             {"localhost:7080", "http://[::1]:7080/messages"},
             {"[::1]:7080", "http://localhost:7080/messages"}}) {
      const std::string text = said(listen, kind, url);
      EXPECT_CONTAINS(text, "daybook.toml:5: " + std::string(kind) +
                                ".url: it is this server's own address (server.listen = \"" +
                                listen + "\")");
      EXPECT_EQ(text.find("opensesame"), std::string::npos) << text;
    }
    for (const auto& [listen, url] : std::vector<std::pair<const char*, const char*>>{
             {"127.0.0.1:7080", "http://127.0.0.1:7081/messages"},
             {"127.0.0.1:7080", "http://127.0.0.2:7080/messages"},
             {"127.0.0.1:7080", "http://[::1]:7080/messages"},
             {"127.0.0.1:7080", "http://other:7080/messages"},
             {"127.0.0.1:0", "http://127.0.0.1:7080/messages"}}) {
      EXPECT_EQ(said(listen, kind, url).find("own address"), std::string::npos) << listen << url;
    }
  }
}

TEST_F(ConfigTables, come_from_the_file_only) {
  const auto set = load_config({{}, {}, {"poller.interval=1s"}});
  ASSERT_FALSE(set);
  EXPECT_CONTAINS(set.error().detail, "[[poller]] comes from the configuration file only.");
}

TEST_F(ConfigTables, a_secret_is_named_by_its_file_and_never_printed) {
  const std::string toml = std::string(kPoller) + "header_files = { Authorization = \"" + secret_ +
                           "\" }\n[[transform]]\nname = \"t\"\nsteps = [{ hash = \"u\", "
                           "salt_file = \"" +
                           write("salt", "sesameopensesameopen") + "\" }]\n";
  const auto loaded = load(toml);
  ASSERT_TRUE(loaded) << loaded.error().detail;
  const std::string text = effective_config_toml(*loaded);
  const std::string json = effective_config_json(*loaded);
  EXPECT_CONTAINS(text, "(set)");
  EXPECT_CONTAINS(json, R"x("header_files":{"value":{"Authorization":"(set)"})x");
  EXPECT_CONTAINS(json, R"x("salt_file":{"value":"(set)")x");
  EXPECT_EQ((text + json).find("sesame"), std::string::npos);
  EXPECT_CONTAINS(complaint(std::string(kPoller) + "header_files = { A = \"" +
                            write("open", "x", 0644) + "\" }\n"),
                  "chmod o-rwx");
}

TEST_F(ConfigTables, effective_tables_load_again_to_the_same) {
  const auto loaded = load(
      std::string(kPoller) + "headers = { X-C = \"a\\\"b\" }\nheader_files = { A = \"" + secret_ +
      "\" }\n[[transform]]\nname = \"t\"\nwhen = { source = \"é\" }\n"
      "steps = [{ lookup = \"f.csv\", key = \"host\", take = [\"b\", \"a\"] }, { drop = \"x\" "
      "}]\n");
  ASSERT_TRUE(loaded) << loaded.error().detail;
  const auto again = load(effective_config_toml(*loaded));
  ASSERT_TRUE(again) << again.error().detail;
  const auto compare = [](const auto& before, const auto& after) {
    for (const Field& field : fields_of(before)) {
      EXPECT_EQ(field.get(before), field.get(after)) << field.full_name();
    }
  };
  compare(loaded->config.pollers.at(0), again->config.pollers.at(0));
  compare(loaded->config.transforms.at(0), again->config.transforms.at(0));
  ASSERT_EQ(again->config.transforms[0].steps.size(), 2u);
  compare(loaded->config.transforms[0].steps[0], again->config.transforms[0].steps[0]);
  compare(loaded->config.transforms[0].steps[1], again->config.transforms[0].steps[1]);
}

// The lines of the printed example of one table, without their comment signs.
std::string uncommented(std::string_view head) {
  const std::string all = default_config_toml();
  std::string text;
  std::size_t at = all.find("# [[" + std::string(head) + "]]");
  EXPECT_NE(at, std::string::npos);
  while (at < all.size() && all[at] == '#') {
    const std::size_t end = all.find('\n', at);
    text += all.substr(at + 2, end - at - 1);
    at = end + 1;
  }
  return text;
}

TEST_F(ConfigTables, the_printed_examples_are_complete_and_load_without_their_comment_signs) {
  for (const auto& example :
       {uncommented("poller"),
        uncommented("transform") + "[[transform.steps]]\ndrop = \"token\"\n"}) {
    EXPECT_EQ(complaint(example), "") << example;
  }
  // What is signed needs a secret, which no example can bring.
  EXPECT_CONTAINS(complaint(uncommented("subscriber")), "secret_files");
  EXPECT_FALSE(complaint(uncommented("subscriber")).contains('\n')) << "that alone";
  for (const Field& field : fields_of(core::TransformStepConfig{})) {
    EXPECT_CONTAINS(uncommented("transform.steps"), std::string(field.name) + " = ");
  }
}

TEST_F(ConfigTables, their_number_is_bounded) {
  std::string toml;
  for (int i = 0; i <= 256; ++i) {
    toml += "[[subscriber]]\nname = \"s" + std::to_string(i) + "\"\nurl = \"http://h\"\n";
  }
  EXPECT_CONTAINS(complaint(toml), "there are more than 256 of [[subscriber]].");
}

}  // namespace
}  // namespace daybook::api
