// What every object store does (core/ports/object_store.hpp). An adapter runs the suite with a
// fixture:
//
//   struct MyStoreFixture {                          // made anew for every case
//     std::string skip_reason() { return ""; }       // not empty: every case is skipped, visibly
//     core::ObjectStore& store();                    // may be shared and need not be empty
//     void run(core::Task<> task);                   // runs the task to its end (run_to_end will
//     do)
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(MyStore, ObjectStoreContract, MyStoreFixture);
//
// The cases use keys below contract/<unique>/ and leave their objects there.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <concepts>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/ports/object_store.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/contract/run_task.hpp"

namespace daybook::tests {

template <class T>
concept ObjectStoreFixture =
    std::default_initializable<T> && requires(T fixture, core::Task<> task) {
      { fixture.skip_reason() } -> std::convertible_to<std::string>;
      { fixture.store() } -> std::same_as<core::ObjectStore&>;
      fixture.run(std::move(task));
    };

inline std::string unique_key_prefix() {
  static std::atomic<int> next = 0;
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return "contract/" + std::to_string(now) + "-" + std::to_string(next++) + "/";
}

template <ObjectStoreFixture Fixture>
class ObjectStoreContract : public testing::Test {
 protected:
  void SetUp() override {
    const std::string reason = fixture_.skip_reason();
    if (!reason.empty()) GTEST_SKIP() << reason;
  }

  core::ObjectStore& store() { return fixture_.store(); }
  [[nodiscard]] std::string key(const std::string& name) const { return prefix_ + name; }

  template <class T>
  T run(core::Task<T> task) {
    std::optional<T> out;
    fixture_.run(keep_result(std::move(task), out));
    return std::move(out.value());
  }

  static core::PutObject object(std::string key, core::Slices body) {
    return {.key = std::move(key),
            .body = body,
            .sha256 = core::sha256(body),
            .content_type = "application/json",
            .metadata = {{"daybook-id", "0190a5f0-0000-7000-8000-000000000000"}}};
  }
  core::Result<core::ObjectVersion> put(const std::string& name, core::Bytes bytes) {
    return run(store().put(object(key(name), {bytes}), soon()));
  }
  core::Result<core::ByteVector> get(const std::string& name,
                                     std::optional<core::ByteRange> range = std::nullopt) {
    return run(store().get(key(name), range, soon()));
  }
  core::Result<core::ObjectInfo> head(const std::string& name) {
    return run(store().head(key(name), soon()));
  }

  template <class T>
  static void expect_error(const core::Result<T>& result, core::Code code) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, code) << result.error().detail;
    EXPECT_EQ(result.error().origin, core::Origin::object_store);
    EXPECT_FALSE(result.error().detail.empty());
  }

 private:
  Fixture fixture_;
  const std::string prefix_ = unique_key_prefix();
};
TYPED_TEST_SUITE_P(ObjectStoreContract);

TYPED_TEST_P(ObjectStoreContract, keeps_objects_of_every_size) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{4096}, core::MiB - 1, core::MiB,
                                 core::MiB + 1, 5 * core::MiB + 17}) {
    const std::string name = "size-" + std::to_string(size);
    const core::ByteVector bytes = random_bytes(size, size);
    const auto stored = this->put(name, bytes);
    ASSERT_TRUE(stored) << stored.error().detail;
    EXPECT_FALSE(stored->location.empty());
    const auto info = this->head(name);
    ASSERT_TRUE(info) << info.error().detail;
    EXPECT_EQ(info->size, size);
    const auto loaded = this->get(name);
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_TRUE(*loaded == bytes) << "other bytes came back for size " << size;
  }
}

TYPED_TEST_P(ObjectStoreContract, joins_the_slices_in_order) {
  const core::ByteVector bytes = random_bytes(300'000, 1);
  const core::Bytes all(bytes);
  const core::Slices slices = {all.first(1), all.subspan(1, 99'999), {}, all.subspan(100'000)};
  const auto stored =
      this->run(this->store().put(this->object(this->key("slices"), slices), soon()));
  ASSERT_TRUE(stored) << stored.error().detail;
  const auto loaded = this->get("slices");
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_TRUE(*loaded == bytes);
}

TYPED_TEST_P(ObjectStoreContract, keeps_keys_apart_whatever_their_characters) {
  const std::vector<std::string> names = {"tenant%2Fa/x.zst",
                                          "tenant/a/x.zst",
                                          "with space",
                                          "plus+and=equals",
                                          "til~de_under-dash",
                                          "gr\xC3\xBC\xC3\x9F"
                                          "e.json",
                                          "a&b?c#d",
                                          "(brackets)*!'",
                                          "Case",
                                          "case"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const core::ByteVector bytes = random_bytes(100 + i, i);
    const auto stored = this->put("keys/" + names[i], bytes);
    ASSERT_TRUE(stored) << names[i] << ": " << stored.error().detail;
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto loaded = this->get("keys/" + names[i]);
    ASSERT_TRUE(loaded) << names[i] << ": " << loaded.error().detail;
    EXPECT_TRUE(*loaded == random_bytes(100 + i, i)) << names[i];
  }
}

TYPED_TEST_P(ObjectStoreContract, has_nothing_under_a_key_that_was_never_put) {
  this->expect_error(this->head("nothing"), core::Code::not_found);
  this->expect_error(this->get("nothing"), core::Code::not_found);
  this->expect_error(this->get("nothing", core::ByteRange{0, 1}), core::Code::not_found);
}

TYPED_TEST_P(ObjectStoreContract, takes_the_same_bytes_again) {
  const core::ByteVector bytes = random_bytes(70'000, 2);
  for (int round = 0; round < 3; ++round) {
    const auto stored = this->put("again", bytes);
    ASSERT_TRUE(stored) << stored.error().detail;
  }
  const auto loaded = this->get("again");
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_TRUE(*loaded == bytes);
}

TYPED_TEST_P(ObjectStoreContract, stores_nothing_when_the_digest_is_another) {
  const core::ByteVector bytes = random_bytes(2 * core::MiB, 3);
  core::PutObject wrong = this->object(this->key("wrong"), {core::Bytes(bytes)});
  wrong.sha256.bytes[31] ^= std::byte{1};
  const auto refused = this->run(this->store().put(wrong, soon()));
  ASSERT_FALSE(refused.has_value());
  EXPECT_TRUE(refused.error().code == core::Code::damaged ||
              refused.error().code == core::Code::digest_mismatch)
      << refused.error().detail;
  this->expect_error(this->head("wrong"), core::Code::not_found);
}

TYPED_TEST_P(ObjectStoreContract, keeps_the_old_object_when_a_second_put_fails) {
  const core::ByteVector bytes = random_bytes(50'000, 4);
  ASSERT_TRUE(this->put("kept", bytes));
  const core::ByteVector other = random_bytes(60'000, 5);
  core::PutObject wrong = this->object(this->key("kept"), {core::Bytes(other)});
  wrong.sha256.bytes[0] ^= std::byte{1};
  EXPECT_FALSE(this->run(this->store().put(wrong, soon())));
  const auto loaded = this->get("kept");
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_TRUE(*loaded == bytes);
}

TYPED_TEST_P(ObjectStoreContract, gets_exactly_the_range_asked_for) {
  const core::ByteVector bytes = random_bytes(core::MiB + 1000, 6);
  ASSERT_TRUE(this->put("range", bytes));
  const std::vector<core::ByteRange> ranges = {{0, 1},
                                               {0, bytes.size()},
                                               {1, bytes.size() - 1},
                                               {bytes.size() - 1, 1},
                                               {core::MiB - 1, 2},
                                               {12'345, 54'321}};
  for (const core::ByteRange range : ranges) {
    const auto part = this->get("range", range);
    ASSERT_TRUE(part) << part.error().detail;
    const core::Bytes expected = core::Bytes(bytes).subspan(range.offset, range.length);
    EXPECT_TRUE(std::ranges::equal(*part, expected)) << range.offset << "+" << range.length;
  }
}

TYPED_TEST_P(ObjectStoreContract, refuses_a_range_past_the_end) {
  ASSERT_TRUE(this->put("short", random_bytes(100, 7)));
  const std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  const std::vector<core::ByteRange> ranges = {{100, 1}, {99, 2},    {0, 101},
                                               {101, 5}, {50, huge}, {huge, 1}};
  for (const core::ByteRange range : ranges) {
    SCOPED_TRACE(std::to_string(range.offset) + "+" + std::to_string(range.length));
    this->expect_error(this->get("short", range), core::Code::invalid_argument);
  }
}

TYPED_TEST_P(ObjectStoreContract, refuses_keys_that_leave_their_place) {
  const core::ByteVector bytes = random_bytes(10, 8);
  for (const std::string key : {"", "/absolute", "..", "../up", "a/../../up", "a/./b", "a/.."}) {
    SCOPED_TRACE("key \"" + key + "\"");
    this->expect_error(
        this->run(this->store().put(this->object(key, {core::Bytes(bytes)}), soon())),
        core::Code::invalid_argument);
    this->expect_error(this->run(this->store().head(key, soon())), core::Code::invalid_argument);
    this->expect_error(this->run(this->store().get(key, std::nullopt, soon())),
                       core::Code::invalid_argument);
  }
}

TYPED_TEST_P(ObjectStoreContract, says_timeout_when_the_deadline_has_passed) {
  const core::ByteVector bytes = random_bytes(10, 9);
  const auto stored = this->run(
      this->store().put(this->object(this->key("late"), {core::Bytes(bytes)}), long_ago()));
  this->expect_error(stored, core::Code::timeout);
  EXPECT_EQ(stored.error().retry, core::Retry::unknown_outcome);
  this->expect_error(this->run(this->store().get(this->key("late"), std::nullopt, long_ago())),
                     core::Code::timeout);
  this->expect_error(this->run(this->store().probe(long_ago())), core::Code::timeout);
}

TYPED_TEST_P(ObjectStoreContract, says_that_it_works_and_what_it_is) {
  const auto works = this->run(this->store().probe(soon()));
  EXPECT_TRUE(works) << works.error().detail;
  EXPECT_FALSE(this->store().describe().empty());
}

TYPED_TEST_P(ObjectStoreContract, leaves_one_whole_object_after_puts_of_one_key_side_by_side) {
  // Each either replaces the object or is told that there is another one.
  constexpr std::size_t kWriters = 8;
  std::vector<core::ByteVector> bodies;
  for (std::size_t i = 0; i < kWriters; ++i) {
    bodies.push_back(random_bytes(300'000 + 1'000 * i, 100 + i));
  }
  std::vector<core::Task<core::Result<core::ObjectVersion>>> puts;
  for (const core::ByteVector& body : bodies) {
    puts.push_back(this->store().put(this->object(this->key("one"), {core::Bytes(body)}), soon()));
  }
  std::size_t successes = 0;
  for (const auto& stored : this->run(gather(std::move(puts)))) {
    successes += stored ? 1 : 0;
    EXPECT_TRUE(stored || stored.error().code == core::Code::conflict) << stored.error().detail;
  }
  EXPECT_GE(successes, 1u);
  const auto loaded = this->get("one");
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(std::ranges::count(bodies, *loaded), 1) << "a mixture of two puts";
}

TYPED_TEST_P(ObjectStoreContract, shows_whole_objects_to_those_who_read_while_it_writes) {
  const core::ByteVector first = random_bytes(800'000, 10);
  const core::ByteVector second = random_bytes(900'000, 11);
  ASSERT_TRUE(this->put("busy", first));
  std::vector<core::Task<core::Result<core::ObjectVersion>>> puts;
  std::vector<core::Task<core::Result<core::ByteVector>>> gets;
  for (int round = 0; round < 6; ++round) {
    const core::ByteVector& body = round % 2 == 0 ? second : first;
    puts.push_back(this->store().put(this->object(this->key("busy"), {core::Bytes(body)}), soon()));
    gets.push_back(this->store().get(this->key("busy"), std::nullopt, soon()));
    gets.push_back(this->store().get(this->key("busy"), std::nullopt, soon()));
  }
  std::vector<core::Task<bool>> both;
  std::vector<core::Result<core::ObjectVersion>> stored;
  std::vector<core::Result<core::ByteVector>> loaded;
  both.push_back([](auto tasks, auto& out) -> core::Task<bool> {
    out = co_await gather(std::move(tasks));
    co_return true;
  }(std::move(puts), stored));
  both.push_back([](auto tasks, auto& out) -> core::Task<bool> {
    out = co_await gather(std::move(tasks));
    co_return true;
  }(std::move(gets), loaded));
  this->run(gather(std::move(both)));
  for (const auto& result : stored) {
    EXPECT_TRUE(result || result.error().code == core::Code::conflict) << result.error().detail;
  }
  for (const auto& result : loaded) {
    ASSERT_TRUE(result) << result.error().detail;
    EXPECT_TRUE(*result == first || *result == second) << "a part or a mixture was read";
  }
}

TYPED_TEST_P(ObjectStoreContract, keeps_many_objects_put_side_by_side) {
  constexpr std::size_t kObjects = 40;
  std::vector<core::ByteVector> bodies;
  for (std::size_t i = 0; i < kObjects; ++i) bodies.push_back(random_bytes(20'000 + i, 200 + i));
  std::vector<core::Task<core::Result<core::ObjectVersion>>> puts;
  for (std::size_t i = 0; i < kObjects; ++i) {
    const std::string name = "many/" + std::to_string(i % 4) + "/" + std::to_string(i);
    puts.push_back(
        this->store().put(this->object(this->key(name), {core::Bytes(bodies[i])}), soon()));
  }
  for (const auto& stored : this->run(gather(std::move(puts)))) {
    EXPECT_TRUE(stored) << stored.error().detail;
  }
  for (std::size_t i = 0; i < kObjects; ++i) {
    const auto loaded = this->get("many/" + std::to_string(i % 4) + "/" + std::to_string(i));
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_TRUE(*loaded == bodies[i]);
  }
}

TYPED_TEST_P(ObjectStoreContract, lists_in_key_order_page_by_page) {
  // "a-b" sorts before "a/…" and "a0" behind it, whatever the order of folders.
  std::vector<std::string> names = {
      "a-b", "a/1", "a/2/x", "a/2-", "a0", "b c/d&e", "b/<", "gr\xC3\xBC\xC3\x9F", "z\"'>/1"};
  for (const std::string& name : names) {
    const auto stored = this->put("list/" + name, random_bytes(10 + name.size(), 1));
    ASSERT_TRUE(stored) << name << ": " << stored.error().detail;
  }
  ASSERT_TRUE(this->put("lisu", random_bytes(5, 1)));
  std::ranges::sort(names);
  for (const std::size_t max : {1, 2, 3, 8, 9, 10, 1000}) {
    std::vector<std::string> found;
    std::string after;
    for (;;) {
      const auto page = this->run(this->store().list(this->key("list/"), after, max, soon()));
      ASSERT_TRUE(page) << page.error().detail;
      ASSERT_LE(page->size(), max);
      for (const core::ListedObject& object : *page) {
        ASSERT_TRUE(object.key.starts_with(this->key("list/"))) << object.key;
        found.push_back(object.key.substr(this->key("list/").size()));
        EXPECT_EQ(object.size, 10 + found.back().size());
        EXPECT_TRUE(object.location.ends_with(object.key)) << object.location;
      }
      if (page->size() < max) break;
      after = page->back().key;
    }
    EXPECT_EQ(found, names) << "pages of " << max;
  }
}

TYPED_TEST_P(ObjectStoreContract, lists_by_prefix_and_after_any_text) {
  for (const char* name : {"p/1", "p/2", "p/22", "q/1"}) {
    ASSERT_TRUE(this->put(name, random_bytes(3, 1)));
  }
  const auto keys = [&](const std::string& prefix, const std::string& after) {
    const auto page = this->run(
        this->store().list(this->key(prefix), after.empty() ? "" : this->key(after), 100, soon()));
    EXPECT_TRUE(page) << page.error().detail;
    std::vector<std::string> names;
    for (const auto& object : page ? *page : std::vector<core::ListedObject>{}) {
      names.push_back(object.key.substr(this->key("").size()));
    }
    return names;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(keys("p/2", ""), (Names{"p/2", "p/22"}));
  EXPECT_EQ(keys("p", "p/1"), (Names{"p/2", "p/22"}));
  EXPECT_EQ(keys("", "p/11"), (Names{"p/2", "p/22", "q/1"}));
  EXPECT_EQ(keys("", "p/2"), (Names{"p/22", "q/1"}));
  EXPECT_EQ(keys("", "p/9"), (Names{"q/1"}));
  EXPECT_EQ(keys("", "q/1"), Names{});
  EXPECT_EQ(keys("r", ""), Names{});
  EXPECT_EQ(keys("p/1/x", ""), Names{});
}

TYPED_TEST_P(ObjectStoreContract, refuses_a_list_of_none_or_of_too_many) {
  for (const std::size_t max : {std::size_t{0}, core::kListedObjectsMax + 1}) {
    this->expect_error(this->run(this->store().list("", "", max, soon())),
                       core::Code::invalid_argument);
  }
  this->expect_error(this->run(this->store().list("", "", 1, long_ago())), core::Code::timeout);
}

REGISTER_TYPED_TEST_SUITE_P(
    ObjectStoreContract, keeps_objects_of_every_size, joins_the_slices_in_order,
    keeps_keys_apart_whatever_their_characters, has_nothing_under_a_key_that_was_never_put,
    takes_the_same_bytes_again, stores_nothing_when_the_digest_is_another,
    keeps_the_old_object_when_a_second_put_fails, gets_exactly_the_range_asked_for,
    refuses_a_range_past_the_end, refuses_keys_that_leave_their_place,
    says_timeout_when_the_deadline_has_passed, says_that_it_works_and_what_it_is,
    leaves_one_whole_object_after_puts_of_one_key_side_by_side,
    shows_whole_objects_to_those_who_read_while_it_writes, keeps_many_objects_put_side_by_side,
    lists_in_key_order_page_by_page, lists_by_prefix_and_after_any_text,
    refuses_a_list_of_none_or_of_too_many);

}  // namespace daybook::tests
