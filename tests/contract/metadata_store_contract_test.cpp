// The metadata store contract, and that of its feed, on the fake and on SQLite.
#include "storage/sqlite_metadata.hpp"
#include "tests/contract/fakes/inline_workers.hpp"
#include "tests/contract/fakes/memory_metadata_store.hpp"
#include "tests/contract/fakes/thread_workers.hpp"
#include "tests/contract/metadata_feed_contract.hpp"
#include "tests/contract/temporary_folder.hpp"

namespace daybook::tests {
namespace {

class MemoryFixture {
 public:
  static std::string skip_reason() { return ""; }
  core::MetadataStore& store() { return store_; }
  core::MetadataStore& other_store() { return store_; }
  static void run(core::Task<> task) { run_to_end(std::move(task)); }

 private:
  MemoryMetadataStore store_;
};

template <class WorkersType>
class SqliteFixture {
 public:
  static std::string skip_reason() { return ""; }
  core::MetadataStore& store() { return *store_; }
  core::MetadataStore& other_store() {
    if (!other_) other_ = open();
    return *other_;
  }
  static void run(core::Task<> task) { run_to_end(std::move(task)); }

 protected:
  template <class... Arguments>
  explicit SqliteFixture(Arguments... arguments) : writer_(arguments...), reader_(arguments...) {}

 private:
  std::unique_ptr<storage::SqliteMetadata> open() {
    return storage::SqliteMetadata::open({.file = folder_.path() / "metadata.sqlite"}, writer_,
                                         reader_)
        .value();
  }

  TemporaryFolder folder_;
  WorkersType writer_;
  WorkersType reader_;
  std::unique_ptr<storage::SqliteMetadata> store_ = open();
  std::unique_ptr<storage::SqliteMetadata> other_;
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
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, MetadataFeedContract, MemoryFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(SqliteMetadata, MetadataFeedContract, InlineSqliteFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(ConcurrencySqliteMetadata, MetadataFeedContract,
                               ThreadedSqliteFixture);

}  // namespace daybook::tests
