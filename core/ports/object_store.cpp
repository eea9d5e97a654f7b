#include "core/ports/object_store.hpp"

namespace daybook::core {
namespace {

Failure has_no_locks() {
  return fail(Code::unsupported, Origin::object_store, Retry::never,
              "This object store has no locks and no legal holds; archive.kind = \"s3\" has them, "
              "where the bucket was made with Object Lock.");
}

}  // namespace

Task<Result<ObjectLock>> ObjectStore::lock_of(std::string, std::string, Deadline) {
  co_return has_no_locks();
}

Task<Result<void>> ObjectStore::hold(std::string, std::string, bool, Deadline) {
  co_return has_no_locks();
}

Task<Result<ObjectLink>> ObjectStore::link(std::string, std::string, std::optional<ByteRange>,
                                           Duration, Deadline) {
  co_return fail(Code::unsupported, Origin::object_store, Retry::never,
                 "This object store has no URLs; archive.kind = \"s3\" has them.");
}

Task<Result<std::uint64_t>> ObjectStore::clean_up(Deadline) {
  co_return std::uint64_t{0};
}

}  // namespace daybook::core
