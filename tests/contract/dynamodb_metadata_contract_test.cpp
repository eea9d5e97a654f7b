// The metadata store contract, and what is DynamoDB's own, on two services that speak its API. The
// suites have the service's name in theirs, so that one process can run them all on one server.
#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "storage/dynamodb_items.hpp"
#include "storage/dynamodb_metadata.hpp"
#include "storage/dynamodb_schema.hpp"
#include "tests/contract/dynamodb_server.hpp"
#include "tests/contract/metadata_store_contract.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

namespace json = boost::json;
using core::Code;
using core::SchemaState;

class DynamodbFixture {
 public:
  core::MetadataStore& store() { return *store_; }
  void run(core::Task<> task) { run_on_io(runtime_, std::move(task)); }

 protected:
  explicit DynamodbFixture(DynamodbServer& server) {
    if (!server.skip_reason().empty()) return;
    auto client = server.fresh_client(runtime_);
    storage::DynamodbSchema schema(server.client(runtime_, client->table()));
    const auto steps = run_on_io(runtime_, schema.migrate(false, soon()));
    if (!steps) throw std::runtime_error(steps.error().detail);
    store_ = std::make_unique<storage::DynamodbMetadata>(std::move(client));
  }

 private:
  io::IoRuntime runtime_;
  std::unique_ptr<storage::DynamodbMetadata> store_;
};

struct DynaliteFixture : DynamodbFixture {
  DynaliteFixture() : DynamodbFixture(DynamodbServer::dynalite()) {}
  static std::string skip_reason() { return DynamodbServer::dynalite().skip_reason(); }
};
struct MotoFixture : DynamodbFixture {
  MotoFixture() : DynamodbFixture(DynamodbServer::moto()) {}
  static std::string skip_reason() { return DynamodbServer::moto().skip_reason(); }
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Dynalite, MetadataStoreContract, DynaliteFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(Moto, MetadataStoreContract, MotoFixture);

}  // namespace daybook::tests
