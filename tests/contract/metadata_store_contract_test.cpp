// The metadata store contract on the fake and on SQLite.
#include "tests/contract/metadata_store_contract.hpp"

#include "storage/sqlite_metadata.hpp"
#include "tests/contract/fakes/inline_workers.hpp"
#include "tests/contract/fakes/memory_metadata_store.hpp"
#include "tests/contract/fakes/thread_workers.hpp"
#include "tests/contract/temporary_folder.hpp"

namespace daybook::tests {
namespace {

class MemoryFixture {
 public:
  static std::string skip_reason() { return ""; }
  core::MetadataStore& store() { return store_; }
  static void run(core::Task<> task) { run_to_end(std::move(task)); }

 private:
  MemoryMetadataStore store_;
};

template <class WorkersType>
class SqliteFixture {
 public:
  static std::string skip_reason() { return ""; }
  core::MetadataStore& store() { return *store_; }
  static void run(core::Task<> task) { run_to_end(std::move(task)); }

 protected:
  template <class... Arguments>
  explicit SqliteFixture(Arguments... arguments) : writer_(arguments...), reader_(arguments...) {}

 private:
  TemporaryFolder folder_;
  WorkersType writer_;
  WorkersType reader_;
  std::unique_ptr<storage::SqliteMetadata> store_ =
      storage::SqliteMetadata::open({.file = folder_.path() / "metadata.sqlite"}, writer_, reader_)
          .value();
};

struct InlineSqliteFixture : SqliteFixture<InlineWorkers> {
  InlineSqliteFixture() = default;
};
// Two threads where one is meant: the store's own mutex must hold.
struct ThreadedSqliteFixture : SqliteFixture<ThreadWorkers> {
  ThreadedSqliteFixture() : SqliteFixture(std::size_t{2}) {}
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Fake, MetadataStoreContract, MemoryFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(SqliteMetadata, MetadataStoreContract, InlineSqliteFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(ConcurrencySqliteMetadata, MetadataStoreContract,
                               ThreadedSqliteFixture);

}  // namespace daybook::tests
