#include "storage/dynamodb_feed_pages.hpp"

#include <algorithm>
#include <cstdio>
#include <random>
#include <utility>

#include <boost/json.hpp>

#include "core/text.hpp"
#include "storage/dynamodb_items.hpp"

namespace daybook::storage {
namespace {

namespace json = boost::json;
using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;

constexpr char kFeed[] = "feed";
constexpr char kHead[] = "head";
constexpr std::size_t kIdBytes = 16;

std::string group_bucket(std::uint64_t group) {
  return std::string(kFeed) + "#" + std::to_string(group);
}

// Of one length, so that text order is the order of the numbers.
std::string number_key(std::uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(20 - digits.size(), '0') + digits;
}

// Bits 48 to 51 and 64 to 65 as RFC 9562 section 5.4 wants them.
std::string random_uuid() {
  std::random_device random;
  std::array<std::uint8_t, kIdBytes> bytes{};
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0FU) | 0x40U);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3FU) | 0x80U);
  return core::RecordId(bytes).str();
}

core::Failure damaged(const std::string& what) {
  return core::fail(Code::damaged, Origin::metadata, Retry::never,
                    "The feed in the metadata table has an unusable " + what +
                        "; restore the table from a backup.");
}

core::Task<Result<std::vector<DynamodbFeedPage>>> query_pages(
    DynamodbClient& client, std::uint64_t group, std::uint64_t first, std::uint64_t last,
    bool descending, std::uint32_t most, Deadline deadline) {
  json::object request;
  request["KeyConditionExpression"] = "#bucket = :bucket AND #id BETWEEN :first AND :last";
  request["ExpressionAttributeNames"] = json::object{{"#bucket", kBucket}, {"#id", kId}};
  request["ExpressionAttributeValues"] =
      json::object{{":bucket", dynamodb_text(group_bucket(group))},
                   {":first", dynamodb_text(number_key(first))},
                   {":last", dynamodb_text(number_key(last))}};
  request["ScanIndexForward"] = !descending;
  request["ConsistentRead"] = true;
  request["Limit"] = most;
  const auto answer = co_await client.call("Query", std::move(request), deadline);
  if (!answer) co_return pass(answer);
  const json::value* items = answer->if_contains("Items");
  if (items == nullptr || !items->is_array()) {
    co_return core::fail(Code::misconfigured, Origin::metadata, Retry::safe,
                         "The answer to a Query has no Items; check metadata.dynamodb_endpoint.");
  }
  std::vector<DynamodbFeedPage> pages;
  for (const json::value& item : items->get_array()) {
    auto page = page_of_item(item.is_object() ? item.get_object() : json::object());
    if (!page) co_return pass(std::move(page));
    pages.push_back(std::move(*page));
  }
  co_return pages;
}

}  // namespace

json::object item_of_page(const DynamodbFeedPage& page) {
  core::ByteVector ids;
  ids.reserve(page.ids.size() * kIdBytes);
  for (const core::RecordId& id : page.ids) {
    for (const std::uint8_t byte : id.bytes()) ids.push_back(std::byte{byte});
  }
  json::object item = dynamodb_key(group_bucket(feed_group_of(page.first)), number_key(page.first));
  item["last"] = dynamodb_number(page.last());
  item["published_at"] = dynamodb_text(core::format_time(page.published_at));
  item["ids"] = json::object{{"B", core::to_base64(ids)}};
  return item;
}

Result<DynamodbFeedPage> page_of_item(const json::object& item) {
  const std::string key = text_of(item, kId).value_or("");
  const auto published_at = core::parse_time(text_of(item, "published_at").value_or(""));
  const auto last = number_of(item, "last");
  const auto bytes = text_of(item, "ids");
  DynamodbFeedPage page;
  page.first = std::strtoull(key.c_str(), nullptr, 10);
  if (page.first == 0 || number_key(page.first) != key || !published_at || !last || !bytes ||
      bytes->empty() || bytes->size() % kIdBytes != 0) {
    return damaged("page " + key);
  }
  page.published_at = *published_at;
  for (std::size_t at = 0; at < bytes->size(); at += kIdBytes) {
    std::array<std::uint8_t, kIdBytes> id{};
    std::copy_n(bytes->begin() + static_cast<std::ptrdiff_t>(at), kIdBytes, id.begin());
    page.ids.emplace_back(id);
  }
  if (page.last() != *last) return damaged("page " + key);
  return page;
}

core::Task<Result<bool>> put_feed_page(DynamodbClient& client, DynamodbFeedPage page,
                                       Deadline deadline) {
  json::object request;
  request["Item"] = item_of_page(page);
  request["ConditionExpression"] = "attribute_not_exists(#id)";
  request["ExpressionAttributeNames"] = json::object{{"#id", kId}};
  const auto done = co_await client.call("PutItem", std::move(request), deadline);
  if (!done && done.error().code != Code::conflict) co_return pass(done);
  co_return done.has_value();
}

core::Task<Result<std::optional<DynamodbFeedPage>>> feed_page_at(DynamodbClient& client,
                                                                 std::uint64_t number,
                                                                 Deadline deadline) {
  const std::uint64_t group = feed_group_of(number);
  auto pages = co_await query_pages(client, group, 0, number, true, 1, deadline);
  if (!pages) co_return pass(std::move(pages));
  if (pages->empty()) co_return std::nullopt;
  co_return std::move(pages->front());
}

core::Task<Result<std::vector<DynamodbFeedPage>>> feed_pages_from(DynamodbClient& client,
                                                                  std::uint64_t first,
                                                                  std::uint32_t most,
                                                                  Deadline deadline) {
  const std::uint64_t group = feed_group_of(first);
  co_return co_await query_pages(client, group, first, feed_group_end(group), false, most,
                                 deadline);
}

core::Task<Result<std::optional<DynamodbFeedHead>>> read_feed_head(DynamodbClient& client,
                                                                   Deadline deadline) {
  json::object request;
  request["Key"] = dynamodb_key(kFeed, kHead);
  request["ConsistentRead"] = true;
  const auto answer = co_await client.call("GetItem", std::move(request), deadline);
  if (!answer) co_return pass(answer);
  const json::value* found = answer->if_contains("Item");
  if (found == nullptr || !found->is_object()) co_return std::nullopt;
  const json::object& item = found->get_object();
  DynamodbFeedHead head{.feed = text_of(item, kFeed).value_or(""),
                        .first = number_of(item, "first").value_or(0),
                        .group = number_of(item, "group").value_or(0)};
  if (head.feed.empty() || head.first == 0) co_return damaged("head");
  co_return head;
}

core::Task<Result<void>> make_feed_head(DynamodbClient& client, Deadline deadline) {
  json::object item = dynamodb_key(kFeed, kHead);
  item["feed"] = dynamodb_text(random_uuid());
  item["first"] = dynamodb_number(1);
  item["group"] = dynamodb_number(0);
  json::object request;
  request["Item"] = std::move(item);
  request["ConditionExpression"] = "attribute_not_exists(#id)";
  request["ExpressionAttributeNames"] = json::object{{"#id", kId}};
  const auto done = co_await client.call("PutItem", std::move(request), deadline);
  if (!done && done.error().code != Code::conflict) co_return pass(done);
  co_return Result<void>{};
}

core::Task<Result<void>> note_feed_group(DynamodbClient& client, std::uint64_t group,
                                         Deadline deadline) {
  json::object request;
  request["Key"] = dynamodb_key(kFeed, kHead);
  request["UpdateExpression"] = "SET #group = :group";
  request["ConditionExpression"] = "#group < :group";
  request["ExpressionAttributeNames"] = json::object{{"#group", "group"}};
  request["ExpressionAttributeValues"] = json::object{{":group", dynamodb_number(group)}};
  const auto done = co_await client.call("UpdateItem", std::move(request), deadline);
  if (!done && done.error().code != Code::conflict) co_return pass(done);
  co_return Result<void>{};
}

}  // namespace daybook::storage
