// Feed: every archived record in the order of its publication, for readers who pull.
//
//   GET /v1/feed      pages as JSON, with long poll; an event stream for who accepts
//                     text/event-stream (WHATWG HTML, section 9.2)
//   GET /messages     pages in the original's shape: a JSON array of the messages as they were
//                     posted. The Link field (RFC 8288) says where to go on: rel="next" while
//                     there is more, rel="monitor" (RFC 5989) behind all that there is
//
// - It is served from the metadata store, back to the oldest entry that is kept. A page ends at its
//   limit, at feed.page_bytes_max or when enough was looked through; one entry that fits is always
//   in it, however large, and its `next` goes on behind what was looked at. So no reader sticks.
// - A reader by time gets what was published feed.overlap before, too: more than it asked for,
// never
//   less. A number of another feed, or beyond the last, is refused with 409; one whose successor is
//   no longer kept with 410, which names the first that is.
// - Answers are made within feed.memory_max; readers that wait are bounded by feed.readers_max.
// I/O thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "api/feed_entry.hpp"
#include "api/feed_request.hpp"
#include "api/feed_tail.hpp"
#include "api/metrics.hpp"
#include "core/budget.hpp"
#include "core/config.hpp"
#include "io/http_server.hpp"

namespace daybook::api {

class Feed {
 public:
  struct Services {
    core::Runtime& runtime;
    core::Workers& workers;
    core::MetadataStore& metadata;
    core::ObjectStore& objects;
    Metrics& metrics;
  };
  // connections_max: of the HTTP server; readers that wait take at most half of them.
  Feed(Services services, const core::Config& config, std::size_t connections_max);

  core::Task<> run() { return tail_.run(); }
  // Long polls are answered, event streams end.
  void close() { tail_.close(); }
  // This process has indexed a record.
  void nudge() { tail_.nudge(); }
  core::Task<> refresh_metrics();

  // Each answers the exchange and returns the status for the metrics.
  core::Task<int> page(io::HttpExchange& exchange);
  core::Task<int> messages(io::HttpExchange& exchange);

 private:
  enum class Shape { entries, messages, events };
  // Where a reader stands, and in which feed.
  struct Place {
    std::string feed;
    std::uint64_t after = 0;  // all up to it was given or looked at
    std::uint64_t last = 0;   // the newest that was seen
  };
  // Entries as text, for one answer or one write.
  struct Batch {
    std::string text;
    std::size_t entries = 0;
    std::uint64_t after = 0;  // all up to it was looked at
    bool at_end = false;      // there was nothing more
    bool jumped = false;      // what followed directly is not there any more
    core::Budget::Share memory;
  };
  using Placed = std::variant<Place, io::HttpAnswer>;

  core::Task<int> answer_pages(io::HttpExchange& exchange, Shape shape);
  core::Task<int> stream(io::HttpExchange& exchange, FeedRequest request);
  core::Task<core::Result<void>> stream_events(io::HttpExchange& exchange, FeedRequest request,
                                               Place place);
  core::Task<Placed> place_of(FeedRequest request);
  core::Task<core::Result<Batch>> next_batch(std::shared_ptr<const FeedRequest> request,
                                             Place place, Shape shape, bool from_tail);
  core::Task<core::Result<bool>> add(Batch& batch, std::shared_ptr<const TailEntry> entry,
                                     PayloadWish wish, Shape shape, std::string feed);
  [[nodiscard]] std::uint64_t bytes_max(Shape shape) const;
  [[nodiscard]] std::uint64_t memory_for(PayloadWish wish, Shape shape) const;
  [[nodiscard]] FeedRequestBounds bounds(Shape shape) const;
  [[nodiscard]] core::Deadline deadline() const;

  Services services_;
  const core::Config& config_;
  FeedTail tail_;
  FeedEntries entries_;
  core::Budget memory_;
};

}  // namespace daybook::api
