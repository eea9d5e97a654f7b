// The texts of S3 requests and answers: keys, metadata, media types, ranges. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/ports/object_store.hpp"
#include "core/result.hpp"

namespace daybook::storage {

[[nodiscard]] bool is_printable(std::string_view text);  // ASCII, space included
// One space for every run of them, none at the ends: what is signed is then what is sent, also for
// stores that do not squeeze spaces before they check a signature.
[[nodiscard]] std::string squeezed(std::string_view text);
// As it is sent; "application/octet-stream" where the object's own cannot be.
[[nodiscard]] std::string content_type_of(const core::PutObject& object);
// Whether each name and value can be a header.
[[nodiscard]] core::Result<void> check_metadata(const core::PutObject& object);

struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::optional<std::uint64_t> total;  // "*" is nothing
};

// "bytes 0-99/1000"
[[nodiscard]] std::optional<ContentRange> parse_content_range(std::string_view text);

}  // namespace daybook::storage
