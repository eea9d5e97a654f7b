#include "core/http/structured_field.hpp"

#include <algorithm>

#include "core/http/char_class.hpp"
#include "core/text.hpp"

namespace daybook::core::http {
namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_letter(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return is_in(c, kDigitByte);
}
bool is_lower_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f');
}
bool is_visible_or_space(char c) {
  return c >= 0x20 && c < 0x7F;
}

// Recursive descent over RFC 9651 section 4.2; the functions bear the names of its subsections.
// Each returns whether what it names stood here. The depth is fixed: an inner list holds no lists.
class DictionaryReader {
 public:
  explicit DictionaryReader(std::string_view text) : text_(text) {}

  bool dictionary(std::vector<DictionaryMember>& members) {
    skip(" ");
    while (!at_end()) {
      DictionaryMember member;
      if (!key(member.key)) return false;
      if (take('=')) {
        if (!item_or_inner_list(member.bytes)) return false;
      } else if (!parameters()) {
        return false;
      }
      keep(members, std::move(member));
      skip(" \t");
      if (at_end()) return true;
      if (!take(',')) return false;
      skip(" \t");
      if (at_end()) return false;  // a comma at the end
    }
    return true;
  }

 private:
  static void keep(std::vector<DictionaryMember>& members, DictionaryMember member) {
    const auto same = std::ranges::find(members, member.key, &DictionaryMember::key);
    if (same == members.end()) {
      members.push_back(std::move(member));
    } else {
      same->bytes = std::move(member.bytes);
    }
  }

  [[nodiscard]] bool at_end() const { return text_.empty(); }
  [[nodiscard]] char peek() const { return text_.empty() ? '\0' : text_.front(); }
  bool take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void skip(std::string_view bytes) {
    text_.remove_prefix(std::min(text_.find_first_not_of(bytes), text_.size()));
  }
  std::string_view take_while(auto&& is_wanted) {
    const auto end = std::ranges::find_if_not(text_, is_wanted);
    const std::string_view run(text_.begin(), end);
    text_.remove_prefix(run.size());
    return run;
  }

  bool key(std::string& name) {
    if (!is_lower(peek()) && peek() != '*') return false;
    name = take_while([](char c) {
      return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
    });
    return true;
  }

  bool parameters() {
    std::string name;
    std::optional<ByteVector> ignored;
    while (take(';')) {
      skip(" ");
      if (!key(name)) return false;
      if (take('=') && !bare_item(ignored)) return false;
    }
    return true;
  }

  bool item_or_inner_list(std::optional<ByteVector>& bytes) {
    if (peek() == '(') return inner_list();
    return bare_item(bytes) && parameters();
  }

  bool inner_list() {
    std::optional<ByteVector> ignored;
    if (!take('(')) return false;
    while (true) {
      skip(" ");
      if (take(')')) return parameters();
      if (!bare_item(ignored) || !parameters()) return false;
      if (peek() != ' ' && peek() != ')') return false;
    }
  }

  bool bare_item(std::optional<ByteVector>& bytes) {
    const char first = peek();
    if (first == '-' || is_digit(first)) return number(true);
    if (is_letter(first) || first == '*') return token();
    switch (first) {
      case '"':
        return string();
      case ':':
        return byte_sequence(bytes);
      case '?':
        return boolean();
      case '@':
        return take('@') && number(false);
      case '%':
        return display_string();
      default:
        return false;
    }
  }

  // Up to 15 digits, or 12 before and 1 to 3 behind the point.
  bool number(bool decimals_allowed) {
    take('-');
    const std::size_t whole = take_while(is_digit).size();
    if (whole == 0 || whole > 15) return false;
    if (!take('.')) return true;
    const std::size_t fraction = take_while(is_digit).size();
    return decimals_allowed && whole <= 12 && fraction >= 1 && fraction <= 3;
  }

  bool token() {
    take_while([](char c) { return is_in(c, kTokenByte) || c == ':' || c == '/'; });
    return true;
  }

  bool string() {
    if (!take('"')) return false;
    while (!at_end()) {
      if (take('"')) return true;
      if (take('\\')) {
        if (!take('"') && !take('\\')) return false;
      } else if (!is_visible_or_space(peek())) {
        return false;
      } else {
        text_.remove_prefix(1);
      }
    }
    return false;
  }

  bool byte_sequence(std::optional<ByteVector>& bytes) {
    if (!take(':')) return false;
    const std::string_view encoded = take_while([](char c) { return c != ':'; });
    bytes = from_base64(encoded);
    return bytes.has_value() && take(':');
  }

  bool boolean() { return take('?') && (take('0') || take('1')); }

  bool display_string() {
    if (!take('%') || !take('"')) return false;
    std::string decoded;
    while (!at_end()) {
      if (take('"')) return is_utf8(decoded);
      const char c = peek();
      if (!is_visible_or_space(c)) return false;
      text_.remove_prefix(1);
      if (c != '%') {
        decoded.push_back(c);
        continue;
      }
      if (text_.size() < 2 || !is_lower_hex(text_[0]) || !is_lower_hex(text_[1])) return false;
      decoded.push_back(static_cast<char>(hex_value(text_[0]) << 4 | hex_value(text_[1])));
      text_.remove_prefix(2);
    }
    return false;
  }

  std::string_view text_;
};

}  // namespace

Result<std::vector<DictionaryMember>> parse_dictionary(std::string_view value) {
  std::vector<DictionaryMember> members;
  while (value.ends_with(' ')) value.remove_suffix(1);
  if (!DictionaryReader(value).dictionary(members)) {
    return fail(Code::invalid_argument, Origin::client, Retry::never,
                "The field is no structured-field dictionary (RFC 9651).");
  }
  return members;
}

}  // namespace daybook::core::http
