#include "storage/dynamodb_directory.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "storage/dynamodb_items.hpp"
#include "storage/row_texts.hpp"
#include "storage/side_by_side.hpp"

namespace daybook::storage {
namespace {

namespace json = boost::json;
using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;

// Usual records are received seconds to minutes after their id was made, so that most windows are
// announced once.
constexpr std::int64_t kSkewFloorMs = 3'600'000;

// What is known to be announced. Beyond either it is forgotten and announced again.
constexpr std::size_t kKnownMax = 4096;
constexpr core::Duration kKnownFor = std::chrono::minutes(10);

std::int64_t rounded_skew_ms(const core::Envelope& envelope) {
  const std::int64_t skew = clock_skew_ms(envelope);
  std::int64_t rounded = kSkewFloorMs;
  while (rounded < skew) rounded *= 2;
  return rounded;
}

}  // namespace

DynamodbDirectory::Entries DynamodbDirectory::entries_of(
    const std::vector<core::MetadataRow>& rows) {
  Entries entries;
  for (const core::MetadataRow& row : rows) {
    const std::string window = window_of(row.envelope.id);
    const std::int64_t skew_ms = rounded_skew_ms(row.envelope);
    for (const std::string& bucket :
         {directory_bucket(std::nullopt), directory_bucket(row.envelope.tenant)}) {
      std::int64_t& widest = entries[{bucket, window}];
      widest = std::max(widest, skew_ms);
    }
  }
  return entries;
}

core::Task<Result<void>> DynamodbDirectory::announce(Entries entries, Deadline deadline) {
  const core::SteadyTime now = client_.runtime().steady_now();
  if (known_.size() > kKnownMax || now - known_since_ > kKnownFor) {
    known_.clear();
    known_since_ = now;
  }
  std::erase_if(entries, [&](const auto& entry) {
    const auto known = known_.find(entry.first);
    return known != known_.end() && known->second >= entry.second;
  });
  std::vector<core::Task<Result<void>>> writes;
  writes.reserve(entries.size());
  for (const auto& [key, skew_ms] : entries) {
    writes.push_back(announce_one(key.first, key.second, skew_ms, deadline));
  }
  for (auto& done :
       co_await side_by_side(client_.runtime(), std::move(writes), client_.connections())) {
    if (!done) co_return std::move(done);
  }
  for (const auto& [key, skew_ms] : entries) {
    std::int64_t& known = known_[key];
    known = std::max(known, skew_ms);
  }
  co_return Result<void>{};
}

core::Task<Result<void>> DynamodbDirectory::announce_one(std::string bucket, std::string window,
                                                         std::int64_t skew_ms, Deadline deadline) {
  json::object request;
  request["Key"] = dynamodb_key(bucket, window);
  request["UpdateExpression"] = "SET skew_ms = :skew";
  request["ConditionExpression"] = "attribute_not_exists(skew_ms) OR skew_ms < :skew";
  request["ExpressionAttributeValues"] =
      json::object{{":skew", dynamodb_number(static_cast<std::uint64_t>(skew_ms))}};
  const auto done = co_await client_.call("UpdateItem", std::move(request), deadline);
  // The condition fails where the directory says as much already.
  if (!done && done.error().code != Code::conflict) co_return pass(done);
  co_return Result<void>{};
}

core::Task<Result<std::vector<DynamodbWindow>>> DynamodbDirectory::windows(
    std::optional<std::string> tenant, std::string first, std::string last, bool newest_first,
    Deadline deadline) {
  std::vector<DynamodbWindow> found;
  json::object request;
  request["KeyConditionExpression"] = "#bucket = :bucket AND #id BETWEEN :first AND :last";
  request["ExpressionAttributeNames"] = json::object{{"#bucket", kBucket}, {"#id", kId}};
  request["ExpressionAttributeValues"] =
      json::object{{":bucket", dynamodb_text(directory_bucket(tenant))},
                   {":first", dynamodb_text(first)},
                   {":last", dynamodb_text(last)}};
  request["ScanIndexForward"] = !newest_first;
  request["ConsistentRead"] = true;
  for (;;) {
    auto answer = co_await client_.call("Query", request, deadline);
    if (!answer) co_return pass(std::move(answer));
    const json::value* items = answer->if_contains("Items");
    if (items == nullptr || !items->is_array()) {
      co_return core::fail(Code::misconfigured, Origin::metadata, Retry::safe,
                           "The answer to a Query has no Items; check metadata.dynamodb_endpoint.");
    }
    for (const json::value& item : items->get_array()) {
      const auto digits = item.is_object() ? text_of(item.get_object(), kId) : std::nullopt;
      const auto skew = item.is_object() ? number_of(item.get_object(), "skew_ms") : std::nullopt;
      if (!digits || digits->size() != kWindowDigits || !skew) {
        co_return core::fail(Code::damaged, Origin::metadata, Retry::never,
                             "The metadata table's directory has an unusable entry " +
                                 digits.value_or("") + "; restore the table from a backup.");
      }
      found.push_back({*digits, static_cast<std::int64_t>(*skew)});
    }
    json::value* more = answer->if_contains("LastEvaluatedKey");
    if (more == nullptr) co_return found;
    request["ExclusiveStartKey"] = std::move(*more);
  }
}

}  // namespace daybook::storage
