// Object Lock, legal holds, tags, encryption and writing once on a real service: Ceph's radosgw 16.
// boto3 makes the buckets and reads back what we asked for.
#include <gtest/gtest.h>

#include "core/text.hpp"
#include "io/worker_pool.hpp"
#include "storage/s3_store.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/contract/radosgw.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

using core::Code;

constexpr const char* kLocked = "locked-audit";

class RadosgwS3Locks : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!Radosgw::instance().skip_reason().empty() || !has_boto3()) return;
    ASSERT_TRUE(boto3(std::string("s3.create_bucket(Bucket=\"") + kLocked +
                      "\", ObjectLockEnabledForBucket=True)\n"));
  }
  void SetUp() override {
    if (!Radosgw::instance().skip_reason().empty()) {
      GTEST_SKIP() << Radosgw::instance().skip_reason();
    }
    if (!has_boto3()) GTEST_SKIP() << "no boto3";
    settings_.endpoint = Radosgw::instance().value("ENDPOINT");
    settings_.bucket = kLocked;
    settings_.access_key = Radosgw::instance().value("ACCESS_KEY");
    settings_.secret_key = Radosgw::instance().value("SECRET_KEY");
    settings_.prefix = "locks";
    settings_.options.lock_mode = "GOVERNANCE";
    settings_.options.lock_days = 2;
    settings_.options.lock_days_by_tenant = {{"lab", 0}};
    settings_.part_bytes = 5 * core::MiB;
  }
  // A store that knows nothing yet, as after a start.
  storage::S3Store& start() {
    store_.reset();
    store_ = storage::S3Store::open(settings_, runtime_, workers_).value();
    return *store_;
  }
  core::Result<core::ObjectVersion> put(const std::string& key, core::Bytes body,
                                        const std::string& tenant = "bank") {
    core::PutObject object{.key = key,
                           .body = {body},
                           .sha256 = core::sha256(body),
                           .content_type = "text/plain",
                           .metadata = {},
                           .tenant = tenant,
                           .received_at = received_at_};
    return run_on_io(runtime_, store_->put(std::move(object), soon()));
  }
  core::Result<void> probe() { return run_on_io(runtime_, start().probe(soon())); }
  [[nodiscard]] core::StoreFact fact(const std::string& name) const {
    for (const core::StoreFact& fact : store_->facts()) {
      if (fact.name == name) return fact;
    }
    return {};
  }
  static std::optional<std::string> boto3(const std::string& program) {
    return run_boto3(Radosgw::instance().values(), program);
  }
  // What boto3 prints for an expression of B (the bucket) and K (the key).
  static std::string said(const std::string& key, const std::string& expression) {
    return boto3(std::string("B, K = \"") + kLocked + "\", \"" + key + "\"\nprint(" + expression +
                 ")")
        .value_or("boto3 failed");
  }

  io::IoRuntime runtime_;
  io::WorkerPool workers_{runtime_, 2, "test"};
  storage::S3Store::Settings settings_;
  std::unique_ptr<storage::S3Store> store_;
  const core::WallTime received_at_ = runtime_.now();
  const core::ByteVector bytes_ = random_bytes(100'000, 5);
};

TEST_F(RadosgwS3Locks, says_what_the_service_honours) {
  ASSERT_TRUE(probe());
  EXPECT_EQ(fact("object_lock").finding, "yes");
  EXPECT_EQ(fact("versioning").finding, "yes");
  EXPECT_EQ(fact("conditional_put").finding, "no") << "radosgw 16 ignores it among versions";
  EXPECT_EQ(fact("checksums").finding, "no");
  settings_.bucket = Radosgw::kBucket;
  settings_.options = {};
  ASSERT_TRUE(probe());
  EXPECT_EQ(fact("object_lock").finding, "no");
  EXPECT_EQ(fact("versioning").finding, "no");
  EXPECT_EQ(fact("conditional_put").finding, "yes");
}

TEST_F(RadosgwS3Locks, refuses_a_bucket_without_locks) {
  settings_.bucket = Radosgw::kBucket;
  const auto probed = probe();
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().code, Code::misconfigured);
  EXPECT_NE(probed.error().detail.find("--object-lock-enabled-for-bucket"), std::string::npos)
      << probed.error().detail;
  const auto stored = put("locks/none", bytes_);
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().code, Code::misconfigured);
}

TEST_F(RadosgwS3Locks, other_bytes_under_a_key_are_kept_apart) {
  settings_.bucket = Radosgw::kBucket;
  settings_.options = {};
  start();
  ASSERT_TRUE(put("locks/once", bytes_));
  const auto again = put("locks/once", bytes_);
  EXPECT_TRUE(again) << again.error().detail;
  for (const std::size_t size : {bytes_.size(), std::size_t{17}}) {
    const auto refused = put("locks/once", random_bytes(size, 99));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::conflict) << refused.error().detail;
  }
  const auto kept = run_on_io(runtime_, store_->get("locks/once", std::nullopt, soon()));
  ASSERT_TRUE(kept);
  EXPECT_TRUE(*kept == bytes_);
}

TEST_F(RadosgwS3Locks, nobody_deletes_a_locked_object_and_a_repetition_adds_no_version) {
  start();
  ASSERT_TRUE(put("locks/one", bytes_));
  start();  // a crash
  const auto again = put("locks/one", bytes_);
  ASSERT_TRUE(again) << again.error().detail;
  const std::string until = core::format_time(
      std::chrono::ceil<std::chrono::seconds>(received_at_ + std::chrono::days(2)));
  EXPECT_EQ(boto3(std::string("B, K = \"") + kLocked + "\", \"locks/one\"\n" +
                  "kept = s3.get_object_retention(Bucket=B, Key=K)[\"Retention\"]\n"
                  "print(len(s3.list_object_versions(Bucket=B, Prefix=K)[\"Versions\"]), "
                  "kept[\"Mode\"], kept[\"RetainUntilDate\"].strftime(\"%Y-%m-%dT%H:%M:%S\"))\n"
                  "try:\n"
                  "    s3.delete_object(Bucket=B, Key=K, VersionId=\"" +
                  again->version +
                  "\")\n"
                  "    print(\"deleted\")\n"
                  "except ClientError as error:\n"
                  "    print(error.response[\"Error\"][\"Code\"])\n"),
            "1 GOVERNANCE " + until.substr(0, 19) + "\nAccessDenied\n");
}

TEST_F(RadosgwS3Locks, a_tenant_may_have_other_days) {
  start();
  ASSERT_TRUE(put("locks/lab", bytes_, "lab"));
  const auto lock = run_on_io(runtime_, store_->lock_of("locks/lab", "", soon()));
  ASSERT_TRUE(lock) << lock.error().detail;
  EXPECT_EQ(lock->mode, "");
}

TEST_F(RadosgwS3Locks, a_legal_hold_is_set_released_and_seen_by_others) {
  start();
  const auto stored = put("locks/held", bytes_);
  ASSERT_TRUE(stored);
  for (const bool on : {true, false, true}) {
    const auto done = run_on_io(runtime_, store_->hold("locks/held", stored->version, on, soon()));
    ASSERT_TRUE(done) << done.error().detail;
    const auto lock = run_on_io(runtime_, store_->lock_of("locks/held", stored->version, soon()));
    ASSERT_TRUE(lock) << lock.error().detail;
    EXPECT_EQ(lock->held, on);
  }
  EXPECT_EQ(
      said("locks/held", "s3.get_object_legal_hold(Bucket=B, Key=K)[\"LegalHold\"][\"Status\"]"),
      "ON\n");
}

TEST_F(RadosgwS3Locks, tags_class_and_metadata_arrive) {
  settings_.options.tags = {{"Cost Centre", "4+7/x"}};
  settings_.options.tag_tenant = true;
  settings_.options.storage_class = "STANDARD";
  settings_.options.metadata = {{"origin", "two  words"}};
  start();
  const auto stored = put("locks/tagged", bytes_);
  ASSERT_TRUE(stored) << stored.error().detail;
  EXPECT_EQ(said("locks/tagged",
                 "sorted((t[\"Key\"], t[\"Value\"]) for t in "
                 "s3.get_object_tagging(Bucket=B, Key=K)[\"TagSet\"]), "
                 "s3.head_object(Bucket=B, Key=K)[\"Metadata\"][\"origin\"]"),
            "[('Cost Centre', '4+7/x'), ('tenant', 'bank')] two words\n");
  for (const core::StoreFact& fact : store_->facts()) EXPECT_TRUE(fact.good) << fact.name;
}

TEST_F(RadosgwS3Locks, an_object_of_many_parts_is_locked_tagged_and_written_once) {
  settings_.options.tags = {{"a", "b"}};
  settings_.multipart_threshold = 5 * core::MiB;
  start();
  const core::ByteVector large = random_bytes(12 * core::MiB, 6);
  const auto stored = put("locks/large", large);
  ASSERT_TRUE(stored) << stored.error().detail;
  EXPECT_EQ(said("locks/large",
                 "s3.head_object(Bucket=B, Key=K)[\"ETag\"][-3:-1], "
                 "s3.get_object_retention(Bucket=B, Key=K)[\"Retention\"][\"Mode\"], "
                 "s3.get_object_tagging(Bucket=B, Key=K)[\"TagSet\"], "
                 "s3.list_multipart_uploads(Bucket=B, Prefix=K).get(\"Uploads\", [])"),
            "-3 GOVERNANCE [{'Key': 'a', 'Value': 'b'}] []\n");
  const auto again = put("locks/large", large);
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(again->version, stored->version);
  const auto loaded = run_on_io(runtime_, store_->get("locks/large", std::nullopt, soon()));
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(*loaded == large);
}

TEST_F(RadosgwS3Locks, encrypts_with_a_key_of_kms_and_refuses_what_the_store_forgets) {
  settings_.bucket = Radosgw::kBucket;
  settings_.options = {};
  settings_.options.encryption = "aws:kms";
  settings_.options.kms_key_id = "daybook-test";
  settings_.multipart_threshold = 5 * core::MiB;
  ASSERT_TRUE(probe());
  const core::ByteVector large = random_bytes(6 * core::MiB, 8);
  for (const auto& [key, bytes] : {std::pair("locks/kms", core::Bytes(bytes_)),
                                   std::pair("locks/kms-large", core::Bytes(large))}) {
    const auto stored = put(key, bytes);
    ASSERT_TRUE(stored) << stored.error().detail;
  }
  EXPECT_EQ(
      boto3("for key in (\"locks/kms\", \"locks/kms-large\"):\n"
            "    print(s3.head_object(Bucket=\"daybook\", Key=key)[\"ServerSideEncryption\"])"),
      "aws:kms\naws:kms\n");
  // radosgw 16 answers 200 to AES256 and encrypts nothing.
  settings_.options.encryption = "AES256";
  settings_.options.kms_key_id.clear();
  const auto probed = probe();
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().code, Code::misconfigured);
  EXPECT_NE(probed.error().detail.find("archive.s3_encryption"), std::string::npos)
      << probed.error().detail;
}

TEST_F(RadosgwS3Locks, leaves_uploads_of_today_alone) {
  ASSERT_TRUE(boto3(std::string("s3.create_multipart_upload(Bucket=\"") + kLocked +
                    "\", Key=\"locks/unfinished\")"));
  start();
  const auto cleaned = run_on_io(runtime_, store_->clean_up(soon()));
  ASSERT_TRUE(cleaned) << cleaned.error().detail;
  EXPECT_EQ(*cleaned, 0u);
}

}  // namespace
}  // namespace daybook::tests
