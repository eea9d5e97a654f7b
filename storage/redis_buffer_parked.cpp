// Parked records in Redis: set aside, shown, replayed, and thrown away with an account of it.
#include <algorithm>

#include <boost/json.hpp>

#include "core/text.hpp"
#include "storage/redis_buffer.hpp"
#include "storage/redis_scripts.hpp"

namespace daybook::storage {
namespace {

namespace json = boost::json;
using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;
using core::resp::Reply;

json::object to_json(const core::ParkedRecord& record) {
  return {{"id", record.entry.id.str()},
          {"stage", record.stage},
          {"reason", record.reason},
          {"retryable", record.retryable},
          {"attempts", record.attempts},
          {"parked_at", core::format_time(record.parked_at)},
          {"stored_size", record.entry.stored_size},
          {"stored_sha256", record.entry.stored_sha256.hex()},
          {"starts", record.starts}};
}

// Members of an account that may come from an older version, or from somebody's hand.
class Account {
 public:
  static std::optional<Account> parse(std::string_view text) {
    boost::system::error_code error;
    json::value value = json::parse({text.data(), text.size()}, error);
    if (error || !value.is_object()) return std::nullopt;
    return Account(std::move(value.get_object()));
  }
  [[nodiscard]] std::string text(std::string_view name) const {
    const json::value* found = object_.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
  }
  [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t otherwise = 0) const {
    const json::value* found = object_.if_contains(name);
    boost::system::error_code error;
    const auto number = found != nullptr ? found->to_number<std::uint64_t>(error) : otherwise;
    return error ? otherwise : number;
  }
  [[nodiscard]] bool flag(std::string_view name) const {
    const json::value* found = object_.if_contains(name);
    return found != nullptr && found->is_bool() && found->get_bool();
  }
  [[nodiscard]] core::Sha256 digest(std::string_view name) const {
    return core::Sha256::from_hex(text(name)).value_or(core::Sha256{});
  }
  [[nodiscard]] core::WallTime time(std::string_view name) const {
    return core::parse_time(text(name)).value_or(core::WallTime{});
  }

 private:
  explicit Account(json::object object) : object_(std::move(object)) {}
  json::object object_;
};

std::optional<core::ParkedRecord> read_parked(const Account& account) {
  const auto id = core::RecordId::parse(account.text("id"));
  if (!id) return std::nullopt;
  core::ParkedRecord record;
  record.entry.id = *id;
  record.entry.stored_size = account.number("stored_size");
  record.entry.stored_sha256 = account.digest("stored_sha256");
  record.stage = account.text("stage");
  record.reason = account.text("reason");
  record.retryable = account.flag("retryable");
  record.attempts = static_cast<std::uint32_t>(account.number("attempts"));
  record.parked_at = account.time("parked_at");
  record.starts = static_cast<std::uint32_t>(account.number("starts", 1));
  return record;
}

std::optional<core::ParkedRecord> parked_from_json(std::string_view text) {
  const auto account = Account::parse(text);
  return account ? read_parked(*account) : std::nullopt;
}

// The parked record's members, and who threw it away: "reason" stays the one it was parked for.
std::string to_json(const core::DroppedRecord& record) {
  json::object object = to_json(record.parked);
  object["who"] = record.who;
  object["dropped_at"] = core::format_time(record.dropped_at);
  object["dropped_reason"] = record.reason;
  object["sha256"] = record.sha256 ? json::value(record.sha256->hex()) : json::value(nullptr);
  object["size"] = record.size;
  return json::serialize(object);
}

std::optional<core::DroppedRecord> dropped_from_json(std::string_view text) {
  const auto account = Account::parse(text);
  if (!account) return std::nullopt;
  auto parked = read_parked(*account);
  if (!parked) return std::nullopt;
  core::DroppedRecord record;
  record.id = parked->entry.id;
  record.who = account->text("who");
  record.reason = account->text("dropped_reason");
  record.dropped_at = account->time("dropped_at");
  record.sha256 = core::Sha256::from_hex(account->text("sha256"));
  record.size = account->number("size");
  record.parked = std::move(*parked);
  return record;
}

}  // namespace

Task<Result<void>> RedisBuffer::park(core::ParkedRecord record, Deadline deadline) {
  const std::uint32_t p = record.entry.id.partition();
  const std::string wal = key(p, "wal");
  const std::string pending = key(p, "pending");
  const std::string parked = key(p, "parked");
  const std::string id = record.entry.id.str();
  const std::string starts = key(p, "starts");
  const std::string since = key(p, "parked_since");
  const std::string text = json::serialize(to_json(record));
  const auto at =
      std::chrono::duration_cast<std::chrono::milliseconds>(record.parked_at.time_since_epoch());
  const std::string at_ms = std::to_string(at.count());
  RedisRequest request;
  request.on(wal).add({"EVAL", scripts::kPark, "5", wal, pending, parked, starts, since,
                       scripts::kGroup, id, record.entry.position, text, at_ms});
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  co_return Result<void>{};
}

Task<Result<std::vector<core::ParkedRecord>>> RedisBuffer::parked(Deadline deadline) {
  RedisRequest request;
  for (std::uint32_t p = 0; p < settings_.partitions; ++p) {
    const std::string where = key(p, "parked");
    request.on(where).add({"HVALS", where});
  }
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  std::vector<core::ParkedRecord> records;
  for (const Reply& reply : *replies) {
    for (const Reply& value : reply.elements) {
      if (auto record = parked_from_json(value.text)) records.push_back(std::move(*record));
    }
  }
  std::ranges::sort(records, {}, [](const auto& record) { return record.entry.id; });
  co_return records;
}

Task<Result<std::size_t>> RedisBuffer::unpark(std::vector<core::RecordId> ids, Deadline deadline) {
  const auto all = co_await parked(deadline);
  if (!all) co_return pass(all);
  std::ranges::sort(ids);
  RedisRequest request;
  for (const core::ParkedRecord& record : *all) {
    const core::RecordId& id = record.entry.id;
    if (!std::ranges::binary_search(ids, id)) continue;
    const std::string wal = key(id.partition(), "wal");
    request.on(wal).add(std::vector<std::string>{
        "EVAL", std::string(scripts::kUnpark), "4", wal, key(id.partition(), "pending"),
        key(id.partition(), "parked"), key(id.partition(), "parked_since"), id.str(),
        std::to_string(record.entry.stored_size), record.entry.stored_sha256.hex()});
  }
  if (request.units.empty()) co_return std::size_t{0};
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  std::size_t count = 0;
  for (const Reply& reply : *replies) count += reply.integer == 1 ? 1 : 0;
  co_return count;
}

Task<Result<std::optional<core::ParkedRecord>>> RedisBuffer::find_parked(core::RecordId id,
                                                                         Deadline deadline) {
  const std::string where = key(id.partition(), "parked");
  const std::string text = id.str();
  RedisRequest request;
  request.on(where).add({"HGET", where, text});
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  if (replies->front().is_nil()) co_return std::optional<core::ParkedRecord>{};
  co_return parked_from_json(replies->front().text);
}

Task<Result<bool>> RedisBuffer::drop(core::DroppedRecord record, Deadline deadline) {
  const std::uint32_t p = record.id.partition();
  RedisRequest request;
  const std::string bytes = record_key(record.id);
  request.on(bytes).add(std::vector<std::string>{
      "EVAL", std::string(scripts::kDrop), "5", bytes, key(p, "parked"), key(p, "parked_since"),
      key(p, "counters"), key(p, "dropped"), record.id.str(),
      std::to_string(record.parked.entry.stored_size), to_json(record)});
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  co_return replies->front().integer == 1;
}

Task<Result<std::optional<core::DroppedRecord>>> RedisBuffer::dropped(core::RecordId id,
                                                                      Deadline deadline) {
  if (id.partition() >= settings_.partitions) co_return std::optional<core::DroppedRecord>{};
  const std::string where = key(id.partition(), "dropped");
  const std::string text = id.str();
  RedisRequest request;
  request.on(where).add({"HGET", where, text});
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  if (replies->front().is_nil()) co_return std::optional<core::DroppedRecord>{};
  auto record = dropped_from_json(replies->front().text);
  if (!record) {
    co_return core::fail(Code::damaged, Origin::buffer, Retry::never,
                         "the account of dropped record " + text + " cannot be read");
  }
  co_return record;
}

}  // namespace daybook::storage
