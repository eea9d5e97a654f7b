// MemoryMetadataStore: the metadata port on a map. Filters row by row, so that it cannot share an
// adapter's mistake about an index.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/limits.hpp"
#include "core/ports/metadata_store.hpp"

namespace daybook::tests {

class MemoryMetadataStore final : public core::MetadataStore {
 public:
  core::Task<core::Result<void>> insert(std::vector<core::MetadataRow> rows,
                                        core::Deadline deadline) override {
    if (auto good = check(deadline); !good) co_return good;
    const std::lock_guard lock(mutex_);
    for (core::MetadataRow& row : rows) {
      const auto [at, fresh] = rows_.try_emplace(row.envelope.id, std::move(row));
      if (!fresh) continue;
      const auto now =
          std::chrono::time_point_cast<core::WallTime::duration>(std::chrono::system_clock::now());
      published_ = std::max({published_, now, at->second.envelope.received_at});
      feed_.push_back({feed_.size() + 1, published_, at->second});
    }
    co_return core::Result<void>{};
  }

  core::Task<core::Result<std::optional<core::MetadataRow>>> find(
      core::RecordId id, core::Deadline deadline) override {
    if (auto good = check(deadline); !good) co_return pass(good);
    const std::lock_guard lock(mutex_);
    const auto row = rows_.find(id);
    if (row == rows_.end()) co_return std::nullopt;
    co_return row->second;
  }

  core::Task<core::Result<std::vector<core::MetadataRow>>> list(core::MetadataQuery query,
                                                                core::Deadline deadline) override {
    if (auto good = check(deadline); !good) co_return pass(good);
    if (query.limit == 0 || query.limit > core::limits::kPageRecordsMax) {
      co_return core::fail(core::Code::invalid_argument, core::Origin::metadata, core::Retry::never,
                           "limit");
    }
    const std::lock_guard lock(mutex_);
    std::vector<core::MetadataRow> found;
    for (auto row = rows_.rbegin(); row != rows_.rend() && found.size() < query.limit; ++row) {
      if (fits(row->second, query)) found.push_back(row->second);
    }
    co_return found;
  }

  core::Task<core::Result<std::vector<core::MetadataRow>>> scan(std::optional<core::RecordId> after,
                                                                std::uint32_t limit,
                                                                core::Deadline deadline) override {
    if (auto good = check(deadline); !good) co_return pass(good);
    if (limit == 0 || limit > core::limits::kPageRecordsMax) {
      co_return core::fail(core::Code::invalid_argument, core::Origin::metadata, core::Retry::never,
                           "limit");
    }
    const std::lock_guard lock(mutex_);
    std::vector<core::MetadataRow> found;
    for (const auto& [id, row] : rows_) {
      if (found.size() == limit) break;
      if (!after || id > *after) found.push_back(row);
    }
    co_return found;
  }

  core::Task<core::Result<std::vector<core::FeedEntry>>> feed(std::uint64_t after,
                                                              std::uint32_t limit,
                                                              core::Deadline deadline) override {
    if (auto good = check(deadline); !good) co_return pass(good);
    if (limit == 0 || limit > core::limits::kPageRecordsMax) {
      co_return core::fail(core::Code::invalid_argument, core::Origin::metadata, core::Retry::never,
                           "limit");
    }
    const std::lock_guard lock(mutex_);
    std::vector<core::FeedEntry> page;
    for (std::uint64_t i = after; i < feed_.size() && page.size() < limit; ++i) {
      page.push_back(feed_[i]);
    }
    co_return page;
  }

  core::Task<core::Result<core::FeedBounds>> feed_bounds(core::Deadline deadline) override {
    if (auto good = check(deadline); !good) co_return pass(good);
    const std::lock_guard lock(mutex_);
    co_return core::FeedBounds{.feed = "memory", .first = 1, .last = feed_.size()};
  }

  core::Task<core::Result<std::uint64_t>> feed_before(core::WallTime since,
                                                      core::Deadline deadline) override {
    if (auto good = check(deadline); !good) co_return pass(good);
    const std::lock_guard lock(mutex_);
    std::uint64_t before = 0;
    while (before < feed_.size() && feed_[before].published_at < since) ++before;
    co_return before;
  }

  core::Task<core::Result<void>> probe(core::Deadline deadline) override {
    co_return check(deadline);
  }

  [[nodiscard]] std::string describe() const override { return "memory:"; }

 private:
  static core::Result<void> check(core::Deadline deadline) {
    if (std::chrono::steady_clock::now() < deadline) return {};
    return core::fail(core::Code::timeout, core::Origin::metadata, core::Retry::safe, "too late");
  }
  static bool fits(const core::MetadataRow& row, const core::MetadataQuery& query) {
    const core::Envelope& envelope = row.envelope;
    return (!query.tenant || envelope.tenant == *query.tenant) &&
           (!query.source || envelope.source == *query.source) &&
           (!query.type || envelope.type == *query.type) &&
           (!query.subject || envelope.subject == *query.subject) &&
           (!query.state || row.state == *query.state) &&
           (!query.since || envelope.received_at >= *query.since) &&
           (!query.until || envelope.received_at < *query.until) &&
           (!query.before || envelope.id < *query.before);
  }

  std::mutex mutex_;
  std::map<core::RecordId, core::MetadataRow> rows_;
  std::vector<core::FeedEntry> feed_;
  core::WallTime published_{};
};

}  // namespace daybook::tests
