#include "storage/row_texts.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>

#include <boost/json.hpp>

#include "core/limits.hpp"
#include "core/segment.hpp"

namespace daybook::storage {
namespace {

// Above every time an id can carry (48 bits of milliseconds).
constexpr std::int64_t kIdTimeEnd = std::int64_t{1} << 48;

std::int64_t floor_ms(core::WallTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

// The smallest id whose time is ms.
core::RecordId id_floor(std::int64_t ms) {
  auto rest = static_cast<std::uint64_t>(std::clamp<std::int64_t>(ms, 0, kIdTimeEnd - 1));
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 6; i-- > 0; rest >>= 8) bytes[i] = static_cast<std::uint8_t>(rest & 0xFF);
  return core::RecordId(bytes);
}

}  // namespace

std::string frames_text(const std::vector<std::uint32_t>& frames) {
  return boost::json::serialize(boost::json::array(frames.begin(), frames.end()));
}

std::optional<std::vector<std::uint32_t>> parse_frames(std::string_view text) {
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse({text.data(), text.size()}, error);
  if (error || !value.is_array()) return std::nullopt;
  std::vector<std::uint32_t> frames;
  for (const boost::json::value& size : value.get_array()) {
    const auto* number = size.if_int64();
    if (number == nullptr || *number < 0 || *number > std::numeric_limits<std::uint32_t>::max()) {
      return std::nullopt;
    }
    frames.push_back(static_cast<std::uint32_t>(*number));
  }
  return frames;
}

std::string attributes_text(const std::map<std::string, std::string>& attributes) {
  boost::json::object object;
  for (const auto& [name, value] : attributes) object[name] = value;
  return boost::json::serialize(object);
}

std::optional<std::map<std::string, std::string>> parse_attributes(std::string_view text) {
  boost::json::parse_options options;
  options.allow_invalid_utf8 = true;  // a header may carry any byte; it comes back as it went in
  boost::json::error_code error;
  const boost::json::value value =
      boost::json::parse({text.data(), text.size()}, error, {}, options);
  if (error || !value.is_object()) return std::nullopt;
  std::map<std::string, std::string> attributes;
  for (const auto& member : value.get_object()) {
    if (!member.value().is_string()) return std::nullopt;
    attributes.emplace(member.key(), member.value().get_string());
  }
  return attributes;
}

std::int64_t clock_skew_ms(const core::Envelope& envelope) {
  return std::abs(static_cast<std::int64_t>(envelope.id.unix_ms()) -
                  floor_ms(envelope.received_at));
}

IdRange id_range(const core::MetadataQuery& query, std::int64_t skew_ms) {
  IdRange range;
  if (query.since) range.first = id_floor(floor_ms(*query.since) - skew_ms);
  if (query.until) {
    const std::int64_t end = floor_ms(*query.until) + skew_ms + 1;
    if (end < kIdTimeEnd) range.end = id_floor(end);
  }
  return range;
}

std::string content_difference(const core::MetadataRow& ours, const core::MetadataRow& theirs) {
  if (ours.envelope.sha256 != theirs.envelope.sha256) return "sha256";
  if (ours.envelope.size != theirs.envelope.size) return "size";
  if (ours.stored_sha256 != theirs.stored_sha256) return "stored_sha256";
  if (ours.stored_size != theirs.stored_size) return "stored_size";
  // A record that walks again after a crash goes into another segment; the first row stays, and the
  // bytes are the same.
  if (ours.object_key != theirs.object_key && !core::segment_of_key(ours.object_key) &&
      !core::segment_of_key(theirs.object_key)) {
    return "object_key";
  }
  if (ours.envelope != theirs.envelope) return "envelope";
  return "";
}

core::Result<void> check_page(std::uint32_t limit) {
  if (limit != 0 && limit <= core::limits::kPageRecordsMax) return {};
  return core::fail(core::Code::invalid_argument, core::Origin::metadata, core::Retry::never,
                    "A page has 1 to " + std::to_string(core::limits::kPageRecordsMax) +
                        " records, not " + std::to_string(limit) + ".");
}

}  // namespace daybook::storage
