#include "api/feed_tail.hpp"

#include <algorithm>
#include <utility>

#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "api/record_json.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Deadline;
using core::FeedEntry;
using core::Result;
using core::Task;

constexpr std::uint32_t kReadAtOnce = 100;
constexpr std::size_t kKeptEntries = 256;
constexpr core::Duration kReadTimeout = std::chrono::seconds(5);
constexpr core::Duration kPauseAfterFailure = std::chrono::seconds(1);
constexpr core::Duration kNobodyWaits = std::chrono::hours(1);

TailEntries shared(std::vector<FeedEntry> entries) {
  TailEntries all;
  all.reserve(entries.size());
  for (FeedEntry& entry : entries)
    all.push_back(std::make_shared<const TailEntry>(std::move(entry)));
  return all;
}

}  // namespace

// A header may have carried any byte; JSON is UTF-8, or whoever parses a page of it gets no
// further.
const std::string& TailEntry::record_json() const {
  if (record_json_.empty()) {
    record_json_ = boost::json::serialize(record_object(entry_.row, entry_.row.state));
    if (!core::is_utf8(record_json_)) record_json_ = core::to_utf8(record_json_);
  }
  return record_json_;
}

FeedTail::FeedTail(core::Runtime& runtime, core::MetadataStore& store, Settings settings)
    : runtime_(runtime),
      store_(store),
      settings_(settings),
      asked_(runtime.make_signal()),
      published_(runtime.make_signal()) {}

FeedTail::Reader::Reader(FeedTail& tail, bool stream) : tail_(tail), stream_(stream) {
  ++(stream_ ? tail_.streams_ : tail_.polls_);
}

FeedTail::Reader::~Reader() {
  --(stream_ ? tail_.streams_ : tail_.polls_);
}

std::unique_ptr<FeedTail::Reader> FeedTail::enter(bool stream) {
  if (polls_ + streams_ >= settings_.readers_max) return nullptr;
  return std::make_unique<Reader>(*this, stream);
}

void FeedTail::close() {
  closed_ = true;
  asked_->notify_all();
  published_->notify_all();
}

void FeedTail::nudge() {
  ++nudges_;
  if (waiting_ != 0) asked_->notify_all();
}

Task<> FeedTail::run() {
  while (!closed_) {
    if (waiting_ == 0) {
      co_await asked_->wait(runtime_.steady_now() + kNobodyWaits);
    } else {
      co_await look();
    }
  }
}

Task<> FeedTail::look() {
  const std::uint64_t nudges = nudges_;
  auto entries = co_await store_.feed(last_, kReadAtOnce, runtime_.steady_now() + kReadTimeout);
  if (closed_) co_return;
  if (!entries) {
    if (!std::exchange(failing_, true)) {
      spdlog::warn("the feed cannot be read, its readers wait: {}", entries.error().detail);
    }
    co_await asked_->wait(runtime_.steady_now() + kPauseAfterFailure);
    co_return;
  }
  if (std::exchange(failing_, false)) spdlog::info("the feed is read again");
  if (!entries->empty()) co_return keep(std::move(*entries));
  if (nudges == nudges_) {
    co_await asked_->wait(runtime_.steady_now() + settings_.poll_interval);
  }
}

void FeedTail::keep(std::vector<FeedEntry> entries) {
  // Somebody may have learned of a higher number meanwhile.
  std::erase_if(entries, [this](const FeedEntry& entry) { return entry.sequence <= last_; });
  if (entries.empty()) return;
  // A record that was deleted by hand leaves a gap, behind which it begins anew.
  if (entries.front().sequence != last_ + 1) kept_.clear();
  last_ = entries.back().sequence;
  for (auto& entry : shared(std::move(entries))) kept_.push_back(std::move(entry));
  while (kept_.size() > kKeptEntries) kept_.pop_front();
  published_->notify_all();
}

Task<> FeedTail::wait_behind(std::uint64_t after, Deadline deadline) {
  if (waiting_++ == 0) {
    // What nobody waited for need not be read. Where others wait, it comes to `after` by itself.
    if (after > last_) {
      last_ = after;
      kept_.clear();
    }
    asked_->notify_all();
  }
  while (last_ <= after && !closed_ && runtime_.steady_now() < deadline) {
    co_await published_->wait(deadline);
  }
  --waiting_;
}

Task<Result<TailEntries>> FeedTail::read(std::uint64_t after, std::uint32_t limit,
                                         Deadline deadline) {
  if (kept_.empty() || after + 1 < kept_.front()->sequence() || after >= last_) {
    co_return co_await read_store(after, limit, deadline);
  }
  TailEntries entries;
  const auto first = std::ranges::upper_bound(kept_, after, {},
                                              [](const auto& entry) { return entry->sequence(); });
  for (auto entry = first; entry != kept_.end() && entries.size() < limit; ++entry) {
    entries.push_back(*entry);
  }
  co_return entries;
}

Task<Result<TailEntries>> FeedTail::read_store(std::uint64_t after, std::uint32_t limit,
                                               Deadline deadline) {
  auto entries = co_await store_.feed(after, limit, deadline);
  if (!entries) co_return pass(std::move(entries));
  co_return shared(std::move(*entries));
}

}  // namespace daybook::api
