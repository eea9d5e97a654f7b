#include "core/delivery/feed_window.hpp"

#include <algorithm>
#include <iterator>

#include "core/limits.hpp"

namespace daybook::core::delivery {
namespace {

// A page costs as much as some rows, so one that is for all is a whole one.
constexpr std::size_t kReadAtOnce = 64;

// What a node of a map or a block of the allocator takes beside the bytes themselves.
constexpr std::size_t kOverhead = 64;

std::size_t memory_of(const std::map<std::string, std::string>& texts) {
  std::size_t bytes = 0;
  for (const auto& [name, text] : texts) {
    bytes += 2 * sizeof(std::string) + kOverhead + name.capacity() + text.capacity();
  }
  return bytes;
}

std::size_t memory_of(const FeedEntry& entry) {
  const MetadataRow& row = entry.row;
  const Envelope& envelope = row.envelope;
  std::size_t bytes = sizeof(FeedEntry) + 2 * kOverhead + memory_of(envelope.attributes) +
                      memory_of(envelope.context) +
                      envelope.frames.capacity() * sizeof(envelope.frames.front());
  for (const std::string* text :
       {&envelope.tenant, &envelope.source, &envelope.event_id, &envelope.type, &envelope.subject,
        &envelope.content_type, &envelope.durability, &envelope.idempotency_key, &row.object_key,
        &row.object_location, &row.object_version, &row.position, &row.state}) {
    bytes += text->capacity();
  }
  return bytes;
}

}  // namespace

Task<Result<FeedWindow::Page>> FeedWindow::read(std::uint64_t after, std::size_t limit,
                                                Deadline deadline) {
  limit = std::min<std::size_t>(limit, limits::kPageRecordsMax);
  if (auto kept = kept_after(after, limit); !kept.empty()) {
    const bool more = kept.back()->sequence < last_;
    co_return Page{std::move(kept), more};
  }
  const auto [at, first] = readings_.try_emplace(after);
  if (first) at->second = std::make_shared<Reading>(runtime_.make_signal());
  const std::shared_ptr<Reading> reading = at->second;
  if (first) co_await ask(reading, after, std::max(limit, kReadAtOnce), deadline);
  while (!reading->page) {
    const bool answered = co_await reading->answered->wait(deadline);
    if (!answered && !reading->page && runtime_.steady_now() >= deadline) {
      co_return fail(Code::timeout, Origin::metadata, Retry::safe,
                     "the feed was not read before the deadline");
    }
  }
  Result<Page> page = *reading->page;
  if (!page) co_return page;
  if (page->entries.size() > limit) {
    page->entries.resize(limit);
    page->more = true;
  }
  co_return page;
}

Task<> FeedWindow::ask(std::shared_ptr<Reading> reading, std::uint64_t after, std::size_t limit,
                       Deadline deadline) {
  auto entries = co_await store_.feed(after, static_cast<std::uint32_t>(limit), deadline);
  if (entries) {
    Page page;
    page.more = entries->size() == limit;
    page.entries.reserve(entries->size());
    for (FeedEntry& entry : *entries) {
      page.entries.push_back(std::make_shared<const FeedEntry>(std::move(entry)));
    }
    if (asked(reading, after)) keep(page.entries, after);
    reading->page = std::move(page);
  } else {
    reading->page = Result<Page>(pass(std::move(entries)));
  }
  if (asked(reading, after)) readings_.erase(after);
  reading->answered->notify_all();
}

// False: the feed was forgotten meanwhile.
bool FeedWindow::asked(const std::shared_ptr<Reading>& reading, std::uint64_t after) const {
  const auto at = readings_.find(after);
  return at != readings_.end() && at->second == reading;
}

std::vector<FeedWindow::Entry> FeedWindow::kept_after(std::uint64_t after,
                                                      std::size_t limit) const {
  std::vector<Entry> entries;
  for (auto next = kept_.upper_bound(after); next != kept_.end() && entries.size() < limit;
       ++next) {
    // A gap of the feed is none; what was not read is one.
    if (next->second.after > after) break;
    after = next->first;
    entries.push_back(next->second.entry);
  }
  return entries;
}

void FeedWindow::keep(const std::vector<Entry>& entries, std::uint64_t after) {
  for (const Entry& entry : entries) {
    const std::size_t bytes = memory_of(*entry);
    if (kept_.try_emplace(entry->sequence, Kept{entry, after, bytes}).second) {
      order_.push_back(entry->sequence);
      bytes_ += bytes;
    }
    after = entry->sequence;
  }
  last_ = std::max(last_, after);
  while (bytes_ > bytes_max_) {
    const auto oldest = kept_.find(order_.front());
    bytes_ -= oldest->second.bytes;
    kept_.erase(oldest);
    order_.pop_front();
  }
}

Task<Result<FeedBounds>> FeedWindow::bounds(Deadline deadline) {
  const std::uint64_t newest = kept_.empty() ? 0 : kept_.rbegin()->first;
  auto bounds = co_await store_.feed_bounds(deadline);
  if (!bounds) co_return bounds;
  const bool other = feed_ != bounds->feed || bounds->last < newest;
  if (other) forget();
  feed_ = bounds->feed;
  last_ = other ? bounds->last : std::max(last_, bounds->last);
  co_return bounds;
}

void FeedWindow::forget() {
  kept_.clear();
  order_.clear();
  bytes_ = 0;
  readings_.clear();
}

}  // namespace daybook::core::delivery
