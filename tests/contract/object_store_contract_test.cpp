// The object store contract on the fake and on the file store. The S3 store runs it in its own
// test.
#include "tests/contract/object_store_contract.hpp"

#include "storage/file_store.hpp"
#include "tests/contract/fakes/inline_workers.hpp"
#include "tests/contract/fakes/memory_object_store.hpp"
#include "tests/contract/fakes/thread_workers.hpp"
#include "tests/contract/temporary_folder.hpp"

namespace daybook::tests {
namespace {

class MemoryFixture {
 public:
  static std::string skip_reason() { return ""; }
  core::ObjectStore& store() { return store_; }
  static void run(core::Task<> task) { run_to_end(std::move(task)); }

 private:
  MemoryObjectStore store_;
};

template <class WorkersType>
class FileFixture {
 public:
  static std::string skip_reason() { return ""; }
  core::ObjectStore& store() { return *store_; }
  static void run(core::Task<> task) { run_to_end(std::move(task)); }

 protected:
  template <class... Arguments>
  explicit FileFixture(Arguments... arguments) : workers_(arguments...) {}

 private:
  TemporaryFolder folder_;
  WorkersType workers_;
  std::unique_ptr<storage::FileStore> store_ =
      storage::FileStore::open({.folder = folder_.path() / "archive"}, workers_).value();
};

struct InlineFileFixture : FileFixture<InlineWorkers> {
  InlineFileFixture() = default;
};
struct ThreadedFileFixture : FileFixture<ThreadWorkers> {
  ThreadedFileFixture() : FileFixture(std::size_t{4}) {}
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Fake, ObjectStoreContract, MemoryFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(FileStore, ObjectStoreContract, InlineFileFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(ConcurrencyFileStore, ObjectStoreContract, ThreadedFileFixture);

}  // namespace daybook::tests
