// `daybook post`: which files are sent, as what, when again, and which receipts count.
#include "api/cli_post.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "api/cli_post_message.hpp"
#include "api/cli_retry.hpp"

namespace daybook::api {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class PostFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "daybook-post-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string write(const fs::path& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  fs::path folder_;
};

TEST_F(PostFiles, folders_become_their_regular_files_in_order) {
  write("b/2.json", "22");
  write("b/1.json", "1");
  write("a.json", "333");
  fs::create_symlink(folder_ / "a.json", folder_ / "link.json");
  std::vector<std::string> problems;
  const auto items = list_items({folder_.string(), "-"}, problems);
  EXPECT_TRUE(problems.empty());
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(items[0].path, folder_ / "a.json");
  EXPECT_EQ(items[0].size, 3u);
  EXPECT_EQ(items[1].path, folder_ / "b/1.json");
  EXPECT_EQ(items[2].path, folder_ / "b/2.json");
  EXPECT_EQ(items[3].path, "-");
}

TEST_F(PostFiles, what_does_not_exist_is_a_problem_and_the_rest_is_sent) {
  const std::string good = write("good", "x");
  fs::create_directories(folder_ / "empty");
  std::vector<std::string> problems;
  const auto items =
      list_items({(folder_ / "none").string(), good, (folder_ / "empty").string()}, problems);
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].path, good);
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems[0], (folder_ / "none").string() + ": No such file or directory.");
  EXPECT_EQ(problems[1], (folder_ / "empty").string() + " holds no regular file.");
}

TEST(PostFields, the_content_type_comes_from_the_extension) {
  EXPECT_EQ(content_type_of("a/b.JSON"), "application/json");
  EXPECT_EQ(content_type_of("x.tar.gz"), "application/gzip");
  EXPECT_EQ(content_type_of("-"), "application/octet-stream");
  EXPECT_EQ(content_type_of("json"), "application/octet-stream");
}

TEST(PostFields, attribute_values_cannot_break_out_of_their_header) {
  EXPECT_EQ(encode_attribute("/branch/7 till"), "/branch/7 till");
  EXPECT_EQ(encode_attribute("a\r\nx: y"), "a%0D%0Ax: y");
  EXPECT_EQ(encode_attribute("100% \"gr\xc3\xbc\xc3\x9f\""), "100%25 %22gr%C3%BC%C3%9F%22");
  EXPECT_EQ(encode_attribute(" edge "), "%20edge%20");
}

TEST(PostFields, every_option_becomes_its_header) {
  PostOptions options;
  options.type = "org.example.login";
  options.source = "/branch/7";
  options.time = "mtime";
  options.attributes = {"region=eu=west"};
  const core::Sha256 sha256 = core::sha256(core::as_bytes("x"));
  const auto fields = record_fields(options, "a.csv", core::WallTime(1s), sha256, "key-1");
  EXPECT_EQ(fields.find("Content-Type"), "text/csv");
  EXPECT_EQ(fields.find("Content-Digest"),
            "sha-256=:LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=:");  // by openssl
  EXPECT_EQ(fields.find("Idempotency-Key"), "key-1");
  EXPECT_EQ(fields.find("ce-type"), "org.example.login");
  EXPECT_EQ(fields.find("ce-source"), "/branch/7");
  EXPECT_EQ(fields.find("ce-time"), "1970-01-01T00:00:01.000000Z");
  EXPECT_EQ(fields.find("ce-region"), "eu=west");
  EXPECT_FALSE(fields.find("ce-subject"));
}

TEST(PostFields, wrong_options_are_named) {
  PostOptions good;
  good.paths = {"a"};
  EXPECT_EQ(check_post_options(good), "");
  const auto complaint = [&](auto change) {
    PostOptions options = good;
    change(options);
    return check_post_options(options);
  };
  EXPECT_NE(complaint([](auto& o) { o.paths = {"-", "-"}; }), "");
  EXPECT_NE(complaint([](auto& o) { o.time = "yesterday"; }), "");
  EXPECT_NE(complaint([](auto& o) { o.content_type = "a\r\nb"; }), "");
  EXPECT_NE(complaint([](auto& o) { o.idempotency_key = "\n"; }), "");
  EXPECT_NE(complaint([](auto& o) { o.attributes = {"Region=eu"}; }), "");
  EXPECT_NE(complaint([](auto& o) { o.attributes = {"region"}; }), "");
  EXPECT_NE(complaint([](auto& o) { o.attributes = {"type=x"}; }), "");
  EXPECT_NE(complaint([](auto& o) { o.subject = "\xff"; }), "");
}

TEST(PostReceipt, only_a_receipt_for_these_bytes_counts) {
  const core::Sha256 sha256 = core::sha256(core::as_bytes("x"));
  boost::json::value receipt = {{"id", "i"}, {"sha256", sha256.hex()}, {"size", 1}};
  EXPECT_EQ(distrust(receipt, sha256, 1), "");
  EXPECT_NE(distrust(receipt, sha256, 2), "");
  EXPECT_NE(distrust(receipt, core::sha256(core::as_bytes("y")), 1), "");
  EXPECT_NE(distrust(boost::json::value(nullptr), sha256, 1), "");
  receipt.as_object()["id"] = 7;
  EXPECT_NE(distrust(receipt, sha256, 1), "");
}

TEST(PostRetry, only_what_may_pass_is_sent_again) {
  for (int status : {408, 409, 429, 502, 503, 504}) EXPECT_TRUE(is_worth_retrying(status));
  for (int status : {400, 401, 404, 413, 415, 422, 431, 500, 507}) {
    EXPECT_FALSE(is_worth_retrying(status)) << status;
  }
  core::Error error;
  error.retry = core::Retry::unknown_outcome;
  EXPECT_TRUE(is_worth_retrying(error));
  error.retry = core::Retry::never;
  EXPECT_FALSE(is_worth_retrying(error));
}

TEST(PostRetry, waits_double_with_jitter_and_honour_the_server) {
  EXPECT_EQ(retry_wait(0, {}, 0), 250ms);
  EXPECT_EQ(retry_wait(0, {}, 1), 375ms);
  EXPECT_EQ(retry_wait(3, {}, 0), 2s);
  EXPECT_EQ(retry_wait(40, {}, 0), 15s);
  EXPECT_EQ(retry_wait(0, 7s, 0), 7s);
  EXPECT_EQ(retry_wait(40, 1s, 0), 15s);
  EXPECT_EQ(retry_wait(0, 86'400s, 0), 300s);  // nobody waits a day at a prompt
}

TEST(PostRetry, reads_seconds_and_passes_over_dates) {
  const auto with = [](const std::string& value) {
    core::http::Fields fields;
    fields.add("retry-after", value);
    return retry_after(fields);
  };
  EXPECT_EQ(with(" 7 "), 7s);
  EXPECT_EQ(with("Fri, 31 Dec 1999 23:59:59 GMT"), std::nullopt);
  EXPECT_EQ(with("-1"), std::nullopt);
  EXPECT_EQ(with("7x"), std::nullopt);
  EXPECT_EQ(retry_after({}), std::nullopt);
}

TEST(PostMessage, json_stays_json_and_anything_else_becomes_base64) {
  PostOptions options;
  options.message = true;
  options.type = "order";
  options.source = "till \"7\"";
  options.attributes = {"branch=z=1"};
  EXPECT_EQ(message_document(options, "order.json", core::as_bytes("{\"a\": 1}"), "4711", "now"),
            R"({"messageMetaData":{"messageType":"order","sourceSystemID":"till \"7\"",)"
            R"("sourceTransactionID":"4711","dateTime":"now","branch":"z=1"},)"
            R"("messagePayload":{"a": 1}})");
  EXPECT_EQ(message_document(options, "a.png", core::as_bytes("{}"), "1", "now"),
            R"({"messageMetaData":{"messageType":"order","sourceSystemID":"till \"7\"",)"
            R"("sourceTransactionID":"1","dateTime":"now","branch":"z=1",)"
            R"("payloadEncoding":"base64","contentType":"image/png"},"messagePayload":"e30="})");
  EXPECT_NE(message_document(options, "broken.json", core::as_bytes("{"), "1", "now")
                .find(R"("messagePayload":"ew=="})"),
            std::string::npos);
}

TEST(PostMessage, options_that_are_not_of_messages_are_refused) {
  PostOptions options;
  options.paths = {"a.json"};
  options.message = true;
  EXPECT_NE(check_post_options(options), "");
  options.type = "order";
  options.source = "till";
  EXPECT_EQ(check_post_options(options), "");
  options.subject = "x";
  EXPECT_NE(check_post_options(options), "");
  options.subject.clear();
  options.idempotency_key = "x";
  EXPECT_NE(check_post_options(options), "");
  options.idempotency_key.clear();
  options.id = "4711";
  EXPECT_EQ(check_post_options(options), "");
  options.message = false;
  EXPECT_NE(check_post_options(options), "");
}

}  // namespace
}  // namespace daybook::api
