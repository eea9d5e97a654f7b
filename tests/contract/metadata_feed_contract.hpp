// What the feed of every metadata store does. The fixture is the one of metadata_store_contract.hpp
// and has besides:
//
//   core::MetadataStore& other_store();   // a second one on the same data, as another process has
#pragma once

#include <set>

#include <boost/asio/post.hpp>

#include "core/text.hpp"
#include "tests/contract/metadata_store_contract.hpp"

namespace daybook::tests {

template <class Fixture>
class MetadataFeedContract : public MetadataStoreContract<Fixture> {
 protected:
  using Rows = typename MetadataStoreContract<Fixture>::Rows;
  using Ids = typename MetadataStoreContract<Fixture>::Ids;
  using Feed = std::vector<core::FeedEntry>;

  core::MetadataStore& other_store() { return this->fixture_.other_store(); }

  Rows next_rows(std::size_t count) {
    Rows rows;
    for (std::size_t i = 0; i < count; ++i) rows.push_back(this->next_row());
    return rows;
  }
  // Later than every clock, so that it decides when the row is published.
  core::MetadataRow row_received_at(core::WallTime at) {
    return bare_row(this->next_id(this->now()), at);
  }
  Feed feed(std::uint64_t after = 0, std::uint32_t limit = core::limits::kPageRecordsMax) {
    auto page = this->run(this->store().feed(after, limit, soon()));
    EXPECT_TRUE(page) << page.error().detail;
    return page ? *page : Feed{};
  }
  core::FeedBounds bounds() {
    auto bounds = this->run(this->store().feed_bounds(soon()));
    EXPECT_TRUE(bounds) << bounds.error().detail;
    return bounds ? *bounds : core::FeedBounds{};
  }
  std::uint64_t before(core::WallTime since) {
    auto number = this->run(this->store().feed_before(since, soon()));
    EXPECT_TRUE(number) << number.error().detail;
    return number ? *number : 12'345;
  }
  static Rows rows_of(const Feed& feed) {
    Rows rows;
    for (const core::FeedEntry& entry : feed) rows.push_back(entry.row);
    return rows;
  }
  // Numbers from `first` without a gap, times that never go back nor before the receipt, no record
  // twice.
  static void expect_sound(const Feed& feed, std::uint64_t first = 1) {
    core::WallTime previous{};
    std::set<core::RecordId> seen;
    for (const core::FeedEntry& entry : feed) {
      EXPECT_EQ(entry.sequence, first++);
      EXPECT_GE(entry.published_at, previous) << entry.sequence;
      EXPECT_GE(entry.published_at, entry.row.envelope.received_at) << entry.sequence;
      EXPECT_TRUE(seen.insert(entry.row.envelope.id).second) << entry.row.envelope.id.str();
      previous = entry.published_at;
    }
  }
};
TYPED_TEST_SUITE_P(MetadataFeedContract);

// Lets others on the same loop go on.
inline core::Task<> give_way() {
  co_await boost::asio::post(co_await boost::asio::this_coro::executor, boost::asio::use_awaitable);
}

// Follows the feed in pages until it has `count` entries.
inline core::Task<core::Result<std::vector<core::FeedEntry>>> follow(core::MetadataStore& store,
                                                                     std::size_t count,
                                                                     std::uint32_t limit,
                                                                     core::Deadline deadline) {
  std::vector<core::FeedEntry> seen;
  while (seen.size() < count) {
    const std::uint64_t after = seen.empty() ? 0 : seen.back().sequence;
    auto page = co_await store.feed(after, limit, deadline);
    if (!page) co_return pass(page);
    seen.insert(seen.end(), page->begin(), page->end());
    co_await give_way();
  }
  co_return seen;
}

// In parts, each after the other.
inline core::Task<core::Result<std::vector<core::FeedEntry>>> insert_parts(
    core::MetadataStore& store, std::vector<std::vector<core::MetadataRow>> parts) {
  for (auto& part : parts) {
    auto done = co_await store.insert(std::move(part), soon());
    if (!done) co_return pass(done);
    co_await give_way();
  }
  co_return std::vector<core::FeedEntry>{};
}

TYPED_TEST_P(MetadataFeedContract, has_no_entry_at_first_but_a_name) {
  const auto bounds = this->bounds();
  EXPECT_FALSE(bounds.feed.empty());
  EXPECT_EQ(bounds.first, 1);
  EXPECT_EQ(bounds.last, 0);
  EXPECT_TRUE(this->feed().empty());
  EXPECT_EQ(this->before(this->now()), 0);
  EXPECT_EQ(this->run(this->other_store().feed_bounds(soon())).value().feed, bounds.feed);
}

TYPED_TEST_P(MetadataFeedContract, carries_all_that_is_known_of_a_record) {
  const auto row = full_row(this->next_id(this->now()), this->now());
  const auto bare = this->next_row();
  this->insert({row, bare});
  EXPECT_EQ(this->rows_of(this->feed()), (std::vector{row, bare}));
}

TYPED_TEST_P(MetadataFeedContract, numbers_rows_without_a_gap_in_the_order_of_their_batches) {
  const auto rows = this->next_rows(25);
  // Not the order of their ids.
  this->insert({rows.begin() + 20, rows.end()});
  this->insert({rows.begin() + 3, rows.begin() + 20});
  this->insert({rows.begin(), rows.begin() + 3});
  const auto all = this->feed();
  this->expect_sound(all);
  ASSERT_EQ(all.size(), 25);
  // Batch by batch; a store may order what came in one batch as it likes.
  const auto part = [&](const auto& list, std::ptrdiff_t first, std::ptrdiff_t end) {
    return this->expected({list.begin() + first, list.begin() + end},
                          [](const auto&) { return true; });
  };
  const auto published = this->rows_of(all);
  EXPECT_EQ(part(published, 0, 5), part(rows, 20, 25));
  EXPECT_EQ(part(published, 5, 22), part(rows, 3, 20));
  EXPECT_EQ(part(published, 22, 25), part(rows, 0, 3));
  const auto bounds = this->bounds();
  EXPECT_EQ(bounds.first, 1);
  EXPECT_EQ(bounds.last, 25);
}

TYPED_TEST_P(MetadataFeedContract, gives_no_number_to_a_row_that_is_there) {
  const auto rows = this->next_rows(4);
  this->insert({rows[0], rows[1]});
  this->insert({rows[1], rows[0]});
  this->insert({rows[2], rows[0], rows[2], rows[3], rows[1]});
  this->insert({});
  this->insert({rows[3]});
  const auto all = this->feed();
  this->expect_sound(all);
  EXPECT_EQ(all.size(), 4);
  EXPECT_EQ(this->bounds().last, 4);
}

TYPED_TEST_P(MetadataFeedContract, is_read_in_pages_from_any_number) {
  const auto rows = this->next_rows(30);
  for (std::size_t i = 0; i < rows.size(); i += 10) {
    this->insert({rows.begin() + static_cast<std::ptrdiff_t>(i),
                  rows.begin() + static_cast<std::ptrdiff_t>(i + 10)});
  }
  const auto all = this->feed();
  ASSERT_EQ(all.size(), 30);
  for (const std::uint32_t limit : {1U, 7U, 30U, 31U}) {
    typename TestFixture::Feed seen;
    for (;;) {
      const auto page = this->feed(seen.empty() ? 0 : seen.back().sequence, limit);
      ASSERT_LE(page.size(), limit);
      seen.insert(seen.end(), page.begin(), page.end());
      if (page.size() < limit) break;
    }
    this->expect_sound(seen);
    EXPECT_EQ(this->rows_of(seen), this->rows_of(all)) << "pages of " << limit;
  }
  this->expect_sound(this->feed(17), 18);
  EXPECT_EQ(this->feed(17).size(), 13);
  for (const std::uint64_t beyond : {30ULL, 31ULL, 1ULL << 40, ~0ULL >> 1, ~0ULL}) {
    EXPECT_TRUE(this->feed(beyond).empty()) << beyond;
  }
}

TYPED_TEST_P(MetadataFeedContract, is_found_by_time_at_ties_and_beyond_both_ends) {
  const core::WallTime base = *core::parse_time("2100-01-01T00:00:00Z");
  const auto us = std::chrono::microseconds(1);
  const auto second = std::chrono::seconds(1);
  // The fourth was received before its predecessor: it counts as published with it.
  for (const auto at : {base, base + second, base + second, base, base + 2 * second}) {
    this->insert({this->row_received_at(at)});
  }
  const auto all = this->feed();
  this->expect_sound(all);
  ASSERT_EQ(all.size(), 5);
  EXPECT_EQ(all[3].published_at, base + second);
  EXPECT_EQ(this->before(*core::parse_time("0000-01-01T00:00:00Z")), 0);
  EXPECT_EQ(this->before(base - us), 0);
  EXPECT_EQ(this->before(base), 0);
  EXPECT_EQ(this->before(base + us), 1);
  EXPECT_EQ(this->before(base + second), 1);
  EXPECT_EQ(this->before(base + second + us), 4);
  EXPECT_EQ(this->before(base + 2 * second), 4);
  EXPECT_EQ(this->before(base + 2 * second + us), 5);
  EXPECT_EQ(this->before(*core::parse_time("9999-12-31T23:59:59.999999Z")), 5);
}

TYPED_TEST_P(MetadataFeedContract, misses_nothing_that_was_received_since_a_time) {
  auto rows = this->next_rows(40);
  std::ranges::rotate(rows, rows.begin() + 13);
  for (std::size_t i = 0; i < rows.size(); i += 8) {
    this->insert({rows.begin() + static_cast<std::ptrdiff_t>(i),
                  rows.begin() + static_cast<std::ptrdiff_t>(i + 8)});
  }
  for (const std::size_t i : {0UL, 7UL, 13UL, 27UL, 39UL}) {
    const core::WallTime since = rows[i].envelope.received_at;
    const auto fits = [&](const auto& row) { return row.envelope.received_at >= since; };
    auto found = this->rows_of(this->feed(this->before(since)));
    EXPECT_EQ(this->expected(found, fits), this->expected(rows, fits)) << i;
  }
}

TYPED_TEST_P(MetadataFeedContract, has_no_gap_where_two_insert_at_once) {
  std::vector<core::Task<core::Result<void>>> inserts;
  typename TestFixture::Rows rows;
  for (int batch = 0; batch < 20; ++batch) {
    auto part = this->next_rows(1 + batch % 4);
    rows.insert(rows.end(), part.begin(), part.end());
    if (batch % 5 == 0) inserts.push_back(this->other_store().insert(part, soon()));  // a twin
    auto& store = batch % 2 == 0 ? this->store() : this->other_store();
    inserts.push_back(store.insert(std::move(part), soon()));
  }
  for (const auto& done : this->run(gather(std::move(inserts)))) {
    EXPECT_TRUE(done) << done.error().detail;
  }
  const auto all = this->feed();
  this->expect_sound(all);
  EXPECT_EQ(this->expected(this->rows_of(all), [](const auto&) { return true; }),
            this->expected(rows, [](const auto&) { return true; }));
  EXPECT_EQ(this->bounds().last, rows.size());
}

TYPED_TEST_P(MetadataFeedContract, is_followed_during_a_burst_and_misses_nothing) {
  constexpr std::size_t kWriters = 4;
  constexpr std::size_t kParts = 12;
  std::vector<core::Task<core::Result<typename TestFixture::Feed>>> tasks;
  typename TestFixture::Rows rows;
  for (std::size_t writer = 0; writer < kWriters; ++writer) {
    std::vector<typename TestFixture::Rows> parts;
    for (std::size_t i = 0; i < kParts; ++i) {
      parts.push_back(this->next_rows(1 + i % 5));
      rows.insert(rows.end(), parts.back().begin(), parts.back().end());
    }
    tasks.push_back(
        insert_parts(writer % 2 == 0 ? this->store() : this->other_store(), std::move(parts)));
  }
  tasks.push_back(follow(this->store(), rows.size(), 3, soon()));
  tasks.push_back(follow(this->other_store(), rows.size(), 1000, soon()));
  auto results = this->run(gather(std::move(tasks)));
  for (const auto& result : results) ASSERT_TRUE(result) << result.error().detail;
  for (std::size_t reader = kWriters; reader < results.size(); ++reader) {
    this->expect_sound(*results[reader]);
    EXPECT_EQ(this->expected(this->rows_of(*results[reader]), [](const auto&) { return true; }),
              this->expected(rows, [](const auto&) { return true; }));
  }
}

TYPED_TEST_P(MetadataFeedContract, refuses_a_limit_out_of_bounds_and_a_deadline_that_has_passed) {
  for (const std::uint32_t limit : {0U, core::limits::kPageRecordsMax + 1}) {
    this->expect_error(this->run(this->store().feed(0, limit, soon())),
                       core::Code::invalid_argument);
  }
  this->expect_error(this->run(this->store().feed(0, 1, long_ago())), core::Code::timeout);
  this->expect_error(this->run(this->store().feed_bounds(long_ago())), core::Code::timeout);
  this->expect_error(this->run(this->store().feed_before(this->now(), long_ago())),
                     core::Code::timeout);
}

REGISTER_TYPED_TEST_SUITE_P(
    MetadataFeedContract, has_no_entry_at_first_but_a_name, carries_all_that_is_known_of_a_record,
    numbers_rows_without_a_gap_in_the_order_of_their_batches,
    gives_no_number_to_a_row_that_is_there, is_read_in_pages_from_any_number,
    is_found_by_time_at_ties_and_beyond_both_ends, misses_nothing_that_was_received_since_a_time,
    has_no_gap_where_two_insert_at_once, is_followed_during_a_burst_and_misses_nothing,
    refuses_a_limit_out_of_bounds_and_a_deadline_that_has_passed);

}  // namespace daybook::tests
