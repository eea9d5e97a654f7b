// MemoryMetadataStore: the metadata port on a map. Filters row by row, so that it cannot share an
// adapter's mistake about an index.
#pragma once

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
    for (core::MetadataRow& row : rows) rows_.try_emplace(row.envelope.id, std::move(row));
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
};

}  // namespace daybook::tests
