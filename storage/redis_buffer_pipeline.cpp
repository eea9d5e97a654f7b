// The side of the buffer that the pipeline and read-back use; parked records are in
// redis_buffer_parked.cpp.
#include <algorithm>
#include <charconv>

#include "core/check.hpp"
#include "core/limits.hpp"
#include "storage/redis_buffer.hpp"
#include "storage/redis_scripts.hpp"

namespace daybook::storage {
namespace {

using core::BufferEntry;
using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;
using core::resp::Reply;

// How soon a cluster's streams are asked again for what other nodes have appended, up to 64 of
// them.
constexpr auto kReadAgain = std::chrono::milliseconds(100);

std::uint64_t to_number(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// [position, [id, …, size, …, sha256, …]] of XREADGROUP, XRANGE and XAUTOCLAIM.
std::optional<BufferEntry> parse_entry(const Reply& reply) {
  if (!reply.is_array() || reply.elements.size() != 2 || !reply.elements[1].is_array()) {
    return std::nullopt;
  }
  BufferEntry entry;
  entry.position = reply.elements[0].text;
  const auto& fields = reply.elements[1].elements;
  bool id_found = false;
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    const std::string& value = fields[i + 1].text;
    if (fields[i].text == "id") {
      const auto id = core::RecordId::parse(value);
      if (!id) return std::nullopt;
      entry.id = *id;
      id_found = true;
    } else if (fields[i].text == "size") {
      entry.stored_size = to_number(value);
    } else if (fields[i].text == "sha256") {
      entry.stored_sha256 = core::Sha256::from_hex(value).value_or(core::Sha256{});
    }
  }
  return id_found ? std::optional(entry) : std::nullopt;
}

void parse_entries(const Reply& reply, std::vector<BufferEntry>& entries) {
  for (const Reply& element : reply.elements) {
    if (auto entry = parse_entry(element)) entries.push_back(std::move(*entry));
  }
}

core::Failure gone(const core::RecordId& id) {
  return core::fail(Code::not_found, Origin::buffer, Retry::never,
                    "the bytes of record " + id.str() + " are not in Redis");
}

}  // namespace

Task<Result<void>> RedisBuffer::make_groups(Deadline deadline) {
  RedisRequest request;
  for (std::uint32_t p = 0; p < settings_.partitions; ++p) {
    const std::string wal = key(p, "wal");
    request.on(wal).add({"XGROUP", "CREATE", wal, scripts::kGroup, "0", "MKSTREAM"});
  }
  const auto replies = co_await router_.call(Lane::small, request, deadline);
  if (!replies) co_return pass(replies);
  for (const Reply& reply : *replies) {
    if (reply.is_error() && !reply.text.starts_with("BUSYGROUP")) {
      co_return core::Failure(classify(reply));
    }
  }
  co_return Result<void>{};
}

// One command waits for entries of several streams only where they are in one place. In a cluster
// each stream is in a slot of its own: they are asked again and again there, at once when this
// process has appended something.
Task<Result<std::vector<BufferEntry>>> RedisBuffer::read(std::size_t max, core::Duration wait) {
  if (router_.kind() != RedisTarget::Kind::cluster) co_return co_await read_once(max, wait);
  const Deadline deadline = runtime_.steady_now() + wait;
  const auto pause = kReadAgain * (1 + settings_.partitions / 64);
  for (;;) {
    const std::uint64_t appends = appends_;
    auto entries = co_await read_once(max, {});
    const core::SteadyTime now = runtime_.steady_now();
    if (!entries || !entries->empty() || now >= deadline || closing_) co_return entries;
    if (appends == appends_) co_await appended_->wait(std::min<Deadline>(deadline, now + pause));
  }
}

// wait zero: what is there now.
Task<Result<std::vector<BufferEntry>>> RedisBuffer::read_once(std::size_t max,
                                                              core::Duration wait) {
  const std::string each = std::to_string(std::max<std::size_t>(1, max / settings_.partitions));
  const std::vector<std::string> command = {"XREADGROUP",   "GROUP", std::string(scripts::kGroup),
                                            settings_.node, "COUNT", each};
  RedisRequest request;
  if (wait != core::Duration::zero()) {
    const auto wait_ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
    std::vector<std::string> all = command;
    for (const char* word : {"BLOCK", "", "STREAMS"}) all.emplace_back(word);
    all[command.size() + 1] = std::to_string(std::max<std::int64_t>(1, wait_ms));
    for (std::uint32_t p = 0; p < settings_.partitions; ++p) all.push_back(key(p, "wal"));
    all.insert(all.end(), settings_.partitions, ">");
    request.on(key(0, "wal")).add(all);
  } else {
    for (std::uint32_t p = 0; p < settings_.partitions; ++p) {
      std::vector<std::string> one = command;
      for (std::string word : {std::string("STREAMS"), key(p, "wal"), std::string(">")}) {
        one.push_back(std::move(word));
      }
      request.on(key(p, "wal")).add(one);
    }
  }
  const auto replies = co_await router_.call(
      Lane::read, request, runtime_.steady_now() + wait + std::chrono::seconds(5));
  if (!replies) {
    note(replies.error());
    co_return pass(replies);
  }
  std::vector<BufferEntry> entries;
  const Reply* failed = nullptr;
  for (const Reply& reply : *replies) {
    if (reply.is_error()) failed = &reply;
    for (const Reply& stream : reply.elements) {
      if (stream.elements.size() == 2) parse_entries(stream.elements[1], entries);
    }
  }
  if (failed != nullptr && failed->text.starts_with("LOST ")) note(classify(*failed));
  // What was given out is given on, whatever another partition said.
  if (failed == nullptr || !entries.empty()) co_return entries;
  if (failed->text.starts_with("NOGROUP")) {
    static_cast<void>(co_await make_groups(runtime_.steady_now() + std::chrono::seconds(5)));
  }
  co_return core::Failure(classify(*failed));
}

Task<Result<std::vector<BufferEntry>>> RedisBuffer::read_own_pending(Deadline deadline) {
  std::vector<BufferEntry> entries;
  for (std::uint32_t p = 0; p < settings_.partitions; ++p) {
    const std::string wal = key(p, "wal");
    std::string after = "0";
    for (;;) {
      RedisRequest request;
      request.on(wal).add({"XREADGROUP", "GROUP", scripts::kGroup, settings_.node, "COUNT", "1000",
                           "STREAMS", wal, after});
      const auto replies = co_await call(std::move(request), deadline);
      if (!replies) co_return pass(replies);
      const Reply& streams = replies->front();
      if (streams.elements.empty() || streams.elements[0].elements.size() != 2) break;
      const Reply& page = streams.elements[0].elements[1];
      if (page.elements.empty()) break;
      parse_entries(page, entries);
      after = page.elements.back().elements[0].text;
    }
  }
  co_return entries;
}

Task<Result<std::vector<BufferEntry>>> RedisBuffer::claim(core::Duration lease, std::size_t max,
                                                          Deadline deadline) {
  const std::string idle_ms =
      std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(lease).count());
  const std::string count = std::to_string(max);
  RedisRequest request;
  for (std::uint32_t p = 0; p < settings_.partitions; ++p) {
    const std::string wal = key(p, "wal");
    request.on(wal).add(
        {"XAUTOCLAIM", wal, scripts::kGroup, settings_.node, idle_ms, "0-0", "COUNT", count});
  }
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  std::vector<BufferEntry> entries;
  for (const Reply& reply : *replies) {
    if (reply.elements.size() >= 2) parse_entries(reply.elements[1], entries);
  }
  co_return entries;
}

Task<Result<std::vector<std::uint32_t>>> RedisBuffer::starts(std::vector<BufferEntry> entries,
                                                             Deadline deadline) {
  std::map<std::uint32_t, std::vector<std::size_t>> by_partition;  // indices into entries
  for (std::size_t i = 0; i < entries.size(); ++i) {
    by_partition[entries[i].id.partition()].push_back(i);
  }
  std::vector<std::uint32_t> counts(entries.size(), 1);
  if (by_partition.empty()) co_return counts;
  RedisRequest request;
  for (const auto& [partition, group] : by_partition) {
    std::vector<std::string> command = {"HMGET", key(partition, "starts")};
    for (std::size_t i : group) command.push_back(entries[i].id.str());
    request.on(command[1]).add(command);
  }
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  auto reply = replies->begin();
  for (const auto& [partition, group] : by_partition) {
    const auto& values = (reply++)->elements;
    for (std::size_t i = 0; i < group.size() && i < values.size(); ++i) {
      if (!values[i].is_nil()) {
        counts[group[i]] = static_cast<std::uint32_t>(to_number(values[i].text));
      }
    }
  }
  co_return counts;
}

Task<Result<void>> RedisBuffer::note_starts(std::vector<core::StartCount> counts,
                                            Deadline deadline) {
  std::map<std::uint32_t, std::vector<std::string>> commands;
  for (const core::StartCount& count : counts) {
    const std::uint32_t p = count.entry.id.partition();
    auto& command = commands[p];
    if (command.empty()) {
      command = {"EVAL", std::string(scripts::kNoteStarts), "2", key(p, "pending"),
                 key(p, "starts")};
    }
    command.push_back(count.entry.id.str());
    command.push_back(std::to_string(count.starts));
  }
  if (commands.empty()) co_return Result<void>{};
  RedisRequest request;
  for (const auto& [partition, command] : commands) {
    request.on(key(partition, "pending")).add(command);
  }
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  co_return Result<void>{};
}

Task<Result<void>> RedisBuffer::renew(std::vector<BufferEntry> entries, Deadline deadline) {
  std::map<std::uint32_t, std::vector<std::string>> commands;
  for (const BufferEntry& entry : entries) {
    auto& command = commands[entry.id.partition()];
    if (command.empty()) {
      command = {"XCLAIM", key(entry.id.partition(), "wal"), std::string(scripts::kGroup),
                 settings_.node, "0"};
    }
    command.push_back(entry.position);
  }
  if (commands.empty()) co_return Result<void>{};
  RedisRequest request;
  for (auto& [partition, command] : commands) {
    command.emplace_back("JUSTID");
    request.on(command[1]).add(command);
  }
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  co_return Result<void>{};
}

Task<Result<std::string>> RedisBuffer::load(core::RecordId id, Deadline deadline) {
  const std::string where = record_key(id);
  RedisRequest request;
  request.on(where).add({"GET", where});
  auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(std::move(replies));
  if (replies->front().is_nil()) co_return gone(id);
  co_return std::move(replies->front().text);
}

Task<Result<void>> RedisBuffer::release(std::vector<BufferEntry> entries, Deadline deadline) {
  std::map<std::uint32_t, std::vector<const BufferEntry*>> by_partition;
  for (const BufferEntry& entry : entries) by_partition[entry.id.partition()].push_back(&entry);
  RedisRequest request;
  for (const auto& [partition, group] : by_partition) {
    std::vector<std::string> command = {"EVAL",
                                        std::string(scripts::kRelease),
                                        std::to_string(4 + group.size()),
                                        key(partition, "wal"),
                                        key(partition, "pending"),
                                        key(partition, "counters"),
                                        key(partition, "starts")};
    for (const BufferEntry* entry : group) command.push_back(record_key(entry->id));
    command.emplace_back(scripts::kGroup);
    for (const BufferEntry* entry : group) {
      command.push_back(entry->id.str());
      command.push_back(entry->position);
      command.push_back(std::to_string(entry->stored_size));
    }
    request.on(key(partition, "wal")).add(command);
  }
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  std::uint64_t bytes = 0;
  for (const BufferEntry& entry : entries) bytes += entry.stored_size;
  released_since_check_ += bytes;
  drained_.add(bytes, runtime_.steady_now());
  co_return Result<void>{};
}

Task<Result<std::optional<core::BufferedHead>>> RedisBuffer::find(core::RecordId id,
                                                                  Deadline deadline) {
  if (id.partition() >= settings_.partitions) co_return std::optional<core::BufferedHead>{};
  const std::string pending = key(id.partition(), "pending");
  const std::string parked = key(id.partition(), "parked");
  const std::string record = record_key(id);
  const std::string text = id.str();
  const std::string last = std::to_string(core::limits::kEnvelopeBytesMax + 7);
  RedisRequest request;
  request.on(pending).add({"HGET", pending, text});
  request.on(parked).add({"HEXISTS", parked, text});
  request.on(record).add({"STRLEN", record});
  request.on(record).add({"GETRANGE", record, "0", last});
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  const bool is_parked = (*replies)[1].integer == 1;
  if ((*replies)[0].is_nil() && !is_parked) co_return std::optional<core::BufferedHead>{};
  core::BufferedHead head;
  head.state = is_parked ? core::BufferState::parked : core::BufferState::pending;
  head.entry = {id, (*replies)[0].text, static_cast<std::uint64_t>((*replies)[2].integer), {}};
  if (head.entry.stored_size == 0) co_return gone(id);
  auto opened = core::open_head(core::as_bytes((*replies)[3].text));
  if (!opened) co_return pass(std::move(opened));
  head.head = std::move(*opened);
  co_return std::optional(std::move(head));
}

Task<Result<core::ByteVector>> RedisBuffer::read_range(core::RecordId id, std::uint64_t offset,
                                                       std::uint64_t length, Deadline deadline) {
  const std::string record = record_key(id);
  const std::string first = std::to_string(offset);
  const std::string last = std::to_string(offset + length - 1);
  RedisRequest request;
  request.on(record).add({"GETRANGE", record, first, last});
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  const core::Bytes bytes = core::as_bytes(replies->front().text);
  if (bytes.size() != length) co_return gone(id);
  co_return core::ByteVector(bytes.begin(), bytes.end());
}

Task<Result<core::BufferStats>> RedisBuffer::stats(Deadline deadline) {
  RedisRequest request;
  for (std::uint32_t p = 0; p < settings_.partitions; ++p) {
    const std::string wal = key(p, "wal");
    const std::string parked = key(p, "parked");
    const std::string counters = key(p, "counters");
    const std::string since = key(p, "parked_since");
    request.on(wal).add({"EVAL", scripts::kStats, "4", wal, parked, counters, since});
  }
  const auto replies = co_await call(std::move(request), deadline);
  if (!replies) co_return pass(replies);
  core::BufferStats total;
  for (const Reply& reply : *replies) {
    if (reply.elements.size() != 8) co_return core::Failure(classify(reply));
    const auto figure = [&reply](std::size_t i) { return to_number(reply.elements[i].text); };
    total.accepted += figure(0);
    total.released += figure(1);
    total.pending += figure(2);
    total.parked += figure(3);
    total.bytes += figure(4);
    if (const std::uint64_t oldest_ms = figure(5); oldest_ms != 0) {
      const core::WallTime oldest{std::chrono::milliseconds(oldest_ms)};
      if (!total.oldest_pending || oldest < *total.oldest_pending) total.oldest_pending = oldest;
    }
    total.dropped += figure(6);
    if (const std::uint64_t parked_ms = figure(7); parked_ms != 0) {
      const core::WallTime parked{std::chrono::milliseconds(parked_ms)};
      if (!total.oldest_parked || parked < *total.oldest_parked) total.oldest_parked = parked;
    }
  }
  total.memory_used = stats_.memory_used;
  total.memory_max = stats_.memory_max;
  if (total.accepted < stats_.accepted) ++times_replaced_;
  stats_ = total;
  co_return total;
}

}  // namespace daybook::storage
