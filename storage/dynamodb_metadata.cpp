#include "storage/dynamodb_metadata.hpp"

#include <set>
#include <utility>

#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "storage/dynamodb_items.hpp"
#include "storage/dynamodb_reader.hpp"
#include "storage/dynamodb_schema.hpp"
#include "storage/row_texts.hpp"
#include "storage/side_by_side.hpp"

namespace daybook::storage {

namespace json = boost::json;
using core::Code;
using core::Deadline;
using core::MetadataQuery;
using core::MetadataRow;
using core::Origin;
using core::Result;
using core::Retry;

namespace {

constexpr core::Duration kLeftAlone = std::chrono::seconds(1);

}  // namespace

DynamodbMetadata::DynamodbMetadata(std::unique_ptr<DynamodbClient> client)
    : client_(std::move(client)), directory_(*client_), feed_(*client_) {}

// A table that refused may be another one by the time it works again.
template <class T>
Result<T> DynamodbMetadata::noted(Result<T> outcome) {
  if (outcome) return outcome;
  core::Error& error = outcome.error();
  if (error.code == Code::not_found) error.code = Code::misconfigured;
  if (error.code != Code::misconfigured && error.code != Code::denied) return outcome;
  version_seen_ = shape_seen_ = false;
  directory_.forget();
  feed_.forget();
  if (client_->runtime().steady_now() >= refused_until_) {
    refusal_ = error;
    refused_until_ = client_->runtime().steady_now() + kLeftAlone;
  }
  return outcome;
}

core::Task<Result<void>> DynamodbMetadata::make_sure(Deadline deadline) {
  if (client_->runtime().steady_now() < refused_until_) co_return core::Failure(refusal_);
  if (version_seen_) co_return Result<void>{};
  auto version = noted(co_await check_dynamodb_version(*client_, deadline));
  version_seen_ = version.has_value();
  co_return version;
}

core::Task<Result<void>> DynamodbMetadata::insert(std::vector<MetadataRow> rows,
                                                  Deadline deadline) {
  co_return noted(co_await insert_rows(std::move(rows), deadline));
}

core::Task<Result<void>> DynamodbMetadata::insert_rows(std::vector<MetadataRow> rows,
                                                       Deadline deadline) {
  if (rows.empty()) co_return Result<void>{};
  auto ready = co_await make_sure(deadline);
  if (ready) ready = co_await directory_.announce(DynamodbDirectory::entries_of(rows), deadline);
  if (!ready) co_return ready;
  const auto feed_after = co_await feed_.known_last(deadline);
  if (!feed_after) co_return pass(feed_after);
  std::set<core::RecordId> ids;  // of two rows with one id the first is meant
  const auto failure = std::make_shared<std::optional<core::Error>>();
  std::vector<core::Task<Put>> puts;
  puts.reserve(rows.size());
  for (MetadataRow& row : rows) {
    if (!ids.insert(row.envelope.id).second) continue;
    puts.push_back(put_unless(failure, std::move(row), *feed_after, deadline));
  }
  Result<void> outcome;
  std::vector<DynamodbCandidate> there;
  for (auto& done :
       co_await side_by_side(client_->runtime(), std::move(puts), client_->connections())) {
    if (done && *done) there.push_back(**done);
    // What another try may mend goes before what it cannot: the whole batch is tried again.
    if (!done && (outcome || outcome.error().retry == Retry::never)) outcome = pass(done);
  }
  if (!outcome && outcome.error().retry != Retry::never) co_return outcome;
  auto published = co_await feed_.publish(std::move(there), deadline);
  co_return published ? std::move(outcome) : std::move(published);
}

core::Task<DynamodbMetadata::Put> DynamodbMetadata::put_unless(FirstFailure failure,
                                                               MetadataRow row,
                                                               std::uint64_t feed_after,
                                                               Deadline deadline) {
  if (*failure) co_return core::Failure(**failure);
  auto done = co_await put(std::move(row), feed_after, deadline);
  // A row that can never be there does not keep the others away.
  if (!done && done.error().retry != Retry::never) *failure = done.error();
  co_return done;
}

core::Task<DynamodbMetadata::Put> DynamodbMetadata::put(MetadataRow row, std::uint64_t feed_after,
                                                        Deadline deadline) {
  auto item = item_of(row, feed_after);
  if (!item) co_return pass(std::move(item));
  json::object request;
  request["Item"] = std::move(*item);
  request["ConditionExpression"] = "attribute_not_exists(#id)";
  request["ExpressionAttributeNames"] = json::object{{"#id", kId}};
  const auto done = co_await client_->call("PutItem", std::move(request), deadline);
  if (done) {
    co_return DynamodbCandidate{row.envelope.id, row.envelope.received_at, feed_after};
  }
  if (done.error().code != Code::conflict) co_return pass(done);
  const auto there = co_await get(row.envelope.id, deadline);
  if (!there) co_return pass(there);
  if (there->empty()) {
    co_return core::fail(Code::unavailable, Origin::metadata, Retry::safe,
                         "The row of record " + row.envelope.id.str() +
                             " was there and is not any more; it is inserted again.");
  }
  co_return there_already(row, *there);
}

DynamodbMetadata::Put DynamodbMetadata::there_already(const MetadataRow& row,
                                                      const json::object& item) {
  const auto theirs = row_of_item(item);
  const std::string difference = theirs ? content_difference(row, *theirs) : "form";
  if (!difference.empty()) {
    ++contradictions_;
    spdlog::error(
        "record {} was indexed before with other content ({}); its row in {} stays as it is. "
        "Compare both with the archive: daybook fsck --deep",
        row.envelope.id.str(), difference, client_->table());
  }
  const auto after = number_of(item, kFeedAfter);
  if (!after) return std::nullopt;  // older than the feed, which began with it
  return DynamodbCandidate{
      row.envelope.id, theirs ? theirs->envelope.received_at : row.envelope.received_at, *after};
}

// Empty: there is none.
core::Task<Result<json::object>> DynamodbMetadata::get(core::RecordId id, Deadline deadline) {
  json::object request;
  request["Key"] = dynamodb_key(bucket_of(id), id.str());
  request["ConsistentRead"] = true;
  const auto answer = co_await client_->call("GetItem", std::move(request), deadline);
  if (!answer) co_return pass(answer);
  const json::value* item = answer->if_contains("Item");
  co_return item == nullptr || !item->is_object() ? json::object() : item->get_object();
}

core::Task<Result<std::optional<MetadataRow>>> DynamodbMetadata::find(core::RecordId id,
                                                                      Deadline deadline) {
  const auto ready = co_await make_sure(deadline);
  if (!ready) co_return pass(ready);
  const auto item = noted(co_await get(id, deadline));
  if (!item) co_return pass(item);
  if (item->empty()) co_return std::nullopt;
  auto row = row_of_item(*item);
  if (!row) co_return pass(std::move(row));
  co_return std::move(*row);
}

core::Task<Result<std::vector<MetadataRow>>> DynamodbMetadata::list(MetadataQuery query,
                                                                    Deadline deadline) {
  const auto sound = check_page(query.limit);
  if (!sound) co_return pass(sound);
  const auto ready = co_await make_sure(deadline);
  if (!ready) co_return pass(ready);
  auto rows =
      noted(co_await read_range(*client_, directory_, range_of(std::move(query)), deadline));
  if (rows || rows.error().code != Code::timeout) co_return rows;
  core::Error error = std::move(rows).error();
  error.detail += " The table has an index for tenant and time only: narrow since and until.";
  co_return core::Failure(std::move(error));
}

core::Task<Result<std::vector<MetadataRow>>> DynamodbMetadata::scan(
    std::optional<core::RecordId> after, std::uint32_t limit, Deadline deadline) {
  const auto sound = check_page(limit);
  if (!sound) co_return pass(sound);
  const auto ready = co_await make_sure(deadline);
  if (!ready) co_return pass(ready);
  co_return noted(co_await read_range(*client_, directory_, range_after(after, limit), deadline));
}

// Entries whose record was deleted by hand are left out.
core::Task<Result<std::vector<core::FeedEntry>>> DynamodbMetadata::read_feed(std::uint64_t after,
                                                                             std::uint32_t limit,
                                                                             Deadline deadline) {
  std::vector<core::FeedEntry> entries;
  while (entries.size() < limit) {
    const std::size_t missing = limit - entries.size();
    const auto lines = co_await feed_.read(after, static_cast<std::uint32_t>(missing), deadline);
    if (!lines) co_return pass(lines);
    std::vector<core::RecordId> ids;
    for (const DynamodbFeedLine& line : *lines) ids.push_back(line.id);
    auto rows = co_await read_rows(*client_, std::move(ids), deadline);
    if (!rows) co_return pass(std::move(rows));
    for (std::size_t i = 0; i < lines->size(); ++i) {
      const DynamodbFeedLine& line = (*lines)[i];
      std::optional<MetadataRow>& row = (*rows)[i];
      if (row) entries.push_back({line.sequence, line.published_at, std::move(*row)});
      after = line.sequence;
    }
    if (lines->size() < missing) break;
  }
  co_return entries;
}

core::Task<Result<std::vector<core::FeedEntry>>> DynamodbMetadata::feed(std::uint64_t after,
                                                                        std::uint32_t limit,
                                                                        Deadline deadline) {
  const auto sound = check_page(limit);
  if (!sound) co_return pass(sound);
  const auto ready = co_await make_sure(deadline);
  if (!ready) co_return pass(ready);
  co_return noted(co_await read_feed(after, limit, deadline));
}

core::Task<Result<core::FeedBounds>> DynamodbMetadata::feed_bounds(Deadline deadline) {
  const auto ready = co_await make_sure(deadline);
  if (!ready) co_return pass(ready);
  co_return noted(co_await feed_.bounds(deadline));
}

core::Task<Result<std::uint64_t>> DynamodbMetadata::feed_before(core::WallTime since,
                                                                Deadline deadline) {
  const auto ready = co_await make_sure(deadline);
  if (!ready) co_return pass(ready);
  co_return noted(co_await feed_.before(since, deadline));
}

core::Task<Result<void>> DynamodbMetadata::probe(Deadline deadline) {
  auto version = co_await make_sure(deadline);
  if (!version) co_return version;
  if (shape_seen_) co_return noted(co_await check_dynamodb_version(*client_, deadline));
  auto shape = noted(co_await check_dynamodb_shape(*client_, deadline));
  shape_seen_ = shape.has_value();
  co_return shape;
}

}  // namespace daybook::storage
