#include "core/delivery/feed_source.hpp"

#include <algorithm>

namespace daybook::core::delivery {
namespace {

// Between the clocks of the nodes and stores that an old cursor may come from.
constexpr auto kClockMargin = std::chrono::hours(1);

}  // namespace

Task<Result<std::uint64_t>> FeedSource::where(std::optional<FeedCursor> kept, FeedBounds bounds,
                                              Deadline deadline) {
  if (!kept) co_return settings_.from_now ? bounds.last : bounds.first - 1;
  if (kept->feed == bounds.feed && kept->sequence <= bounds.last) co_return kept->sequence;
  co_return co_await metadata_.feed_before(kept->published_at - kClockMargin, deadline);
}

Task<Result<std::uint64_t>> FeedSource::begin(SubscriberRecord kept, std::uint64_t fence,
                                              Deadline deadline) {
  const auto bounds = co_await window_.bounds(deadline);
  if (!bounds) co_return pass(bounds);
  last_ = bounds->last;
  // What this process has saved is as good as what is kept, and still there where that was lost.
  const std::optional<FeedCursor> known = kept.cursor ? kept.cursor : saved_;
  const auto from = co_await where(known, *bounds, deadline);
  if (!from) co_return pass(from);
  feed_ = bounds->feed;
  published_before_.clear();
  published_ = known ? known->published_at : WallTime{};
  saved_ = kept.cursor;
  if (unsaved(*from)) {
    auto done = co_await save(fence, *from, deadline);
    if (!done) co_return pass(std::move(done));
  }
  co_return *from;
}

Task<Result<Source::Page>> FeedSource::read(std::uint64_t after, std::size_t max,
                                            Deadline deadline) {
  auto read = co_await window_.read(after, max, deadline);
  if (!read) co_return pass(std::move(read));
  Page page;
  page.more = read->more;
  for (const FeedWindow::Entry& entry : read->entries) {
    page.missed += entry->sequence - after - 1;
    after = entry->sequence;
    Delivery delivery;
    delivery.number = entry->sequence;
    delivery.id = entry->row.envelope.id;
    delivery.partition = entry->row.envelope.partition;
    delivery.published_at = entry->published_at;
    if (settings_.filter.matches(entry->row.envelope)) {
      delivery.due = settings_.events;
      delivery.row = std::shared_ptr<const MetadataRow>(entry, &entry->row);
      published_before_.emplace(delivery.number, published_);
    }
    published_ = entry->published_at;
    page.deliveries.push_back(std::move(delivery));
  }
  last_ = std::max(last_, after);
  co_return page;
}

Task<Result<std::optional<Delivery>>> FeedSource::recall(ParkedDelivery parked, Deadline deadline) {
  auto row = co_await metadata_.find(parked.id, deadline);
  if (!row) co_return pass(std::move(row));
  if (!*row) co_return std::optional<Delivery>{};
  Delivery delivery;
  delivery.number = parked.number;
  delivery.id = parked.id;
  delivery.partition = (*row)->envelope.partition;
  delivery.published_at = (*row)->indexed_at;
  delivery.row = std::make_shared<const MetadataRow>(std::move(**row));
  for (const std::string& word : parked.due) {
    if (const auto event = parse_event(word)) delivery.due.push_back(*event);
  }
  if (delivery.due.empty()) co_return std::optional<Delivery>{};
  co_return delivery;
}

bool FeedSource::unsaved(std::uint64_t cursor) const {
  return !saved_ || saved_->sequence != cursor || saved_->feed != feed_;
}

Task<Result<void>> FeedSource::save(std::uint64_t fence, std::uint64_t cursor, Deadline deadline) {
  const WallTime at = published_before_.empty() ? published_ : published_before_.begin()->second;
  FeedCursor now{.feed = feed_, .sequence = cursor, .published_at = at};
  auto done = co_await cursors_.save(settings_.name, fence, now, deadline);
  if (done) saved_ = std::move(now);
  co_return done;
}

std::uint64_t FeedSource::lag(std::uint64_t cursor) const {
  return last_ - std::min(last_, cursor);
}

}  // namespace daybook::core::delivery
