// FeedTail: the end of the feed, read once for all who wait for it. While somebody waits it asks
// the metadata store for what is new: at once when this process has indexed a record, and every
// poll_interval for what other nodes have. It keeps what it read last, so that a crowd that is
// woken does not ask for the same entries. While nobody waits it asks nothing. I/O thread only.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/ports/metadata_store.hpp"
#include "core/ports/runtime.hpp"

namespace daybook::api {

// An entry and its record's JSON, which is made once. Never changes.
class TailEntry {
 public:
  explicit TailEntry(core::FeedEntry entry) : entry_(std::move(entry)) {}
  [[nodiscard]] std::uint64_t sequence() const { return entry_.sequence; }
  [[nodiscard]] core::WallTime published_at() const { return entry_.published_at; }
  [[nodiscard]] const core::MetadataRow& row() const { return entry_.row; }
  [[nodiscard]] const std::string& record_json() const;

 private:
  core::FeedEntry entry_;
  mutable std::string record_json_;
};
using TailEntries = std::vector<std::shared_ptr<const TailEntry>>;

class FeedTail {
 public:
  struct Settings {
    core::Duration poll_interval = std::chrono::milliseconds(250);
    std::size_t readers_max = 1000;
  };
  FeedTail(core::Runtime& runtime, core::MetadataStore& store, Settings settings);

  // Until close().
  core::Task<> run();
  // Whoever waits is woken and gets nothing more.
  void close();
  [[nodiscard]] bool closed() const { return closed_; }
  // This process has indexed a record.
  void nudge();

  // The place of one who will wait; given back when it goes.
  class Reader {
   public:
    Reader(FeedTail& tail, bool stream);
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

   private:
    FeedTail& tail_;
    bool stream_;
  };
  // null: as many wait as may.
  [[nodiscard]] std::unique_ptr<Reader> enter(bool stream);
  [[nodiscard]] std::size_t polls() const { return polls_; }
  [[nodiscard]] std::size_t streams() const { return streams_; }

  // Returns when there is an entry behind `after`, the deadline has passed or the tail is closed.
  // `after` is a number that has been given.
  core::Task<> wait_behind(std::uint64_t after, core::Deadline deadline);
  // As the store's feed(); what is kept is answered from memory, and may be fewer than there are.
  core::Task<core::Result<TailEntries>> read(std::uint64_t after, std::uint32_t limit,
                                             core::Deadline deadline);
  // Past what is kept: the store's own answer.
  core::Task<core::Result<TailEntries>> read_store(std::uint64_t after, std::uint32_t limit,
                                                   core::Deadline deadline);

  // Entries up to it have been seen by whoever waits here.
  [[nodiscard]] std::uint64_t last() const { return last_; }
  // The newest number that was seen, for people.
  [[nodiscard]] std::uint64_t newest() const { return std::max(newest_, last_); }
  void saw(std::uint64_t number) { newest_ = std::max(newest_, number); }

 private:
  void keep(std::vector<core::FeedEntry> entries);
  core::Task<> look();

  core::Runtime& runtime_;
  core::MetadataStore& store_;
  const Settings settings_;
  std::unique_ptr<core::Signal> asked_;                // somebody waits, or nudge()
  std::unique_ptr<core::Signal> published_;            // last_ has grown, or close()
  std::deque<std::shared_ptr<const TailEntry>> kept_;  // up to last_, without a gap
  std::uint64_t last_ = 0;
  std::uint64_t newest_ = 0;
  std::uint64_t nudges_ = 0;
  std::size_t waiting_ = 0;
  std::size_t polls_ = 0;
  std::size_t streams_ = 0;
  bool closed_ = false;
  bool failing_ = false;
};

}  // namespace daybook::api
