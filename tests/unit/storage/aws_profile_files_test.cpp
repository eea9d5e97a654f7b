// The AWS tools' config and credentials files, as people and tools write them.
#include "storage/aws_profile_files.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "core/units.hpp"
#include "tests/contract/temporary_folder.hpp"

namespace daybook::storage {
namespace {

struct Case {
  const char* what;
  AwsFileKind kind;
  const char* text;
  AwsProfiles profiles;
};

constexpr AwsFileKind kConfig = AwsFileKind::config;
constexpr AwsFileKind kCredentials = AwsFileKind::credentials;

TEST(AwsProfileFiles, are_read_as_the_aws_tools_read_them) {
  const Case cases[] = {
      {"nothing", kConfig, "", {}},
      {"comments and empty lines", kConfig, "# a\n; b\n\n   \n  # c\n", {}},
      {"a profile of each kind",
       kConfig,
       "[default]\nregion = eu-west-1\n[profile audit]\nregion=eu-central-1\n",
       {{"default", {{"region", "eu-west-1"}}}, {"audit", {{"region", "eu-central-1"}}}}},
      {"a name without the word profile is no profile of the config file",
       kConfig,
       "[audit]\nregion = x\n[sso-session s]\nsso_region = y\n[services z]\n[profiles]\n",
       {}},
      {"in the credentials file it is",
       kCredentials,
       "[audit]\naws_access_key_id = AK\naws_secret_access_key = s/e+c=ret\n",
       {{"audit", {{"aws_access_key_id", "AK"}, {"aws_secret_access_key", "s/e+c=ret"}}}}},
      {"names in any case, values as they are",
       kCredentials,
       "[Default]\nAWS_Access_Key_ID = AkId\n",
       {{"Default", {{"aws_access_key_id", "AkId"}}}}},
      {"white space, tabs, Windows line ends, a byte order mark",
       kCredentials,
       "\xEF\xBB\xBF[ default ]\r\naws_access_key_id\t=\tAK \r\n",
       {{"default", {{"aws_access_key_id", "AK"}}}}},
      {"quotes around a profile's name",
       kConfig,
       "[profile \"two words\"]\nregion = r\n",
       {{"two words", {{"region", "r"}}}}},
      {"a comment after a value needs a space before it",
       kConfig,
       "[default] # the usual one\nregion = a # b\noutput = a#b ; c\n",
       {{"default", {{"region", "a"}, {"output", "a#b"}}}}},
      {"an empty value", kConfig, "[default]\nregion =\n", {{"default", {{"region", ""}}}}},
      {"nested settings belong to the line above",
       kConfig,
       "[default]\ns3 =\n  addressing_style = path\n  aws_access_key_id = no\nregion = r\n",
       {{"default", {{"s3", ""}, {"region", "r"}}}}},
      {"a section whose lines are all indented alike",
       kCredentials,
       "[default]\n  aws_access_key_id = AK\n  aws_secret_access_key = SK\n",
       {{"default", {{"aws_access_key_id", "AK"}, {"aws_secret_access_key", "SK"}}}}},
      {"sections of one name are one profile, the later value counts",
       kCredentials,
       "[a]\nx = 1\ny = 1\n[b]\n[a]\nx = 2\n",
       {{"a", {{"x", "2"}, {"y", "1"}}}, {"b", {}}}},
      {"[profile default] is preferred, wherever it stands",
       kConfig,
       "[default]\nregion = plain\noutput = plain\n[profile default]\nregion = full\n[default]\n"
       "region = plain\n",
       {{"default", {{"region", "full"}}}}},
      {"lines of a section that is none are no profile's",
       kConfig,
       "[default]\nregion = r\n[preview]\nregion = other\n",
       {{"default", {{"region", "r"}}}}},
      {"no line end at the end", kCredentials, "[a]\nx = 1", {{"a", {{"x", "1"}}}}},
  };
  for (const Case& one : cases) {
    const auto read = parse_aws_profiles(one.text, one.kind);
    ASSERT_TRUE(read) << one.what << ": " << read.error().detail;
    EXPECT_EQ(*read, one.profiles) << one.what;
  }
}

TEST(AwsProfileFiles, name_the_line_that_is_wrong_and_not_what_is_in_it) {
  const std::pair<std::string, std::string> cases[] = {
      {"[default]\naws_secret_access_key SECRETWORD\n", "line 2: there is no '='"},
      {"[default\nx = 1\n", "line 1: the section's ']' is missing"},
      {"# c\n[]\n", "line 2: the section has no name"},
      {"aws_secret_access_key = SECRETWORD\n", "line 1: no section was begun"},
      {"[default]\n\n= SECRETWORD\n", "line 3: there is no name before '='"},
      {std::string("[a]\nx = SECRETWORD\0\n", 20), "line 2: it holds a NUL byte"},
  };
  for (const auto& [text, why] : cases) {
    const auto read = parse_aws_profiles(text, kCredentials);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().detail, why);
  }
}

TEST(AwsProfileFiles, a_missing_file_has_no_profiles_and_a_broken_one_is_named) {
  tests::TemporaryFolder folder;
  const std::string path = folder.path() / "credentials";
  const auto none = read_aws_profiles(path, kCredentials);
  ASSERT_TRUE(none) << none.error().detail;
  EXPECT_TRUE(none->empty());

  std::ofstream(path) << "[default]\nno equals sign\n";
  const auto broken = read_aws_profiles(path, kCredentials);
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().detail.find(path + ", line 2"), std::string::npos)
      << broken.error().detail;

  std::ofstream(path) << std::string(2 * core::MiB, '#');
  EXPECT_FALSE(read_aws_profiles(path, kCredentials));
  EXPECT_FALSE(read_aws_profiles(folder.path(), kCredentials)) << "a folder is no file";
}

}  // namespace
}  // namespace daybook::storage
