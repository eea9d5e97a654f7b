// What every metadata store does (core/ports/metadata_store.hpp). An adapter runs the suite with a
// fixture that is made anew for every case and whose store is empty then:
//
//   struct MyStoreFixture {
//     std::string skip_reason() { return ""; }   // not empty: every case is skipped, visibly
//     core::MetadataStore& store();
//     void run(core::Task<> task);               // runs the task to its end (run_to_end will do)
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(MyStore, MetadataStoreContract, MyStoreFixture);
#pragma once

#include <algorithm>
#include <concepts>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/limits.hpp"
#include "core/ports/metadata_store.hpp"
#include "tests/contract/metadata_rows.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/contract/run_task.hpp"

namespace daybook::tests {

template <class T>
concept MetadataStoreFixture =
    std::default_initializable<T> && requires(T fixture, core::Task<> task) {
      { fixture.skip_reason() } -> std::convertible_to<std::string>;
      { fixture.store() } -> std::same_as<core::MetadataStore&>;
      fixture.run(std::move(task));
    };

template <MetadataStoreFixture Fixture>
class MetadataStoreContract : public testing::Test {
 protected:
  using Rows = std::vector<core::MetadataRow>;
  using Ids = std::vector<std::string>;

  void SetUp() override {
    const std::string reason = fixture_.skip_reason();
    if (!reason.empty()) GTEST_SKIP() << reason;
  }

  core::MetadataStore& store() { return fixture_.store(); }

  template <class T>
  T run(core::Task<T> task) {
    std::optional<T> out;
    fixture_.run(keep_result(std::move(task), out));
    return std::move(out.value());
  }

  // A second later for each row, so that ids and times are in one order.
  core::MetadataRow next_row() {
    now_ += std::chrono::seconds(1);
    return bare_row(ids_.next(now_, 1), now_);
  }
  [[nodiscard]] core::WallTime now() const { return now_; }
  core::RecordId next_id(core::WallTime at) { return ids_.next(at, 0); }

  void insert(Rows rows) {
    const auto done = run(store().insert(std::move(rows), soon()));
    ASSERT_TRUE(done) << done.error().detail;
  }
  std::optional<core::MetadataRow> find(core::RecordId id) {
    auto found = run(store().find(id, soon()));
    EXPECT_TRUE(found) << found.error().detail;
    return found ? *found : std::nullopt;
  }
  Rows list(core::MetadataQuery query) {
    auto rows = run(store().list(std::move(query), soon()));
    EXPECT_TRUE(rows) << rows.error().detail;
    return rows ? *rows : Rows{};
  }
  static Ids ids_of(const Rows& rows) {
    Ids ids;
    for (const core::MetadataRow& row : rows) ids.push_back(row.envelope.id.str());
    return ids;
  }
  // The ids of those rows that fit, newest first: what a list must answer.
  static Ids expected(Rows rows, const std::function<bool(const core::MetadataRow&)>& fits) {
    std::ranges::sort(rows, std::greater{}, [](const auto& row) { return row.envelope.id; });
    std::erase_if(rows, [&](const auto& row) { return !fits(row); });
    return ids_of(rows);
  }
  template <class T>
  static void expect_error(const core::Result<T>& result, core::Code code) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, code) << result.error().detail;
    EXPECT_EQ(result.error().origin, core::Origin::metadata);
    EXPECT_FALSE(result.error().detail.empty());
  }

  Fixture fixture_;

 private:
  core::RecordIdGenerator ids_;
  core::WallTime now_ = wall_time(1'795'233'906'123'456);
};
TYPED_TEST_SUITE_P(MetadataStoreContract);

TYPED_TEST_P(MetadataStoreContract, finds_a_row_with_all_that_was_inserted) {
  const auto full = full_row(this->next_id(this->now()), this->now());
  const auto bare = this->next_row();
  this->insert({full, bare});
  EXPECT_EQ(this->find(full.envelope.id), full);
  EXPECT_EQ(this->find(bare.envelope.id), bare);
  EXPECT_EQ(this->list({}), (std::vector{bare, full}));
}

TYPED_TEST_P(MetadataStoreContract, finds_nothing_under_an_unknown_id) {
  this->insert({this->next_row()});
  EXPECT_EQ(this->find(this->next_id(this->now())), std::nullopt);
}

TYPED_TEST_P(MetadataStoreContract, keeps_texts_as_they_are) {
  for (const std::string text :
       {"'; DROP TABLE records; --", "quotes \" and \\ and /", "line\nbreak\ttab",
        "\xC3\xBC\xE2\x82\xAC\xF0\x9F\x93\x96", "%_*?[a]", " spaces ", "NULL", "1e5"}) {
    auto row = this->next_row();
    row.envelope.tenant = text;
    row.envelope.source = text;
    row.envelope.event_id = text;
    row.envelope.type = text;
    row.envelope.subject = text;
    row.envelope.content_type = text;
    row.envelope.idempotency_key = text;
    row.envelope.attributes = {{"name", text}, {"empty", ""}};
    row.object_key = text;
    row.object_version = text;
    this->insert({row});
    EXPECT_EQ(this->find(row.envelope.id), row) << text;
    EXPECT_EQ(this->list(query([&](auto& q) {
      q.tenant = text, q.source = text, q.type = text, q.subject = text;
    })),
              std::vector{row})
        << text;
  }
}

TYPED_TEST_P(MetadataStoreContract, changes_nothing_when_an_id_comes_again) {
  const auto row = this->next_row();
  this->insert({row});
  auto changed = full_row(row.envelope.id, row.envelope.received_at);
  const auto fresh = this->next_row();
  this->insert({changed, fresh, changed});
  EXPECT_EQ(this->find(row.envelope.id), row);
  EXPECT_EQ(this->list({}), (std::vector{fresh, row}));
}

TYPED_TEST_P(MetadataStoreContract, keeps_the_first_of_two_rows_with_one_id_in_a_batch) {
  const auto row = this->next_row();
  this->insert({row, full_row(row.envelope.id, row.envelope.received_at)});
  EXPECT_EQ(this->list({}), std::vector{row});
}

TYPED_TEST_P(MetadataStoreContract, takes_an_empty_batch) {
  this->insert({});
  EXPECT_TRUE(this->list({}).empty());
}

TYPED_TEST_P(MetadataStoreContract, lists_newest_first_and_no_more_than_the_limit) {
  typename TestFixture::Rows rows;
  for (int i = 0; i < 10; ++i) rows.push_back(this->next_row());
  auto shuffled = rows;
  std::ranges::rotate(shuffled, shuffled.begin() + 4);
  this->insert(shuffled);
  const auto all = this->expected(rows, [](const auto&) { return true; });
  EXPECT_EQ(this->ids_of(this->list({})), all);
  EXPECT_EQ(this->ids_of(this->list(query_of_limit(3))),
            (typename TestFixture::Ids{all[0], all[1], all[2]}));
  EXPECT_EQ(this->list(query_of_limit(core::limits::kPageRecordsMax)).size(), 10);
}

TYPED_TEST_P(MetadataStoreContract, refuses_a_limit_out_of_bounds) {
  for (const std::uint32_t limit : {0U, core::limits::kPageRecordsMax + 1, 4'294'967'295U}) {
    this->expect_error(this->run(this->store().list(query_of_limit(limit), soon())),
                       core::Code::invalid_argument);
  }
}

TYPED_TEST_P(MetadataStoreContract, filters_by_each_attribute_and_by_all_together) {
  const std::vector<std::string> words = {"", "a", "b"};
  typename TestFixture::Rows rows;
  for (const std::string& tenant : {words[1], words[2]}) {
    for (const std::string& source : words) {
      for (const std::string& type : words) {
        auto row = this->next_row();
        row.envelope.tenant = tenant;
        row.envelope.source = source;
        row.envelope.type = type;
        row.envelope.subject = source + type;
        row.state = type == "b" ? "sealed" : "indexed";
        rows.push_back(row);
      }
    }
  }
  this->insert(rows);
  using Query = core::MetadataQuery;
  const std::vector<void (*)(Query&)> cases = {
      [](Query& q) { q.tenant = "a"; },
      [](Query& q) { q.source = "a"; },
      [](Query& q) { q.source = ""; },
      [](Query& q) { q.type = "b"; },
      [](Query& q) { q.subject = "ab"; },
      [](Query& q) { q.state = "sealed"; },
      [](Query& q) { q.tenant = "nobody"; },
      [](Query& q) { q.tenant = "a", q.type = "b"; },
      [](Query& q) { q.source = "a", q.state = "indexed"; },
      [](Query& q) { q.type = "a", q.subject = "ba"; },
      [](Query& q) {
        q.tenant = "b", q.source = "b", q.type = "a", q.subject = "ba", q.state = "indexed";
      },
      [](Query& q) {
        q.tenant = "b", q.source = "b", q.type = "a", q.subject = "bb", q.state = "indexed";
      },
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Query asked = query(cases[i]);
    const auto want = this->expected(rows, [&](const core::MetadataRow& row) {
      return (!asked.tenant || row.envelope.tenant == *asked.tenant) &&
             (!asked.source || row.envelope.source == *asked.source) &&
             (!asked.type || row.envelope.type == *asked.type) &&
             (!asked.subject || row.envelope.subject == *asked.subject) &&
             (!asked.state || row.state == *asked.state);
    });
    EXPECT_EQ(this->ids_of(this->list(asked)), want) << "case " << i;
  }
}

TYPED_TEST_P(MetadataStoreContract, takes_since_as_included_and_until_as_not) {
  typename TestFixture::Rows rows;
  for (int i = 0; i < 20; ++i) rows.push_back(this->next_row());
  this->insert(rows);
  const auto us = std::chrono::microseconds(1);
  const core::WallTime at = rows[10].envelope.received_at;
  const std::vector<std::pair<std::optional<core::WallTime>, std::optional<core::WallTime>>>
      windows = {{at, {}},
                 {at + us, {}},
                 {{}, at},
                 {{}, at + us},
                 {at, at},
                 {at, at + us},
                 {at - 5 * us, at + 5 * us},
                 {rows[3].envelope.received_at, rows[7].envelope.received_at},
                 {at, rows[3].envelope.received_at}};
  for (const auto& [since, until] : windows) {
    const auto want = this->expected(rows, [&](const core::MetadataRow& row) {
      return (!since || row.envelope.received_at >= *since) &&
             (!until || row.envelope.received_at < *until);
    });
    EXPECT_EQ(this->ids_of(this->list(query([&](auto& q) { q.since = since, q.until = until; }))),
              want);
  }
}

TYPED_TEST_P(MetadataStoreContract, believes_received_at_where_the_id_tells_another_time) {
  // The clock stepped: ids and times are days apart, in both directions, and one id is no time at
  // all.
  const core::WallTime noon = this->now();
  const auto day = std::chrono::hours(24);
  typename TestFixture::Rows rows;
  for (const int days : {-400, -3, 0, 2, 300}) {
    rows.push_back(bare_row(this->next_id(noon), noon + days * day));
  }
  rows.push_back(bare_row(*core::RecordId::parse("ffffffff-ffff-4fff-bfff-ffffffffffff"), noon));
  rows.push_back(bare_row(*core::RecordId::parse("00000000-0000-4000-8000-000000000001"), noon));
  this->insert(rows);
  for (const int first : {-401, -400, -3, 0, 1, 2, 3, 301}) {
    for (const int length : {1, 3, 700}) {
      const core::WallTime since = noon + first * day;
      const core::WallTime until = since + length * day;
      const auto want = this->expected(rows, [&](const core::MetadataRow& row) {
        return row.envelope.received_at >= since && row.envelope.received_at < until;
      });
      EXPECT_EQ(this->ids_of(this->list(query([&](auto& q) { q.since = since, q.until = until; }))),
                want)
          << first << " days, for " << length;
    }
  }
}

TYPED_TEST_P(MetadataStoreContract, pages_through_2000_rows_without_gap_or_repeat) {
  typename TestFixture::Rows rows;
  for (int i = 0; i < 2000; ++i) rows.push_back(this->next_row());
  for (std::size_t i = 0; i < rows.size(); i += 100) {
    this->insert({rows.begin() + static_cast<std::ptrdiff_t>(i),
                  rows.begin() + static_cast<std::ptrdiff_t>(i + 100)});
  }
  typename TestFixture::Ids seen;
  core::MetadataQuery asked = query_of_limit(37);
  for (;;) {
    const auto page = this->list(asked);
    for (const std::string& id : this->ids_of(page)) seen.push_back(id);
    if (page.size() < asked.limit) break;
    asked.before = page.back().envelope.id;
    this->insert({this->next_row()});  // what comes while somebody pages is newer and not seen
  }
  EXPECT_EQ(seen, this->expected(rows, [](const auto&) { return true; }));
}

TYPED_TEST_P(MetadataStoreContract, pages_through_what_a_filter_leaves) {
  typename TestFixture::Rows rows;
  for (int i = 0; i < 300; ++i) {
    auto row = this->next_row();
    row.envelope.type = i % 3 == 0 ? "third" : "other";
    rows.push_back(row);
  }
  this->insert(rows);
  const core::WallTime since = rows[30].envelope.received_at;
  typename TestFixture::Ids seen;
  core::MetadataQuery asked =
      query([&](auto& q) { q.type = "third", q.since = since, q.limit = 7; });
  for (;;) {
    const auto page = this->list(asked);
    for (const std::string& id : this->ids_of(page)) seen.push_back(id);
    if (page.size() < asked.limit) break;
    asked.before = page.back().envelope.id;
  }
  EXPECT_EQ(seen, this->expected(rows, [&](const core::MetadataRow& row) {
    return row.envelope.type == "third" && row.envelope.received_at >= since;
  }));
  EXPECT_EQ(seen.size(), 90);
}

TYPED_TEST_P(MetadataStoreContract, says_timeout_when_the_deadline_has_passed) {
  const auto row = this->next_row();
  this->expect_error(this->run(this->store().insert({row}, long_ago())), core::Code::timeout);
  this->expect_error(this->run(this->store().find(row.envelope.id, long_ago())),
                     core::Code::timeout);
  this->expect_error(this->run(this->store().list({}, long_ago())), core::Code::timeout);
  this->expect_error(this->run(this->store().probe(long_ago())), core::Code::timeout);
  EXPECT_EQ(this->find(row.envelope.id), std::nullopt);
}

TYPED_TEST_P(MetadataStoreContract, says_that_it_works_and_what_it_is) {
  const auto works = this->run(this->store().probe(soon()));
  EXPECT_TRUE(works) << works.error().detail;
  EXPECT_FALSE(this->store().describe().empty());
  EXPECT_TRUE(this->list({}).empty()) << "the probe left something behind";
}

TYPED_TEST_P(MetadataStoreContract, keeps_batches_inserted_side_by_side) {
  std::vector<core::Task<core::Result<void>>> inserts;
  typename TestFixture::Rows rows;
  const auto shared = this->next_row();
  for (int batch = 0; batch < 20; ++batch) {
    typename TestFixture::Rows part = {shared};
    for (int i = 0; i < 5; ++i) part.push_back(this->next_row());
    rows.insert(rows.end(), part.begin() + 1, part.end());
    inserts.push_back(this->store().insert(std::move(part), soon()));
  }
  rows.push_back(shared);
  for (const auto& done : this->run(gather(std::move(inserts)))) {
    EXPECT_TRUE(done) << done.error().detail;
  }
  EXPECT_EQ(this->ids_of(this->list(query_of_limit(1000))),
            this->expected(rows, [](const auto&) { return true; }));
}

TYPED_TEST_P(MetadataStoreContract, scans_all_rows_by_id_ascending) {
  typename TestFixture::Rows rows;
  for (int i = 0; i < 25; ++i) rows.push_back(this->next_row());
  this->insert({rows.rbegin(), rows.rend()});
  for (const std::uint32_t limit : {1U, 7U, 25U, 26U, 1000U}) {
    typename TestFixture::Rows found;
    std::optional<core::RecordId> after;
    for (;;) {
      const auto page = this->run(this->store().scan(after, limit, soon()));
      ASSERT_TRUE(page) << page.error().detail;
      ASSERT_LE(page->size(), limit);
      found.insert(found.end(), page->begin(), page->end());
      if (page->size() < limit) break;
      after = found.back().envelope.id;
    }
    EXPECT_EQ(found, rows) << "pages of " << limit;
  }
  for (const std::uint32_t limit : {0U, core::limits::kPageRecordsMax + 1}) {
    this->expect_error(this->run(this->store().scan({}, limit, soon())),
                       core::Code::invalid_argument);
  }
}

REGISTER_TYPED_TEST_SUITE_P(
    MetadataStoreContract, finds_a_row_with_all_that_was_inserted,
    finds_nothing_under_an_unknown_id, keeps_texts_as_they_are,
    changes_nothing_when_an_id_comes_again, keeps_the_first_of_two_rows_with_one_id_in_a_batch,
    takes_an_empty_batch, lists_newest_first_and_no_more_than_the_limit,
    refuses_a_limit_out_of_bounds, filters_by_each_attribute_and_by_all_together,
    takes_since_as_included_and_until_as_not, believes_received_at_where_the_id_tells_another_time,
    pages_through_2000_rows_without_gap_or_repeat, pages_through_what_a_filter_leaves,
    says_timeout_when_the_deadline_has_passed, says_that_it_works_and_what_it_is,
    keeps_batches_inserted_side_by_side, scans_all_rows_by_id_ascending);

}  // namespace daybook::tests
