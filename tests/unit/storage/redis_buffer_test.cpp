// The buffer against a real Redis, with redis-cli as the stranger who looks at what is there.
#include <set>
#include <thread>

#include "core/limits.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/unit/storage/redis_buffer_bench.hpp"

namespace daybook::tests {
namespace {

class RedisBuffer : public RedisBufferBench {};

// --- the pipeline's side ---

TEST_F(RedisBuffer, every_entry_is_given_to_one_reader) {
  const auto a = append_one(0);
  const auto b = append_one(1);
  const auto entries = read();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ((std::set{entries[0].id, entries[1].id}), (std::set{a, b}));
  EXPECT_TRUE(read().empty());
  const auto own = run_on_io(runtime_, buffer_->read_own_pending(soon()));
  ASSERT_TRUE(own);
  EXPECT_EQ(own->size(), 2u);
}

TEST_F(RedisBuffer, a_reader_waits_for_the_first_entry_and_not_longer) {
  const auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(read(10, 200ms).empty());
  EXPECT_GE(std::chrono::steady_clock::now() - before, 190ms);
  const auto object = make_object(new_id(), core::as_bytes("late"));
  bool given = false;
  runtime_.spawn([](storage::RedisBuffer& buffer, bool& got) -> core::Task<> {
    const auto entries = co_await buffer.read(10, 5s);
    got = entries && entries->size() == 1;
  }(*buffer_, given));
  run_on_io(runtime_, runtime_.sleep(50ms));
  EXPECT_FALSE(given);
  ASSERT_TRUE(append(*object));
  wait_until([&] { return given; });
}

TEST_F(RedisBuffer, released_entries_leave_nothing_behind) {
  for (int i = 0; i < 5; ++i) append_one(static_cast<std::uint32_t>(i) % 2);
  release(read());
  expect_stats(5, 5, 0, 0);
  EXPECT_EQ(stats().bytes, 0u);
  EXPECT_EQ(keys().find("record:"), std::string::npos);
  EXPECT_EQ(redis_->cli("XLEN '{daybook:0}:wal'"), "0");
  EXPECT_EQ(redis_->cli("HLEN '{daybook:0}:pending'"), "0");
  EXPECT_EQ(redis_->cli("--raw XPENDING '{daybook:0}:wal' pipeline").substr(0, 1), "0");
}

TEST_F(RedisBuffer, a_release_repeated_counts_once) {
  append_one();
  const auto entries = read();
  release(entries);
  release(entries);
  expect_stats(1, 1, 0, 0);
}

TEST_F(RedisBuffer, a_parked_record_keeps_its_bytes_and_comes_back_when_asked) {
  const auto id = append_one();
  const auto entries = read();
  ASSERT_EQ(entries.size(), 1u);
  park(entries[0], false);
  expect_stats(1, 0, 0, 1);
  const auto parked = run_on_io(runtime_, buffer_->parked(soon()));
  ASSERT_TRUE(parked);
  ASSERT_EQ(parked->size(), 1u);
  EXPECT_EQ(parked->front().entry.id, id);
  EXPECT_EQ(parked->front().entry.stored_size, entries[0].stored_size);
  EXPECT_EQ(parked->front().entry.stored_sha256, entries[0].stored_sha256);
  EXPECT_EQ(parked->front().stage, "archive");
  EXPECT_EQ(parked->front().reason, "a \"reason\"");
  EXPECT_FALSE(parked->front().retryable);
  EXPECT_EQ(parked->front().attempts, 6u);
  EXPECT_TRUE(run_on_io(runtime_, buffer_->load(id, soon())));

  const auto count = run_on_io(runtime_, buffer_->unpark({id, new_id()}, soon()));
  ASSERT_TRUE(count);
  EXPECT_EQ(*count, 1u);
  expect_stats(1, 0, 1, 0);
  const auto again = read();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].id, id);
  EXPECT_EQ(again[0].stored_sha256, entries[0].stored_sha256);
  release(again);
  expect_stats(1, 1, 0, 0);
}

TEST_F(RedisBuffer, parking_what_was_released_parks_nothing) {
  append_one();
  const auto entries = read();
  release(entries);
  park(entries[0]);
  expect_stats(1, 1, 0, 0);
}

TEST_F(RedisBuffer, an_append_repeated_while_the_record_is_parked_is_no_second_entry) {
  const auto object = make_object(new_id(), core::as_bytes("parked early"));
  ASSERT_TRUE(append(*object));
  park(read().at(0));
  static_cast<void>(append(*object));  // the answer of the first was lost
  expect_stats(1, 0, 0, 1);
}

TEST_F(RedisBuffer, a_keyed_append_repeated_while_the_record_is_parked_keeps_its_bytes) {
  const auto object = make_object(new_id(), core::as_bytes("parked early"));
  const core::IdempotencyKey key{"default", "k"};
  const auto first = append(*object, key);
  park(read().at(0));
  const auto second = append(*object, key);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->receipt, second->receipt);
  expect_stats(1, 0, 0, 1);
  EXPECT_TRUE(run_on_io(runtime_, buffer_->load(object->envelope().id, soon())))
      << "an acknowledged record has lost its bytes";
}

TEST_F(RedisBuffer, entries_of_a_dead_node_are_claimed_after_the_lease_only) {
  append_one(0);
  append_one(1);
  ASSERT_EQ(read().size(), 2u);
  stop_buffer();
  settings_.node = "node-2";
  start_buffer();
  const auto early = run_on_io(runtime_, buffer_->claim(10s, 100, soon()));
  ASSERT_TRUE(early);
  EXPECT_TRUE(early->empty());
  run_on_io(runtime_, runtime_.sleep(300ms));
  const auto late = run_on_io(runtime_, buffer_->claim(200ms, 100, soon()));
  ASSERT_TRUE(late);
  EXPECT_EQ(late->size(), 2u);
  release(*late);
  expect_stats(2, 2, 0, 0);
}

TEST_F(RedisBuffer, a_renewed_entry_cannot_be_claimed) {
  append_one();
  const auto entries = read();
  run_on_io(runtime_, runtime_.sleep(300ms));
  EXPECT_TRUE(run_on_io(runtime_, buffer_->renew(entries, soon())));
  const auto claimed = run_on_io(runtime_, buffer_->claim(200ms, 100, soon()));
  ASSERT_TRUE(claimed);
  EXPECT_TRUE(claimed->empty());
}

TEST_F(RedisBuffer, a_renewal_of_a_released_entry_does_not_bring_it_back) {
  append_one();
  const auto entries = read();
  release(entries);
  EXPECT_TRUE(run_on_io(runtime_, buffer_->renew(entries, soon())));
  const auto own = run_on_io(runtime_, buffer_->read_own_pending(soon()));
  ASSERT_TRUE(own);
  EXPECT_TRUE(own->empty());
}

TEST_F(RedisBuffer, more_than_a_page_of_own_entries_is_found) {
  std::vector<std::unique_ptr<core::SealedObject>> objects;
  std::vector<core::Task<core::Result<core::Appended>>> tasks;
  for (std::uint32_t i = 0; i < 1100; ++i) {
    objects.push_back(make_object(new_id(0), core::as_bytes("small")));
    tasks.push_back(buffer_->append(*objects.back(), kHead, std::nullopt, soon()));
  }
  for (const auto& done : run_on_io(runtime_, gather(std::move(tasks)))) ASSERT_TRUE(done);
  std::size_t given = 0;
  while (given < 1100) given += read(2000).size();
  const auto own = run_on_io(runtime_, buffer_->read_own_pending(soon()));
  ASSERT_TRUE(own);
  EXPECT_EQ(own->size(), 1100u);
}

// --- read back ---

TEST_F(RedisBuffer, finds_pending_and_parked_records_and_no_others) {
  const auto object = make_object(new_id(1), random_bytes(5000, 1));
  const auto id = object->envelope().id;
  ASSERT_TRUE(append(*object));
  auto found = run_on_io(runtime_, buffer_->find(id, soon()));
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->state, core::BufferState::pending);
  EXPECT_EQ((*found)->head.envelope, object->envelope());
  EXPECT_EQ((*found)->entry.stored_size, object->stored_size());
  const auto part =
      run_on_io(runtime_, buffer_->read_range(id, (*found)->head.data_offset, 100, soon()));
  ASSERT_TRUE(part);
  EXPECT_EQ(core::as_text(*part), bytes_of(*object).substr((*found)->head.data_offset, 100));
  park(read().at(0));
  found = run_on_io(runtime_, buffer_->find(id, soon()));
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->state, core::BufferState::parked);
  found = run_on_io(runtime_, buffer_->find(new_id(1), soon()));
  ASSERT_TRUE(found);
  EXPECT_FALSE(*found);
  // A foreign id may name a partition that does not exist.
  found = run_on_io(runtime_, buffer_->find(new_id(900), soon()));
  ASSERT_TRUE(found);
  EXPECT_FALSE(*found);
}

TEST_F(RedisBuffer, missing_bytes_are_not_found) {
  const auto id = append_one();
  static_cast<void>(redis_->cli("DEL '{daybook:0}:record:" + id.str() + "'"));
  const auto loaded = run_on_io(runtime_, buffer_->load(id, soon()));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Code::not_found);
  EXPECT_FALSE(run_on_io(runtime_, buffer_->find(id, soon())));
  EXPECT_FALSE(run_on_io(runtime_, buffer_->read_range(id, 0, 10, soon())));
}

TEST_F(RedisBuffer, tells_how_much_there_is_and_since_when) {
  const auto began = std::chrono::system_clock::now();
  const auto object = make_object(new_id(), random_bytes(5000, 1));
  ASSERT_TRUE(append(*object));
  append_one(1);
  const auto figures = stats();
  EXPECT_GT(figures.bytes, object->stored_size());
  ASSERT_TRUE(figures.oldest_pending);
  EXPECT_LT(std::chrono::abs(*figures.oldest_pending - began), 5s);
  wait_until([&] { return buffer_->last_stats().memory_used > 0; });
}

// --- failures ---

TEST_F(RedisBuffer, an_append_outlives_a_killed_server_and_exists_once) {
  append_one();
  redis_->stop(SIGKILL);
  const auto object = make_object(new_id(), core::as_bytes("while it was away"));
  std::thread restart([this] {
    std::this_thread::sleep_for(700ms);
    redis_->start();
  });
  const auto done = append(*object, core::IdempotencyKey{"default", "k"}, 20s);
  restart.join();
  ASSERT_TRUE(done) << done.error().detail;
  expect_stats(2, 0, 2, 0);
}

TEST_F(RedisBuffer, kills_between_many_appends_lose_nothing_and_double_nothing) {
  std::vector<std::unique_ptr<core::SealedObject>> objects;
  std::vector<core::Task<core::Result<core::Appended>>> tasks;
  for (std::uint32_t i = 0; i < 64; ++i) {
    objects.push_back(make_object(new_id(i % 2), random_bytes(400'000, i)));
    tasks.push_back(buffer_->append(*objects.back(), kHead,
                                    core::IdempotencyKey{"default", std::to_string(i)}, soon()));
  }
  std::thread killer([this] {
    for (int i = 0; i < 3; ++i) {
      std::this_thread::sleep_for(60ms);
      redis_->stop(SIGKILL);
      redis_->start();
    }
  });
  const auto outcomes = run_on_io(runtime_, gather(std::move(tasks)));
  killer.join();
  for (const auto& done : outcomes) EXPECT_TRUE(done) << (done ? "" : done.error().detail);
  // The last kill may have gone unnoticed until now.
  wait_until([this] { return run_on_io(runtime_, buffer_->stats(soon())).has_value(); });
  expect_stats(64, 0, 64, 0);
  for (const auto& object : objects) {
    const auto loaded = run_on_io(runtime_, buffer_->load(object->envelope().id, soon()));
    ASSERT_TRUE(loaded);
    EXPECT_EQ(core::sha256(core::as_bytes(*loaded)), object->stored_sha256());
  }
}

TEST_F(RedisBuffer, an_answer_that_never_came_is_an_unknown_outcome) {
  ::kill(redis_->pid(), SIGSTOP);
  const auto object = make_object(new_id(), core::as_bytes("asked and not answered"));
  const auto done = append(*object, std::nullopt, 500ms);
  ::kill(redis_->pid(), SIGCONT);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().retry, Retry::unknown_outcome);
  // Redis did it after all; the repetition finds it.
  wait_until([this] { return buffer_->health().has_value(); });
  ASSERT_TRUE(append(*object));
  expect_stats(1, 0, 1, 0);
}

TEST_F(RedisBuffer, without_a_server_an_append_ends_at_its_deadline) {
  redis_->stop(SIGKILL);
  const auto object = make_object(new_id(), core::as_bytes("nobody there"));
  const auto before = std::chrono::steady_clock::now();
  const auto done = append(*object, std::nullopt, 1s);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().origin, core::Origin::buffer);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 3s);
  EXPECT_EQ(buffer_->health().error().code, Code::unavailable);
}

TEST_F(RedisBuffer, a_full_memory_refuses_the_record_and_stores_nothing) {
  const core::RecordId id = new_id();
  const core::IdempotencyKey key{"default", "k"};
  static_cast<void>(reserve("k", id));
  static_cast<void>(redis_->cli("CONFIG SET maxmemory 1mb"));
  const auto object = make_object(id, random_bytes(500'000, 3));
  const auto done = append(*object, key, 2s);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::out_of_space) << done.error().detail;
  EXPECT_EQ(redis_->cli("EXISTS '{daybook:0}:record:" + id.str() + "'"), "0");
  EXPECT_EQ(redis_->cli("XLEN '{daybook:0}:wal'"), "0");
  wait_for_health(Code::out_of_space, "maxmemory");
  static_cast<void>(redis_->cli("CONFIG SET maxmemory 0"));
  wait_until([this] { return buffer_->health().has_value(); });
  run_on_io(runtime_, buffer_->abandon(key, id));
  EXPECT_TRUE(std::holds_alternative<core::RequestReserved>(reserve("k", new_id())));
  ASSERT_TRUE(append(*object));
  expect_stats(1, 0, 1, 0);
}

TEST_F(RedisBuffer, out_of_memory_between_the_commands_of_an_append_stores_nothing) {
  // Room for the queued SET when MULTI looks, none when it comes to the script.
  const std::string used = redis_->cli("INFO memory | grep -o 'used_memory:[0-9]*' | cut -d: -f2");
  static_cast<void>(
      redis_->cli("CONFIG SET maxmemory " + std::to_string(std::stoull(used) + 3'000'000)));
  const core::IdempotencyKey key{"default", "k"};
  const auto object = make_object(new_id(), random_bytes(4'000'000, 3));
  const auto done = append(*object, key, 2s);
  static_cast<void>(redis_->cli("CONFIG SET maxmemory 0"));
  wait_until([this] { return buffer_->health().has_value(); });
  const core::BufferStats figures = stats();
  EXPECT_EQ(figures.unaccounted(), 0);
  const std::string name = "'{daybook:0}:record:" + object->envelope().id.str() + "'";
  if (done) {
    EXPECT_EQ(figures.pending, 1u);
  } else {
    EXPECT_EQ(figures.pending, 0u);
    EXPECT_EQ(redis_->cli("EXISTS " + name), "0") << "bytes that nobody will ever release";
    EXPECT_FALSE(std::holds_alternative<core::SettledRequest>(reserve("k", new_id())));
  }
}

TEST_F(RedisBuffer, refuses_when_redis_would_not_sync_each_write) {
  static_cast<void>(redis_->cli("CONFIG SET appendfsync everysec"));
  wait_for_health(Code::misconfigured, "appendfsync");
  EXPECT_NE(buffer_->health().error().detail.find("redis-cli CONFIG SET appendfsync always"),
            std::string::npos);
  const auto object = make_object(new_id(), core::as_bytes("not durable"));
  const auto before = std::chrono::steady_clock::now();
  const auto done = append(*object);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::misconfigured);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 2s) << "waiting does not mend a setting";
  EXPECT_EQ(redis_->cli("XLEN '{daybook:0}:wal'"), "0");
  static_cast<void>(redis_->cli("CONFIG SET appendfsync always"));
  wait_until([this] { return buffer_->health().has_value(); });
  EXPECT_TRUE(append(*object));
}

TEST_F(RedisBuffer, goes_on_with_new_groups_after_the_data_were_flushed) {
  append_one();
  static_cast<void>(redis_->cli("FLUSHALL"));
  static_cast<void>(run_on_io(runtime_, buffer_->read(10, 50ms)));  // finds no group, makes it
  const auto id = append_one(1);
  std::vector<BufferEntry> entries = read();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].id, id);
  expect_stats(1, 0, 1, 0);
}

TEST_F(RedisBuffer, refuses_a_buffer_that_was_made_with_other_partitions) {
  stop_buffer();
  settings_.partitions = 3;
  buffer_ = std::make_unique<storage::RedisBuffer>(runtime_, settings_);
  running_ = true;
  runtime_.spawn(run_buffer(*buffer_, running_));
  wait_for_health(Code::misconfigured, "buffer.partitions is 3 but this buffer was made with 2");
  EXPECT_EQ(redis_->cli("GET daybook:partitions"), "2");
}

TEST_F(RedisBuffer, keeps_what_it_has_over_a_restart_of_both) {
  std::set<core::RecordId> ids;
  for (std::uint32_t i = 0; i < 10; ++i) ids.insert(append_one(i % 2));
  const auto some = read(2);
  stop_buffer();
  redis_->stop(SIGKILL);
  redis_->start();
  start_buffer();
  expect_stats(10, 0, 10, 0);
  std::set<core::RecordId> seen;
  for (const auto& entry : run_on_io(runtime_, buffer_->read_own_pending(soon())).value()) {
    seen.insert(entry.id);
  }
  EXPECT_EQ(seen.size(), some.size());
  for (int i = 0; i < 5; ++i) {
    for (const auto& entry : read()) seen.insert(entry.id);
  }
  EXPECT_EQ(seen, ids);
}

// --- starts ---

TEST_F(RedisBuffer, starts_are_counted_and_forgotten_with_the_entry) {
  for (std::uint32_t p : {0u, 1u, 0u, 1u}) append_one(p);
  const auto entries = read();
  ASSERT_EQ(entries.size(), 4u);
  using Counts = std::vector<std::uint32_t>;
  const auto starts = [this](const std::vector<BufferEntry>& of) {
    return run_on_io(runtime_, buffer_->starts(of, soon())).value_or(Counts{});
  };
  EXPECT_EQ(starts(entries), (Counts{1, 1, 1, 1}));
  const std::vector<core::StartCount> counts = {
      {entries[0], 3}, {entries[1], 0}, {entries[2], 1}, {entries[3], 7}};
  for (int twice = 0; twice < 2; ++twice) {
    ASSERT_TRUE(run_on_io(runtime_, buffer_->note_starts(counts, soon())));
    EXPECT_EQ(starts(entries), (Counts{3, 0, 1, 7}));
  }
  stop_buffer();
  redis_->stop(SIGKILL);
  redis_->start();
  start_buffer();
  EXPECT_EQ(starts(entries), (Counts{3, 0, 1, 7})) << "durable";
  release({entries[0], entries[1]});
  park(entries[3]);
  EXPECT_EQ(starts(entries), (Counts{1, 1, 1, 1}));
  // Nothing is noted of entries that are gone.
  ASSERT_TRUE(run_on_io(runtime_, buffer_->note_starts(counts, soon())));
  release({entries[2]});
  EXPECT_EQ(redis_->cli("--raw KEYS '*:starts'"), "");
}

// --- drop ---

core::DroppedRecord account_of(const core::ParkedRecord& parked, core::WallTime now) {
  return {.id = parked.entry.id,
          .who = "127.0.0.1:4000",
          .reason = "a \"test\"",
          .dropped_at = now,
          .sha256 = core::sha256(core::as_bytes("payload")),
          .size = 7,
          .parked = parked};
}

TEST_F(RedisBuffer, a_dropped_record_leaves_its_account_and_nothing_else) {
  const auto id = append_one();
  const auto entries = read();
  park(entries.at(0), false);
  EXPECT_TRUE(stats().oldest_parked.has_value());
  const auto parked = run_on_io(runtime_, buffer_->find_parked(id, soon()));
  ASSERT_TRUE(parked && *parked);
  EXPECT_EQ((*parked)->stage, "archive");
  const core::DroppedRecord account = account_of(**parked, runtime_.now());
  const auto done = run_on_io(runtime_, buffer_->drop(account, soon()));
  ASSERT_TRUE(done);
  EXPECT_TRUE(*done);
  const core::BufferStats figures = stats();
  EXPECT_EQ(figures.dropped, 1u);
  EXPECT_EQ(figures.parked, 0u);
  EXPECT_EQ(figures.bytes, 0u);
  EXPECT_EQ(figures.unaccounted(), 0);
  EXPECT_FALSE(figures.oldest_parked.has_value());
  EXPECT_EQ(redis_->cli("--raw KEYS '*:record:*'"), "");
  const auto kept = run_on_io(runtime_, buffer_->dropped(id, soon()));
  ASSERT_TRUE(kept && *kept);
  EXPECT_EQ((*kept)->who, account.who);
  EXPECT_EQ((*kept)->reason, account.reason);
  EXPECT_EQ((*kept)->dropped_at, account.dropped_at);
  EXPECT_EQ((*kept)->sha256, account.sha256);
  EXPECT_EQ((*kept)->size, 7u);
  EXPECT_EQ((*kept)->parked.reason, "a \"reason\"");
  EXPECT_EQ((*kept)->parked.entry.stored_sha256, entries[0].stored_sha256);
  // A repetition whose first answer was lost is the same drop; somebody else's is none.
  EXPECT_TRUE(run_on_io(runtime_, buffer_->drop(account, soon())).value_or(false));
  core::DroppedRecord other = account;
  other.who = "another";
  EXPECT_FALSE(run_on_io(runtime_, buffer_->drop(other, soon())).value_or(true));
  EXPECT_EQ(stats().dropped, 1u);
  EXPECT_EQ(run_on_io(runtime_, buffer_->unpark({id}, soon())).value_or(9), 0u);
}

TEST_F(RedisBuffer, what_is_not_parked_cannot_be_dropped) {
  const auto id = append_one();
  const auto entries = read();
  core::ParkedRecord never;
  never.entry = entries.at(0);
  EXPECT_FALSE(
      run_on_io(runtime_, buffer_->drop(account_of(never, runtime_.now()), soon())).value_or(true));
  EXPECT_TRUE(run_on_io(runtime_, buffer_->load(id, soon())));
  const auto dropped = run_on_io(runtime_, buffer_->dropped(id, soon()));
  EXPECT_TRUE(dropped && !*dropped);
  expect_stats(1, 0, 1, 0);
}

TEST_F(RedisBuffer, closes_while_a_reader_waits) {
  bool ended = false;
  runtime_.spawn([](storage::RedisBuffer& buffer, bool& flag) -> core::Task<> {
    static_cast<void>(co_await buffer.read(1, 500ms));
    flag = true;
  }(*buffer_, ended));
  run_on_io(runtime_, runtime_.sleep(20ms));
  buffer_->close();
  wait_until([&] { return ended; });
}

}  // namespace
}  // namespace daybook::tests
