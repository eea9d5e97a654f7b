// Lookup files: their three forms, what is refused of them, and when they are read again.
#include "api/lookup_file.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/contract/fakes/inline_workers.hpp"
#include "tests/contract/temporary_folder.hpp"
#include "tests/unit/virtual_runtime.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;
using api::LookupFormat;
using core::transform::Rows;

Rows rows(LookupFormat format, std::string_view text) {
  const auto parsed = api::parse_lookup(format, text);
  EXPECT_TRUE(parsed) << parsed.error().detail;
  return parsed ? *parsed : Rows{};
}

std::string why(LookupFormat format, std::string_view text) {
  const auto parsed = api::parse_lookup(format, text);
  EXPECT_FALSE(parsed) << text;
  return parsed ? "" : parsed.error().detail;
}

TEST(LookupFile, the_format_is_by_the_ending) {
  EXPECT_EQ(api::lookup_format("/a/b.csv"), LookupFormat::csv);
  EXPECT_EQ(api::lookup_format("b.json"), LookupFormat::json);
  EXPECT_EQ(api::lookup_format("b.toml"), LookupFormat::toml);
  EXPECT_EQ(api::lookup_format("b.txt"), std::nullopt);
}

TEST(LookupFile, csv_is_read_as_its_standard_says) {
  EXPECT_EQ(rows(LookupFormat::csv,
                 "\xEF\xBB\xBFhost,team,site\r\nweb1,\"red, \"\"or\"\" so\",\r\n"
                 "\"web\n2\",blue,b"),
            (Rows{{"web1", {{"team", "red, \"or\" so"}}},
                  {"web\n2", {{"team", "blue"}, {"site", "b"}}}}));
  EXPECT_EQ(rows(LookupFormat::csv, "k,a\n\nx,1\n"), (Rows{{"x", {{"a", "1"}}}}));
  EXPECT_EQ(why(LookupFormat::csv, ""), "it is empty; the first line has the names of the columns");
  EXPECT_EQ(why(LookupFormat::csv, "k\n"), "line 1: it needs a key and at least one attribute");
  EXPECT_EQ(why(LookupFormat::csv, "k,a\nx,1,2\n"), "line 2: 3 fields, where the first line has 2");
  EXPECT_EQ(why(LookupFormat::csv, "k,a\nx,\"1\n"), "line 2: a quote is not closed");
  EXPECT_EQ(why(LookupFormat::csv, "k,a\nx,\"1\"2\n"), "line 2: something follows a quote");
  EXPECT_EQ(why(LookupFormat::csv, "k,a\n\"x\n\",1\nx,1\nx,2\n"), "line 5: key 'x' stands twice");
  EXPECT_EQ(why(LookupFormat::csv, "k,a\n,1\n"), "line 2: a key is empty, or no UTF-8");
  EXPECT_NE(why(LookupFormat::csv, "k,a b\nx,1\n").find("'a b' is no attribute that can be set"),
            std::string::npos);
  EXPECT_NE(why(LookupFormat::csv, "k,a\nx," + std::string(1025, 'y')).find("at most 1 KiB"),
            std::string::npos);
  EXPECT_NE(why(LookupFormat::csv, "k,a\nx,\xFF").find("no UTF-8"), std::string::npos);
}

TEST(LookupFile, their_number_is_bounded) {
  std::string csv = "k,v\n";
  for (int i = 0; i < 50'000; ++i) csv += std::to_string(i) + ",v\n";
  EXPECT_TRUE(parse_lookup(LookupFormat::csv, csv));
  const auto more = parse_lookup(LookupFormat::csv, csv + "one,more\n");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().detail, "line 50002: there are more than 100000 keys and values");
}

TEST(LookupFile, json_and_toml_are_tables_by_key) {
  const Rows wanted = {{"web1", {{"site", "a"}, {"port", "80"}, {"live", "true"}}}, {"web2", {}}};
  EXPECT_EQ(rows(LookupFormat::json,
                 R"({"web1":{"site":"a","port":80,"live":true,"none":""},"web2":{}})"),
            wanted);
  EXPECT_EQ(rows(LookupFormat::toml, "[web1]\nsite=\"a\"\nport=80\nlive=true\n[web2]\n"), wanted);
  EXPECT_EQ(why(LookupFormat::json, "[1]"), "it is no JSON object");
  EXPECT_EQ(why(LookupFormat::json, R"({"a":1})"), "key 'a': its value is no object");
  EXPECT_EQ(why(LookupFormat::json, R"({"a":{"b":[]}})"), "key 'a': attribute b is no text");
  EXPECT_EQ(why(LookupFormat::toml, "a = 1\n"), "line 1: this stands outside of every [KEY]");
  EXPECT_NE(why(LookupFormat::toml, "[a]\nb = \n").find("line 2: this is not TOML"),
            std::string::npos);
}

class ChangingFile : public testing::Test {
 protected:
  void write(const std::string& text) {
    // By name, as an editor does: another file each time.
    std::ofstream(folder_.path() / "new") << text;
    std::filesystem::rename(folder_.path() / "new", path());
  }
  std::string path() { return folder_.path() / "t.csv"; }
  std::string value() {
    const auto now = runtime_.run(file_->rows());
    return now ? (*now)->at("x").at("a") : "(none)";
  }

  TemporaryFolder folder_;
  VirtualRuntime runtime_;
  InlineWorkers workers_;
  std::shared_ptr<api::LookupFile> file_;
};

TEST_F(ChangingFile, is_read_again_within_a_second_unless_it_is_broken) {
  write("k,a\nx,1\n");
  auto opened = api::LookupFile::open(runtime_, workers_, path());
  ASSERT_TRUE(opened) << opened.error().detail;
  file_ = *opened;
  EXPECT_EQ(value(), "1");
  write("k,a\nx,2\n");
  EXPECT_EQ(value(), "1") << "not looked at each time";
  runtime_.run_for(1s);
  EXPECT_EQ(value(), "2");
  write("k,a\nx\n");
  runtime_.run_for(1s);
  EXPECT_EQ(value(), "2");
  std::filesystem::remove(path());
  runtime_.run_for(1s);
  EXPECT_EQ(value(), "2");
  write("k,a\nx,3\n");
  runtime_.run_for(1s);
  EXPECT_EQ(value(), "3");
}

TEST_F(ChangingFile, must_be_good_at_first) {
  const auto missing = api::LookupFile::open(runtime_, workers_, path());
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().detail.find("t.csv cannot be opened"), std::string::npos);
  write("k\n");
  const auto bad = api::LookupFile::open(runtime_, workers_, path());
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().detail.find("t.csv: line 1: it needs a key"), std::string::npos);
}

}  // namespace
}  // namespace daybook::tests
