// DynamodbClient and DynamodbMetadata against answers that a service gives when it is busy, broken
// or set up wrongly. Real services are in tests/contract.
#include "storage/dynamodb_client.hpp"

#include <atomic>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "storage/dynamodb_errors.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/unit/storage/dynamodb_table.hpp"

namespace daybook::storage {
namespace {

namespace json = boost::json;
using core::Code;
using core::Retry;
using namespace std::chrono_literals;

using tests::answer;
using tests::Bench;
using tests::refusal;
using tests::some_rows;
using tests::Table;

TEST(DynamodbClient, signs_for_the_service_and_says_what_it_wants) {
  Bench bench([](const auto&, const json::object& request) {
    EXPECT_EQ(request.at("TableName").get_string(), "records");
    return answer(200, R"({"Item":{}})");
  });
  ASSERT_TRUE(bench.call());
  const std::string head = bench.last_head();
  EXPECT_TRUE(head.starts_with("POST / HTTP/1.1\r\n")) << head;
  for (const std::string text :
       {"X-Amz-Target: DynamoDB_20120810.GetItem\r\n",
        "Content-Type: application/x-amz-json-1.0\r\n", "x-amz-security-token: the-token\r\n",
        "/eu-central-1/dynamodb/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, "}) {
    EXPECT_NE(head.find(text), std::string::npos) << text << " in\n" << head;
  }
  EXPECT_EQ(head.find("the-secret"), std::string::npos);
}

TEST(DynamodbClient, repeats_what_a_busy_service_refuses) {
  for (const std::string type :
       {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded",
        "InternalServerError", "ServiceUnavailable"}) {
    int times = 0;
    Bench bench([&](const auto&, const auto&) {
      return ++times < 3 ? refusal(type, type.starts_with("Internal") ? 500 : 400)
                         : answer(200, "{}");
    });
    const auto done = bench.call();
    EXPECT_TRUE(done) << done.error().detail;
    EXPECT_EQ(bench.requests(), 3) << type;
  }
}

TEST(DynamodbClient, waits_longer_and_longer_and_ends_with_the_deadline) {
  Bench bench([](const auto&, const auto&) { return refusal("ThrottlingException"); });
  const auto begun = std::chrono::steady_clock::now();
  const auto done = bench.call(400ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::unavailable);
  EXPECT_EQ(done.error().retry, Retry::safe);
  EXPECT_EQ(done.error().origin, core::Origin::metadata);
  // At least 25, 50, 100 and 200 ms of pauses.
  EXPECT_LE(bench.requests(), 5);
  EXPECT_GE(bench.requests(), 2);
}

TEST(DynamodbClient, does_not_believe_an_answer_with_another_checksum) {
  int times = 0;
  Bench bench([&](const auto&, const auto&) {
    return ++times < 2 ? answer(200, R"({"Item":{}})", "12345") : answer(200, "{}");
  });
  const auto done = bench.call();
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_TRUE(done->empty());
  EXPECT_EQ(bench.requests(), 2);

  Bench always([](const auto&, const auto&) { return answer(200, "{}", "x"); });
  const auto damaged = always.call(300ms);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, Code::unavailable);
  EXPECT_EQ(damaged.error().retry, Retry::unknown_outcome);
  EXPECT_NE(damaged.error().detail.find("crc32"), std::string::npos);
}

TEST(DynamodbClient, names_what_no_dynamodb_service_would_answer) {
  for (const std::string& text :
       {answer(200, "<html>"), answer(200, "[]"), answer(404, "not here"), answer(301, "")}) {
    Bench bench([&](const auto&, const auto&) { return text; });
    const auto done = bench.call();
    ASSERT_FALSE(done) << text;
    EXPECT_EQ(done.error().code, Code::misconfigured) << text;
    EXPECT_NE(done.error().detail.find("dynamodb_endpoint"), std::string::npos);
    EXPECT_EQ(bench.requests(), 1);
  }
}

TEST(DynamodbErrors, each_refusal_has_its_meaning_and_its_mend) {
  struct Case {
    int status;
    std::string type, message;
    Code code;
    Retry retry;
    std::string mend;
  };
  const Case cases[] = {
      {400, "ConditionalCheckFailedException", "", Code::conflict, Retry::never, ""},
      {400, "ResourceNotFoundException", "", Code::not_found, Retry::safe, "metadata migrate"},
      {400, "ValidationException", "The provided key element does not match the schema",
       Code::misconfigured, Retry::safe, "dynamodb_table"},
      {400, "ValidationException", "The table does not have the specified index: by_tenant",
       Code::misconfigured, Retry::safe, "migrate"},
      {400, "ValidationException", "Item size has exceeded the maximum allowed size",
       Code::too_large, Retry::never, "400 KB"},
      {400, "ValidationException", "Invalid UpdateExpression", Code::invalid_argument, Retry::never,
       ""},
      {400, "UnrecognizedClientException", "", Code::denied, Retry::safe, "access_key"},
      {400, "InvalidSignatureException", "Signature expired", Code::denied, Retry::safe, "clock"},
      {400, "AccessDeniedException", "", Code::denied, Retry::safe, "BatchGetItem, PutItem"},
      {400, "ExpiredTokenException", "", Code::denied, Retry::safe, "renew"},
      {403, "", "", Code::denied, Retry::safe, "access_key"},
      {400, "ThrottlingException", "", Code::unavailable, Retry::safe, "capacity"},
      {500, "InternalServerError", "", Code::unavailable, Retry::unknown_outcome, ""},
      {502, "", "", Code::unavailable, Retry::unknown_outcome, ""},
      {503, "", "", Code::unavailable, Retry::safe, ""},
      {400, "SomethingNewException", "", Code::invalid_argument, Retry::never, ""},
      {200, "", "", Code::misconfigured, Retry::safe, "dynamodb_endpoint"},
  };
  for (const Case& one : cases) {
    const core::Error error =
        classify_dynamodb(one.status, {one.type, one.message}, "PutItem records");
    EXPECT_EQ(error.code, one.code) << one.type << one.message;
    EXPECT_EQ(error.retry, one.retry) << one.type << one.message;
    EXPECT_NE(error.detail.find(one.mend), std::string::npos) << error.detail;
    EXPECT_TRUE(error.detail.starts_with("PutItem records: ")) << error.detail;
  }
}

TEST(DynamodbErrors, refusals_are_read_from_every_spelling_and_from_nothing) {
  const auto parse = [](std::string_view text) {
    return parse_dynamodb_refusal(core::as_bytes(text));
  };
  EXPECT_EQ(parse(R"({"__type":"a.b#XException","message":"m"})").type, "XException");
  EXPECT_EQ(parse(R"({"__type":"XException","Message":"M"})").message, "M");
  EXPECT_EQ(parse("{\"__type\":\"a#X\\u001b[2J\",\"message\":\"\\u0007\"}").type, "X [2J");
  for (const std::string_view text : {"", "{", "[]", "17", R"({"__type":7,"message":[]})"}) {
    EXPECT_EQ(parse(text).type, "") << text;
    EXPECT_EQ(parse(text).message, "") << text;
  }
}

TEST(DynamodbMetadata, an_insert_that_failed_in_part_is_completed_by_the_same_insert) {
  Table table;
  const auto rows = some_rows(10);
  const std::string unlucky = rows[3].envelope.id.str();
  bool busy = true;
  table.fault = [&](const std::string& operation, const std::string& id) -> std::string {
    return busy && operation == "PutItem" && id == unlucky ? refusal("ThrottlingException") : "";
  };
  Bench bench(table.answering());
  const auto failed = bench.run(bench.store().insert(rows, tests::within(300ms)));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::unavailable);
  EXPECT_NE(failed.error().retry, Retry::never);
  EXPECT_EQ(table.rows(), 9);
  busy = false;
  const auto done = bench.run(bench.store().insert(rows, tests::soon()));
  EXPECT_TRUE(done) << done.error().detail;
  EXPECT_EQ(table.rows(), 10);
  EXPECT_EQ(bench.run(bench.store().feed_bounds(tests::soon()))->last, 10);
}

TEST(DynamodbMetadata, a_row_whose_answer_was_lost_is_found_to_be_there) {
  Table table;
  std::atomic<int> puts = 0;
  Bench bench([&](const std::string& operation, const json::object& request) {
    std::string text = table.answer_to(operation, request);
    // The first PutItem is done, and its connection breaks.
    return operation == "PutItem" && ++puts == 1 ? std::string() : text;
  });
  const auto rows = some_rows(1);
  auto done = bench.run(bench.store().insert(rows, tests::soon()));
  if (!done) {
    EXPECT_EQ(done.error().retry, Retry::unknown_outcome);
    done = bench.run(bench.store().insert(rows, tests::soon()));
  }
  EXPECT_TRUE(done) << done.error().detail;
  EXPECT_EQ(bench.run(bench.store().find(rows[0].envelope.id, tests::soon())).value(), rows[0]);
}

TEST(DynamodbMetadata, one_request_a_row_and_a_window_is_announced_once) {
  Table table;
  Bench bench(table.answering());
  for (int batch = 0; batch < 5; ++batch) {
    ASSERT_TRUE(bench.run(bench.store().insert(some_rows(20), tests::soon())));
  }
  EXPECT_EQ(table.counts["PutItem"], 105);   // and a page of the feed for each batch
  EXPECT_EQ(table.counts["UpdateItem"], 2);  // the window, and the window of the tenant
  EXPECT_EQ(table.counts["GetItem"], 2);     // the version, and the head of the feed
  EXPECT_EQ(table.counts["Query"], 1);       // its end
}

TEST(DynamodbMetadata, what_an_operator_must_mend_is_asked_for_once_a_second) {
  for (const std::string type : {"ResourceNotFoundException", "UnrecognizedClientException"}) {
    Bench bench([&](const auto&, const auto&) { return refusal(type); });
    const auto begun = std::chrono::steady_clock::now();
    int asked = 0;
    do {
      const auto done = bench.run(bench.store().insert(some_rows(20), tests::soon()));
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().code,
                type.starts_with("Resource") ? Code::misconfigured : Code::denied);
      EXPECT_FALSE(bench.run(bench.store().probe(tests::soon())));
      ++asked;
    } while (asked < 200);
    const auto seconds = std::chrono::steady_clock::now() - begun;
    EXPECT_LE(bench.requests(), 1 + seconds / 1s) << type;
  }
}

TEST(DynamodbMetadata, works_again_after_a_refusal_and_announces_its_windows_anew) {
  Table table;
  bool missing = true;
  table.fault = [&](const std::string&, const std::string&) -> std::string {
    return missing ? refusal("ResourceNotFoundException") : "";
  };
  Bench bench(table.answering());
  missing = false;
  ASSERT_TRUE(bench.run(bench.store().insert(some_rows(1), tests::soon())));
  missing = true;
  ASSERT_FALSE(bench.run(bench.store().insert(some_rows(1), tests::soon())));
  missing = false;
  core::Result<void> done;
  do {
    done = bench.run(bench.store().insert(some_rows(1), tests::soon()));
  } while (!done && done.error().code == Code::misconfigured);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(table.counts["UpdateItem"], 4);
}

TEST(DynamodbMetadata, a_newer_table_is_not_touched) {
  Bench bench([](const std::string& operation, const auto&) {
    EXPECT_EQ(operation, "GetItem");
    return answer(200, R"({"Item":{"number":{"N":"3"}}})");
  });
  const auto done = bench.run(bench.store().insert(some_rows(1), tests::soon()));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::misconfigured);
  EXPECT_NE(done.error().detail.find("version 3"), std::string::npos);
}

}  // namespace
}  // namespace daybook::storage
