#include "storage/spool_segment.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include <boost/json.hpp>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace daybook::storage::spool {
namespace {

namespace json = boost::json;
using core::Bytes;
using core::ByteVector;
using core::Code;
using core::Result;

constexpr std::string_view kMagic = "DBSPOOL1";

struct Fixed {
  char magic[8];
  std::uint32_t json_bytes;
  std::uint32_t reserved;
  std::uint64_t stored_size;
  std::uint64_t check;
};
static_assert(sizeof(Fixed) == 32 && std::endian::native == std::endian::little);

std::uint64_t check_of(const Fixed& fixed, std::string_view text) {
  // Bytes 8 to 23 seed the hash of the JSON.
  const XXH64_hash_t seed = XXH3_64bits(&fixed.json_bytes, 16);
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

core::Failure damaged(const std::string& what) {
  return core::fail(Code::damaged, core::Origin::self, core::Retry::never,
                    "no spool record: " + what);
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool starts_record(Bytes bytes) {
  return bytes.size() >= sizeof(Fixed) && core::as_text(bytes.first(kMagic.size())) == kMagic;
}

std::uint64_t head_bytes(Bytes bytes) {
  Fixed fixed{};
  std::memcpy(&fixed, bytes.data(), sizeof(Fixed));
  return aligned(sizeof(Fixed) + fixed.json_bytes);
}

// The record at `offset`, or why there is none.
Result<Located> record_at(const Read& read, std::uint64_t offset, std::uint64_t segment_bytes) {
  auto bytes = read(offset, kAlignment);
  if (!bytes) return pass(std::move(bytes));
  if (!starts_record(*bytes)) return damaged("no magic");
  const std::uint64_t length = head_bytes(*bytes);
  if (length > kHeadBytesMax) return damaged("its head claims too much");
  if (length > kAlignment) {
    bytes = read(offset, length);
    if (!bytes) return pass(std::move(bytes));
  }
  auto head = decode(*bytes);
  if (!head) return pass(std::move(head));
  Located located{std::move(*head), offset, offset + length};
  if (located.data_offset > segment_bytes ||
      located.head.stored_size > segment_bytes - located.data_offset) {
    return damaged("it ends behind the segment");
  }
  return located;
}

}  // namespace

std::string encode(const Head& head) {
  const std::string text = json::serialize(json::object{{"id", head.id.str()},
                                                        {"tenant", head.tenant},
                                                        {"key", head.key},
                                                        {"sha256", head.sha256.hex()},
                                                        {"size", head.size},
                                                        {"stored_sha256", head.stored_sha256.hex()},
                                                        {"receipt", head.receipt}});
  Fixed fixed{};
  std::memcpy(fixed.magic, kMagic.data(), kMagic.size());
  fixed.json_bytes = static_cast<std::uint32_t>(text.size());
  fixed.stored_size = head.stored_size;
  fixed.check = check_of(fixed, text);
  std::string bytes(aligned(sizeof(Fixed) + text.size()), '\0');
  std::memcpy(bytes.data(), &fixed, sizeof(Fixed));
  std::memcpy(bytes.data() + sizeof(Fixed), text.data(), text.size());
  return bytes;
}

Result<Head> decode(Bytes bytes) {
  if (!starts_record(bytes)) return damaged("no magic");
  Fixed fixed{};
  std::memcpy(&fixed, bytes.data(), sizeof(Fixed));
  if (fixed.json_bytes > bytes.size() - sizeof(Fixed)) return damaged("its head is cut");
  const std::string_view text = core::as_text(bytes.subspan(sizeof(Fixed), fixed.json_bytes));
  if (fixed.check != check_of(fixed, text)) return damaged("its head differs from its check");
  boost::system::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) return damaged("its head is no JSON object");
  const json::object& object = value.get_object();
  const auto id = core::RecordId::parse(text_of(object, "id"));
  const auto sha256 = core::Sha256::from_hex(text_of(object, "sha256"));
  const auto stored_sha256 = core::Sha256::from_hex(text_of(object, "stored_sha256"));
  const json::value* size = object.if_contains("size");
  if (!id || !sha256 || !stored_sha256 || size == nullptr)
    return damaged("its head lacks a member");
  Head head;
  head.id = *id;
  head.tenant = text_of(object, "tenant");
  head.key = text_of(object, "key");
  head.sha256 = *sha256;
  head.size = size->to_number<std::uint64_t>(error);
  head.stored_size = fixed.stored_size;
  head.stored_sha256 = *stored_sha256;
  head.receipt = text_of(object, "receipt");
  if (error) return damaged("'size' is no number");
  return head;
}

Result<Scan> scan(const Read& read, std::uint64_t segment_bytes) {
  Scan found;
  std::uint64_t gap = 0;  // bytes since the last record that are none
  for (std::uint64_t offset = 0; offset < segment_bytes;) {
    auto record = record_at(read, offset, segment_bytes);
    if (!record && record.error().code != Code::damaged) return pass(std::move(record));
    if (!record) {
      gap += kAlignment;
      offset += kAlignment;
      continue;
    }
    if (gap > 0) found.damaged.push_back({offset - gap, gap});
    gap = 0;
    offset = record->data_offset + aligned(record->head.stored_size);
    found.end = std::min(offset, segment_bytes);
    found.records.push_back(std::move(*record));
  }
  return found;
}

}  // namespace daybook::storage::spool
