#include "core/message_payload.hpp"

#include <algorithm>
#include <cstring>

#include "core/check.hpp"
#include "core/text.hpp"

namespace daybook::core {
namespace {

constexpr std::string_view kScheme = "\"data:";
constexpr std::string_view kBase64 = ";base64";
// Quote, scheme, content type and comma; a longer one is no data URL to us.
constexpr std::size_t kHeadBytesMax = 256;

bool is_printable_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7F; });
}

}  // namespace

MessagePayload::MessagePayload(PayloadEncoding encoding, char type, std::uint64_t offset)
    : encoding_(encoding), type_(type), offset_(offset) {}

Result<void> MessagePayload::feed(Bytes text, bool last) {
  CHECK(rest_.empty() && !last_);
  rest_ = text;
  last_ = last;
  if (form_ == Form::undecided) return decide();
  if (form_ != Form::json) end_at_quote();
  return {};
}

Result<void> MessagePayload::decide() {
  if (encoding_ == PayloadEncoding::base64 && type_ != '"') {
    return fail(Code::invalid_argument, Origin::client, Retry::never,
                "byte " + std::to_string(offset_) +
                    ": messagePayload must be a string, for payloadEncoding says base64");
  }
  if (rest_.empty()) return {};
  if (encoding_ == PayloadEncoding::base64) {
    rest_ = rest_.subspan(1);
    begin_base64(Form::base64, offset_ + 1);
    return {};
  }
  if (encoding_ != PayloadEncoding::json && type_ == '"' && read_head()) return {};
  held_ = std::move(head_);
  if (encoding_ == PayloadEncoding::agreed_base64 && type_ == '"') {
    held_.erase(0, 1);
    begin_base64(Form::base64, offset_ + 1);
  } else {
    form_ = Form::json;
  }
  return {};
}

void MessagePayload::begin_base64(Form form, std::uint64_t offset) {
  form_ = form;
  decoder_.emplace(offset);
  end_at_quote();
}

bool MessagePayload::read_head() {
  while (!rest_.empty()) {
    const char c = as_text(rest_).front();
    if (head_.size() < kScheme.size() ? c != kScheme[head_.size()]
                                      : c == '"' || head_.size() == kHeadBytesMax) {
      return false;
    }
    head_ += c;
    rest_ = rest_.subspan(1);
    if (c != ',') continue;
    const auto meant = json_unescape(std::string_view(head_).substr(kScheme.size()));
    if (!meant || !is_printable_ascii(*meant)) return false;
    const std::string_view type = std::string_view(*meant).substr(0, meant->size() - 1);
    if (type.size() < kBase64.size() ||
        !equals_ignoring_case(type.substr(type.size() - kBase64.size()), kBase64)) {
      return false;
    }
    content_type_ = type.substr(0, type.size() - kBase64.size());
    begin_base64(Form::data_url, offset_ + head_.size());
    return true;
  }
  return true;
}

void MessagePayload::end_at_quote() {
  if (last_) rest_ = rest_.first(rest_.size() - 1);
}

Result<std::size_t> MessagePayload::take(MutableBytes room) {
  if (form_ == Form::base64 || form_ == Form::data_url) {
    auto given = decode(room);
    if (!given && form_ == Form::base64 && encoding_ == PayloadEncoding::agreed_base64) {
      given.error().detail +=
          "; payloads of this messageType are base64 unless payloadEncoding says json";
    }
    return given;
  }
  std::size_t given = std::min(held_.size(), room.size());
  if (given != 0) std::memcpy(room.data(), held_.data(), given);
  held_.erase(0, given);
  if (form_ == Form::undecided || given == room.size()) return given;
  const std::size_t more = std::min(rest_.size(), room.size() - given);
  if (more != 0) std::memcpy(room.data() + given, rest_.data(), more);
  rest_ = rest_.subspan(more);
  return given + more;
}

Result<std::size_t> MessagePayload::decode(MutableBytes room) {
  const auto head = decoder_->decode(held_, room);
  if (!head) return pass(head);
  held_.erase(0, head->consumed);
  if (!held_.empty()) return head->produced;
  const auto step = decoder_->decode(as_text(rest_), room.subspan(head->produced));
  if (!step) return pass(step);
  rest_ = rest_.subspan(step->consumed);
  const std::size_t given = head->produced + step->produced;
  if (given == 0 && last_) {
    if (auto whole = decoder_->finish(); !whole) return pass(std::move(whole));
  }
  return given;
}

std::string MessagePayload::text_begin() const {
  return form_ == Form::base64 ? "\"" : form_ == Form::data_url ? head_ : "";
}

JsonBase64::Unfinished MessagePayload::unfinished() const {
  if (decoder_) return decoder_->unfinished();
  if (form_ == Form::undecided) return {.bytes = {}, .text = head_};
  return {.bytes = held_, .text = {}};
}

}  // namespace daybook::core
