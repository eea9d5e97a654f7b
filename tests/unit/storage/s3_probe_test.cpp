// What S3Store finds out about stores that differ, and what it does about it.
#include <gtest/gtest.h>

#include "core/text.hpp"
#include "tests/unit/storage/s3_bench.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using tests::FakeBucket;
using tests::Manner;
using tests::run_on_io;
using tests::S3Bench;
using tests::soon;

S3Options locking(bool required = true) {
  S3Options options;
  options.lock_mode = "GOVERNANCE";
  options.lock_days = 10;
  options.lock_required = required;
  return options;
}

FakeBucket::Traits locked() {
  FakeBucket::Traits traits;
  traits.locks = true;
  traits.versioned = true;
  return traits;
}

TEST(S3Probe, finds_what_a_store_honours) {
  for (const Manner manner : {Manner::honours, Manner::ignores, Manner::refuses}) {
    S3Bench bench({.conditional_put = manner, .checksums = manner});
    ASSERT_TRUE(bench.probe());
    const std::string finding = manner == Manner::honours ? "yes" : "no";
    EXPECT_EQ(bench.fact("conditional_put").finding, finding);
    EXPECT_EQ(bench.fact("checksums").finding, finding);
    EXPECT_EQ(bench.fact("versioning").finding, "no");
    EXPECT_EQ(bench.fact("object_lock").finding, "no");
  }
}

TEST(S3Probe, asks_once_and_puts_are_one_request_then) {
  S3Bench bench({});
  ASSERT_TRUE(bench.put("one"));
  const std::size_t first = bench.bucket.requests();
  ASSERT_TRUE(bench.put(bench.object("two", "bank", "records/b")));
  EXPECT_EQ(bench.bucket.requests(), first + 1);
  ASSERT_TRUE(bench.probe());
  EXPECT_EQ(bench.bucket.requests(), first + 2);  // HEAD of the bucket
}

TEST(S3Probe, puts_that_come_together_ask_together) {
  S3Bench bench({});
  std::vector<core::Task<core::Result<core::ObjectVersion>>> puts;
  for (const char* key : {"records/1", "records/2", "records/3", "records/4"}) {
    puts.push_back(bench.store->put(bench.object("x", "bank", key), soon()));
  }
  for (const auto& stored : run_on_io(bench.runtime, tests::gather(std::move(puts)))) {
    EXPECT_TRUE(stored) << stored.error().detail;
  }
  EXPECT_EQ(bench.bucket.requests("GET /bucket?versioning"), 1u);
}

TEST(S3Probe, what_it_could_not_ask_is_asked_again_and_nothing_is_stored_before) {
  S3Bench bench({});
  bench.bucket.plan("GET /bucket?versioning", {FakeBucket::error(503, "SlowDown"), ""});
  for (int round = 0; round < 2; ++round) {
    const auto stored = bench.put("x");
    ASSERT_FALSE(stored);
    EXPECT_EQ(stored.error().code, round == 0 ? Code::unavailable : Code::closed);
    EXPECT_EQ(stored.error().retry, core::Retry::safe);
    EXPECT_TRUE(bench.bucket.versions("records/a").empty());
  }
  EXPECT_TRUE(bench.put("x"));
}

TEST(S3Probe, a_store_that_may_not_be_written_is_found_by_the_probe) {
  S3Bench bench({});
  bench.bucket.plan("PUT /bucket/records/daybook-probe-write",
                    {FakeBucket::error(403, "AccessDenied")});
  const auto probed = bench.probe();
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().code, Code::denied);
}

TEST(S3Probe, its_objects_are_not_listed) {
  S3Bench bench({});
  ASSERT_TRUE(bench.probe());
  bench.bucket.plan(
      "GET /bucket?list-type",
      {FakeBucket::reply(200, "",
                         "<ListBucketResult><IsTruncated>false</IsTruncated>"
                         "<Contents><Key>records/a</Key><Size>1</Size></Contents>"
                         "<Contents><Key>records/daybook-probe</Key><Size>1</Size></Contents>"
                         "<Contents><Key>records/daybook-probe-write</Key><Size>1</Size></Contents>"
                         "<Contents><Key>records/e</Key><Size>1</Size></Contents>"
                         "</ListBucketResult>")});
  const auto listed = run_on_io(bench.runtime, bench.store->list("records/", "", 10, soon()));
  ASSERT_TRUE(listed) << listed.error().detail;
  ASSERT_EQ(listed->size(), 2u);
  EXPECT_EQ((*listed)[1].key, "records/e");
}

// ---- once ----

TEST(S3Once, the_same_bytes_are_success_and_others_are_kept_apart) {
  S3Bench bench({});
  const auto first = bench.put("same");
  ASSERT_TRUE(first);
  const auto again = bench.put("same");
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(again->location, first->location);
  for (const char* other : {"SAME", "longer than that"}) {
    const auto refused = bench.put(other);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::conflict);
    EXPECT_EQ(refused.error().retry, core::Retry::never);
  }
  EXPECT_EQ(bench.bucket.versions("records/a").front().body, "same");
}

TEST(S3Once, an_etag_of_another_kind_is_looked_behind) {
  S3Bench bench({});
  ASSERT_TRUE(bench.put("same"));
  bench.bucket.plan("HEAD /bucket/records/a",
                    {"HTTP/1.1 200 X\r\nETag: \"of-another-kind\"\r\nContent-Length: 4\r\n\r\n",
                     "HTTP/1.1 200 X\r\nETag: \"of-another-kind\"\r\nContent-Length: 4\r\n\r\n"});
  EXPECT_TRUE(bench.put("same"));
  EXPECT_EQ(bench.bucket.requests("GET /bucket/records/a"), 1u);
  const auto refused = bench.put("SAME");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::conflict);
}

TEST(S3Once, where_versions_add_up_a_repetition_adds_none) {
  for (const Manner manner : {Manner::honours, Manner::ignores, Manner::refuses}) {
    S3Bench bench({.conditional_put = manner, .versioned = true});
    const auto first = bench.put("same");
    ASSERT_TRUE(first);
    bench.restart();
    const auto again = bench.put("same");
    ASSERT_TRUE(again) << again.error().detail;
    EXPECT_EQ(again->version, first->version);
    EXPECT_EQ(bench.bucket.versions("records/a").size(), 1u);
    EXPECT_FALSE(bench.put("other"));
    // The probe has cleared away what it could.
    EXPECT_TRUE(bench.bucket.versions("records/daybook-probe-write").empty());
  }
}

TEST(S3Once, a_lost_answer_is_found_by_the_repetition) {
  S3Bench bench({});
  ASSERT_TRUE(bench.probe());
  // On a kept connection the client sends it once more by itself.
  bench.bucket.plan_after("PUT /bucket/records/a", {"", ""});
  const auto lost = bench.put("x");
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().retry, core::Retry::unknown_outcome);
  EXPECT_TRUE(bench.put("x"));
}

TEST(S3Once, sends_a_checksum_where_it_is_checked) {
  S3Bench bench({.checksums = Manner::honours});
  ASSERT_TRUE(bench.put("x"));
  EXPECT_EQ(bench.bucket.versions("records/a").front().fields.at("x-amz-checksum-sha256"),
            core::to_base64(core::sha256(core::as_bytes("x")).bytes));
  S3Bench without({.checksums = Manner::ignores});
  ASSERT_TRUE(without.put("x"));
  EXPECT_FALSE(
      without.bucket.versions("records/a").front().fields.contains("x-amz-checksum-sha256"));
}

// ---- promises ----

void expect_refusal(S3Bench& bench, const std::string& word) {
  const auto probed = bench.probe();
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().code, Code::misconfigured);
  EXPECT_NE(probed.error().detail.find(word), std::string::npos) << probed.error().detail;
  const std::size_t asked = bench.bucket.requests();
  const auto stored = bench.put("x");
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().code, Code::misconfigured);
  EXPECT_EQ(bench.bucket.requests(), asked) << "a put asks nothing that the probe has to ask";
  EXPECT_TRUE(bench.bucket.versions("records/a").empty());
}

TEST(S3Promises, nothing_is_stored_without_the_lock_that_is_required) {
  S3Bench none({}, locking());
  expect_refusal(none, "no Object Lock");
  S3Bench list({.knows_subresources = false}, locking());  // as Swift
  expect_refusal(list, "no Object Lock");
  FakeBucket::Traits drops = locked();
  drops.forgets = {"x-amz-object-lock"};
  S3Bench dropped(drops, locking());
  expect_refusal(dropped, "shows none");
}

TEST(S3Promises, a_lock_that_is_not_required_is_left_out_and_told) {
  S3Bench bench({}, locking(false));
  ASSERT_TRUE(bench.put("x"));
  EXPECT_FALSE(
      bench.bucket.versions("records/a").front().fields.contains("x-amz-object-lock-mode"));
  EXPECT_FALSE(bench.fact("object_lock").good);
}

TEST(S3Promises, a_bucket_that_was_mended_is_noticed) {
  S3Bench bench({}, locking());
  EXPECT_FALSE(bench.probe());
  bench.bucket.set_traits(locked());
  const std::size_t asked = bench.bucket.requests();
  EXPECT_FALSE(bench.probe()) << "it is not asked so soon";
  EXPECT_EQ(bench.bucket.requests(), asked);
  bench.settings.ask_again_after = {};
  bench.restart();
  bench.bucket.set_traits({});
  EXPECT_FALSE(bench.probe());
  bench.bucket.set_traits(locked());
  EXPECT_TRUE(bench.probe());
  EXPECT_TRUE(bench.put("x"));
}

TEST(S3Promises, each_object_is_locked_and_a_repetition_asks_for_the_same) {
  S3Options options = locking();
  options.lock_days_by_tenant = {{"lab", 0}};
  S3Bench bench(locked(), options);
  const core::PutObject object = bench.object("x");
  ASSERT_TRUE(bench.put(object));
  const auto first = bench.bucket.versions("records/a");
  const std::string until = s3_time(*object.received_at + std::chrono::days(10));
  EXPECT_EQ(first.front().fields.at("x-amz-object-lock-mode"), "GOVERNANCE");
  EXPECT_EQ(first.front().fields.at("x-amz-object-lock-retain-until-date"), until);
  ASSERT_TRUE(bench.put(object));
  EXPECT_EQ(bench.bucket.versions("records/a").size(), 1u);
  EXPECT_EQ(bench.bucket.requests("PUT /bucket/records/a?retention"), 0u);
  ASSERT_TRUE(bench.put(bench.object("y", "lab", "records/lab")));
  EXPECT_FALSE(
      bench.bucket.versions("records/lab").front().fields.contains("x-amz-object-lock-mode"));
}

TEST(S3Promises, an_object_from_before_the_setting_is_locked_when_it_is_met_again) {
  S3Bench bench(locked(), locking());
  bench.bucket.set("records/a", "x");
  ASSERT_TRUE(bench.put("x"));
  EXPECT_EQ(bench.bucket.versions("records/a").front().fields.at("x-amz-object-lock-mode"),
            "GOVERNANCE");
}

TEST(S3Promises, the_locked_probe_is_used_again) {
  S3Bench bench(locked(), locking());
  for (int start = 0; start < 3; ++start) {
    ASSERT_TRUE(bench.probe());
    bench.restart();
  }
  EXPECT_EQ(bench.bucket.versions("records/daybook-probe").size(), 1u);
  // Another mode needs another proof.
  bench.settings.options.lock_mode = "COMPLIANCE";
  bench.restart();
  ASSERT_TRUE(bench.probe());
  const auto versions = bench.bucket.versions("records/daybook-probe");
  EXPECT_EQ(versions.back().fields.at("x-amz-object-lock-mode"), "COMPLIANCE");
}

TEST(S3Promises, encryption_that_is_forgotten_stops_everything) {
  S3Options options;
  options.encryption = "AES256";
  S3Bench forgets({.forgets = {"x-amz-server-side-encryption"}}, options);
  expect_refusal(forgets, "archive.s3_encryption");
  S3Bench refuses({.refuses = {"x-amz-server-side-encryption"}}, options);
  expect_refusal(refuses, "archive.s3_encryption");
  S3Bench honours({}, options);
  EXPECT_TRUE(honours.put("x"));
}

TEST(S3Promises, tags_that_are_forgotten_are_told) {
  S3Options options;
  options.tags = {{"a", "b"}};
  S3Bench bench({.forgets = {"x-amz-tagging"}}, options);
  ASSERT_TRUE(bench.put("x"));
  EXPECT_EQ(bench.fact("s3_tags").finding, "no");
  EXPECT_FALSE(bench.fact("s3_tags").good);
}

// ---- legal holds ----

TEST(S3Hold, is_set_and_released_and_shown) {
  S3Bench bench(locked(), locking());
  const auto stored = bench.put("x");
  ASSERT_TRUE(stored);
  for (const bool on : {true, true, false}) {
    const auto done =
        run_on_io(bench.runtime, bench.store->hold("records/a", stored->version, on, soon()));
    ASSERT_TRUE(done) << done.error().detail;
    const auto lock =
        run_on_io(bench.runtime, bench.store->lock_of("records/a", stored->version, soon()));
    ASSERT_TRUE(lock);
    EXPECT_EQ(lock->held, on);
    EXPECT_EQ(lock->mode, "governance");
  }
}

TEST(S3Hold, is_never_asked_of_a_store_that_could_take_it_for_an_object) {
  S3Bench bench({.knows_subresources = false});
  ASSERT_TRUE(bench.put("precious"));
  const auto done = run_on_io(bench.runtime, bench.store->hold("records/a", "", true, soon()));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::unsupported);
  EXPECT_EQ(bench.bucket.versions("records/a").front().body, "precious");
}

}  // namespace
}  // namespace daybook::storage
