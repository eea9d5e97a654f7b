#include "core/pipeline/segment_writer.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "core/faults.hpp"
#include "core/text.hpp"

namespace daybook::core::pipeline {
namespace {

// Index footer, seek table footer and their headers.
constexpr std::uint64_t kTailBytes = 128;

constexpr Duration kRoomLook = std::chrono::seconds(1);

PutObject segment_request(const std::vector<SegmentPart>& parts, const Segment& segment,
                          const std::string& prefix) {
  const Envelope& first = parts.front().head.envelope;
  PutObject put;
  put.key = segment_key(first, parts.back().head.envelope.id, segment.sha256, prefix);
  put.sha256 = segment.sha256;
  put.content_type = first.content_type;
  put.tenant = first.tenant;
  WallTime newest = first.received_at;
  for (const SegmentPart& part : parts) newest = std::max(newest, part.head.envelope.received_at);
  put.received_at = newest;  // nobody's retention ends early
  put.metadata = {{"daybook-segment-records", std::to_string(parts.size())},
                  {"daybook-tenant", percent_encode(first.tenant)},
                  {"daybook-received-at", format_time(newest)}};
  return put;
}

}  // namespace

SegmentWriter::SegmentWriter(Runtime& runtime, Workers& workers, ObjectStore& store,
                             std::string prefix, std::size_t puts_max, Duration timeout,
                             SegmentSettings settings)
    : runtime_(runtime),
      workers_(workers),
      store_(store),
      prefix_(std::move(prefix)),
      timeout_(timeout),
      settings_(std::move(settings)),
      memory_(runtime, settings_.memory_max),
      puts_(runtime, puts_max),
      builds_(runtime, 1),
      stopped_(runtime.make_signal()) {
  CHECK(settings_.memory_max >= settings_.bytes_max);
}

Task<std::optional<Budget::Share>> SegmentWriter::room(std::uint64_t stored_size) {
  const Deadline deadline = runtime_.steady_now() + timeout_;
  for (;;) {
    if (memory_.used() + stored_size > memory_.total()) cut_largest();
    const SteadyTime now = runtime_.steady_now();
    auto share = co_await memory_.acquire(stored_size, std::min(deadline, now + kRoomLook));
    if (share || stopping_ || runtime_.steady_now() >= deadline) co_return share;
  }
}

Task<Result<void>> SegmentWriter::add(Passage& passage, StoredRecord record, bool line_open,
                                      Budget::Share memory) {
  const Envelope& envelope = passage.head.envelope;
  const std::uint64_t bytes = segment_bytes_of(passage.stored_size, envelope.frames.size());
  const GroupPtr group = open_group(segment_group(envelope), bytes);
  group->bytes += bytes;
  group->members.push_back(
      {std::move(record), passage.stored_sha256, line_open, std::move(memory)});
  passage.in_common = group;
  if (group->members.size() >= settings_.records_max) cut(*group, "records");
  if (stopping_) cut(*group, "stop");
  co_return co_await outcome_of(group, passage, 0);
}

Task<Result<void>> SegmentWriter::again(Passage& passage) {
  const auto group = std::static_pointer_cast<Group>(passage.in_common);
  const std::uint32_t seen = group->attempts;
  if (group->outcome || group->dissolved) co_return co_await outcome_of(group, passage, 0);
  if (!std::exchange(group->running, true)) runtime_.spawn(attempt(group));
  co_return co_await outcome_of(group, passage, seen);
}

void SegmentWriter::stop() {
  stopping_ = true;
  while (!open_.empty()) cut(*open_.begin()->second, "stop");
  stopped_->notify_all();
}

SegmentWriter::GroupPtr SegmentWriter::open_group(const std::string& name, std::uint64_t bytes) {
  if (const auto found = open_.find(name); found != open_.end()) {
    const GroupPtr group = found->second;
    if (kTailBytes + group->bytes + bytes <= settings_.bytes_max) return group;
    cut(*group, "size");
  }
  auto group = std::make_shared<Group>();
  group->name = name;
  group->changed = runtime_.make_signal();
  group->outcome = fail(Code::in_flight, Origin::object_store, Retry::safe, "not tried yet");
  group->running = true;
  open_[name] = group;
  runtime_.spawn(mind(group));
  return group;
}

void SegmentWriter::cut(Group& group, std::string_view reason) {
  if (!group.reason.empty()) return;
  group.reason = reason;
  group.changed->notify_all();
  open_.erase(group.name);
}

void SegmentWriter::cut_largest() {
  const auto largest =
      std::ranges::max_element(open_, {}, [](const auto& each) { return each.second->bytes; });
  if (largest != open_.end()) cut(*largest->second, "memory");
}

Task<> SegmentWriter::mind(GroupPtr group) {
  const Deadline old = runtime_.steady_now() + settings_.age;
  while (group->reason.empty() && runtime_.steady_now() < old) co_await group->changed->wait(old);
  cut(*group, "age");
  co_await build(group);
  co_await attempt(group);
}

Task<> SegmentWriter::build(GroupPtr group) {
  const auto turn = co_await builds_.acquire(1, SteadyTime::max());
  std::vector<Member> members = std::exchange(group->members, {});
  std::ranges::sort(members, {},
                    [](const Member& member) { return member.record.head.envelope.id; });
  std::vector<SegmentPart> parts;
  parts.reserve(members.size());
  for (Member& member : members) {
    parts.push_back(
        {member.record.head, member.record.slices(), member.stored_sha256, member.line_open});
    group->memory.push_back(std::move(member.memory));
  }
  co_await workers_.run([&] {
    std::erase_if(
        parts, [](const SegmentPart& part) { return sha256(part.stored) != part.stored_sha256; });
    if (!parts.empty()) group->segment = make_segment(parts);
  });
  if (!parts.empty()) group->request = segment_request(parts, group->segment, prefix_);
}

Task<> SegmentWriter::attempt(GroupPtr group) {
  while (!stopping_ && runtime_.steady_now() < group->not_before) {
    co_await stopped_->wait(group->not_before);
  }
  if (group->segment.entries.empty()) {
    group->outcome = ObjectVersion{};  // nobody is in it
  } else {
    const auto slot = co_await puts_.acquire(1, SteadyTime::max());
    PutObject put = group->request;
    put.body = {group->segment.bytes};
    CRASH_POINT("before_put");
    group->outcome = co_await store_.put(std::move(put), runtime_.steady_now() + timeout_);
    CRASH_POINT("after_put");
  }
  ++group->attempts;
  group->running = false;
  if (group->outcome) {
    group->archived_at = runtime_.now();
    if (settings_.on_put && !group->segment.entries.empty()) {
      settings_.on_put(group->reason, group->segment.entries.size(), group->segment.bytes.size());
    }
  } else {
    group->not_before =
        runtime_.steady_now() + settings_.retry.wait_after(group->attempts, 1.0) / 2;
    const Error& error = group->outcome.error();
    group->dissolved = error.retry == Retry::never && !TargetGate::is_refusal(error) &&
                       group->segment.entries.size() > 1;
  }
  if (group->outcome || group->dissolved) {
    group->segment.bytes = {};
    group->memory.clear();
  }
  group->changed->notify_all();
}

// What the put after the first `seen` ones came to.
Task<Result<void>> SegmentWriter::outcome_of(GroupPtr group, Passage& passage, std::uint32_t seen) {
  while (group->attempts == seen) co_await group->changed->wait(SteadyTime::max());
  if (!group->outcome) {
    Error error = group->outcome.error();
    if (group->dissolved) {
      passage.in_common.reset();
      passage.alone = true;
      error.retry = Retry::safe;
    }
    co_return Failure(std::move(error));
  }
  passage.in_common.reset();
  const auto& entries = group->segment.entries;
  const auto own = std::ranges::lower_bound(entries, passage.entry.id, {}, &SegmentEntry::id);
  if (own == entries.end() || own->id != passage.entry.id) {
    passage.alone = true;
    co_return fail(Code::damaged, Origin::self, Retry::safe,
                   "the bytes of record " + passage.entry.id.str() +
                       " changed in memory before they were archived; they are read again");
  }
  passage.object_key = group->request.key;
  passage.slice_offset = own->offset;
  passage.object = *group->outcome;
  passage.archived_at = group->archived_at;
  co_return Result<void>{};
}

}  // namespace daybook::core::pipeline
