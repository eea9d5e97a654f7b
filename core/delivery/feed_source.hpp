// FeedSource: a subscriber's deliveries from the feed of indexed records.
#pragma once

#include <map>
#include <string>

#include "core/delivery/feed_window.hpp"
#include "core/delivery/filter.hpp"
#include "core/delivery/source.hpp"
#include "core/ports/metadata_store.hpp"

namespace daybook::core::delivery {

class FeedSource final : public Source {
 public:
  struct Settings {
    std::string name;
    std::vector<Event> events;  // in order
    Filter filter;
    bool from_now = false;  // a new subscriber begins with what comes, not with the first record
  };
  FeedSource(MetadataStore& metadata, FeedWindow& window, CursorStore& cursors, Settings settings)
      : metadata_(metadata), window_(window), cursors_(cursors), settings_(std::move(settings)) {}

  // A cursor of another feed, or of more entries than this one has (the store was replaced or
  // restored), counts by its time: what was published from an hour before on is told again.
  Task<Result<std::uint64_t>> begin(SubscriberRecord kept, std::uint64_t fence,
                                    Deadline deadline) override;
  Task<Result<Page>> read(std::uint64_t after, std::size_t max, Deadline deadline) override;
  Task<Result<std::optional<Delivery>>> recall(ParkedDelivery parked, Deadline deadline) override;
  void finished(const Delivery& delivery) override { published_before_.erase(delivery.number); }
  [[nodiscard]] bool unsaved(std::uint64_t cursor) const override;
  Task<Result<void>> save(std::uint64_t fence, std::uint64_t cursor, Deadline deadline) override;
  [[nodiscard]] std::uint64_t lag(std::uint64_t cursor) const override;

  // The feed's newest entry, from whoever looks.
  void set_last(std::uint64_t last) { last_ = last; }

 private:
  Task<Result<std::uint64_t>> where(std::optional<FeedCursor> kept, FeedBounds bounds,
                                    Deadline deadline);

  MetadataStore& metadata_;
  FeedWindow& window_;
  CursorStore& cursors_;
  Settings settings_;
  std::string feed_;
  std::optional<FeedCursor> saved_;
  std::uint64_t last_ = 0;
  // Of each delivery in hand, when its predecessor in the feed was published; and of the last read.
  std::map<std::uint64_t, WallTime> published_before_;
  WallTime published_{};
};

}  // namespace daybook::core::delivery
