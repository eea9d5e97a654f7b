#include "storage/dynamodb_reader.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include <boost/json.hpp>

#include "core/text.hpp"
#include "storage/dynamodb_items.hpp"
#include "storage/row_texts.hpp"
#include "storage/side_by_side.hpp"

namespace daybook::storage {
namespace {

namespace json = boost::json;
using core::Code;
using core::Deadline;
using core::MetadataQuery;
using core::MetadataRow;
using core::Origin;
using core::Result;
using core::Retry;

// Asked of a shard beyond its even share of a page: most pages then take one round.
constexpr std::uint32_t kBeyondShare = 8;

// Items that a filter looks at in one request: if all fit, parsing the answer holds up the I/O
// thread for a few milliseconds.
constexpr std::uint32_t kFilteredAtOnce = 250;

// The id beside this one; nothing where there is none.
std::optional<core::RecordId> neighbour(core::RecordId id, bool next) {
  auto bytes = id.bytes();
  for (std::size_t i = bytes.size(); i-- > 0;) {
    bytes[i] = static_cast<std::uint8_t>(next ? bytes[i] + 1 : bytes[i] - 1);
    if (bytes[i] != (next ? 0x00 : 0xFF)) return core::RecordId(bytes);
  }
  return std::nullopt;
}

// The part of a window that a range asks for; first > last: none of it.
struct Span {
  std::string first, last;
};

Span span_in(const DynamodbRange& range, const DynamodbWindow& window) {
  Span span{std::max(range.first, window.digits), std::min(range.last, window.digits + "g")};
  const IdRange ids = id_range(range.filter, window.skew_ms);
  if (ids.first) span.first = std::max(span.first, ids.first->str());
  if (ids.end) span.last = std::min(span.last, ids.end->str());
  return span;
}

bool filters_attributes(const MetadataQuery& query) {
  return query.source || query.type || query.subject || query.state;
}

// What all Queries of one range have in common.
json::object query_of(const DynamodbRange& range) {
  const MetadataQuery& filter = range.filter;
  json::object names{{"#key", filter.tenant ? kTenantBucket : kBucket}, {"#id", kId}};
  json::object values;
  std::string conditions;
  const auto condition = [&](std::string_view text) {
    if (!conditions.empty()) conditions += " AND ";
    conditions += text;
  };
  const auto equals = [&](const std::string& name, const std::optional<std::string>& wanted) {
    if (!wanted) return;
    names["#" + name] = name;
    if (wanted->empty()) return condition("attribute_not_exists(#" + name + ")");
    values[":" + name] = dynamodb_text(*wanted);
    condition("#" + name + " = :" + name);
  };
  equals("source", filter.source);
  equals("type", filter.type);
  equals("subject", filter.subject);
  equals("state", filter.state);
  if (filter.since || filter.until) names["#received_at"] = "received_at";
  if (filter.since) {
    values[":since"] = dynamodb_text(core::format_time(*filter.since));
    condition("#received_at >= :since");
  }
  if (filter.until) {
    values[":until"] = dynamodb_text(core::format_time(*filter.until));
    condition("#received_at < :until");
  }
  json::object query;
  if (filter.tenant) {
    query["IndexName"] = kByTenant;
  } else {
    query["ConsistentRead"] = true;  // which an index cannot give
  }
  query["KeyConditionExpression"] = "#key = :key AND #id BETWEEN :first AND :last";
  if (!conditions.empty()) query["FilterExpression"] = conditions;
  query["ExpressionAttributeNames"] = std::move(names);
  query["ExpressionAttributeValues"] = std::move(values);
  query["ScanIndexForward"] = !range.newest_first;
  return query;
}

// Records in one BatchGetItem: usual ones are 50 KB together.
constexpr std::size_t kRowsAtOnce = 50;

constexpr core::Duration kLeftOutPause = std::chrono::milliseconds(20);

using FoundRows = std::map<core::RecordId, MetadataRow>;

// Of the ids from `first` to `end`, without repetition. What the service leaves out of an answer it
// is asked for again; an answer that is too large to be taken is asked for in halves.
core::Task<Result<FoundRows>> read_batch(DynamodbClient& client,
                                         const std::vector<core::RecordId>& ids, std::size_t first,
                                         std::size_t end, Deadline deadline) {
  json::array keys;
  for (std::size_t i = first; i < end; ++i) {
    keys.push_back(dynamodb_key(bucket_of(ids[i]), ids[i].str()));
  }
  json::object tables{
      {client.table(), json::object{{"Keys", std::move(keys)}, {"ConsistentRead", true}}}};
  FoundRows rows;
  while (!tables.empty()) {
    auto answer =
        co_await client.call("BatchGetItem", json::object{{"RequestItems", tables}}, deadline);
    if (!answer && answer.error().code == Code::too_large && end - first > 1) {
      const std::size_t middle = first + (end - first) / 2;
      auto left = co_await read_batch(client, ids, first, middle, deadline);
      if (!left) co_return left;
      auto right = co_await read_batch(client, ids, middle, end, deadline);
      if (right) left->merge(std::move(*right));
      if (!right) co_return right;
      co_return left;
    }
    if (!answer) co_return pass(std::move(answer));
    const json::value* found = answer->if_contains("Responses");
    const json::object* of_tables = found == nullptr ? nullptr : found->if_object();
    const json::value* items =
        of_tables == nullptr ? nullptr : of_tables->if_contains(client.table());
    if (items == nullptr || !items->is_array()) {
      co_return core::fail(Code::misconfigured, Origin::metadata, Retry::safe,
                           "The answer to a BatchGetItem has no Responses; check "
                           "metadata.dynamodb_endpoint.");
    }
    for (const json::value& item : items->get_array()) {
      auto row = row_of_item(item.is_object() ? item.get_object() : json::object());
      if (!row) co_return pass(std::move(row));
      rows.insert_or_assign(row->envelope.id, std::move(*row));
    }
    const json::value* rest = answer->if_contains("UnprocessedKeys");
    tables = rest != nullptr && rest->is_object() ? rest->get_object() : json::object();
    if (!tables.empty()) co_await client.runtime().sleep(kLeftOutPause);
  }
  co_return rows;
}

// One shard of one window.
struct Shard {
  json::object query;
  std::deque<MetadataRow> rows;  // read and not yet taken
  bool ended = false;
};

core::Task<Result<void>> read_more(DynamodbClient& client, Shard& shard, std::uint32_t limit,
                                   Deadline deadline) {
  shard.query["Limit"] = limit;
  auto answer = co_await client.call("Query", shard.query, deadline);
  if (!answer) co_return pass(std::move(answer));
  const json::value* items = answer->if_contains("Items");
  if (items == nullptr || !items->is_array()) {
    co_return core::fail(Code::misconfigured, Origin::metadata, Retry::safe,
                         "The answer to a Query has no Items; check metadata.dynamodb_endpoint.");
  }
  for (const json::value& item : items->get_array()) {
    auto row = row_of_item(item.is_object() ? item.get_object() : json::object());
    if (!row) co_return pass(std::move(row));
    shard.rows.push_back(std::move(*row));
  }
  json::value* more = answer->if_contains("LastEvaluatedKey");
  shard.ended = more == nullptr;
  if (more != nullptr) shard.query["ExclusiveStartKey"] = std::move(*more);
  co_return Result<void>{};
}

std::vector<Shard> shards_of(const DynamodbRange& range, const json::object& query,
                             const DynamodbWindow& window, const Span& span) {
  std::vector<Shard> shards(kShards);
  for (unsigned number = 0; number < kShards; ++number) {
    std::string key = shard_bucket(window.digits, number);
    if (range.filter.tenant) key = tenant_bucket(*range.filter.tenant, key);
    shards[number].query = query;
    json::object& values = shards[number].query["ExpressionAttributeValues"].get_object();
    values[":key"] = dynamodb_text(key);
    values[":first"] = dynamodb_text(span.first);
    values[":last"] = dynamodb_text(span.last);
  }
  return shards;
}

// Appends rows of the window in order until the page is full or the window has no more.
core::Task<Result<void>> read_window(DynamodbClient& client, const DynamodbRange& range,
                                     std::vector<Shard> shards, std::vector<MetadataRow>& page,
                                     Deadline deadline) {
  for (;;) {
    const auto missing = static_cast<std::uint32_t>(range.limit - page.size());
    // Where attributes are filtered, a limit would count what the filter drops.
    const std::uint32_t share = filters_attributes(range.filter)
                                    ? kFilteredAtOnce
                                    : std::min(missing, missing / kShards + kBeyondShare);
    std::vector<core::Task<Result<void>>> reads;
    for (Shard& shard : shards) {
      if (shard.rows.empty() && !shard.ended) {
        reads.push_back(read_more(client, shard, share, deadline));
      }
    }
    for (auto& done :
         co_await side_by_side(client.runtime(), std::move(reads), client.connections())) {
      if (!done) co_return std::move(done);
    }
    const auto knows_next = [](const Shard& shard) { return !shard.rows.empty() || shard.ended; };
    while (std::ranges::all_of(shards, knows_next)) {
      Shard* next = nullptr;
      for (Shard& shard : shards) {
        if (shard.rows.empty()) continue;
        if (next == nullptr || (shard.rows.front().envelope.id > next->rows.front().envelope.id) ==
                                   range.newest_first) {
          next = &shard;
        }
      }
      if (next == nullptr) co_return Result<void>{};
      page.push_back(std::move(next->rows.front()));
      next->rows.pop_front();
      if (page.size() == range.limit) co_return Result<void>{};
    }
  }
}

}  // namespace

DynamodbRange range_of(MetadataQuery query) {
  DynamodbRange range;
  range.limit = query.limit;
  if (query.before) {
    const auto last = neighbour(*query.before, false);
    range.last = last ? last->str() : "";
  }
  range.filter = std::move(query);
  return range;
}

DynamodbRange range_after(std::optional<core::RecordId> after, std::uint32_t limit) {
  DynamodbRange range{.newest_first = false, .limit = limit, .filter = {}};
  if (after) {
    const auto first = neighbour(*after, true);
    range.first = first ? first->str() : "h";
  }
  return range;
}

core::Task<Result<std::vector<MetadataRow>>> read_range(DynamodbClient& client,
                                                        DynamodbDirectory& directory,
                                                        DynamodbRange range, Deadline deadline) {
  std::vector<MetadataRow> page;
  if (range.first > range.last) co_return page;
  const auto windows =
      co_await directory.windows(range.filter.tenant, range.first.substr(0, kWindowDigits),
                                 range.last.substr(0, kWindowDigits), range.newest_first, deadline);
  if (!windows) co_return pass(windows);
  const json::object query = query_of(range);
  for (const DynamodbWindow& window : *windows) {
    const Span span = span_in(range, window);
    if (span.first > span.last) continue;
    const auto read =
        co_await read_window(client, range, shards_of(range, query, window, span), page, deadline);
    if (!read) co_return pass(read);
    if (page.size() == range.limit) break;
  }
  co_return page;
}

core::Task<Result<std::vector<std::optional<MetadataRow>>>> read_rows(
    DynamodbClient& client, std::vector<core::RecordId> ids, Deadline deadline) {
  const std::set<core::RecordId> each(ids.begin(), ids.end());  // a key may be asked for only once
  const std::vector<core::RecordId> asked(each.begin(), each.end());
  std::vector<core::Task<Result<FoundRows>>> reads;
  for (std::size_t first = 0; first < asked.size(); first += kRowsAtOnce) {
    reads.push_back(
        read_batch(client, asked, first, std::min(first + kRowsAtOnce, asked.size()), deadline));
  }
  FoundRows all;
  for (auto& found :
       co_await side_by_side(client.runtime(), std::move(reads), client.connections())) {
    if (!found) co_return pass(std::move(found));
    all.merge(std::move(*found));
  }
  std::vector<std::optional<MetadataRow>> rows(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto found = all.find(ids[i]);
    if (found != all.end()) rows[i] = found->second;
  }
  co_return rows;
}

}  // namespace daybook::storage
