// The directory of the metadata table: which windows have records, of whom, and how far their
// clocks were off (layout in dynamodb_items.hpp). It is written before the records, so that it
// never lacks one; an entry without records does no harm. I/O thread only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/ports/metadata_store.hpp"
#include "storage/dynamodb_client.hpp"

namespace daybook::storage {

struct DynamodbWindow {
  std::string digits;        // with which its ids begin
  std::int64_t skew_ms = 0;  // between the time in an id and received_at, at most
};

class DynamodbDirectory {
 public:
  // (partition key, window) -> skew_ms
  using Entries = std::map<std::pair<std::string, std::string>, std::int64_t>;

  explicit DynamodbDirectory(DynamodbClient& client) : client_(client) {}

  // What the directory must say before these rows are written.
  [[nodiscard]] static Entries entries_of(const std::vector<core::MetadataRow>& rows);
  // Writes those that it is not known to say already.
  core::Task<core::Result<void>> announce(Entries entries, core::Deadline deadline);

  // From the window `first` to `last`, both included.
  core::Task<core::Result<std::vector<DynamodbWindow>>> windows(std::optional<std::string> tenant,
                                                                std::string first, std::string last,
                                                                bool newest_first,
                                                                core::Deadline deadline);

  // The table may be another one now.
  void forget() { known_.clear(); }

 private:
  core::Task<core::Result<void>> announce_one(std::string bucket, std::string window,
                                              std::int64_t skew_ms, core::Deadline deadline);

  DynamodbClient& client_;
  Entries known_;
  core::SteadyTime known_since_{};
};

}  // namespace daybook::storage
