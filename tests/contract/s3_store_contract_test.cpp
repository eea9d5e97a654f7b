// The object store contract, and what is S3's own, on a real service: Ceph's radosgw. Every suite
// here has Radosgw in its name, so that one process can run them all on one server.
#include <cstring>
#include <fstream>

#include <gtest/gtest.h>

#include "core/text.hpp"
#include "io/worker_pool.hpp"
#include "storage/s3_store.hpp"
#include "tests/contract/object_store_contract.hpp"
#include "tests/contract/radosgw.hpp"
#include "tests/contract/temporary_folder.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

storage::S3Store::Settings path_style() {
  const Radosgw& server = Radosgw::instance();
  storage::S3Store::Settings settings;
  settings.endpoint = server.value("ENDPOINT");
  settings.region = server.value("REGION");
  settings.bucket = Radosgw::kBucket;
  settings.access_key = server.value("ACCESS_KEY");
  settings.secret_key = server.value("SECRET_KEY");
  settings.connections = 6;
  return settings;
}

storage::S3Store::Settings path_style_over_tls() {
  storage::S3Store::Settings settings = path_style();
  settings.endpoint = Radosgw::instance().value("TLS_ENDPOINT");
  settings.ca_file = Radosgw::instance().value("CA_FILE");
  return settings;
}

// No name server knows the test's host name, so it connects where the server listens.
storage::S3Store::Settings virtual_host_of(storage::S3Store::Settings settings) {
  const io::Url url = io::parse_url(settings.endpoint).value();
  settings.endpoint = std::string(url.https ? "https://" : "http://") + Radosgw::kDnsName + ":" +
                      std::to_string(url.port);
  settings.connect_to = io::Endpoint{url.host, url.port, {}};
  settings.virtual_host = true;
  return settings;
}

// A store with its runtime, as the contract wants it.
class S3Fixture {
 public:
  static std::string skip_reason() { return Radosgw::instance().skip_reason(); }
  core::ObjectStore& store() { return *store_; }
  void run(core::Task<> task) { run_on_io(runtime_, std::move(task)); }
  template <class T>
  T result(core::Task<T> task) {
    return run_on_io(runtime_, std::move(task));
  }

 protected:
  explicit S3Fixture(storage::S3Store::Settings (*settings)()) {
    if (!skip_reason().empty()) return;
    store_ = storage::S3Store::open(settings(), runtime_, workers_).value();
  }

 private:
  io::IoRuntime runtime_;
  io::WorkerPool workers_{runtime_, 2, "test"};
  std::unique_ptr<storage::S3Store> store_;
};

struct PathStyle : S3Fixture {
  PathStyle() : S3Fixture(path_style) {}
};
struct VirtualHost : S3Fixture {
  VirtualHost() : S3Fixture([] { return virtual_host_of(path_style()); }) {}
};
struct PathStyleOverTls : S3Fixture {
  PathStyleOverTls() : S3Fixture(path_style_over_tls) {}
};
struct VirtualHostOverTls : S3Fixture {
  VirtualHostOverTls() : S3Fixture([] { return virtual_host_of(path_style_over_tls()); }) {}
};

// What the contract does not say.
class RadosgwS3Store : public testing::Test {
 protected:
  void SetUp() override {
    if (!S3Fixture::skip_reason().empty()) GTEST_SKIP() << S3Fixture::skip_reason();
  }

  struct Outcomes {
    core::Result<void> probe;
    core::Result<core::ObjectVersion> put;
  };
  Outcomes try_store(storage::S3Store::Settings settings) {
    auto store = storage::S3Store::open(std::move(settings), runtime_, workers_).value();
    return {run_on_io(runtime_, store->probe(soon())),
            run_on_io(runtime_, store->put(object("refused", bytes_), soon()))};
  }
  static core::PutObject object(const std::string& name, core::Bytes bytes) {
    return {.key = prefix() + name,
            .body = {bytes},
            .sha256 = core::sha256(bytes),
            .content_type = "application/json;  charset=utf-8",
            .metadata = {{"daybook-id", "0190a5f0"}, {"daybook-note", "two  spaces"}}};
  }
  static const std::string& prefix() {
    static const std::string prefix = unique_key_prefix();
    return prefix;
  }
  static void expect_both(const Outcomes& outcomes, core::Code code, const std::string& word) {
    ASSERT_FALSE(outcomes.probe);
    EXPECT_EQ(outcomes.probe.error().code, code) << outcomes.probe.error().detail;
    EXPECT_NE(outcomes.probe.error().detail.find(word), std::string::npos)
        << outcomes.probe.error().detail;
    ASSERT_FALSE(outcomes.put);
    EXPECT_EQ(outcomes.put.error().code, code) << outcomes.put.error().detail;
    EXPECT_NE(outcomes.put.error().detail.find(word), std::string::npos)
        << outcomes.put.error().detail;
  }
  // curl signs for itself; it shares no code with ours.
  static std::string curl() {
    const Radosgw& server = Radosgw::instance();
    return "curl -sS --fail-with-body --aws-sigv4 aws:amz:us-east-1:s3 --user " +
           server.value("ACCESS_KEY") + ":" + server.value("SECRET_KEY") +
           " -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' ";
  }
  static std::string url_of(const std::string& name) {
    return Radosgw::instance().value("ENDPOINT") + "/" + Radosgw::kBucket + "/" + prefix() + name;
  }

  io::IoRuntime runtime_;
  io::WorkerPool workers_{runtime_, 2, "test"};
  core::ByteVector bytes_ = random_bytes(3 * core::MiB, 42);
};

TEST_F(RadosgwS3Store, says_denied_for_a_wrong_secret) {
  auto settings = path_style();
  settings.secret_key += "x";
  expect_both(try_store(settings), core::Code::denied, "archive.s3_secret_key");
}

TEST_F(RadosgwS3Store, says_denied_for_an_unknown_key) {
  auto settings = path_style();
  settings.access_key = "nobody";
  expect_both(try_store(settings), core::Code::denied, "archive.s3_access_key");
}

TEST_F(RadosgwS3Store, says_misconfigured_for_a_missing_bucket) {
  auto settings = path_style();
  settings.bucket = "missing";
  expect_both(try_store(settings), core::Code::misconfigured, "archive.s3_bucket");
}

TEST_F(RadosgwS3Store, does_not_trust_a_certificate_of_an_unknown_authority) {
  auto settings = path_style_over_tls();
  settings.ca_file = "";
  expect_both(try_store(settings), core::Code::misconfigured, "certificate");
}

TEST_F(RadosgwS3Store, does_not_trust_a_certificate_for_another_name) {
  auto settings = path_style_over_tls();
  settings.connect_to = io::Endpoint{"127.0.0.1", io::parse_url(settings.endpoint)->port, {}};
  settings.endpoint = "https://other.test:" + std::to_string(settings.connect_to->port);
  expect_both(try_store(settings), core::Code::misconfigured, "certificate");
}

TEST_F(RadosgwS3Store, says_unavailable_where_nobody_listens) {
  auto settings = path_style();
  settings.endpoint = "http://127.0.0.1:1";
  expect_both(try_store(settings), core::Code::unavailable, "127.0.0.1:1");
}

TEST_F(RadosgwS3Store, writes_what_curl_reads) {
  auto store = storage::S3Store::open(path_style(), runtime_, workers_).value();
  const auto stored = run_on_io(runtime_, store->put(object("to-curl", bytes_), soon()));
  ASSERT_TRUE(stored) << stored.error().detail;
  const auto body = output_of(curl() + url_of("to-curl"));
  ASSERT_TRUE(body);
  EXPECT_TRUE(core::as_bytes(*body).size() == bytes_.size() &&
              std::memcmp(body->data(), bytes_.data(), bytes_.size()) == 0);
  const std::string head = output_of(curl() + "-I " + url_of("to-curl")).value_or("");
  const std::string etag = core::to_hex(core::md5({core::Bytes(bytes_)}));
  for (const std::string& line :
       {std::string("x-amz-meta-daybook-id: 0190a5f0\r\n"),
        std::string("x-amz-meta-daybook-note: two spaces\r\n"),
        std::string("content-type: application/json; charset=utf-8\r\n"), etag}) {
    EXPECT_NE(core::to_lower(head).find(line), std::string::npos) << line << " not in\n" << head;
  }
}

TEST_F(RadosgwS3Store, reads_what_curl_writes) {
  const TemporaryFolder folder;
  const std::string file = folder.path() / "body";
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes_.data()),
             static_cast<std::streamsize>(bytes_.size()));
  ASSERT_TRUE(output_of(curl() + "-T " + file + " " + url_of("from-curl")));
  auto store = storage::S3Store::open(path_style(), runtime_, workers_).value();
  const auto body = run_on_io(runtime_, store->get(prefix() + "from-curl", std::nullopt, soon()));
  ASSERT_TRUE(body) << body.error().detail;
  EXPECT_TRUE(*body == bytes_);
}

TEST_F(RadosgwS3Store, writes_what_boto3_reads) {
  if (!output_of("python3 -c 'import boto3' 2>/dev/null")) GTEST_SKIP() << "no boto3";
  auto store = storage::S3Store::open(virtual_host_of(path_style()), runtime_, workers_).value();
  const auto stored = run_on_io(runtime_, store->put(object("to boto3+%", bytes_), soon()));
  ASSERT_TRUE(stored) << stored.error().detail;
  const Radosgw& server = Radosgw::instance();
  const std::string program =
      "import boto3, hashlib\n"
      "from botocore.config import Config\n"
      "s3 = boto3.client(\"s3\", endpoint_url=\"" +
      server.value("ENDPOINT") + "\", aws_access_key_id=\"" + server.value("ACCESS_KEY") +
      "\", aws_secret_access_key=\"" + server.value("SECRET_KEY") +
      "\", region_name=\"us-east-1\","
      " config=Config(s3={\"addressing_style\": \"path\"}))\n"
      "got = s3.get_object(Bucket=\"daybook\", Key=\"" +
      prefix() +
      "to boto3+%\")\n"
      "print(hashlib.sha256(got[\"Body\"].read()).hexdigest(), "
      "got[\"Metadata\"][\"daybook-id\"])\n";
  const auto output = output_of("python3 -c '" + program + "'");
  ASSERT_TRUE(output);
  EXPECT_EQ(*output, core::sha256(core::Bytes(bytes_)).hex() + " 0190a5f0\n");
}

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(RadosgwPathStyle, ObjectStoreContract, PathStyle);
INSTANTIATE_TYPED_TEST_SUITE_P(RadosgwVirtualHost, ObjectStoreContract, VirtualHost);
INSTANTIATE_TYPED_TEST_SUITE_P(RadosgwPathStyleOverTls, ObjectStoreContract, PathStyleOverTls);
INSTANTIATE_TYPED_TEST_SUITE_P(RadosgwVirtualHostOverTls, ObjectStoreContract, VirtualHostOverTls);

}  // namespace daybook::tests
