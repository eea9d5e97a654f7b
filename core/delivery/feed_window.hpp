// FeedWindow: the feed as all subscribers of a node read it. What one of them has read is kept for
// the others, so that the store is asked once for an entry that all are told of. Whoever is too far
// behind for it reads the store by himself, and what he reads is there for those who follow.
// Entries never change, and their order in the feed neither; they go, the oldest read first, when
// they take more than bytes_max together. I/O thread only.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/ports/metadata_store.hpp"
#include "core/ports/runtime.hpp"

namespace daybook::core::delivery {

// Memory of all entries that are kept; subscribers hold those they have in hand beside it.
inline constexpr std::size_t kFeedWindowBytes = 4 * MiB;

class FeedWindow {
 public:
  using Entry = std::shared_ptr<const FeedEntry>;
  struct Page {
    std::vector<Entry> entries;  // ascending
    bool more = false;           // reading on at once will give more
  };
  FeedWindow(Runtime& runtime, MetadataStore& store, std::size_t bytes_max = kFeedWindowBytes)
      : runtime_(runtime), store_(store), bytes_max_(bytes_max) {}

  // As the store's feed(), and its errors; may give fewer than there are.
  Task<Result<Page>> read(std::uint64_t after, std::size_t limit, Deadline deadline);
  // As the store's feed_bounds(). Where the feed is another one now, or was put back to an earlier
  // state, what was kept is forgotten.
  Task<Result<FeedBounds>> bounds(Deadline deadline);

 private:
  struct Kept {
    Entry entry;
    std::uint64_t after = 0;  // what it was read after: nothing is between
    std::size_t bytes = 0;
  };
  // A question to the store, and its answer for all who had the same one.
  struct Reading {
    std::unique_ptr<Signal> answered;
    std::optional<Result<Page>> page;  // once it is answered
  };

  [[nodiscard]] std::vector<Entry> kept_after(std::uint64_t after, std::size_t limit) const;
  Task<> ask(std::shared_ptr<Reading> reading, std::uint64_t after, std::size_t limit,
             Deadline deadline);
  [[nodiscard]] bool asked(const std::shared_ptr<Reading>& reading, std::uint64_t after) const;
  void keep(const std::vector<Entry>& entries, std::uint64_t after);
  void forget();

  Runtime& runtime_;
  MetadataStore& store_;
  const std::size_t bytes_max_;
  std::string feed_;
  std::uint64_t last_ = 0;              // the newest number that was heard of
  std::map<std::uint64_t, Kept> kept_;  // by number
  std::deque<std::uint64_t> order_;     // of them, the first that was read first
  std::size_t bytes_ = 0;
  std::map<std::uint64_t, std::shared_ptr<Reading>> readings_;  // by what they read after
};

}  // namespace daybook::core::delivery
