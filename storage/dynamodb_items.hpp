// The DynamoDB table of the metadata store: its keys, and how a MetadataRow becomes an item and
// back. Pure.
//
//   bucket (partition key)    id (sort key)   what
//   019aa-5                   a record's id   the record; also in the index by_tenant:
//                                             tenant_bucket = <tenant>#019aa-5, id
//   windows                   019aa           directory: this window has records ...
//   windows#<tenant>          019aa           ... of this tenant; skew_ms as below
//   schema                    version         number: the version of this layout;
//                                             unfinished: its feed is still being made
//   feed, feed#<n>                            the feed (dynamodb_feed_pages.hpp)
//
// A record's bucket follows from its id: its first five digits (a window of 2^28 ms, 3.1 days, as
// an id begins with its time) and the last digit modulo 8 (a shard). So an id alone names its item,
// and eight partitions share the writes of a window: 8,000 write units a second by DynamoDB's
// limits, and no partition grows without end, which ScyllaDB would mind.
//
// What is asked, and what it costs (a write unit is 1 KB, a read unit 4 KB or 8 KB not consistent):
//   insert       one conditional PutItem a record. A usual item has less than 1 KB: one write unit
//                for the table, one for the index. A window's first record also writes its
//                directory entries.
//   find         one consistent GetItem: one read unit
//   feed         one Query, and one BatchGetItem for 50 records
//   list, scan   one Query of the directory, then eight Queries a window, merged by id: newest
//                first, or ascending. Those by tenant ask the index, which lags behind the table
//                for a moment; the others read consistently.
//   source, type, subject, state
//                are looked at by the service in all that tenant and time leave, and all of it is
//                paid for. An index for each would be another write unit a record.
//   since, until bound the ids that are read, by the directory's skew_ms: the largest distance,
//                rounded up, between the time in an id of that window and its received_at.
//
// Texts are strings, or binary where they are no UTF-8; an empty text is left out. Times are RFC
// 3339 as in the API, so that text order is time order; those of the stages, started_us and
// archived_us, are microseconds since received_at, to keep usual items below 1 KB. For the same
// reason object_base stands for an object_location that is object_base + object_key. The index
// projects everything: with items of less than 1 KB that costs no more write units than its keys
// alone, and Alternator knows nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "core/ports/metadata_store.hpp"

namespace daybook::storage {

inline constexpr std::int64_t kDynamodbSchemaVersion = 2;
inline constexpr char kByTenant[] = "by_tenant";
inline constexpr char kBucket[] = "bucket";
inline constexpr char kId[] = "id";
inline constexpr char kTenantBucket[] = "tenant_bucket";
inline constexpr std::size_t kWindowDigits = 5;
inline constexpr int kWindowBits = 28;  // of the milliseconds, which five digits of twelve leave
inline constexpr unsigned kShards = 8;
inline constexpr std::size_t kItemBytesMax = 400 * core::KiB;  // DynamoDB's "400 KB"
inline constexpr std::size_t kIndexKeyBytesMax = 2048;         // of a partition key

// {"S":"text"}, {"N":"17"}: attribute values on the wire.
[[nodiscard]] boost::json::object dynamodb_text(std::string_view text);
[[nodiscard]] boost::json::object dynamodb_number(std::uint64_t number);
// nullopt where the item has no such attribute or it is of another type.
[[nodiscard]] std::optional<std::string> text_of(const boost::json::object& item,
                                                 std::string_view name);
[[nodiscard]] std::optional<std::uint64_t> number_of(const boost::json::object& item,
                                                     std::string_view name);

[[nodiscard]] std::string window_of(core::RecordId id);
[[nodiscard]] std::string shard_bucket(std::string_view window, unsigned shard);
[[nodiscard]] std::string bucket_of(core::RecordId id);
[[nodiscard]] std::string tenant_bucket(std::string_view tenant, std::string_view bucket);
[[nodiscard]] std::string directory_bucket(const std::optional<std::string>& tenant);

// {"bucket":…,"id":…}
[[nodiscard]] boost::json::object dynamodb_key(std::string_view bucket, std::string_view id);

// A number of the feed that was given before the row is written (dynamodb_feed.hpp).
inline constexpr char kFeedAfter[] = "feed_after";

// Code::too_large where the service would refuse the item.
[[nodiscard]] core::Result<boost::json::object> item_of(const core::MetadataRow& row,
                                                        std::uint64_t feed_after);
// A value nobody could have written is Code::damaged.
[[nodiscard]] core::Result<core::MetadataRow> row_of_item(const boost::json::object& item);

// As the service counts it: names and values, not their JSON.
[[nodiscard]] std::size_t item_bytes(const boost::json::object& item);

}  // namespace daybook::storage
