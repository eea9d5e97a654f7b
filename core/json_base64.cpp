#include "core/json_base64.hpp"

#include <algorithm>

#include "core/base64.hpp"
#include "core/json_events.hpp"

namespace daybook::core {

Failure JsonBase64::wrong(std::uint64_t offset, std::string_view what) const {
  return fail(Code::invalid_argument, Origin::client, Retry::never,
              "byte " + std::to_string(offset) + ": " + std::string(what));
}

Result<JsonBase64::Step> JsonBase64::decode(std::string_view text, MutableBytes room) {
  Step step;
  for (;;) {
    while (out_given_ < out_bytes_ && step.produced < room.size()) {
      room[step.produced++] = out_[out_given_++];
    }
    if (out_given_ < out_bytes_ || step.consumed == text.size()) return step;
    if (chars_ == 0 && padding_ == 0 && escape_.empty()) {
      const std::size_t groups =
          decode_base64_groups(text.substr(step.consumed), room.subspan(step.produced));
      step.consumed += groups * 4;
      step.produced += groups * 3;
      offset_ += groups * 4;
      if (step.consumed == text.size()) return step;
    }
    if (auto taken = on_char(text[step.consumed]); !taken) return pass(std::move(taken));
    ++step.consumed;
    ++offset_;
  }
}

Result<void> JsonBase64::on_char(char c) {
  if (escape_.empty()) {
    if (c != '\\') return on_plain(c, offset_);
    escape_offset_ = offset_;
    escape_ = c;
    return {};
  }
  escape_ += c;
  constexpr std::size_t kUnicodeBytes = 6;  // \u002B
  if (escape_[1] == 'u' && escape_.size() < kUnicodeBytes) return {};
  const auto meant = json_unescape(escape_);
  escape_.clear();
  return on_plain(meant && meant->size() == 1 ? meant->front() : '\0', escape_offset_);
}

Result<void> JsonBase64::on_plain(char c, std::uint64_t offset) {
  if (padding_ != 0 && chars_ == 0) return wrong(offset, "something follows the padding");
  if (c == '=') {
    if (chars_ < 2) return wrong(offset, "padding where a base64 character is due");
    ++padding_;
    bits_ <<= 6;
  } else {
    const int value = base64_value(c);
    if (value < 0 || padding_ != 0) return wrong(offset, "this is no base64 character");
    bits_ = bits_ << 6 | static_cast<std::uint32_t>(value);
  }
  if (++chars_ < 4) return {};
  for (std::size_t i = 0; i < out_.size(); ++i) {
    out_[i] = static_cast<std::byte>(bits_ >> (16 - 8 * i));
  }
  out_bytes_ = static_cast<std::uint8_t>(3 - padding_);
  if ((bits_ & ((1U << (8 * padding_)) - 1)) != 0) {
    return wrong(offset, "the base64 text ends with stray bits");
  }
  out_given_ = 0;
  bits_ = 0;
  chars_ = 0;
  return {};
}

Result<void> JsonBase64::finish() const {
  if (chars_ == 0) return {};
  return wrong(offset_, "the base64 text ends inside a group of four; its padding is missing");
}

JsonBase64::Unfinished JsonBase64::unfinished() const {
  Unfinished left;
  for (std::size_t i = out_given_; i < out_bytes_; ++i) left.bytes += static_cast<char>(out_[i]);
  for (std::size_t i = 0; i < chars_; ++i) {
    const std::size_t behind = chars_ - 1U - i;
    left.text += behind < padding_ ? '=' : base64_char(bits_ >> (6 * behind) & 0x3F);
  }
  left.text += escape_;
  return left;
}

}  // namespace daybook::core
