// The end of a message: what it says about itself, its payload in the form it declares, and, where
// it is refused, the message as it came. A part of message_source.
#include <algorithm>
#include <cstring>
#include <utility>

#include "api/message_source.hpp"
#include "api/record_context.hpp"
#include "api/sealed_source.hpp"
#include "core/http/fields.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Bytes;
using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;
using Form = core::MessagePayload::Form;

core::Failure bad(std::string detail) {
  return core::fail(Code::invalid_argument, Origin::client, Retry::never, std::move(detail));
}

bool is_json_type(std::string_view content_type) {
  const std::string type = core::http::media_type(content_type);
  return type == "application/json" || type.ends_with("+json");
}

// Looks for member names that may carry a secret in what may be broken JSON: whatever stands
// between two quotes before a colon is a name.
class SecretNames {
 public:
  // Whether one has come.
  bool feed(std::string_view text) {
    for (const char c : text) {
      if (c == '"') {
        name_ = std::exchange(since_quote_, {});
      } else if (c == ':' && since_quote_.find_first_not_of(" \t\r\n") == std::string::npos) {
        found_ = found_ || may_carry_secret(name_);
      } else if (since_quote_.size() < kNameBytesMax) {
        since_quote_ += c;
      }
    }
    return found_;
  }

 private:
  static constexpr std::size_t kNameBytesMax = 1024;
  std::string name_, since_quote_;
  bool found_ = false;
};

bool is_base64(const std::optional<core::MessagePayload>& payload) {
  return payload && (payload->form() == Form::base64 || payload->form() == Form::data_url);
}

}  // namespace

// The bytes of the message: what stood before the payload, the payload's text out of what was
// sealed of it, what stood behind it, the piece with the mistake, and what has not been read yet.
class MessageSource::Again final : public RecordSource {
 public:
  Again(MessageSource& message, const Sealed& sealed)
      : message_(message),
        sealed_(message.services_.workers, sealed),
        text_(message.reader_.before().substr(0, message.mark_.before)) {
    const core::MessageReader& reader = message.reader_;
    for (const auto& [name, value] : reader.metadata().others) secret_ |= may_carry_secret(name);
    looks_ = !reader.metadata_ended() || !reader.payload_begun() || reader.payload_ended();
    look(text_);
    if (message.mark_.payload) text_ += message.mark_.payload->text_begin();
  }

  [[nodiscard]] std::optional<std::uint64_t> bytes_max() const override { return std::nullopt; }
  Task<Result<void>> arrives(std::size_t /*bytes*/) override { co_return Result<void>{}; }

  Task<Result<std::size_t>> read(core::MutableBytes into) override {
    while (at_ == text_.size()) {
      at_ = 0;
      text_.clear();
      if (secret_) co_return bad("its metadata may carry a secret");
      if (part_ == Part::rest) {
        const auto bytes = co_await message_.body_.read(into);
        if (bytes) look(core::as_text(into.first(*bytes)));
        if (secret_) continue;
        co_return bytes;
      }
      if (auto next = co_await next_text(); !next) co_return pass(std::move(next));
    }
    const std::size_t bytes = std::min(into.size(), text_.size() - at_);
    std::memcpy(into.data(), text_.data() + at_, bytes);
    at_ += bytes;
    co_return bytes;
  }

 private:
  enum class Part : std::uint8_t { payload, behind, rest };

  // At what is not known to be payload.
  void look(std::string_view text) {
    if (looks_ && names_.feed(text)) secret_ = true;
  }

  Task<Result<void>> next_text() {
    if (part_ == Part::behind) {
      text_ = message_.reader_.behind().substr(0, message_.mark_.behind);
      text_ += core::as_text(message_.piece_);
      look(text_);
      part_ = Part::rest;
      co_return Result<void>{};
    }
    const bool end = sealed_.at_end();
    auto block = co_await sealed_.next_block();
    if (!block) co_return pass(std::move(block));
    const auto& payload = message_.mark_.payload;
    core::JsonBase64::Unfinished left;
    if (end && payload) left = payload->unfinished();
    bytes_ += end ? std::string_view(left.bytes) : core::as_text(*block);
    if (is_base64(payload)) {
      co_await message_.services_.workers.run([&] {
        const std::size_t whole = end ? bytes_.size() : bytes_.size() / 3 * 3;
        text_ = core::to_base64(core::as_bytes(std::string_view(bytes_).substr(0, whole)));
        bytes_.erase(0, whole);
      });
    } else {
      text_ = std::exchange(bytes_, {});
    }
    if (end) {
      text_ += left.text;
      // Its last quote was read and is not among the payload's bytes.
      if (is_base64(payload) && message_.mark_.payload_ended) text_ += '"';
      part_ = Part::behind;
    }
    co_return Result<void>{};
  }

  MessageSource& message_;
  SealedSource sealed_;
  std::string text_;
  std::size_t at_ = 0;
  std::string bytes_;  // of the payload, whose text is not made yet
  SecretNames names_;
  bool looks_ = true;    // the metadata, or what stands for them, may be still to come
  bool secret_ = false;  // they may carry one: then it is not kept
  Part part_ = Part::payload;
};

Task<Result<core::PayloadSealer::Sealed>> MessageSource::settle(Upload& upload,
                                                                Result<void> received,
                                                                Sealed sealed) {
  if (!received) {
    if (refusal_) co_await keep(upload, sealed);
    co_return pass(std::move(received));
  }
  // From here on a refusal is of the whole message: nothing of it is still to be read.
  piece_ = {};
  mark();
  std::optional<Sealed> decoded;
  Result<void> settled;
  if (needs_another_pass()) {
    auto pass_of_it = co_await decode_sealed(sealed);
    if (pass_of_it) {
      decoded = *std::move(pass_of_it);
    } else {
      settled = pass(std::move(pass_of_it));
    }
  }
  if (settled && (decoded ? decoded->size : sealed.size) > config_.ingest_body_bytes_max) {
    settled = core::fail(Code::too_large, Origin::client, Retry::never,
                         "messagePayload has more than " +
                             core::format_size(config_.ingest_body_bytes_max) +
                             " (ingest.body_bytes_max)");
  }
  if (settled) settled = describe(upload);
  if (!settled) {
    auto failure = refuse(settled.error());
    if (refusal_) co_await keep(upload, sealed);
    co_return failure;
  }
  if (decoded) co_return *std::move(decoded);
  co_return sealed;
}

bool MessageSource::needs_another_pass() const {
  using core::PayloadEncoding;
  if (reader_.metadata_came_first()) return false;
  const PayloadEncoding said = encoding();
  return said == PayloadEncoding::base64 ||
         (said == PayloadEncoding::agreed_base64 && reader_.payload_type() == '"') ||
         (said == PayloadEncoding::unsaid && payload_front_.starts_with("\"data:"));
}

// What came before anybody knew what it was to be: text into bytes, one block after the other.
Task<Result<core::PayloadSealer::Sealed>> MessageSource::decode_sealed(const Sealed& sealed) {
  block_ = nullptr;  // the text's takes its place
  SealedSource text(services_.workers, sealed);
  auto sealer = services_.ingest.make_sealer(static_cast<int>(config_.ingest_compression_level));
  core::MessagePayload payload(encoding(), reader_.payload_type(), reader_.payload_offset());
  while (!text.at_end()) {
    auto block = co_await text.next_block();
    if (!block) co_return pass(std::move(block));
    if (auto fed = payload.feed(*block, text.at_end()); !fed) co_return pass(std::move(fed));
    for (;;) {
      co_await sealer.make_room();
      Result<std::size_t> taken;
      co_await services_.workers.run([&] { taken = payload.take(sealer.room()); });
      if (!taken) co_return pass(std::move(taken));
      if (*taken == 0) break;
      sealer.filled(*taken);
    }
  }
  auto decoded = co_await sealer.finish();
  if (decoded.size == 0) co_return bad("messagePayload is empty; a record has at least 1 byte");
  payload_ = std::move(payload);
  co_return decoded;
}

Result<void> MessageSource::describe(Upload& upload) {
  const core::MessageMetadata& metadata = reader_.metadata();
  core::Envelope& envelope = upload.envelope;
  for (const auto& [name, value] : metadata.others) {
    if (!may_carry_secret(name)) continue;
    return bad("messageMetaData." + name +
               " may carry a secret by its name, and metadata is shown to everybody who sees the "
               "record; leave it out. The message is not kept for daybook salvage either");
  }
  auto type = content_type();
  if (!type) return pass(std::move(type));
  envelope.content_type = *std::move(type);
  envelope.type = metadata.type;
  envelope.source = metadata.source;
  envelope.event_id = metadata.transaction;
  envelope.event_time = metadata.time;
  envelope.attributes = metadata.others;
  if (payload_->form() == Form::base64) envelope.context["payload_encoding"] = "base64";
  if (payload_->form() == Form::data_url) {
    envelope.context["payload_encoding"] = "data-url";
    envelope.context["payload_head"] = payload_->text_begin().substr(1);
  }
  upload.key = key_of_event(envelope);
  return check_attributes(envelope);
}

Result<std::string> MessageSource::content_type() const {
  const std::string& said = reader_.metadata().content_type;
  switch (payload_->form()) {
    case Form::base64:
      return said.empty() ? "application/octet-stream" : said;
    case Form::data_url:
      if (said.empty() || core::equals_ignoring_case(said, payload_->content_type())) {
        return payload_->content_type();
      }
      return bad("messageMetaData.contentType and the data URL in messagePayload differ");
    case Form::json:
    case Form::undecided:
      break;
  }
  if (said.empty()) return "application/json";
  if (is_json_type(said)) return said;
  return bad(
      "messageMetaData.contentType is no JSON type, but the payload is archived as JSON: declare "
      "payloadEncoding base64, or leave contentType out");
}

Task<> MessageSource::keep(const Upload& upload, const Sealed& sealed) {
  core::Envelope about;
  about.tenant = upload.envelope.tenant;
  about.type = reader_.metadata().type;
  about.source = reader_.metadata().source;
  about.event_id = reader_.metadata().transaction;
  about.content_type = "application/json";
  about.context = upload.envelope.context;
  Again again(*this, sealed);
  kept_as_ = co_await services_.refused.keep(std::move(about), refusal_->detail, again);
}

}  // namespace daybook::api
