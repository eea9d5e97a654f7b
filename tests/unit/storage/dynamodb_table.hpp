// A DynamoDB service in memory behind a scripted HTTP server, and stores that use it: for answers
// that a real one gives only when it is busy, broken or set up wrongly.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <boost/crc.hpp>
#include <boost/json.hpp>

#include "storage/dynamodb_items.hpp"
#include "storage/dynamodb_metadata.hpp"
#include "tests/contract/metadata_rows.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/unit/io/run_on_io.hpp"
#include "tests/unit/io/scripted_server.hpp"

namespace daybook::tests {

namespace json = boost::json;
using storage::AwsCredentials;
using storage::AwsSigner;
using storage::dynamodb_key;
using storage::dynamodb_number;
using storage::dynamodb_text;
using storage::DynamodbClient;
using storage::DynamodbMetadata;
using storage::kDynamodbSchemaVersion;
using storage::text_of;

inline std::string answer(int status, const std::string& body, const std::string& crc32 = "") {
  boost::crc_32_type sum;
  sum.process_bytes(body.data(), body.size());
  return "HTTP/1.1 " + std::to_string(status) +
         " Words\r\nx-amz-crc32: " + (crc32.empty() ? std::to_string(sum.checksum()) : crc32) +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
inline std::string refusal(const std::string& type, int status = 400,
                           const std::string& message = "") {
  return answer(status, R"({"__type":"com.amazonaws.dynamodb.v20120810#)" + type +
                            R"(","message":")" + message + R"("})");
}

// operation, body -> answer; "" closes the connection.
using Answering = std::function<std::string(const std::string&, const json::object&)>;

class Bench {
 public:
  explicit Bench(Answering answering)
      : server_([this, answering = std::move(answering)](Peer& peer) {
          for (;;) {
            const auto [head, body] = peer.read_request();
            if (head.empty()) return;
            const std::string target = "DynamoDB_20120810.";
            const std::size_t at = head.find(target) + target.size();
            const std::string operation = head.substr(at, head.find('\r', at) - at);
            std::string text;
            {
              const std::lock_guard lock(mutex_);
              ++requests_;
              last_head_ = head;
              text = answering(operation, json::parse(body).get_object());
            }
            if (text.empty()) return;
            peer.send(text);
          }
        }) {}
  ~Bench() {
    store_.reset();
    client_.reset();
  }

  core::Result<json::object> call(std::chrono::milliseconds time = std::chrono::seconds(10)) {
    if (!client_) client_ = make_client();
    return run_on_io(runtime_, client_->call("GetItem", {}, within(time)));
  }
  DynamodbMetadata& store() {
    if (!store_) store_ = another_store();
    return *store_;
  }
  std::unique_ptr<DynamodbMetadata> another_store() {
    return std::make_unique<DynamodbMetadata>(make_client());
  }
  template <class T>
  T run(core::Task<T> task) {
    return run_on_io(runtime_, std::move(task));
  }
  [[nodiscard]] int requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  [[nodiscard]] std::string last_head() {
    const std::lock_guard lock(mutex_);
    return last_head_;
  }

 private:
  std::unique_ptr<DynamodbClient> make_client() {
    DynamodbClient::Settings settings;
    settings.endpoint = "http://127.0.0.1:" + std::to_string(server_.port());
    settings.region = "eu-central-1";
    settings.table = "records";
    settings.signer = std::make_shared<AwsSigner>(
        runtime_, AwsCredentials::fixed(runtime_, {"AKID", "the-secret", "the-token"}));
    settings.connections = 4;
    return DynamodbClient::open(std::move(settings), runtime_).value();
  }

  std::mutex mutex_;
  int requests_ = 0;
  std::string last_head_;
  ScriptedServer server_;
  io::IoRuntime runtime_;
  std::unique_ptr<DynamodbClient> client_;
  std::unique_ptr<DynamodbMetadata> store_;
};

inline std::vector<core::MetadataRow> some_rows(std::size_t count) {
  const core::WallTime now = wall_time(1'795'233'906'123'456);
  core::RecordIdGenerator ids;
  std::vector<core::MetadataRow> rows;
  for (std::size_t i = 0; i < count; ++i) rows.push_back(bare_row(ids.next(now, 0), now));
  return rows;
}

// A table of ours, as far as its store needs one: keys, conditions and ranges, no other filters.
class Table {
 public:
  using Key = std::pair<std::string, std::string>;

  // An answer in place of the service's, nothing done; "" does what is asked.
  std::function<std::string(const std::string& operation, const std::string& id)> fault;
  std::map<Key, json::object> items;
  std::map<std::string, int> counts;

  Table() {
    put("schema", "version",
        {{"number", dynamodb_number(static_cast<std::uint64_t>(kDynamodbSchemaVersion))}});
    put("feed", "head",
        {{"feed", dynamodb_text("a-name")},
         {"first", dynamodb_number(1)},
         {"group", dynamodb_number(0)}});
  }

  void put(const std::string& bucket, const std::string& id, json::object item) {
    for (const auto& member : dynamodb_key(bucket, id)) item[member.key()] = member.value();
    items[{bucket, id}] = std::move(item);
  }
  [[nodiscard]] std::ptrdiff_t rows() const {
    return std::ranges::count_if(
        items, [](const auto& item) { return item.second.contains("stored_sha256"); });
  }

  std::string answer_to(const std::string& operation, const json::object& request) {
    ++counts[operation];
    if (operation == "Query") return query(request);
    if (operation == "BatchGetItem") return batch(request);
    const json::object& key =
        request.contains("Item") ? request.at("Item").get_object() : request.at("Key").get_object();
    const Key at = key_of(key);
    if (fault) {
      if (std::string text = fault(operation, at.second); !text.empty()) return text;
    }
    if (operation == "PutItem") {
      const bool fresh = items.try_emplace(at, key).second;
      return fresh ? answer(200, "{}") : refusal("ConditionalCheckFailedException");
    }
    const auto found = items.find(at);
    if (operation == "UpdateItem" && found != items.end() && at.first == "feed") {
      found->second["group"] = request.at("ExpressionAttributeValues").at(":group");
    }
    if (operation != "GetItem" || found == items.end()) return answer(200, "{}");
    return answer(200, json::serialize(json::object{{"Item", found->second}}));
  }
  Answering answering() {
    return [this](const std::string& operation, const json::object& request) {
      return answer_to(operation, request);
    };
  }

 private:
  static Key key_of(const json::object& item) {
    return {text_of(item, "bucket").value(), text_of(item, "id").value()};
  }
  // :bucket, :first, :last; ascending or descending; a limit.
  std::string query(const json::object& request) {
    const json::object& values = request.at("ExpressionAttributeValues").get_object();
    const std::string bucket = text_of(values, ":bucket").value();
    const std::string first = text_of(values, ":first").value();
    const std::string last = text_of(values, ":last").value();
    json::array found;
    for (const auto& [key, item] : items) {
      if (key.first == bucket && key.second >= first && key.second <= last) found.push_back(item);
    }
    if (!request.at("ScanIndexForward").as_bool()) std::ranges::reverse(found);
    const auto limit = request.at("Limit").to_number<std::size_t>();
    if (found.size() > limit) found.resize(limit);
    return answer(200, json::serialize(json::object{{"Items", std::move(found)}}));
  }
  std::string batch(const json::object& request) {
    json::array found;
    for (const json::value& key : request.at("RequestItems").at("records").at("Keys").get_array()) {
      const auto item = items.find(key_of(key.get_object()));
      if (item != items.end()) found.push_back(item->second);
    }
    return answer(200, json::serialize(
                           json::object{{"Responses", json::object{{"records", std::move(found)}}},
                                        {"UnprocessedKeys", json::object()}}));
  }
};

}  // namespace daybook::tests
