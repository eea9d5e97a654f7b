// The metadata store contract, and what is PostgreSQL's own, on a real server. Every suite here has
// Postgresql in its name, so that one process can run them all on one server.
#include <chrono>
#include <cstdlib>

#include <gtest/gtest.h>

#include "storage/postgres_metadata.hpp"
#include "storage/postgres_schema.hpp"
#include "tests/contract/metadata_store_contract.hpp"
#include "tests/contract/postgresql.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

using core::Code;
using core::SchemaState;

// A store on a database of its own with its runtime, as the contract wants it.
class PostgresFixture {
 public:
  static std::string skip_reason() { return Postgresql::instance().skip_reason(); }
  PostgresFixture() {
    if (!skip_reason().empty()) return;
    auto settings = Postgresql::instance().settings(Postgresql::instance().fresh_schema());
    storage::PostgresSchema schema(runtime_, settings);
    if (!run_on_io(runtime_, schema.migrate(false, soon()))) std::abort();
    store_ = std::make_unique<storage::PostgresMetadata>(runtime_, std::move(settings));
  }
  core::MetadataStore& store() { return *store_; }
  void run(core::Task<> task) { run_on_io(runtime_, std::move(task)); }

 private:
  io::IoRuntime runtime_;
  std::unique_ptr<storage::PostgresMetadata> store_;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(PostgresqlMetadata, MetadataStoreContract, PostgresFixture);

}  // namespace daybook::tests
