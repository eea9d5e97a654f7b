// Multipart uploads: what is sent, what proves the whole, and what becomes of one that fails.
#include <gtest/gtest.h>

#include "core/text.hpp"
#include "tests/unit/storage/s3_bench.hpp"
#include "tests/unit/storage/s3_published_cases.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Retry;
using tests::FakeBucket;
using tests::Manner;
using tests::run_on_io;
using tests::S3Bench;
using tests::soon;

constexpr std::uint64_t kThreshold = 6 * core::MiB;
constexpr const char* kKey = "records/a";

// Three parts of 5 MiB, 5 MiB and the rest.
const std::string& large_body() {
  static const std::string body = [] {
    const core::ByteVector bytes = tests::random_bytes(11 * core::MiB, 7);
    return std::string(core::as_text(bytes));
  }();
  return body;
}

TEST(S3Multipart, begins_above_the_threshold) {
  S3Bench bench({}, {}, kThreshold);
  ASSERT_TRUE(bench.put(bench.object(std::string(kThreshold, 'x'), "bank", "records/b")));
  EXPECT_EQ(bench.bucket.requests("POST "), 0u);
  const auto stored = bench.put(large_body());
  ASSERT_TRUE(stored) << stored.error().detail;
  EXPECT_EQ(bench.bucket.requests("POST "), 2u);
  EXPECT_EQ(bench.bucket.requests("PUT /bucket/records/a?partNumber="), 3u);
  EXPECT_EQ(bench.bucket.requests("GET /bucket/records/a"), 0u) << "the ETag is proof enough";
  EXPECT_TRUE(bench.bucket.versions(kKey).front().body == large_body());
  EXPECT_EQ(bench.bucket.uploads(), 0u);
}

TEST(S3Multipart, cuts_parts_across_slices) {
  S3Bench bench({}, {}, kThreshold);
  core::PutObject object = bench.object(large_body());
  const core::Bytes all = core::as_bytes(large_body());
  object.body = {all.first(3),
                 {},
                 all.subspan(3, 5 * core::MiB - 3),
                 all.subspan(5 * core::MiB, 1),
                 all.subspan(5 * core::MiB + 1)};
  ASSERT_TRUE(bench.put(object));
  EXPECT_TRUE(bench.bucket.versions(kKey).front().body == large_body());
}

TEST(S3Multipart, a_repetition_writes_nothing) {
  S3Bench bench({.versioned = true}, {}, kThreshold);
  ASSERT_TRUE(bench.put(large_body()));
  bench.restart();
  const auto again = bench.put(large_body());
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(bench.bucket.requests("POST "), 2u);
  EXPECT_EQ(bench.bucket.versions(kKey).size(), 1u);
  std::string other = large_body();
  other.back() = static_cast<char>(other.back() ^ 1);
  const auto refused = bench.put(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::conflict);
}

TEST(S3Multipart, gets_the_lock_and_tags_that_the_store_forgot) {
  S3Options options;
  options.lock_mode = "GOVERNANCE";
  options.lock_days = 3;
  options.tags = {{"a", "b"}};
  FakeBucket::Traits traits;  // as radosgw 16
  traits.locks = true;
  traits.versioned = true;
  traits.forgets_parts = {"x-amz-object-lock", "x-amz-tagging"};
  S3Bench bench(traits, options, kThreshold);
  const auto stored = bench.put(large_body());
  ASSERT_TRUE(stored) << stored.error().detail;
  const auto fields = bench.bucket.versions(kKey).front().fields;
  EXPECT_EQ(fields.at("x-amz-object-lock-mode"), "GOVERNANCE");
  EXPECT_EQ(fields.at("x-amz-tagging-count"), "1");
}

TEST(S3Multipart, encryption_that_is_forgotten_stops_it_before_the_first_part) {
  S3Options options;
  options.encryption = "aws:kms";
  S3Bench bench({.forgets_parts = {"x-amz-server-side"}}, options, kThreshold);
  const auto refused = bench.put(large_body());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::misconfigured);
  EXPECT_EQ(bench.bucket.requests("PUT /bucket/records/a?partNumber="), 0u);
  EXPECT_EQ(bench.bucket.uploads(), 0u);
}

TEST(S3Multipart, one_that_fails_is_aborted) {
  S3Bench bench({}, {}, kThreshold);
  ASSERT_TRUE(bench.probe());
  bench.bucket.plan("PUT /bucket/records/a?partNumber=2", {FakeBucket::error(503, "SlowDown")});
  const auto failed = bench.put(large_body());
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::unavailable);
  EXPECT_EQ(failed.error().retry, Retry::safe);
  EXPECT_EQ(bench.bucket.uploads(), 0u);
  EXPECT_TRUE(bench.put(large_body()));
}

TEST(S3Multipart, a_completion_whose_answer_is_lost_is_looked_up) {
  for (const std::string& lost : {std::string(), FakeBucket::error(500, "InternalError"),
                                  FakeBucket::error(200, "InternalError")}) {
    S3Bench bench({}, {}, kThreshold);
    bench.bucket.plan_after("POST /bucket/records/a?uploadId=", {lost});
    const auto stored = bench.put(large_body());
    ASSERT_TRUE(stored) << stored.error().detail;
    EXPECT_EQ(bench.bucket.uploads(), 0u);
  }
}

TEST(S3Multipart, a_whole_that_is_not_ours_is_no_success) {
  S3Bench bench({}, {}, kThreshold);
  ASSERT_TRUE(bench.probe());
  bench.bucket.plan("POST /bucket/records/a?uploadId=",
                    {FakeBucket::reply(200, "", "<CompleteMultipartUploadResult/>")});
  const auto failed = bench.put(large_body());
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().retry, Retry::unknown_outcome);
}

TEST(S3Multipart, sends_checksums_where_they_are_checked) {
  S3Bench bench({.checksums = Manner::honours}, {}, kThreshold);
  ASSERT_TRUE(bench.put(large_body()));
  EXPECT_EQ(bench.bucket.versions(kKey).front().fields.at("x-amz-checksum-algorithm"), "SHA256");
}

// ---- uploads of writers that died ----

TEST(S3CleanUp, aborts_what_is_older_than_a_day_below_the_prefix) {
  S3Bench bench({});
  const core::WallTime now = bench.runtime.now();
  bench.bucket.add_upload("records/old", core::format_time(now - std::chrono::hours(25)));
  bench.bucket.add_upload("records/new", core::format_time(now - std::chrono::hours(23)));
  bench.bucket.add_upload("others/old", core::format_time(now - std::chrono::hours(99)));
  const auto cleaned = run_on_io(bench.runtime, bench.store->clean_up(soon()));
  ASSERT_TRUE(cleaned) << cleaned.error().detail;
  EXPECT_EQ(*cleaned, 1u);
  EXPECT_EQ(bench.bucket.uploads(), 2u);
}

TEST(S3CleanUp, tells_a_store_that_has_no_such_list) {
  S3Bench bench({});
  bench.bucket.plan("GET /bucket?", {FakeBucket::error(403, "AccessDenied")});
  const auto cleaned = run_on_io(bench.runtime, bench.store->clean_up(soon()));
  ASSERT_FALSE(cleaned);
  EXPECT_EQ(cleaned.error().code, Code::denied);
}

// ---- the published answers to multipart requests ----

struct Expected {
  bool stored = false;
  Retry retry = Retry::never;
};

// How a put must end that meets this answer, while everything else of the store works.
Expected expected_of(const tests::PublishedCase& one) {
  const auto has = [&one](std::string_view word) {
    return one.body.find(word) != std::string::npos;
  };
  if (has("<Code>AccessDenied<")) return {false, Retry::never};
  // Signed anew once with the store's time; here the store goes on refusing.
  if (has("<Code>RequestTimeTooSkewed<")) return {false, Retry::safe};
  if (has("<Code>RequestTimeout<") || has("<Code>SlowDown<")) return {false, Retry::safe};
  if (has("<Code>InternalError<")) return {false, Retry::unknown_outcome};
  if (one.name.ends_with("missing_etag.json")) return {false, Retry::safe};
  // A success in words: the parts never came together, and that is found.
  if (one.operation == "CompleteMultipartUpload") return {false, Retry::unknown_outcome};
  // An upload that does not exist takes no parts; the next attempt begins another.
  if (one.operation == "CreateMultipartUpload") return {false, Retry::safe};
  return {true, {}};
}

TEST(S3PublishedMultipart, every_answer_ends_as_it_must) {
  const std::map<std::string, std::string> requests = {
      {"CreateMultipartUpload", "POST /bucket/records/a?uploads="},
      {"UploadPart", "PUT /bucket/records/a?partNumber="},
      {"CompleteMultipartUpload", "POST /bucket/records/a?uploadId="},
      {"AbortMultipartUpload", "DELETE /bucket/records/a?uploadId="}};
  const auto cases = tests::published_cases("", "");
  if (cases.empty()) GTEST_SKIP() << "no suites/s3-client-faults; set DAYBOOK_SHARED";
  EXPECT_EQ(cases.size(), 38u);
  int seen = 0;
  for (const tests::PublishedCase& one : cases) {
    const auto request = requests.find(one.operation);
    if (request == requests.end()) continue;
    SCOPED_TRACE(one.name);
    ++seen;
    S3Bench bench({}, {}, kThreshold);
    ASSERT_TRUE(bench.probe());
    const std::string answer =
        FakeBucket::reply(one.status, one.fields, one.status == 204 ? "" : one.body);
    const bool carried_out = one.operation == "UploadPart" && one.status == 200;
    carried_out ? bench.bucket.plan_after(request->second, {answer, answer})
                : bench.bucket.plan(request->second, {answer, answer});
    const auto stored = bench.put(large_body());
    const Expected expected = expected_of(one);
    EXPECT_EQ(stored.has_value(), expected.stored) << (stored ? "" : stored.error().detail);
    if (!stored) {
      EXPECT_EQ(static_cast<int>(stored.error().retry), static_cast<int>(expected.retry))
          << stored.error().detail;
      EXPECT_TRUE(bench.bucket.versions(kKey).empty());
      if (one.operation != "AbortMultipartUpload") {
        EXPECT_EQ(bench.bucket.uploads(), 0u) << "what failed is aborted";
      }
    }
  }
  EXPECT_EQ(seen, 13);
}

}  // namespace
}  // namespace daybook::storage
