// DynamodbFeed: gives records their numbers, each one, without a gap, though the table knows no
// transaction over two items (those it has cost twice and are missing in its relatives).
//
// The feed is a log of pages (dynamodb_feed_pages.hpp). Who appends writes the page that follows
// the last one he knows, on the condition that there is none: of two writers one wins, the other
// reads what was written meanwhile and tries the next place. So the numbers have no gap, and a page
// is there only if all before it are.
//
// Why a record gets one number, and gets it:
// - It is published after its row was written, and its row says `feed_after`: a number that was
//   given before the row was written. So its own can only be a higher one.
// - Whoever appends has read every page behind the record's feed_after up to the place where he
//   writes, and leaves out what he found there. As only one page can take that place, nobody can
//   have published the record unseen.
// - A writer that died between row and page leaves a row without a number. Its record is still in
//   the buffer, so it is inserted again; that finds the row, reads on from its feed_after, and
//   publishes it. The same happens where the answer to a request got lost.
// - A row without feed_after was numbered when the table got its feed (`daybook metadata migrate`).
// A writer knows the pages that it wrote or read last, so that normally one request publishes a
// batch, and what comes while one is written goes together into the next. I/O thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/group_commit.hpp"
#include "core/ports/metadata_store.hpp"
#include "storage/dynamodb_feed_pages.hpp"

namespace daybook::storage {

// A record whose row is there.
struct DynamodbCandidate {
  core::RecordId id;
  core::WallTime received_at{};
  std::uint64_t after = 0;  // feed_after of its row
};

struct DynamodbFeedLine {
  std::uint64_t sequence = 0;
  core::WallTime published_at{};
  core::RecordId id;
};

class DynamodbFeed {
 public:
  explicit DynamodbFeed(DynamodbClient& client);

  // A number that has been given: feed_after of rows that are written from now on.
  core::Task<core::Result<std::uint64_t>> known_last(core::Deadline deadline);
  // When it returns success each of them has its number, new or from before.
  core::Task<core::Result<void>> publish(std::vector<DynamodbCandidate> candidates,
                                         core::Deadline deadline);
  // For a table that gets its feed, whose rows come here by id ascending: the last record that has
  // a number, and the next ones, published as if when they were received. false: somebody else
  // appends, too.
  core::Task<core::Result<std::optional<core::RecordId>>> last_record(core::Deadline deadline);
  core::Task<core::Result<bool>> append_old(std::vector<core::MetadataRow> rows,
                                            core::Deadline deadline);

  core::Task<core::Result<std::vector<DynamodbFeedLine>>> read(std::uint64_t after,
                                                               std::uint32_t limit,
                                                               core::Deadline deadline);
  core::Task<core::Result<core::FeedBounds>> bounds(core::Deadline deadline);
  core::Task<core::Result<std::uint64_t>> before(core::WallTime since, core::Deadline deadline);

  // The table may be another one now.
  void forget();

 private:
  struct Known;  // the end of the feed as far as it is known
  struct Waiting {
    const std::vector<DynamodbCandidate>* candidates;
    core::Deadline deadline;
  };
  class Unpublished;

  core::Task<core::Result<std::shared_ptr<Known>>> find_end(core::Deadline deadline);
  core::Task<core::Result<std::shared_ptr<Known>>> known(core::Deadline deadline);
  core::Task<core::Result<void>> publish_together(std::vector<Waiting> waiting);
  core::Task<core::Result<void>> look_back(const Known& known, Unpublished& open,
                                           core::Deadline deadline);
  core::Task<core::Result<void>> catch_up(Known& known, Unpublished& open, core::Deadline deadline);

  DynamodbClient& client_;
  std::shared_ptr<Known> known_;
  std::optional<std::uint64_t> page_end_;  // the last number of a page, where a reader goes on
  core::GroupCommit<Waiting> commits_;
};

}  // namespace daybook::storage
