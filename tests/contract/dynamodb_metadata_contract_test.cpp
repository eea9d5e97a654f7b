// The metadata store contract, that of its feed, and what is DynamoDB's own, on two services that
// speak its API. The suites have the service's name in theirs, so that one process can run them all
// on one server.
#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "storage/dynamodb_items.hpp"
#include "storage/dynamodb_metadata.hpp"
#include "storage/dynamodb_schema.hpp"
#include "tests/contract/dynamodb_server.hpp"
#include "tests/contract/metadata_feed_contract.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

namespace json = boost::json;
using core::Code;
using core::SchemaState;

class DynamodbFixture {
 public:
  core::MetadataStore& store() { return *store_; }
  core::MetadataStore& other_store() { return *other_; }
  void run(core::Task<> task) { run_on_io(runtime_, std::move(task)); }

 protected:
  explicit DynamodbFixture(DynamodbServer& server) {
    if (!server.skip_reason().empty()) return;
    auto client = server.fresh_client(runtime_);
    storage::DynamodbSchema schema(server.client(runtime_, client->table()));
    const auto steps = run_on_io(runtime_, schema.migrate(false, soon()));
    if (!steps) throw std::runtime_error(steps.error().detail);
    other_ = std::make_unique<storage::DynamodbMetadata>(server.client(runtime_, client->table()));
    store_ = std::make_unique<storage::DynamodbMetadata>(std::move(client));
  }

 private:
  io::IoRuntime runtime_;
  std::unique_ptr<storage::DynamodbMetadata> store_;
  std::unique_ptr<storage::DynamodbMetadata> other_;
};

struct DynaliteFixture : DynamodbFixture {
  DynaliteFixture() : DynamodbFixture(DynamodbServer::dynalite()) {}
  static std::string skip_reason() { return DynamodbServer::dynalite().skip_reason(); }
};
struct MotoFixture : DynamodbFixture {
  MotoFixture() : DynamodbFixture(DynamodbServer::moto()) {}
  static std::string skip_reason() { return DynamodbServer::moto().skip_reason(); }
};

// What the contract does not say, on both services.
class SchemaCases : public testing::Test {
 protected:
  explicit SchemaCases(DynamodbServer& server) : server_(server) {}
  void SetUp() override {
    if (!server_.skip_reason().empty()) GTEST_SKIP() << server_.skip_reason();
    client_ = server_.fresh_client(runtime_);
  }

  storage::DynamodbSchema schema() {
    return storage::DynamodbSchema(server_.client(runtime_, client_->table()));
  }
  core::SchemaStatus status() { return run_on_io(runtime_, schema().status(soon())).value(); }
  core::Result<std::vector<std::string>> migrate(bool dry_run = false) {
    return run_on_io(runtime_, schema().migrate(dry_run, soon()));
  }
  json::object call(const std::string& operation, const std::string& request) {
    return run_on_io(runtime_, client_->call(operation, json::parse(request).get_object(), soon()))
        .value();
  }
  // A table with our keys, and no index.
  void create_without_index() {
    call("CreateTable", R"({"BillingMode":"PAY_PER_REQUEST",
      "AttributeDefinitions":[{"AttributeName":"bucket","AttributeType":"S"},
                              {"AttributeName":"id","AttributeType":"S"}],
      "KeySchema":[{"AttributeName":"bucket","KeyType":"HASH"},
                   {"AttributeName":"id","KeyType":"RANGE"}]})");
    while (call("DescribeTable", "{}").at("Table").at("TableStatus") != "ACTIVE") {
    }
  }

  void makes_a_table_once() {
    EXPECT_EQ(status().state, SchemaState::missing);
    EXPECT_EQ(migrate(true).value().size(), 2U);
    EXPECT_EQ(status().state, SchemaState::missing);
    EXPECT_EQ(migrate().value().size(), 2U);
    EXPECT_EQ(status().state, SchemaState::current);
    EXPECT_EQ(migrate().value().size(), 0U);
    const json::object table = call("DescribeTable", "{}").at("Table").get_object();
    EXPECT_EQ(table.at("BillingModeSummary").at("BillingMode"), "PAY_PER_REQUEST");
  }
  void two_at_once_do_not_clash() {
    storage::DynamodbSchema first = schema();
    storage::DynamodbSchema second = schema();
    std::vector<core::Task<core::Result<std::vector<std::string>>>> both;
    both.push_back(first.migrate(false, soon()));
    both.push_back(second.migrate(false, soon()));
    for (const auto& done : run_on_io(runtime_, gather(std::move(both)))) {
      EXPECT_TRUE(done) << done.error().detail;
    }
    EXPECT_EQ(status().state, SchemaState::current);
  }

  io::IoRuntime runtime_;
  DynamodbServer& server_;
  std::unique_ptr<storage::DynamodbClient> client_;
};
class DynaliteSchema : public SchemaCases {
 protected:
  DynaliteSchema() : SchemaCases(DynamodbServer::dynalite()) {}
};
class MotoSchema : public SchemaCases {
 protected:
  MotoSchema() : SchemaCases(DynamodbServer::moto()) {}
};

TEST_F(DynaliteSchema, is_made_once) {
  makes_a_table_once();
}
TEST_F(MotoSchema, is_made_once) {
  makes_a_table_once();
}
TEST_F(DynaliteSchema, is_made_by_two_at_once) {
  two_at_once_do_not_clash();
}
TEST_F(MotoSchema, is_made_by_two_at_once) {
  two_at_once_do_not_clash();
}
TEST_F(DynaliteSchema, of_a_table_with_other_keys_is_foreign) {
  call("CreateTable", R"({"BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],
    "KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]})");
  EXPECT_EQ(status().state, SchemaState::foreign);
  const auto refused = migrate();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::misconfigured);
}
TEST_F(DynaliteSchema, without_its_index_is_not_used) {
  create_without_index();
  EXPECT_EQ(status().state, SchemaState::older);
  storage::DynamodbMetadata store(server_.client(runtime_, client_->table()));
  const auto probed = run_on_io(runtime_, store.probe(soon()));
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().code, Code::misconfigured);
}
// dynalite knows no index without provisioned capacity in UpdateTable.
TEST_F(MotoSchema, without_its_index_gets_it) {
  create_without_index();
  EXPECT_EQ(migrate(true).value().size(), 2U);
  EXPECT_EQ(migrate().value().size(), 2U);
  EXPECT_EQ(status().state, SchemaState::current);
}

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Dynalite, MetadataStoreContract, DynaliteFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(Moto, MetadataStoreContract, MotoFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(Dynalite, MetadataFeedContract, DynaliteFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(Moto, MetadataFeedContract, MotoFixture);

}  // namespace daybook::tests
