#include "storage/dynamodb_schema.hpp"

#include <algorithm>
#include <utility>

#include <boost/json.hpp>

#include "storage/dynamodb_feed.hpp"
#include "storage/dynamodb_items.hpp"
#include "storage/dynamodb_reader.hpp"

namespace daybook::storage {
namespace {

namespace json = boost::json;
using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;
using core::SchemaState;
using core::SchemaStatus;

// Between two looks at a table that is being made; doubles each time.
constexpr core::Duration kFirstPause = std::chrono::milliseconds(25);
constexpr core::Duration kLongestPause = std::chrono::seconds(2);

// Rows that are published in one go.
constexpr std::uint32_t kRowsAtOnce = 2 * kFeedPageIds;

constexpr char kMigrate[] = "run `daybook metadata migrate`";

core::Failure misconfigured(std::string detail) {
  return core::fail(Code::misconfigured, Origin::metadata, Retry::safe, std::move(detail));
}

std::string_view member_text(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  return found != nullptr && found->is_string() ? std::string_view(found->get_string())
                                                : std::string_view();
}

// {"KeySchema":[{"AttributeName":"bucket","KeyType":"HASH"},…]} is of these two.
bool has_keys(const json::object& described, std::string_view hash, std::string_view range) {
  const json::value* keys = described.if_contains("KeySchema");
  if (keys == nullptr || !keys->is_array() || keys->get_array().size() != 2) return false;
  return std::ranges::all_of(keys->get_array(), [&](const json::value& key) {
    if (!key.is_object()) return false;
    const bool is_hash = member_text(key.get_object(), "KeyType") == "HASH";
    return member_text(key.get_object(), "AttributeName") == (is_hash ? hash : range);
  });
}

bool has_text_keys(const json::object& table) {
  const json::value* attributes = table.if_contains("AttributeDefinitions");
  if (attributes == nullptr || !attributes->is_array()) return false;
  return std::ranges::all_of(attributes->get_array(), [](const json::value& attribute) {
    if (!attribute.is_object()) return false;
    const std::string_view name = member_text(attribute.get_object(), "AttributeName");
    const bool ours = name == kBucket || name == kId || name == kTenantBucket;
    return !ours || member_text(attribute.get_object(), "AttributeType") == "S";
  });
}

const json::object* index_of(const json::object& table) {
  const json::value* indexes = table.if_contains("GlobalSecondaryIndexes");
  if (indexes == nullptr || !indexes->is_array()) return nullptr;
  for (const json::value& index : indexes->get_array()) {
    if (index.is_object() && member_text(index.get_object(), "IndexName") == kByTenant) {
      return &index.get_object();
    }
  }
  return nullptr;
}

enum class Shape { missing, foreign, being_made, no_index, ready };

Shape shape_of(const json::object& table) {
  if (!has_keys(table, kBucket, kId) || !has_text_keys(table)) return Shape::foreign;
  const std::string_view table_status = member_text(table, "TableStatus");
  const json::object* index = index_of(table);
  if (index == nullptr) {
    return table_status == "ACTIVE" ? Shape::no_index : Shape::being_made;
  }
  if (!has_keys(*index, kTenantBucket, kId)) return Shape::foreign;
  // Alternator's indexes have no status: they are there with their table.
  const std::string_view index_status = member_text(*index, "IndexStatus");
  const bool usable = table_status == "ACTIVE" || table_status == "UPDATING";
  return usable && (index_status == "ACTIVE" || index_status.empty()) ? Shape::ready
                                                                      : Shape::being_made;
}

core::Task<Result<Shape>> look(DynamodbClient& client, Deadline deadline) {
  const auto answer = co_await client.call("DescribeTable", {}, deadline);
  if (!answer) co_return pass(answer);
  const json::value* table = answer->if_contains("Table");
  if (table == nullptr || !table->is_object()) {
    co_return misconfigured(
        "The answer to DescribeTable has no Table; check metadata.dynamodb_endpoint.");
  }
  co_return shape_of(table->get_object());
}

std::string sentence_of(Shape shape, const std::string& table) {
  switch (shape) {
    case Shape::missing:
      return "There is no table " + table + ": " + kMigrate + ".";
    case Shape::foreign:
      return "The table " + table +
             " has other keys than Daybook's: choose another metadata.dynamodb_table.";
    case Shape::being_made:
      return "The table " + table + " or its index " + kByTenant +
             " is still being made: wait until both are ACTIVE.";
    case Shape::no_index:
      return "The table " + table + " has no index " + kByTenant + ": " + kMigrate + ".";
    case Shape::ready:
      break;
  }
  return "";
}

struct Version {
  std::int64_t number = 0;  // 0: nobody wrote one
  bool unfinished = false;  // its feed is still being made

  [[nodiscard]] bool usable() const { return number == kDynamodbSchemaVersion && !unfinished; }
};

core::Task<Result<Version>> version_of(DynamodbClient& client, Deadline deadline) {
  json::object request;
  request["Key"] = dynamodb_key("schema", "version");
  request["ConsistentRead"] = true;
  const auto answer = co_await client.call("GetItem", std::move(request), deadline);
  if (!answer) co_return pass(answer);
  const json::value* item = answer->if_contains("Item");
  if (item == nullptr || !item->is_object()) co_return Version{};
  const json::object& version = item->get_object();
  co_return Version{static_cast<std::int64_t>(number_of(version, "number").value_or(0)),
                    version.contains("unfinished")};
}

std::string sentence_of_version(Version version, const std::string& table) {
  if (version.number > kDynamodbSchemaVersion) {
    return "The table " + table + " has schema version " + std::to_string(version.number) +
           ", this program knows " + std::to_string(kDynamodbSchemaVersion) +
           ": use the newer Daybook that made it.";
  }
  if (version.number != 0 && version.number < kDynamodbSchemaVersion) {
    return "The table " + table + " has schema version " + std::to_string(version.number) +
           ", this program needs " + std::to_string(kDynamodbSchemaVersion) + ": " + kMigrate + ".";
  }
  return "The table " + table + " was not finished by Daybook: " + kMigrate + ".";
}

json::object key_schema(const char* hash, const char* range) {
  return {{"KeySchema", json::array{{{"AttributeName", hash}, {"KeyType", "HASH"}},
                                    {{"AttributeName", range}, {"KeyType", "RANGE"}}}}};
}

json::array attribute_definitions() {
  json::array definitions;
  for (const char* name : {kBucket, kId, kTenantBucket}) {
    definitions.push_back(json::object{{"AttributeName", name}, {"AttributeType", "S"}});
  }
  return definitions;
}

json::object index_definition() {
  json::object index = key_schema(kTenantBucket, kId);
  index["IndexName"] = kByTenant;
  index["Projection"] = json::object{{"ProjectionType", "ALL"}};
  return index;
}

json::object table_definition() {
  json::object table = key_schema(kBucket, kId);
  table["AttributeDefinitions"] = attribute_definitions();
  table["BillingMode"] = "PAY_PER_REQUEST";
  table["GlobalSecondaryIndexes"] = json::array{index_definition()};
  return table;
}

json::object index_update() {
  return {
      {"AttributeDefinitions", attribute_definitions()},
      {"GlobalSecondaryIndexUpdates", json::array{json::object{{"Create", index_definition()}}}}};
}

// A table that is missing is an answer here, not an error.
core::Task<Result<Shape>> look_for(DynamodbClient& client, Deadline deadline) {
  auto shape = co_await look(client, deadline);
  if (!shape && shape.error().code == Code::not_found) co_return Shape::missing;
  co_return shape;
}

}  // namespace

core::Task<Result<void>> check_dynamodb_version(DynamodbClient& client, Deadline deadline) {
  const auto version = co_await version_of(client, deadline);
  if (!version) co_return pass(version);
  if (version->usable()) co_return Result<void>{};
  co_return misconfigured(sentence_of_version(*version, client.table()));
}

core::Task<Result<void>> check_dynamodb_shape(DynamodbClient& client, Deadline deadline) {
  const auto shape = co_await look(client, deadline);
  if (!shape) co_return pass(shape);
  if (*shape == Shape::ready) co_return Result<void>{};
  co_return misconfigured(sentence_of(*shape, client.table()));
}

core::Task<Result<SchemaStatus>> DynamodbSchema::status(Deadline deadline) {
  SchemaStatus status;
  status.wanted = kDynamodbSchemaVersion;
  const auto shape = co_await look_for(*client_, deadline);
  if (!shape) co_return pass(shape);
  status.detail = sentence_of(*shape, client_->table());
  if (*shape == Shape::missing || *shape == Shape::foreign) {
    status.state = *shape == Shape::missing ? SchemaState::missing : SchemaState::foreign;
    co_return status;
  }
  if (*shape == Shape::being_made) {
    status.state = SchemaState::older;
    co_return status;
  }
  const auto version = co_await version_of(*client_, deadline);
  if (!version) co_return pass(version);
  status.version = version->number;
  if (version->number > kDynamodbSchemaVersion) {
    status.state = SchemaState::newer;
  } else if (version->usable() && *shape == Shape::ready) {
    status.state = SchemaState::current;
    co_return status;
  } else {
    status.state = SchemaState::older;
  }
  if (status.detail.empty()) status.detail = sentence_of_version(*version, client_->table());
  co_return status;
}

core::Task<Result<std::vector<std::string>>> DynamodbSchema::migrate(bool dry_run,
                                                                     Deadline deadline) {
  std::vector<std::string> steps;
  auto shape = co_await look_for(*client_, deadline);
  if (!shape) co_return pass(shape);
  if (*shape == Shape::foreign) co_return misconfigured(sentence_of(*shape, client_->table()));
  Version version;
  if (*shape == Shape::missing) {
    steps.push_back("make the table " + client_->table() + " with its index " + kByTenant +
                    ", capacity on demand");
    if (!dry_run) {
      auto made = co_await make("CreateTable", deadline);
      if (!made) co_return pass(made);
    }
  } else {
    const auto found = co_await version_of(*client_, deadline);
    if (!found) co_return pass(found);
    version = *found;
    if (version.number > kDynamodbSchemaVersion) {
      co_return misconfigured(sentence_of_version(version, client_->table()));
    }
    if (version.usable() && *shape == Shape::ready) co_return steps;
    if (*shape == Shape::no_index) {
      steps.push_back("add the index " + std::string(kByTenant) + " to " + client_->table());
      if (!dry_run) {
        auto made = co_await make("UpdateTable", deadline);
        if (!made) co_return pass(made);
      }
    }
    if (*shape == Shape::being_made) steps.push_back("wait until the index is ACTIVE");
  }
  const bool has_rows = version.number != 0 && !version.usable();
  if (has_rows) steps.emplace_back("publish the records that are there, in the order of their ids");
  steps.push_back("write the schema version " + std::to_string(kDynamodbSchemaVersion));
  if (dry_run) co_return steps;
  for (core::Duration pause = kFirstPause; *shape != Shape::ready;
       pause = std::min(2 * pause, kLongestPause)) {
    co_await client_->runtime().sleep(pause);
    shape = co_await look_for(*client_, deadline);
    if (!shape) co_return pass(shape);
  }
  auto made = co_await make_feed_head(*client_, deadline);
  // From now on a program of the version before refuses: its records would get no number.
  if (made && has_rows) made = co_await write_version(true, deadline);
  if (made && has_rows) made = co_await publish_old(deadline);
  if (made) made = co_await write_version(false, deadline);
  if (!made) co_return pass(made);
  co_return steps;
}

// Goes on behind the last record that has a number, so it may be broken off, and two may do it.
core::Task<Result<void>> DynamodbSchema::publish_old(Deadline deadline) {
  DynamodbDirectory directory(*client_);
  DynamodbFeed feed(*client_);
  bool more = true;
  while (more) {
    auto after = co_await feed.last_record(deadline);
    if (!after) co_return pass(after);
    for (bool alone = true; more && alone;) {
      auto rows =
          co_await read_range(*client_, directory, range_after(*after, kRowsAtOnce), deadline);
      if (!rows) co_return pass(std::move(rows));
      more = rows->size() == kRowsAtOnce;
      if (rows->empty()) break;
      after = rows->back().envelope.id;
      const auto appended = co_await feed.append_old(std::move(*rows), deadline);
      if (!appended) co_return pass(appended);
      alone = *appended;
      more = more || !alone;
    }
  }
  co_return Result<void>{};
}

core::Task<Result<void>> DynamodbSchema::make(std::string operation, Deadline deadline) {
  const auto made = co_await client_->call(
      operation, operation == "CreateTable" ? table_definition() : index_update(), deadline);
  // Somebody else makes it at the same time: it will be there.
  if (!made && made.error().code != Code::in_flight) co_return pass(made);
  co_return Result<void>{};
}

core::Task<Result<void>> DynamodbSchema::write_version(bool unfinished, Deadline deadline) {
  json::object item = dynamodb_key("schema", "version");
  if (unfinished) item["unfinished"] = json::object{{"BOOL", true}};
  item["number"] = dynamodb_number(static_cast<std::uint64_t>(kDynamodbSchemaVersion));
  json::object request;
  request["Item"] = std::move(item);
  const auto written = co_await client_->call("PutItem", std::move(request), deadline);
  if (!written) co_return pass(written);
  co_return Result<void>{};
}

}  // namespace daybook::storage
