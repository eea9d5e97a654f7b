#include "api/message_source.hpp"

#include <algorithm>
#include <cstring>
#include <ranges>

#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Bytes;
using core::Code;
using core::Result;
using core::Task;
using Form = core::MessagePayload::Form;

// Below it reading a piece takes less time than handing it to a worker.
constexpr std::size_t kWorkerPieceBytes = 16 * core::KiB;

}  // namespace

std::uint64_t message_bytes_max(const core::Config& config) {
  return 2 * config.ingest_body_bytes_max + core::MessageReader::kBytesBesideMax;
}

bool is_base64_type(const core::Config& config, std::string_view type) {
  return std::ranges::any_of(std::views::split(config.ingest_message_base64_types, ','),
                             [type](const auto piece) {
                               const auto one = core::trim(std::string_view(piece));
                               return one == "*" || (!one.empty() && one == type);
                             });
}

MessageSource::MessageSource(Services services, RequestBody& body, const core::Config& config)
    : services_(services), body_(body), config_(config) {}

// A string whose encoding is not known yet may be base64, a third larger than what it stands for.
std::uint64_t MessageSource::size_limit(std::uint64_t payload_max) const {
  const bool may_shrink =
      payload_ && !reader_.metadata_came_first() && reader_.payload_type() == '"';
  return may_shrink ? message_bytes_max(config_) : payload_max;
}

bool MessageSource::in_base64() const {
  return payload_ && (payload_->form() == Form::base64 || payload_->form() == Form::data_url);
}

core::PayloadEncoding MessageSource::encoding() const {
  const core::MessageMetadata& metadata = reader_.metadata();
  const bool agreed =
      metadata.encoding == core::PayloadEncoding::unsaid && is_base64_type(config_, metadata.type);
  return agreed ? core::PayloadEncoding::agreed_base64 : metadata.encoding;
}

std::uint64_t MessageSource::memory() const {
  const std::uint64_t mine = body_.memory() + core::limits::kBlockBytes;
  if (payload_ && reader_.metadata_came_first()) return mine;
  return mine + second_form_memory(body_.bytes_max().value_or(bytes_read_), config_);
}

Task<Result<std::size_t>> MessageSource::read(core::MutableBytes into) {
  for (;;) {
    if (spill_at_ < spilled_) co_return take_from_spill(into);
    if (payload_) {
      const auto taken = payload_->take(into);
      if (!taken) {  // its last piece was right, its end is not
        piece_ = {};
        mark();
        co_return refuse(taken.error());
      }
      if (*taken != 0) co_return taken;
    }
    if (ended_) co_return std::size_t{0};
    // All that a piece gives is taken at once, so that a mistake in it leaves nothing of it behind.
    const bool spills = into.size() < spill_.size();
    const core::MutableBytes room = spills ? core::MutableBytes(spill_) : into;
    auto piece = co_await read_piece(room.size());
    if (!piece) co_return pass(std::move(piece));
    if (piece->empty()) {
      ended_ = true;
      if (auto whole = reader_.finish(); !whole) co_return refuse(whole.error());
      continue;
    }
    Result<std::size_t> given;
    // The middle of a base64 text is read in less time than a worker takes to wake.
    if (piece->size() < kWorkerPieceBytes || in_base64()) {
      given = digest(*piece, room);
    } else {
      co_await services_.workers.run([&] { given = digest(*piece, room); });
    }
    if (!given) co_return refuse(given.error());
    if (spills) {
      spilled_ = *given;
      spill_at_ = 0;
    } else if (*given != 0) {
      co_return given;
    }
  }
}

Task<Result<Bytes>> MessageSource::read_piece(std::size_t room) {
  if (!block_) block_ = services_.ingest.take_block();
  // Base64 of a group that began before and of one that goes on: at most 6 bytes more.
  const std::size_t fits = in_base64() ? (room - 6) / 3 * 4 : room;
  const core::MutableBytes space(block_.get(), std::min(fits, core::limits::kReadBytes));
  const auto bytes = co_await body_.read(space);
  if (!bytes) co_return pass(bytes);
  piece_ = space.first(*bytes);
  bytes_read_ += *bytes;
  mark();
  co_return piece_;
}

Result<std::size_t> MessageSource::digest(Bytes piece, core::MutableBytes into) {
  const bool had_ended = reader_.payload_ended();
  if (auto read = reader_.feed(piece); !read) return pass(std::move(read));
  if (!reader_.payload_begun() || had_ended) return std::size_t{0};
  if (!payload_) {
    // Where the payload comes first, what it is to be is known only behind it.
    payload_.emplace(reader_.metadata_came_first() ? encoding() : core::PayloadEncoding::json,
                     reader_.payload_type(), reader_.payload_offset());
  }
  constexpr std::size_t kFront = 8;
  if (payload_front_.size() < kFront) {
    payload_front_ += core::as_text(reader_.payload()).substr(0, kFront - payload_front_.size());
  }
  if (auto fed = payload_->feed(reader_.payload(), reader_.payload_ended()); !fed) {
    return pass(std::move(fed));
  }
  return payload_->take(into);
}

Result<std::size_t> MessageSource::take_from_spill(core::MutableBytes into) {
  const std::size_t bytes = std::min(into.size(), spilled_ - spill_at_);
  std::memcpy(into.data(), spill_.data() + spill_at_, bytes);
  spill_at_ += bytes;
  return bytes;
}

core::Failure MessageSource::refuse(core::Error error) {
  error.detail = "The message is refused: " + error.detail + ". Nothing was stored.";
  if (error.code == Code::invalid_argument) refusal_ = error;
  return core::Failure(std::move(error));
}

void MessageSource::mark() {
  mark_ = {reader_.before().size(), reader_.behind().size(), payload_, reader_.payload_ended()};
}

}  // namespace daybook::api
