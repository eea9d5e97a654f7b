// The items of the feed in the DynamoDB table, and the requests that read and write them.
//
//   bucket    id                    what
//   feed      head                  feed: its name; first: the oldest number kept;
//                                   group: one that has pages, the last or one before it
//   feed#0    00000000000000000001  a page: last, published_at, and ids, 16 bytes for each record,
//                                   which have the numbers from that of the key on
//   feed#1    00000000000000065537  numbers above 65536: so that no partition grows without end
//
// A page is written once, on the condition that there is none, and never changed. I/O thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "core/record_id.hpp"
#include "core/result.hpp"
#include "core/task.hpp"
#include "storage/dynamodb_client.hpp"

namespace daybook::storage {

inline constexpr std::uint64_t kFeedGroup = 65'536;
inline constexpr std::size_t kFeedPageIds = 240;  // with its names less than 4 KB: one read unit

struct DynamodbFeedPage {
  std::uint64_t first = 1;
  core::WallTime published_at{};
  std::vector<core::RecordId> ids;  // never empty

  [[nodiscard]] std::uint64_t last() const { return first + ids.size() - 1; }
  friend bool operator==(const DynamodbFeedPage&, const DynamodbFeedPage&) = default;
};

struct DynamodbFeedHead {
  std::string feed;
  std::uint64_t first = 1;
  std::uint64_t group = 0;
};

[[nodiscard]] constexpr std::uint64_t feed_group_of(std::uint64_t number) {
  return (number - 1) / kFeedGroup;
}
[[nodiscard]] constexpr std::uint64_t feed_group_end(std::uint64_t group) {
  return (group + 1) * kFeedGroup;
}

[[nodiscard]] boost::json::object item_of_page(const DynamodbFeedPage& page);
// A value nobody could have written is Code::damaged.
[[nodiscard]] core::Result<DynamodbFeedPage> page_of_item(const boost::json::object& item);

// false: there is one already.
core::Task<core::Result<bool>> put_feed_page(DynamodbClient& client, DynamodbFeedPage page,
                                             core::Deadline deadline);
// The last page that begins at `number` or before, in the group of that number.
core::Task<core::Result<std::optional<DynamodbFeedPage>>> feed_page_at(DynamodbClient& client,
                                                                       std::uint64_t number,
                                                                       core::Deadline deadline);
// Those that begin at `first` or later, in the group of that number, ascending, `most` at most.
core::Task<core::Result<std::vector<DynamodbFeedPage>>> feed_pages_from(DynamodbClient& client,
                                                                        std::uint64_t first,
                                                                        std::uint32_t most,
                                                                        core::Deadline deadline);

// nullopt: nobody made it.
core::Task<core::Result<std::optional<DynamodbFeedHead>>> read_feed_head(DynamodbClient& client,
                                                                         core::Deadline deadline);
// Gives the feed a name, a random UUID, unless it has one.
core::Task<core::Result<void>> make_feed_head(DynamodbClient& client, core::Deadline deadline);
core::Task<core::Result<void>> note_feed_group(DynamodbClient& client, std::uint64_t group,
                                               core::Deadline deadline);

}  // namespace daybook::storage
