#include "storage/spool.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include <spdlog/spdlog.h>

#include "core/digest.hpp"
#include "storage/blocking_call.hpp"
#include "storage/spool_file.hpp"

namespace daybook::storage {

using core::ByteVector;
using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kRecordsPerCommit = 32;

std::string hash_of(const core::IdempotencyKey& key) {
  return core::sha256(core::as_bytes(key.tenant + '\0' + key.key)).hex();
}

std::string hash_of(const spool::Head& head) {
  return head.key.empty() ? std::string() : hash_of(core::IdempotencyKey{head.tenant, head.key});
}

}  // namespace

Spool::Spool(core::Runtime& runtime, core::Workers& writer, SpoolSettings settings)
    : runtime_(runtime),
      writer_(writer),
      settings_(std::move(settings)),
      items_(runtime, kRecordsPerCommit,
             [this](std::vector<Item*> items) { return commit(std::move(items)); }) {}

Spool::~Spool() = default;

Result<std::unique_ptr<Spool>> Spool::open(core::Runtime& runtime, core::Workers& writer,
                                           SpoolSettings settings) {
  settings.segment_bytes = std::min(settings.segment_bytes, settings.bytes_max / 4);
  std::error_code error;
  fs::create_directories(settings.dir + "/quarantine", error);
  if (error) {
    return core::fail(Code::misconfigured, Origin::self, Retry::never,
                      "cannot make the spool folder " + settings.dir + ": " + error.message());
  }
  std::unique_ptr<Spool> spool(new Spool(runtime, writer, std::move(settings)));
  if (auto recovered = spool->recover(); !recovered) return pass(std::move(recovered));
  return spool;
}

std::string Spool::path(std::uint64_t segment) const {
  std::string number = std::to_string(segment);
  number.insert(0, 12 - std::min<std::size_t>(12, number.size()), '0');
  return settings_.dir + "/" + number + ".segment";
}

std::uint64_t Spool::bytes() const {
  std::uint64_t total = 0;
  for (const Segment& segment : segments_) total += segment.bytes;
  return total;
}

// --- what an earlier process left ---

Result<void> Spool::recover() {
  std::vector<std::uint64_t> numbers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(settings_.dir, error)) {
    if (entry.path().extension() != ".segment") continue;
    numbers.push_back(std::strtoull(entry.path().stem().c_str(), nullptr, 10));
  }
  std::ranges::sort(numbers);
  for (const std::uint64_t number : numbers) {
    if (auto done = recover_segment(number); !done) return done;
    next_number_ = number + 1;
  }
  if (!index_.empty()) {
    spdlog::warn("spool: {} records of an earlier outage wait for the buffer", index_.size());
  }
  return {};
}

Result<void> Spool::recover_segment(std::uint64_t number) {
  auto file = SegmentReader::open(path(number));
  if (!file) return pass(std::move(file));
  const std::uint64_t bytes = file->bytes();
  const auto found = spool::scan(
      [&](std::uint64_t offset, std::uint64_t length) { return file->read(offset, length); },
      bytes);
  if (!found) return pass(found);
  for (const spool::Gap& gap : found->damaged) {
    auto kept = keep_bytes(number, gap, "damaged bytes between records");
    if (!kept) return kept;
  }
  if (found->end < bytes) {
    auto kept = keep_bytes(number, {found->end, bytes - found->end}, "a torn tail");
    if (!kept) return kept;
    if (::truncate(path(number).c_str(), static_cast<off_t>(found->end)) != 0) {
      return segment_failure(path(number), "cutting the torn tail of");
    }
  }
  if (found->records.empty()) {
    ::unlink(path(number).c_str());
    return {};
  }
  segments_.push_back({number, found->end, {}, true});
  for (const spool::Located& record : found->records) {
    const Spooled where{record.head.id, number, record.offset, record.data_offset,
                        record.head.stored_size};
    remember(where, hash_of(record.head));
  }
  return {};
}

Result<void> Spool::keep_bytes(std::uint64_t segment, spool::Gap gap, const std::string& why) {
  const std::string name = settings_.dir + "/quarantine/" + std::to_string(segment) + "-" +
                           std::to_string(gap.offset) + ".bytes";
  ++quarantined_;
  spdlog::error("spool: {} of {} at {} ({} bytes), kept in {}", why, path(segment), gap.offset,
                gap.length, name);
  return copy_bytes(path(segment), gap.offset, gap.length, name);
}

void Spool::remember(const Spooled& where, const std::string& key_hash) {
  segments_.back().records.push_back(where);
  index_[where.id] = where;
  if (key_hash.empty()) return;
  keys_[key_hash] = where.id;
  key_of_[where.id] = key_hash;
}

// --- writing ---

bool Spool::has_room() const {
  return settings_.bytes_max > 0 && bytes() + settings_.segment_bytes <= settings_.bytes_max &&
         index_.size() < kRecordsMax;
}

Task<Result<void>> Spool::add(const core::SealedObject& object,
                              std::optional<core::IdempotencyKey> key, std::string receipt) {
  if (!has_room()) {
    co_return core::fail(Code::out_of_space, Origin::self, Retry::safe,
                         "the spool is full (spool.bytes_max) or switched off");
  }
  const core::Envelope& envelope = object.envelope();
  Item item;
  item.object = &object;
  item.head.id = envelope.id;
  item.head.tenant = envelope.tenant;
  if (key) item.head.key = std::move(key->key);
  item.head.sha256 = envelope.sha256;
  item.head.size = envelope.size;
  item.head.stored_size = object.stored_size();
  item.head.stored_sha256 = object.stored_sha256();
  item.head.receipt = std::move(receipt);
  co_return co_await items_.submit(&item);
}

// The items live in the frames of add(), which wait for this.
Task<Result<void>> Spool::commit(std::vector<Item*> items) {
  const bool fresh = segments_.empty() || segments_.back().closed ||
                     segments_.back().bytes >= settings_.segment_bytes;
  if (fresh) segments_.push_back({next_number_++, 0, {}, false});
  const std::uint64_t number = segments_.back().number;
  const std::uint64_t begin = segments_.back().bytes;
  auto written = co_await call_on<std::uint64_t>(
      writer_, Origin::self, [this, &items, number]() -> Result<std::uint64_t> {
        if (file_ == nullptr || file_->number() != number) {
          auto made = SegmentWriter::create(path(number), settings_.dir, number);
          if (!made) return pass(std::move(made));
          file_ = std::move(*made);
        }
        for (Item* item : items) {
          item->where = {item->head.id, number, file_->bytes(), 0, item->head.stored_size};
          const std::string head = spool::encode(item->head);
          item->where.data_offset = item->where.offset + head.size();
          if (auto added = file_->append(head, item->object->slices()); !added) {
            return pass(std::move(added));
          }
        }
        if (auto synced = file_->sync(); !synced) return pass(std::move(synced));
        return file_->bytes();
      });
  Segment& segment = *std::ranges::find(segments_, number, &Segment::number);
  if (!written) {
    health_ = pass(written);
    segment.closed = true;
    co_await writer_.run([this, begin] {
      if (file_ != nullptr) file_->abandon(begin);
      file_ = nullptr;
    });
    spdlog::error("spool: {}", written.error().detail);
    // Nothing was ever answered for in it, and its file is gone again.
    std::erase_if(segments_, [&](const Segment& s) { return s.number == number && begin == 0; });
    co_return pass(std::move(written));
  }
  health_ = {};
  segment.bytes = *written;
  for (const Item* item : items) {
    remember(item->where, hash_of(item->head));
  }
  co_return Result<void>{};
}

// --- reading and settling ---

std::optional<Spool::Spooled> Spool::find(const core::RecordId& id) const {
  const auto found = index_.find(id);
  if (found == index_.end()) return std::nullopt;
  return found->second;
}

std::optional<Spool::Spooled> Spool::find_key(const core::IdempotencyKey& key) const {
  if (keys_.empty()) return std::nullopt;
  const auto found = keys_.find(hash_of(key));
  if (found == keys_.end()) return std::nullopt;
  return find(found->second);
}

std::optional<Spool::Spooled> Spool::oldest() const {
  for (const Segment& segment : segments_) {
    for (const Spooled& where : segment.records) {
      if (index_.contains(where.id)) return where;
    }
  }
  return std::nullopt;
}

Task<Result<spool::Head>> Spool::read_head(Spooled where) {
  return call_on<spool::Head>(writer_, Origin::self, [this, where]() -> Result<spool::Head> {
    auto file = SegmentReader::open(path(where.segment));
    if (!file) return pass(std::move(file));
    const auto bytes = file->read(where.offset, where.data_offset - where.offset);
    if (!bytes) return pass(bytes);
    return spool::decode(*bytes);
  });
}

Task<Result<ByteVector>> Spool::read_stored(Spooled where, std::uint64_t offset,
                                            std::uint64_t length) {
  return call_on<ByteVector>(
      writer_, Origin::self, [this, where, offset, length]() -> Result<ByteVector> {
        auto file = SegmentReader::open(path(where.segment));
        if (!file) return pass(std::move(file));
        auto bytes = file->read(where.data_offset + offset, length);
        if (bytes && bytes->size() != length) {
          return core::fail(Code::damaged, Origin::self, Retry::never,
                            path(where.segment) + " ends inside record " + where.id.str());
        }
        return bytes;
      });
}

Task<> Spool::settle(core::RecordId id) {
  index_.erase(id);
  if (const auto key = key_of_.find(id); key != key_of_.end()) {
    keys_.erase(key->second);
    key_of_.erase(key);
  }
  for (Segment& segment : segments_) {
    while (!segment.records.empty() && !index_.contains(segment.records.front().id)) {
      segment.records.pop_front();
    }
  }
  co_await delete_settled();
}

Task<> Spool::quarantine(Spooled where, std::string why) {
  const spool::Gap gap{where.offset, where.data_offset - where.offset + where.stored_size};
  Result<void> kept;
  co_await writer_.run(
      [&] { kept = keep_bytes(where.segment, gap, "record " + where.id.str() + ", " + why); });
  // Bytes that could not be copied stay where they are, and are met again after a restart.
  if (kept) co_await settle(where.id);
}

Task<> Spool::delete_settled() {
  while (!segments_.empty() && segments_.front().records.empty()) {
    const Segment& front = segments_.front();
    // A segment that a commit may be writing to right now goes when it is followed by another one
    // or has been quiet: it is closed first, on the writer's thread, behind any running commit.
    if (!front.closed && front.bytes == 0) break;
    const std::uint64_t number = front.number;
    segments_.front().closed = true;
    std::error_code error;
    co_await writer_.run([this, number] {
      if (file_ != nullptr && file_->number() == number) file_ = nullptr;
    });
    if (segments_.empty() || segments_.front().number != number) continue;
    if (!segments_.front().records.empty()) break;  // a commit that was under way has ended
    co_await writer_.run([&] { fs::remove(path(number), error); });
    if (!segments_.empty() && segments_.front().number == number) segments_.pop_front();
  }
}

}  // namespace daybook::storage
