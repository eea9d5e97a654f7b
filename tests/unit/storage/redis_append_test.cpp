// Appends to a real Redis: alone, under a key, several as one, and what is left of one that fails.
#include <set>

#include "tests/contract/payloads.hpp"
#include "tests/unit/storage/redis_buffer_bench.hpp"

namespace daybook::tests {
namespace {

class RedisAppend : public RedisBufferBench {
 protected:
  using Objects = std::vector<std::unique_ptr<core::SealedObject>>;
  Objects make_objects(std::size_t count, std::uint32_t partition = 0) {
    Objects objects;
    for (std::size_t i = 0; i < count; ++i) {
      objects.push_back(make_object(new_id(partition), random_bytes(5000, i)));
    }
    return objects;
  }
  auto append_all(const Objects& objects, std::optional<core::IdempotencyKey> key = std::nullopt) {
    std::vector<core::AppendItem> items;
    for (const auto& object : objects) items.push_back({object.get(), kHead});
    return run_on_io(runtime_, buffer_->append_all(items, std::move(key), digest_, soon()));
  }
  const core::Sha256 digest_ = core::sha256(core::as_bytes("the request"));
};

// --- append ---

TEST_F(RedisAppend, an_appended_record_is_there_for_a_stranger) {
  const auto object = make_object(new_id(1), random_bytes(300'000, 7));
  const std::string id = object->envelope().id.str();
  const auto done = append(*object);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->receipt, std::string(kHead) + ",\"position\":\"" + done->position + "\"}");
  EXPECT_EQ(redis_->cli("STRLEN '{daybook:1}:record:" + id + "'"),
            std::to_string(object->stored_size()));
  EXPECT_EQ(redis_->cli("HGET '{daybook:1}:pending' " + id), done->position);
  EXPECT_EQ(redis_->cli("--raw XRANGE '{daybook:1}:wal' - +"),
            done->position + "\nid\n" + id + "\nsize\n" + std::to_string(object->stored_size()) +
                "\nsha256\n" + object->stored_sha256().hex());
  EXPECT_EQ(redis_->cli("HGET '{daybook:1}:counters' accepted"), "1");
  const auto loaded = run_on_io(runtime_, buffer_->load(object->envelope().id, soon()));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(*loaded, bytes_of(*object));
}

TEST_F(RedisAppend, a_second_append_of_an_id_is_the_same_entry) {
  const auto object = make_object(new_id(), core::as_bytes("once"));
  const auto first = append(*object);
  const auto second = append(*object);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->position, second->position);
  EXPECT_EQ(first->receipt, second->receipt);
  EXPECT_EQ(redis_->cli("XLEN '{daybook:0}:wal'"), "1");
  expect_stats(1, 0, 1, 0);
}

TEST_F(RedisAppend, an_append_repeated_after_the_release_brings_nothing_back) {
  const auto object = make_object(new_id(), core::as_bytes("once"));
  const core::IdempotencyKey key{"default", "k"};
  const auto first = append(*object, key);
  release(read());
  const auto second = append(*object, key);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->position, second->position);
  expect_stats(1, 1, 0, 0);
  EXPECT_EQ(redis_->cli("EXISTS '{daybook:0}:record:" + object->envelope().id.str() + "'"), "0");
}

TEST_F(RedisAppend, many_appends_at_once_are_many_entries) {
  std::vector<std::unique_ptr<core::SealedObject>> objects;
  std::vector<core::Task<core::Result<core::Appended>>> tasks;
  for (std::uint32_t i = 0; i < 200; ++i) {
    objects.push_back(make_object(new_id(i % 2), random_bytes(5000, i)));
    tasks.push_back(buffer_->append(*objects.back(), kHead, std::nullopt, soon()));
  }
  for (const auto& done : run_on_io(runtime_, gather(std::move(tasks)))) EXPECT_TRUE(done);
  expect_stats(200, 0, 200, 0);
  std::set<core::RecordId> ids;
  for (int i = 0; i < 10; ++i) {
    for (const BufferEntry& entry : read(64)) ids.insert(entry.id);
  }
  EXPECT_EQ(ids.size(), 200u);
}

// --- idempotency ---

TEST_F(RedisAppend, a_key_goes_from_reserved_over_in_flight_to_settled) {
  const auto object = make_object(new_id(), core::as_bytes("keyed"));
  const core::RecordId id = object->envelope().id;
  const core::IdempotencyKey key{"default", "order 7"};
  EXPECT_TRUE(std::holds_alternative<core::RequestReserved>(reserve(key.key, id)));
  EXPECT_TRUE(std::holds_alternative<core::RequestInFlight>(reserve(key.key, new_id())));
  const auto done = append(*object, key);
  ASSERT_TRUE(done);
  const auto again = reserve(key.key, new_id());
  ASSERT_TRUE(std::holds_alternative<core::SettledRequest>(again));
  EXPECT_EQ(std::get<core::SettledRequest>(again).receipt, done->receipt);
  EXPECT_EQ(std::get<core::SettledRequest>(again).sha256, object->envelope().sha256);
}

TEST_F(RedisAppend, a_reservation_repeated_by_its_owner_is_still_his) {
  const core::RecordId id = new_id();
  EXPECT_TRUE(std::holds_alternative<core::RequestReserved>(reserve("k", id)));
  EXPECT_TRUE(std::holds_alternative<core::RequestReserved>(reserve("k", id)));
}

TEST_F(RedisAppend, keys_of_two_tenants_are_two_keys) {
  EXPECT_TRUE(std::holds_alternative<core::RequestReserved>(reserve("k", new_id())));
  const auto other = run_on_io(runtime_, buffer_->reserve({"other", "k"}, new_id(), soon()));
  ASSERT_TRUE(other);
  EXPECT_TRUE(std::holds_alternative<core::RequestReserved>(*other));
}

TEST_F(RedisAppend, an_abandoned_key_is_free_at_once) {
  const core::RecordId id = new_id();
  static_cast<void>(reserve("k", id));
  run_on_io(runtime_, buffer_->abandon({"default", "k"}, new_id()));  // not the owner
  EXPECT_TRUE(std::holds_alternative<core::RequestInFlight>(reserve("k", new_id())));
  run_on_io(runtime_, buffer_->abandon({"default", "k"}, id));
  EXPECT_TRUE(std::holds_alternative<core::RequestReserved>(reserve("k", new_id())));
}

TEST_F(RedisAppend, a_settled_key_cannot_be_abandoned) {
  const auto object = make_object(new_id(), core::as_bytes("keyed"));
  const core::IdempotencyKey key{"default", "k"};
  ASSERT_TRUE(append(*object, key));
  run_on_io(runtime_, buffer_->abandon(key, object->envelope().id));
  EXPECT_TRUE(std::holds_alternative<core::SettledRequest>(reserve("k", new_id())));
}

TEST_F(RedisAppend, a_reservation_ends_with_its_lease) {
  stop_buffer();
  settings_.reservation_lease = 200ms;
  start_buffer();
  static_cast<void>(reserve("k", new_id()));
  run_on_io(runtime_, runtime_.sleep(300ms));
  EXPECT_TRUE(std::holds_alternative<core::RequestReserved>(reserve("k", new_id())));
}

TEST_F(RedisAppend, a_reservation_of_an_earlier_run_of_this_node_is_void) {
  static_cast<void>(reserve("mine", new_id()));
  stop_buffer();
  settings_.run = "run-2";
  start_buffer();
  EXPECT_TRUE(std::holds_alternative<core::RequestReserved>(reserve("mine", new_id())));
  stop_buffer();
  settings_.node = "node-2";
  settings_.run = "run-3";
  start_buffer();
  EXPECT_TRUE(std::holds_alternative<core::RequestInFlight>(reserve("mine", new_id())))
      << "another node's reservation stands";
}

TEST_F(RedisAppend, who_comes_second_with_a_key_stores_nothing) {
  const auto first = make_object(new_id(), core::as_bytes("first"));
  const auto second = make_object(new_id(), core::as_bytes("second"));
  const core::IdempotencyKey key{"default", "k"};
  ASSERT_TRUE(append(*first, key));
  const auto late = append(*second, key);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::in_flight);
  EXPECT_EQ(redis_->cli("EXISTS '{daybook:0}:record:" + second->envelope().id.str() + "'"), "0");
  expect_stats(1, 0, 1, 0);
}

// --- several as one ---

TEST_F(RedisAppend, several_records_become_several_entries_in_their_order) {
  const Objects objects = make_objects(3);
  const auto done = append_all(objects);
  ASSERT_TRUE(done) << done.error().detail;
  ASSERT_EQ(done->size(), 3U);
  const auto entries = read();
  ASSERT_EQ(entries.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(entries[i].id, objects[i]->envelope().id);
    EXPECT_EQ(entries[i].position, (*done)[i].position);
    const auto loaded = run_on_io(runtime_, buffer_->load(entries[i].id, soon()));
    ASSERT_TRUE(loaded);
    EXPECT_EQ(*loaded, bytes_of(*objects[i]));
  }
  expect_stats(3, 0, 3, 0);
  release(entries);
  expect_stats(3, 3, 0, 0);
  EXPECT_EQ(redis_->cli("HGET '{daybook:0}:counters' bytes"), "0");
}

TEST_F(RedisAppend, their_common_key_answers_with_all_receipts) {
  const core::IdempotencyKey key{"default", "a batch"};
  const Objects objects = make_objects(2, buffer_->partition_of(key));
  const auto done = append_all(objects, key);
  ASSERT_TRUE(done) << done.error().detail;
  const auto again = reserve(key.key, new_id());
  ASSERT_TRUE(std::holds_alternative<core::SettledRequest>(again));
  EXPECT_EQ(std::get<core::SettledRequest>(again).sha256, digest_);
  EXPECT_EQ(std::get<core::SettledRequest>(again).receipt,
            "[" + (*done)[0].receipt + "," + (*done)[1].receipt + "]");
}

TEST_F(RedisAppend, repeated_together_they_are_the_same_entries) {
  const Objects objects = make_objects(3);
  const auto first = append_all(objects);
  release({read().front()});
  const auto second = append_all(objects);
  ASSERT_TRUE(first && second);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ((*first)[i].position, (*second)[i].position);
  expect_stats(3, 1, 2, 0);
  EXPECT_EQ(redis_->cli("EXISTS '{daybook:0}:record:" + objects[0]->envelope().id.str() + "'"), "0")
      << "the released one came back";
}

TEST_F(RedisAppend, where_one_cannot_be_appended_none_is) {
  const core::IdempotencyKey key{"default", "a batch"};
  const std::uint32_t partition = buffer_->partition_of(key);
  const std::string tag = "'{daybook:" + std::to_string(partition) + "}:";
  // Room for one more entry.
  static_cast<void>(
      redis_->cli("XADD " + tag + "wal' 18446744073709551615-18446744073709551614 a b"));
  const Objects objects = make_objects(3, partition);
  EXPECT_FALSE(append_all(objects, key));
  EXPECT_EQ(redis_->cli("XLEN " + tag + "wal'"), "1") << "an entry of a batch that failed";
  EXPECT_EQ(redis_->cli("HGET " + tag + "counters' accepted"), "0");
  EXPECT_EQ(redis_->cli("HGET " + tag + "counters' bytes"), "0");
  for (const auto& object : objects) {
    EXPECT_EQ(redis_->cli("EXISTS " + tag + "record:" + object->envelope().id.str() + "'"), "0");
  }
  static_cast<void>(redis_->cli("DEL " + tag + "wal'"));
  wait_until([this] { return buffer_->health().has_value(); });
  EXPECT_TRUE(append_all(objects, key)) << "the same batch is taken when there is room";
}

TEST_F(RedisAppend, who_comes_second_with_a_common_key_stores_nothing) {
  const core::IdempotencyKey key{"default", "a batch"};
  const std::uint32_t partition = buffer_->partition_of(key);
  ASSERT_TRUE(append_all(make_objects(2, partition), key));
  const auto late = append_all(make_objects(2, partition), key);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::in_flight);
  expect_stats(2, 0, 2, 0);
}

// --- appends that fail inside EXEC ---

TEST_F(RedisAppend, an_append_that_fails_half_way_leaves_nothing_behind) {
  const struct {
    const char* what;
    const char* spoil;
    const char* mend;
  } cases[] = {
      {"the stream is no stream", "SET '{daybook:1}:wal' x", "DEL '{daybook:1}:wal'"},
      {"pending is no hash", "SET '{daybook:1}:pending' x", "DEL '{daybook:1}:pending'"},
      {"parked is no hash", "SET '{daybook:1}:parked' x", "DEL '{daybook:1}:parked'"},
      {"counters are no hash", "SET '{daybook:1}:counters' x", "DEL '{daybook:1}:counters'"},
      {"accepted is no number", "HSET '{daybook:1}:counters' accepted x",
       "DEL '{daybook:1}:counters'"},
      {"bytes is no number", "HSET '{daybook:1}:counters' bytes x", "DEL '{daybook:1}:counters'"},
      {"the stream is full", "XADD '{daybook:1}:wal' 18446744073709551615-18446744073709551615 a b",
       "DEL '{daybook:1}:wal'"},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(each.what);
    static_cast<void>(redis_->cli("DEL '{daybook:1}:wal' '{daybook:1}:counters'"));
    static_cast<void>(redis_->cli(each.spoil));
    const auto object = make_object(new_id(1), core::as_bytes("half an append"));
    const std::string record = "'{daybook:1}:record:" + object->envelope().id.str() + "'";
    EXPECT_FALSE(append(*object, std::nullopt, 2s));
    EXPECT_EQ(redis_->cli("EXISTS " + record), "0") << "bytes without an entry";
    static_cast<void>(redis_->cli(each.mend));
    EXPECT_NE(redis_->cli("HGET '{daybook:1}:counters' accepted"), "1");
    wait_until([this] { return buffer_->health().has_value(); });
    ASSERT_TRUE(append(*object)) << "the same record is taken when it is mended";
    EXPECT_EQ(redis_->cli("EXISTS " + record), "1");
    EXPECT_EQ(redis_->cli("HGET '{daybook:1}:counters' accepted"), "1");
    static_cast<void>(redis_->cli("DEL " + record + " '{daybook:1}:pending'"));
  }
}

}  // namespace
}  // namespace daybook::tests
