#include "storage/dynamodb_feed.hpp"

#include <algorithm>
#include <deque>
#include <set>
#include <utility>

namespace daybook::storage {

using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;
using Page = DynamodbFeedPage;

namespace {

// Pages that are kept to be looked through: as much as a second's records, 16 bytes each.
constexpr std::size_t kKeptIds = 16'384;
// Pages in one request, of 4 KB at most: first few, as what is sought is usually near.
constexpr std::uint32_t kPagesFirst = 4;
constexpr std::uint32_t kPagesMost = 128;
// Inserts that are published together.
constexpr std::size_t kTogether = 256;
// Beyond every number that will be given; numbers behind it are not computed with.
constexpr std::uint64_t kNumberEnd = std::uint64_t{1} << 62;

core::Failure no_feed(DynamodbClient& client) {
  return core::fail(
      Code::misconfigured, Origin::metadata, Retry::safe,
      "The table " + client.table() + " has no feed yet: run `daybook metadata migrate`.");
}

}  // namespace

struct DynamodbFeed::Known {
  std::uint64_t last = 0;
  core::WallTime published_at{};
  std::deque<Page> recent;  // without a gap up to `last`; may be empty
  std::size_t recent_ids = 0;

  void add(Page page) {
    last = page.last();
    published_at = page.published_at;
    recent_ids += page.ids.size();
    recent.push_back(std::move(page));
    while (recent_ids > kKeptIds) {
      recent_ids -= recent.front().ids.size();
      recent.pop_front();
    }
  }
  // Beginning behind the last one; ids are for the caller to fill in.
  [[nodiscard]] std::size_t room() const {
    return std::min<std::uint64_t>(kFeedPageIds, feed_group_end(feed_group_of(last + 1)) - last);
  }
};

// Records that are not known to have numbers.
class DynamodbFeed::Unpublished {
 public:
  void add(const DynamodbCandidate& candidate) {
    if (ids_.insert(candidate.id).second) candidates_.push_back(candidate);
  }
  void drop(const Page& page) {
    for (const core::RecordId& id : page.ids) ids_.erase(id);
  }
  [[nodiscard]] bool empty() const { return ids_.empty(); }
  // Every one of them has a higher number, if any.
  [[nodiscard]] std::uint64_t after() const {
    std::uint64_t least = kNumberEnd;
    for (const DynamodbCandidate& candidate : candidates_) {
      if (ids_.contains(candidate.id)) least = std::min(least, candidate.after);
    }
    return least;
  }
  [[nodiscard]] Page next_page(const Known& known, core::WallTime now) const {
    Page page{
        .first = known.last + 1, .published_at = std::max(now, known.published_at), .ids = {}};
    for (const DynamodbCandidate& candidate : candidates_) {
      if (page.ids.size() == known.room()) break;
      if (!ids_.contains(candidate.id)) continue;
      page.ids.push_back(candidate.id);
      page.published_at = std::max(page.published_at, candidate.received_at);
    }
    return page;
  }

 private:
  std::vector<DynamodbCandidate> candidates_;  // as they came
  std::set<core::RecordId> ids_;
};

DynamodbFeed::DynamodbFeed(DynamodbClient& client)
    : client_(client), commits_(client.runtime(), kTogether, [this](std::vector<Waiting> waiting) {
        return publish_together(std::move(waiting));
      }) {}

void DynamodbFeed::forget() {
  known_.reset();
  page_end_.reset();
}

// The last page of the last group that has one. The head's group is written behind the group's
// first page, so it may lag but never lead.
Task<Result<std::shared_ptr<DynamodbFeed::Known>>> DynamodbFeed::find_end(Deadline deadline) {
  const auto head = co_await read_feed_head(client_, deadline);
  if (!head) co_return pass(head);
  if (!*head) co_return no_feed(client_);
  auto end = std::make_shared<Known>();
  for (std::uint64_t group = (*head)->group;; ++group) {
    auto page = co_await feed_page_at(client_, feed_group_end(group), deadline);
    if (!page) co_return pass(std::move(page));
    if (!*page && group == (*head)->group && group != 0) {
      co_return core::fail(Code::damaged, Origin::metadata, Retry::never,
                           "The feed in the metadata table has lost its last pages; restore the "
                           "table from a backup.");
    }
    if (!*page) co_return end;
    const bool full = (*page)->last() == feed_group_end(group);
    end->add(std::move(**page));
    if (!full) co_return end;
  }
}

Task<Result<std::shared_ptr<DynamodbFeed::Known>>> DynamodbFeed::known(Deadline deadline) {
  if (known_) co_return known_;
  auto end = co_await find_end(deadline);
  if (end && !known_) known_ = *end;  // another may have been quicker and gone on
  if (end) co_return known_;
  co_return end;
}

Task<Result<std::uint64_t>> DynamodbFeed::known_last(Deadline deadline) {
  const auto end = co_await known(deadline);
  if (!end) co_return pass(end);
  co_return (*end)->last;
}

// --- publishing ---

Task<Result<void>> DynamodbFeed::publish(std::vector<DynamodbCandidate> candidates,
                                         Deadline deadline) {
  if (candidates.empty()) co_return Result<void>{};
  co_return co_await commits_.submit({&candidates, deadline});
}

Task<Result<void>> DynamodbFeed::publish_together(std::vector<Waiting> waiting) {
  Deadline deadline = Deadline::min();
  Unpublished open;
  for (const Waiting& one : waiting) {
    deadline = std::max(deadline, one.deadline);
    for (const DynamodbCandidate& candidate : *one.candidates) open.add(candidate);
  }
  const auto end = co_await known(deadline);
  if (!end) co_return pass(end);
  Known& known = **end;
  if (auto looked = co_await look_back(known, open, deadline); !looked) co_return looked;
  while (!open.empty()) {
    Page page = open.next_page(known, client_.runtime().now());
    const auto put = co_await put_feed_page(client_, page, deadline);
    if (!put) co_return pass(put);
    if (!*put) {
      if (auto caught = co_await catch_up(known, open, deadline); !caught) co_return caught;
      continue;
    }
    const std::uint64_t group = feed_group_of(page.first);
    const bool begins = page.first == group * kFeedGroup + 1 && group != 0;
    open.drop(page);
    known.add(std::move(page));
    // Who looks for the end goes on from a group that is not noted.
    if (begins) (void)co_await note_feed_group(client_, group, deadline);
  }
  co_return Result<void>{};
}

// Leaves out what the known pages behind each record's feed_after have.
Task<Result<void>> DynamodbFeed::look_back(const Known& known, Unpublished& open,
                                           Deadline deadline) {
  const std::uint64_t kept = known.recent.empty() ? known.last + 1 : known.recent.front().first;
  std::uint64_t seen = 0;
  for (std::uint32_t most = kPagesFirst;; most = std::min(2 * most, kPagesMost)) {
    // feed_after is the end of a page, so the next one begins behind it.
    const std::uint64_t next = std::max(seen, open.after()) + 1;
    if (next >= kept) break;
    const auto pages = co_await feed_pages_from(client_, next, most, deadline);
    if (!pages) co_return pass(pages);
    seen = pages->empty() ? feed_group_end(feed_group_of(next)) : pages->back().last();
    for (const Page& page : *pages) open.drop(page);
  }
  const std::uint64_t after = open.after();
  for (const Page& page : known.recent) {
    if (page.last() > after) open.drop(page);
  }
  co_return Result<void>{};
}

// What others have published meanwhile. There is at least the page that was in the way.
Task<Result<void>> DynamodbFeed::catch_up(Known& known, Unpublished& open, Deadline deadline) {
  const std::uint64_t before = known.last;
  for (;;) {
    auto pages = co_await feed_pages_from(client_, known.last + 1, kPagesMost, deadline);
    if (!pages) co_return pass(std::move(pages));
    const std::uint64_t last = known.last;
    for (Page& page : *pages) {
      if (page.first != known.last + 1) break;  // written while the pages were read
      open.drop(page);
      known.add(std::move(page));
    }
    if (known.last == last) break;
  }
  if (known.last != before) co_return Result<void>{};
  co_return core::fail(Code::unavailable, Origin::metadata, Retry::safe,
                       "The feed in the table " + client_.table() + " has a page behind number " +
                           std::to_string(before) + " that cannot be read yet.");
}

// --- a table that gets its feed ---

Task<Result<std::optional<core::RecordId>>> DynamodbFeed::last_record(Deadline deadline) {
  auto end = co_await find_end(deadline);
  if (!end) co_return pass(std::move(end));
  known_ = std::move(*end);
  if (known_->recent.empty()) co_return std::nullopt;
  co_return known_->recent.back().ids.back();
}

Task<Result<bool>> DynamodbFeed::append_old(std::vector<core::MetadataRow> rows,
                                            Deadline deadline) {
  const auto end = co_await known(deadline);
  if (!end) co_return pass(end);
  Known& known = **end;
  for (std::size_t at = 0; at < rows.size();) {
    Page page{.first = known.last + 1, .published_at = known.published_at, .ids = {}};
    for (const std::size_t room = known.room(); page.ids.size() < room && at < rows.size(); ++at) {
      page.ids.push_back(rows[at].envelope.id);
      page.published_at = std::max(page.published_at, rows[at].envelope.received_at);
    }
    const auto put = co_await put_feed_page(client_, page, deadline);
    if (!put || !*put) co_return put;
    known.add(std::move(page));
  }
  if (known.last == 0) co_return true;
  const auto noted = co_await note_feed_group(client_, feed_group_of(known.last), deadline);
  if (!noted) co_return pass(noted);
  co_return true;
}

// --- reading ---

Task<Result<std::vector<DynamodbFeedLine>>> DynamodbFeed::read(std::uint64_t after,
                                                               std::uint32_t limit,
                                                               Deadline deadline) {
  std::vector<DynamodbFeedLine> lines;
  if (after >= kNumberEnd) co_return lines;
  std::uint64_t next = after + 1;
  const auto take = [&](const Page& page) {
    for (; next <= page.last() && lines.size() < limit; ++next) {
      lines.push_back({next, page.published_at, page.ids[next - page.first]});
    }
    if (next == page.last() + 1) page_end_ = page.last();
  };
  bool inside = after != 0 && after != page_end_;  // of a page, perhaps
  while (lines.size() < limit) {
    if (std::exchange(inside, false)) {
      const auto page = co_await feed_page_at(client_, next, deadline);
      if (!page) co_return pass(page);
      if (*page && (*page)->last() >= next) take(**page);
      continue;
    }
    const auto most = std::min<std::uint64_t>(limit - lines.size(), kPagesMost);
    const auto pages = co_await feed_pages_from(client_, next, most, deadline);
    if (!pages) co_return pass(pages);
    const std::uint64_t asked = next;
    for (const Page& page : *pages) {
      if (page.first != next) break;  // written while the pages were read
      take(page);
    }
    if (next != asked) continue;
    if (!lines.empty() || after == page_end_) break;
    // Nothing behind `after`, or what was there was removed.
    const auto head = co_await read_feed_head(client_, deadline);
    if (!head) co_return pass(head);
    if (!*head) co_return no_feed(client_);
    if ((*head)->first <= next) break;
    next = (*head)->first;
    inside = true;
  }
  co_return lines;
}

Task<Result<core::FeedBounds>> DynamodbFeed::bounds(Deadline deadline) {
  const auto head = co_await read_feed_head(client_, deadline);
  if (!head) co_return pass(head);
  if (!*head) co_return no_feed(client_);
  const auto end = co_await find_end(deadline);
  if (!end) co_return pass(end);
  co_return core::FeedBounds{(*head)->feed, (*head)->first, (*end)->last};
}

// Looks for the first page that is not before `since`, each time in half of what is left.
Task<Result<std::uint64_t>> DynamodbFeed::before(core::WallTime since, Deadline deadline) {
  const auto head = co_await read_feed_head(client_, deadline);
  if (!head) co_return pass(head);
  if (!*head) co_return no_feed(client_);
  const auto end = co_await find_end(deadline);
  if (!end) co_return pass(end);
  std::uint64_t low = (*head)->first - 1;  // all up to it are before
  std::uint64_t high = (*end)->last;       // all behind it are not
  if ((*end)->published_at < since) co_return high;
  while (low < high) {
    const std::uint64_t middle = low + (high - low + 1) / 2;
    const auto page = co_await feed_page_at(client_, middle, deadline);
    if (!page) co_return pass(page);
    if (!*page || (*page)->published_at < since) {
      low = *page ? std::max(middle, (*page)->last()) : middle;
    } else {
      high = (*page)->first - 1;
    }
  }
  co_return low;
}

}  // namespace daybook::storage
