#include "core/ports/metadata_store.hpp"

namespace daybook::core {
namespace {

Failure no_feed() {
  return fail(Code::unsupported, Origin::metadata, Retry::never,
              "This metadata store keeps no feed.");
}

}  // namespace

Task<Result<std::vector<FeedEntry>>> MetadataStore::feed(std::uint64_t /*after*/,
                                                         std::uint32_t /*limit*/,
                                                         Deadline /*deadline*/) {
  co_return no_feed();
}

Task<Result<FeedBounds>> MetadataStore::feed_bounds(Deadline /*deadline*/) {
  co_return no_feed();
}

Task<Result<std::uint64_t>> MetadataStore::feed_before(WallTime /*since*/, Deadline /*deadline*/) {
  co_return no_feed();
}

}  // namespace daybook::core
