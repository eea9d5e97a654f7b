// What the metadata stores' tables have in common: columns that hold JSON, and the bounds that a
// time range sets to ids. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/envelope.hpp"
#include "core/ports/metadata_store.hpp"

namespace daybook::storage {

[[nodiscard]] std::string frames_text(const std::vector<std::uint32_t>& frames);
[[nodiscard]] std::optional<std::vector<std::uint32_t>> parse_frames(std::string_view text);
[[nodiscard]] std::string attributes_text(const std::map<std::string, std::string>& attributes);
[[nodiscard]] std::optional<std::map<std::string, std::string>> parse_attributes(
    std::string_view text);

// How far the time in the id and received_at are apart.
[[nodiscard]] std::int64_t clock_skew_ms(const core::Envelope& envelope);

// The ids that records received in [since, until) can have, where no record's clock skew is above
// skew_ms.
struct IdRange {
  std::optional<core::RecordId> first;  // it may be the one
  std::optional<core::RecordId> end;    // the first that cannot be
};
[[nodiscard]] IdRange id_range(const core::MetadataQuery& query, std::int64_t skew_ms);

// In which of the things that never change two rows of one record differ; "" where they are the
// same. Where the object is, how often it was tried and when may change when the work is repeated.
[[nodiscard]] std::string content_difference(const core::MetadataRow& ours,
                                             const core::MetadataRow& theirs);

// Code::invalid_argument where a page of so many rows is not given.
[[nodiscard]] core::Result<void> check_page(std::uint32_t limit);

}  // namespace daybook::storage
