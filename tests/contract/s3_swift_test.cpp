// The object store contract on a real S3 service that is not Ceph: OpenStack Swift with s3api. It
// has no conditional PUT and no Object Lock, and says 200 to the fields of the latter. Every suite
// here has Swift in its name, so that one process can run them all on one server.
#include <gtest/gtest.h>

#include "io/worker_pool.hpp"
#include "storage/s3_store.hpp"
#include "tests/contract/object_store_contract.hpp"
#include "tests/contract/swift.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

using core::Code;

storage::S3Store::Settings settings() {
  const auto& server = Swift::instance().values();
  storage::S3Store::Settings settings;
  settings.endpoint = server.at("ENDPOINT");
  settings.bucket = Swift::kBucket;
  settings.access_key = server.at("ACCESS_KEY");
  settings.secret_key = server.at("SECRET_KEY");
  settings.connections = 6;
  return settings;
}

class SwiftFixture {
 public:
  static std::string skip_reason() { return Swift::instance().skip_reason(); }
  SwiftFixture() {
    if (!skip_reason().empty()) return;
    store_ = storage::S3Store::open(settings(), runtime_, workers_).value();
  }
  core::ObjectStore& store() { return *store_; }
  void run(core::Task<> task) { run_on_io(runtime_, std::move(task)); }

 private:
  io::IoRuntime runtime_;
  io::WorkerPool workers_{runtime_, 2, "test"};
  std::unique_ptr<storage::S3Store> store_;
};

class SwiftS3Store : public testing::Test {
 protected:
  void SetUp() override {
    if (!SwiftFixture::skip_reason().empty()) GTEST_SKIP() << SwiftFixture::skip_reason();
    settings_ = settings();
    settings_.part_bytes = 5 * core::MiB;
  }
  storage::S3Store& start() {
    store_ = storage::S3Store::open(settings_, runtime_, workers_).value();
    return *store_;
  }
  core::Result<core::ObjectVersion> put(const std::string& key, core::Bytes body) {
    core::PutObject object{.key = key,
                           .body = {body},
                           .sha256 = core::sha256(body),
                           .content_type = "text/plain",
                           .metadata = {},
                           .tenant = "bank",
                           .received_at = runtime_.now()};
    return run_on_io(runtime_, store_->put(std::move(object), soon()));
  }
  void expect_refused(const std::string& word) {
    const auto probed = run_on_io(runtime_, start().probe(soon()));
    ASSERT_FALSE(probed);
    EXPECT_EQ(probed.error().code, Code::misconfigured);
    EXPECT_NE(probed.error().detail.find(word), std::string::npos) << probed.error().detail;
  }

  io::IoRuntime runtime_;
  io::WorkerPool workers_{runtime_, 2, "test"};
  storage::S3Store::Settings settings_;
  std::unique_ptr<storage::S3Store> store_;
};

TEST_F(SwiftS3Store, is_found_to_honour_nothing_special) {
  const auto probed = run_on_io(runtime_, start().probe(soon()));
  ASSERT_TRUE(probed) << probed.error().detail;
  for (const core::StoreFact& fact : store_->facts()) {
    EXPECT_EQ(fact.finding, "no") << fact.name;
    EXPECT_TRUE(fact.good) << fact.name;
  }
}

TEST_F(SwiftS3Store, is_refused_where_locks_are_required) {
  settings_.options.lock_mode = "COMPLIANCE";
  settings_.options.lock_days = 1;
  expect_refused("no Object Lock");
}

TEST_F(SwiftS3Store, is_refused_where_it_lacks_what_is_asked_for) {
  settings_.options.tags = {{"a", "b"}};
  expect_refused("archive.s3_tags");
  settings_.options = {};
  settings_.options.encryption = "AES256";
  expect_refused("archive.s3_encryption");
}

TEST_F(SwiftS3Store, loses_no_object_to_a_legal_hold) {
  const core::ByteVector bytes = random_bytes(1000, 1);
  start();
  ASSERT_TRUE(put("held", bytes));
  const auto done = run_on_io(runtime_, store_->hold("held", "", true, soon()));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::unsupported);
  const auto kept = run_on_io(runtime_, store_->get("held", std::nullopt, soon()));
  ASSERT_TRUE(kept);
  EXPECT_TRUE(*kept == bytes);
}

TEST_F(SwiftS3Store, takes_objects_in_parts) {
  settings_.multipart_threshold = 5 * core::MiB;
  start();
  const core::ByteVector large = random_bytes(11 * core::MiB, 6);
  for (int round = 0; round < 2; ++round) {
    const auto stored = put("large", large);
    ASSERT_TRUE(stored) << stored.error().detail;
  }
  const auto loaded = run_on_io(runtime_, store_->get("large", std::nullopt, soon()));
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_TRUE(*loaded == large);
  const auto cleaned = run_on_io(runtime_, store_->clean_up(soon()));
  ASSERT_TRUE(cleaned) << cleaned.error().detail;
}

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Swift, ObjectStoreContract, SwiftFixture);

}  // namespace daybook::tests
