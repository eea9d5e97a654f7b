#include "core/json_events.hpp"

#include "core/check.hpp"
#include "core/json_bytes.hpp"
#include "core/text.hpp"

namespace daybook::core {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view literal_of(char type) {
  return type == 't' ? "true" : type == 'f' ? "false" : "null";
}

void append_utf8(std::string& text, std::uint32_t code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | (code >> 6));
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | (code >> 12));
    text += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | (code >> 18));
    text += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    text += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  }
}

std::uint32_t hex_code(std::string_view digits) {
  std::uint32_t code = 0;
  for (const char c : digits) code = code * 16 + static_cast<std::uint32_t>(hex_value(c));
  return code;
}

}  // namespace

void JsonEvents::feed(Bytes bytes) {
  CHECK(at_ == size_ || state_ == State::done || !error_.detail.empty());
  base_ += size_;
  data_ = as_text(bytes).data();
  size_ = bytes.size();
  at_ = 0;
}

JsonEvents::Step JsonEvents::wrong(std::string_view what) {
  error_ = Error{Code::invalid_argument, Origin::client, Retry::never,
                 "byte " + std::to_string(offset()) + ": " + std::string(what)};
  return Step::wrong;
}

JsonEvents::Step JsonEvents::next(JsonEvent& event) {
  if (!error_.detail.empty()) return Step::wrong;
  while (at_ < size_) {
    const char c = data_[at_];
    Step step = Step::more;
    switch (state_) {
      case State::value:
      case State::value_or_end:
        step = on_value(c, event);
        break;
      case State::key_or_end:
      case State::key:
        step = on_key(c, event);
        break;
      case State::colon:
        if (c == ':') {
          state_ = State::value;
        } else if (!is_space(c)) {
          return wrong("a colon is missing behind a name");
        }
        ++at_;
        break;
      case State::after_value:
      case State::done:
        step = on_after_value(c, event);
        break;
      case State::string:
        step = on_string(event);
        break;
      case State::escape:
      case State::hex:
        step = on_escape(c);
        break;
      case State::continuation:
        step = on_continuation(static_cast<unsigned char>(c));
        break;
      case State::literal:
        step = on_literal(c, event);
        break;
      default:
        step = on_number(c, event);
    }
    if (step != Step::more) return step;
  }
  return finished_ ? on_end(event) : Step::more;
}

JsonEvents::Step JsonEvents::on_end(JsonEvent& event) {
  if (state_ == State::done) return Step::more;
  const bool number_may_end = state_ == State::zero || state_ == State::integer ||
                              state_ == State::fraction || state_ == State::exponent_digits;
  if (number_may_end && depth_ == 0) return end_value(offset(), event);
  return wrong(state_ == State::value && depth_ == 0 ? "there is nothing"
                                                     : "the text ends too soon");
}

JsonEvents::Step JsonEvents::on_value(char c, JsonEvent& event) {
  if (is_space(c)) {
    ++at_;
    return Step::more;
  }
  if (c == ']' && state_ == State::value_or_end) return close(c, event);
  switch (c) {
    case '{':
    case '[':
      return open(c, event);
    case '"':
      in_key_ = false;
      state_ = State::string;
      break;
    case 't':
    case 'f':
    case 'n':
      literal_ = literal_of(c).substr(1);
      state_ = State::literal;
      break;
    case '-':
      state_ = State::minus;
      break;
    case '0':
      state_ = State::zero;
      break;
    default:
      if (!is_digit(c)) return wrong("a value is missing");
      state_ = State::integer;
  }
  type_ = c == '-' || is_digit(c) ? '0' : c;
  event = {JsonEvent::Kind::begin, type_, static_cast<std::uint32_t>(depth_), offset()};
  ++at_;
  if (depth_ <= watched_depth_) return Step::event;
  return state_ == State::string && at_ < size_ ? on_string(event) : Step::more;
}

JsonEvents::Step JsonEvents::open(char type, JsonEvent& event) {
  if (depth_ == limits::kJsonDepthMax) {
    return wrong("more than " + std::to_string(limits::kJsonDepthMax) +
                 " arrays and objects inside one another");
  }
  event = {JsonEvent::Kind::begin, type, static_cast<std::uint32_t>(depth_), offset()};
  is_object_[depth_] = type == '{';
  state_ = type == '{' ? State::key_or_end : State::value_or_end;
  ++at_;
  return depth_++ <= watched_depth_ ? Step::event : Step::more;
}

JsonEvents::Step JsonEvents::close(char type, JsonEvent& event) {
  ++at_;
  --depth_;
  type_ = type == '}' ? '{' : '[';
  return end_value(offset(), event);
}

JsonEvents::Step JsonEvents::end_value(std::uint64_t offset, JsonEvent& event) {
  state_ = depth_ == 0 ? State::done : State::after_value;
  event = {JsonEvent::Kind::end, type_, static_cast<std::uint32_t>(depth_), offset};
  return depth_ <= watched_depth_ ? Step::event : Step::more;
}

JsonEvents::Step JsonEvents::on_key(char c, JsonEvent& event) {
  if (c == '"') {
    in_key_ = true;
    key_.clear();
    key_too_long_ = false;
    state_ = State::string;
  } else if (c == '}' && state_ == State::key_or_end) {
    return close(c, event);
  } else if (!is_space(c)) {
    return wrong("a name in quotes is missing");
  }
  ++at_;
  return Step::more;
}

JsonEvents::Step JsonEvents::on_after_value(char c, JsonEvent& event) {
  if (is_space(c)) {
    ++at_;
    return Step::more;
  }
  if (state_ == State::done) return wrong("something follows the value");
  if (c == ',') {
    state_ = in_object() ? State::key : State::value;
    ++at_;
    return Step::more;
  }
  if (c == (in_object() ? '}' : ']')) return close(c, event);
  return wrong(in_object() ? "a comma or } is missing" : "a comma or ] is missing");
}

void JsonEvents::keep_key(std::size_t from) {
  if (!in_key_ || depth_ > watched_depth_ || key_too_long_) return;
  if (key_.size() + (at_ - from) > kKeyBytesMax) {
    key_too_long_ = true;
  } else {
    key_.append(data_ + from, at_ - from);
  }
}

JsonEvents::Step JsonEvents::on_string(JsonEvent& event) {
  if (owes_low_half_ && data_[at_] != '\\') return wrong("half of a surrogate pair");
  const std::size_t from = at_;
  for (std::size_t wide = 1; wide != 0;) {
    at_ += plain_bytes(data_ + at_, size_ - at_);
    const std::size_t before = at_;
    while ((wide = wide_bytes(data_ + at_, size_ - at_)) != 0) at_ += wide;
    wide = at_ - before;
  }
  keep_key(from);
  if (at_ == size_) return Step::more;
  const auto c = static_cast<unsigned char>(data_[at_]);
  if (c < 0x20) return wrong("a control character in a string must be escaped");
  if (c >= 0x80) return on_lead_byte(c);
  ++at_;
  if (c == '\\') {
    keep_key(at_ - 1);
    state_ = State::escape;
    return Step::more;
  }
  if (!in_key_) return end_value(offset(), event);
  if (depth_ > watched_depth_ && at_ < size_ && data_[at_] == ':') {
    ++at_;
    state_ = State::value;
    return Step::more;
  }
  state_ = State::colon;
  event = {JsonEvent::Kind::key, '"', static_cast<std::uint32_t>(depth_), offset()};
  return depth_ <= watched_depth_ ? Step::event : Step::more;
}

JsonEvents::Step JsonEvents::on_escape(char c) {
  if (state_ == State::escape && c == 'u') {
    pending_ = 4;
    hex_ = 0;
    state_ = State::hex;
  } else if (state_ == State::escape) {
    if (!std::string_view("\"\\/bfnrt").contains(c)) return wrong("there is no such escape");
    if (owes_low_half_) return wrong("half of a surrogate pair");
    state_ = State::string;
  } else {
    if (hex_value(c) < 0) return wrong("\\u needs four hex digits");
    hex_ = hex_ * 16 + static_cast<std::uint32_t>(hex_value(c));
    if (--pending_ == 0) {
      const bool low = hex_ >= 0xDC00 && hex_ <= 0xDFFF;
      if (whole_pairs_only_ && low != owes_low_half_) return wrong("half of a surrogate pair");
      owes_low_half_ = whole_pairs_only_ && hex_ >= 0xD800 && hex_ <= 0xDBFF;
      state_ = State::string;
    }
  }
  ++at_;
  keep_key(at_ - 1);
  return Step::more;
}

// RFC 3629 section 4: which byte may begin a sequence, and what may follow it.
JsonEvents::Step JsonEvents::on_lead_byte(unsigned char c) {
  low_ = 0x80;
  high_ = 0xBF;
  if (c >= 0xC2 && c <= 0xDF) {
    pending_ = 1;
  } else if (c >= 0xE0 && c <= 0xEF) {
    pending_ = 2;
    if (c == 0xE0) low_ = 0xA0;
    if (c == 0xED) high_ = 0x9F;
  } else if (c >= 0xF0 && c <= 0xF4) {
    pending_ = 3;
    if (c == 0xF0) low_ = 0x90;
    if (c == 0xF4) high_ = 0x8F;
  } else {
    return wrong("this is not UTF-8");
  }
  state_ = State::continuation;
  ++at_;
  keep_key(at_ - 1);
  return Step::more;
}

JsonEvents::Step JsonEvents::on_continuation(unsigned char c) {
  if (c < low_ || c > high_) return wrong("this is not UTF-8");
  low_ = 0x80;
  high_ = 0xBF;
  if (--pending_ == 0) state_ = State::string;
  ++at_;
  keep_key(at_ - 1);
  return Step::more;
}

JsonEvents::Step JsonEvents::on_literal(char c, JsonEvent& event) {
  if (c != literal_.front()) return wrong("a value is missing: this is not true, false or null");
  literal_.remove_prefix(1);
  ++at_;
  return literal_.empty() ? end_value(offset(), event) : Step::more;
}

// RFC 8259 section 6. The byte behind a number ends it and is read again.
JsonEvents::Step JsonEvents::on_number(char c, JsonEvent& event) {
  const bool may_end = state_ == State::zero || state_ == State::integer ||
                       state_ == State::fraction || state_ == State::exponent_digits;
  State to = State::done;
  if (is_digit(c)) {
    if (state_ == State::zero) return wrong("a number must not begin with 0");
    if (state_ == State::minus) to = c == '0' ? State::zero : State::integer;
    if (state_ == State::integer) to = State::integer;
    if (state_ == State::point || state_ == State::fraction) to = State::fraction;
    if (state_ >= State::exponent) to = State::exponent_digits;
  } else if (c == '.' && (state_ == State::zero || state_ == State::integer)) {
    to = State::point;
  } else if ((c == 'e' || c == 'E') && may_end && state_ != State::exponent_digits) {
    to = State::exponent;
  } else if ((c == '+' || c == '-') && state_ == State::exponent) {
    to = State::exponent_sign;
  } else if (may_end) {
    return end_value(offset(), event);
  } else {
    return wrong("a digit is missing");
  }
  state_ = to;
  ++at_;
  return Step::more;
}

std::optional<std::string> JsonEvents::key() const {
  return key_too_long_ ? std::nullopt : json_unescape(key_);
}

std::optional<std::string> json_unescape(std::string_view raw) {
  std::string text;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      text += raw[i];
      continue;
    }
    const char c = raw[++i];
    constexpr std::string_view kFrom = "bfnrt";
    constexpr std::string_view kTo = "\b\f\n\r\t";
    if (const std::size_t found = kFrom.find(c); found != std::string_view::npos) {
      text += kTo[found];
    } else if (c != 'u') {
      text += c;
    } else {
      std::uint32_t code = hex_code(raw.substr(i + 1, 4));
      i += 4;
      if (code >= 0xDC00 && code <= 0xDFFF) return std::nullopt;
      if (code >= 0xD800 && code <= 0xDBFF) {
        if (!raw.substr(i + 1).starts_with("\\u")) return std::nullopt;
        const std::uint32_t low = hex_code(raw.substr(i + 3, 4));
        if (low < 0xDC00 || low > 0xDFFF) return std::nullopt;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        i += 6;
      }
      append_utf8(text, code);
    }
  }
  return text;
}

}  // namespace daybook::core
