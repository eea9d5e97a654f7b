// How the parser is built: HeadReader walks the bytes once, in order, and keeps only views into the
// input, so that a NeedMore costs no allocation; the head is built when the empty line was read.
#include "core/http/head_parser.hpp"

#include <algorithm>
#include <array>

#include "core/http/authority.hpp"
#include "core/http/char_class.hpp"
#include "core/http/field_meaning.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::core::http {
namespace {

enum class Progress { done, more, refused };

struct FieldView {
  std::string_view name;
  std::string_view value;
};

// Percent escapes are two hex digits, and none of them is NUL.
bool has_good_escapes(std::string_view target) {
  for (std::size_t at = target.find('%'); at != std::string_view::npos; at = target.find('%', at)) {
    if (target.size() - at < 3) return false;
    const int high = hex_value(target[at + 1]);
    const int low = hex_value(target[at + 2]);
    if (high < 0 || low < 0 || (high | low) == 0) return false;
    at += 3;
  }
  return true;
}

// The part that requests and responses share: lines, fields, and what the fields say about the
// body.
class HeadReader {
 public:
  HeadReader(Bytes input, bool is_request)
      : text_(as_text(input).substr(0, limits::kHeadBytesMax)),
        end_(text_.size()),
        meaning_(is_request) {}

  // What the head's outcome is when it has not been read to its end: more bytes, or too many.
  template <class Head>
  std::variant<NeedMore, Parsed<Head>, Refused> unfinished(Progress progress) {
    if (progress == Progress::refused) return std::move(refusal_);
    if (text_.size() < limits::kHeadBytesMax) return NeedMore{};
    return Refused{431, "The request line and the header fields together are too long."};
  }

 protected:
  Progress refuse(int status, std::string_view detail) {
    refusal_ = Refused{status, std::string(detail)};
    return Progress::refused;
  }

  // A run of bytes of a class, and what must come behind it. At the end of the input: more.
  Progress take_run(std::uint8_t char_class, std::string_view& run) {
    const std::size_t first = at_;
    while (at_ < end_ && is_in(text_[at_], char_class)) ++at_;
    run = text_.substr(first, at_ - first);
    return at_ < end_ ? Progress::done : Progress::more;
  }
  Progress take(char byte, std::string_view what) {
    if (at_ == end_) return Progress::more;
    if (text_[at_] != byte) return refuse(400, what);
    ++at_;
    return Progress::done;
  }
  Progress take_line_end() {
    constexpr std::string_view kWhat = "A line has a byte that must not be there, or no CRLF end.";
    const Progress progress = take('\r', kWhat);
    return progress == Progress::done ? take('\n', kWhat) : progress;
  }

  // "HTTP/1.0" or "HTTP/1.1"; any other digits are 505.
  Progress take_version() {
    constexpr std::string_view kForm = "HTTP/d.d";
    const std::string_view version = text_.substr(at_, std::min(kForm.size(), end_ - at_));
    for (std::size_t i = 0; i < version.size(); ++i) {
      const bool good = kForm[i] == 'd' ? is_in(version[i], kDigitByte) : version[i] == kForm[i];
      if (!good) return refuse(400, "The first line has no HTTP version where it must have one.");
    }
    if (version.size() < kForm.size()) return Progress::more;
    if (version != "HTTP/1.1" && version != "HTTP/1.0") {
      return refuse(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
    }
    minor_version_ = version.back() - '0';
    at_ += kForm.size();
    return Progress::done;
  }

  // Field lines up to and including the empty line.
  Progress take_fields() {
    while (true) {
      if (at_ == end_) return Progress::more;
      if (text_[at_] == '\r') return take_line_end();
      if (const Progress progress = take_field(); progress != Progress::done) return progress;
    }
  }

  [[nodiscard]] Fields make_fields() const {
    Fields fields;
    for (std::size_t i = 0; i < field_count_; ++i) {
      fields.add(std::string(fields_[i].name), std::string(fields_[i].value));
    }
    return fields;
  }

  std::string_view text_;  // of the input, what may belong to a head
  std::size_t at_ = 0;
  std::size_t end_;  // where the part being read must end
  int minor_version_ = 1;
  FieldMeaning meaning_;

 private:
  Progress take_field() {
    FieldView field;
    if (const Progress progress = take_run(kTokenByte, field.name); progress != Progress::done) {
      return progress;
    }
    if (field.name.empty()) {
      return refuse(400,
                    "A header line does not begin with a field name (folded lines are refused).");
    }
    if (const Progress progress = take(':', "A field name must be a token with a colon behind it.");
        progress != Progress::done) {
      return progress;
    }
    if (const Progress progress = take_run(kValueByte, field.value); progress != Progress::done) {
      return progress;
    }
    if (const Progress progress = take_line_end(); progress != Progress::done) return progress;
    if (field_count_ == fields_.size()) return refuse(431, "There are too many header fields.");
    field.value = trim(field.value);
    fields_[field_count_++] = field;
    const auto refusal = meaning_.add(field.name, field.value, minor_version_);
    return refusal ? refuse(refusal->status, refusal->detail) : Progress::done;
  }

  std::array<FieldView, limits::kHeaderFieldsMax> fields_;
  std::size_t field_count_ = 0;
  Refused refusal_;
};

class RequestReader : public HeadReader {
 public:
  explicit RequestReader(Bytes input) : HeadReader(input, true) {}

  std::variant<NeedMore, Parsed<RequestHead>, Refused> read() {
    Progress progress = take_request_line();
    if (progress == Progress::done) progress = take_fields();
    if (progress == Progress::done) progress = check_host();
    if (progress != Progress::done) return unfinished<RequestHead>(progress);

    Parsed<RequestHead> parsed;
    RequestHead& head = parsed.head;
    head.method = method_;
    head.target = target_;
    head.path = std::move(path_);
    head.query = query_;
    head.minor_version = minor_version_;
    head.fields = make_fields();
    head.framing = meaning_.chunked()  ? Framing::chunked
                   : meaning_.length() ? Framing::length
                                       : Framing::none;
    head.content_length = meaning_.length().value_or(0);
    head.keep_alive = meaning_.keeps_alive(minor_version_) && next_is_certain();
    head.expects_continue = meaning_.expects_continue();
    parsed.consumed = at_;
    return parsed;
  }

 private:
  // Whether what follows is the next request for everybody. Behind CONNECT, an upgrade or a method
  // that nobody here knows, another reader may expect something else: the connection ends there.
  [[nodiscard]] bool next_is_certain() const {
    constexpr std::array<std::string_view, 7> kKnown = {"GET",    "HEAD",  "POST",   "PUT",
                                                        "DELETE", "PATCH", "OPTIONS"};
    return !meaning_.says_upgrade() && std::ranges::find(kKnown, method_) != kKnown.end();
  }

  Progress take_request_line() {
    // RFC 9112 section 2.2: old clients send a CRLF too many behind a body. kHeadBytesMax bounds
    // them.
    while (at_ < end_ && text_[at_] == '\r') {
      if (const Progress progress = take_line_end(); progress != Progress::done) return progress;
    }
    constexpr std::size_t kWithLineEnd = kRequestLineBytesMax + 2;
    const bool bounded = text_.size() - at_ >= kWithLineEnd;
    if (bounded) end_ = at_ + kWithLineEnd;
    const Progress progress = take_request_line_parts();
    if (progress == Progress::more && bounded) {
      return refuse(414, "The request line is longer than 8 KiB.");
    }
    end_ = text_.size();
    return progress;
  }

  Progress take_request_line_parts() {
    if (const Progress progress = take_run(kTokenByte, method_); progress != Progress::done) {
      return progress;
    }
    if (method_.empty()) return refuse(400, "The request does not begin with a method.");
    if (const Progress progress = take(' ', "A method must be a token with one space behind it.");
        progress != Progress::done) {
      return progress;
    }
    if (const Progress progress = take_run(kTargetByte, target_); progress != Progress::done) {
      return progress;
    }
    if (const Progress progress =
            take(' ', "A request target must be visible ASCII without '#', then one space.");
        progress != Progress::done) {
      return progress;
    }
    if (const Progress progress = understand_target(); progress != Progress::done) return progress;
    if (const Progress progress = take_version(); progress != Progress::done) return progress;
    return take_line_end();
  }

  // The four forms of RFC 9112 section 3.2.
  Progress understand_target() {
    if (method_ == "CONNECT") {
      if (is_authority_with_port(target_)) return Progress::done;
      return refuse(400, "The target of CONNECT must be a host and a port.");
    }
    if (target_ == "*" && method_ == "OPTIONS") {
      path_ = target_;
      return Progress::done;
    }
    if (!has_good_escapes(target_)) {
      return refuse(400, "The request target has a malformed percent escape, or %00.");
    }
    std::string_view rest = target_;
    if (!rest.starts_with('/')) {
      const std::size_t scheme = rest.find("://");
      const std::string_view name = rest.substr(0, scheme);
      if (scheme == std::string_view::npos ||
          !(equals_ignoring_case(name, "http") || equals_ignoring_case(name, "https"))) {
        return refuse(400, "The request target is neither a path nor an http URI.");
      }
      rest.remove_prefix(scheme + 3);
      const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
      if (!is_authority(authority)) {
        return refuse(400, "The authority of the request target is no host with an optional port.");
      }
      rest.remove_prefix(authority.size());
      authority_ = authority;
      default_port_ = equals_ignoring_case(name, "https") ? ":443" : ":80";
    }
    const std::size_t question = rest.find('?');
    path_view_ = rest.substr(0, question);
    if (question != std::string_view::npos) query_ = rest.substr(question + 1);
    return Progress::done;
  }

  Progress check_host() {
    if (!meaning_.has_host() && minor_version_ == 1)
      return refuse(400, "HTTP/1.1 needs a Host field.");
    // RFC 9112 section 3.2.2 lets the target win; not every proxy on the way knows that.
    if (!authority_.empty() && meaning_.has_host() &&
        !equals_ignoring_case(without_default_port(authority_),
                              without_default_port(meaning_.host()))) {
      return refuse(400, "The Host field and the host of the request target differ.");
    }
    if (method_ == "CONNECT" || !path_.empty()) return Progress::done;
    path_ = path_view_.contains('%') ? *percent_decode(path_view_) : std::string(path_view_);
    if (path_.empty()) path_ = "/";
    return Progress::done;
  }

  [[nodiscard]] std::string_view without_default_port(std::string_view authority) const {
    if (authority.ends_with(':')) authority.remove_suffix(1);
    if (authority.ends_with(default_port_)) {
      authority.remove_suffix(default_port_.size());
    }
    return authority;
  }

  std::string_view method_;
  std::string_view target_;
  std::string_view authority_;  // of an absolute-form target
  std::string_view default_port_;
  std::string_view path_view_;
  std::string_view query_;
  std::string path_;
};

class ResponseReader : public HeadReader {
 public:
  explicit ResponseReader(Bytes input) : HeadReader(input, false) {}

  std::variant<NeedMore, Parsed<ResponseHead>, Refused> read(std::string_view request_method) {
    Progress progress = take_status_line();
    if (progress == Progress::done) progress = take_fields();
    if (progress != Progress::done) return unfinished<ResponseHead>(progress);

    Parsed<ResponseHead> parsed;
    ResponseHead& head = parsed.head;
    head.status = status_;
    head.reason = reason_;
    head.minor_version = minor_version_;
    head.fields = make_fields();
    head.framing = framing(request_method);
    head.content_length = meaning_.length().value_or(0);
    head.keep_alive = meaning_.keeps_alive(minor_version_) && head.framing != Framing::until_close;
    parsed.consumed = at_;
    return parsed;
  }

 private:
  // The reason phrase, and the space in front of it, may be absent: clients never need it.
  Progress take_status_line() {
    constexpr std::string_view kStatus = "The status line has no status between 100 and 599.";
    if (const Progress progress = take_version(); progress != Progress::done) return progress;
    if (const Progress progress = take(' ', kStatus); progress != Progress::done) return progress;
    for (int digit = 0; digit < 3; ++digit) {
      if (at_ == end_) return Progress::more;
      const char byte = text_[at_++];
      if (!is_in(byte, kDigitByte)) return refuse(400, kStatus);
      status_ = status_ * 10 + (byte - '0');
    }
    if (status_ < 100 || status_ > 599) return refuse(400, kStatus);
    if (at_ == end_) return Progress::more;
    if (text_[at_] != ' ') return take_line_end();
    ++at_;
    if (const Progress progress = take_run(kValueByte, reason_); progress != Progress::done) {
      return progress;
    }
    return take_line_end();
  }

  // RFC 9112 section 6.3, in its order.
  [[nodiscard]] Framing framing(std::string_view request_method) const {
    if (request_method == "HEAD" || status_ < 200 || status_ == 204 || status_ == 304) {
      return Framing::none;
    }
    if (request_method == "CONNECT" && status_ < 300) return Framing::none;
    if (meaning_.chunked()) return Framing::chunked;
    return meaning_.length() ? Framing::length : Framing::until_close;
  }

  int status_ = 0;
  std::string_view reason_;
};

}  // namespace

std::variant<NeedMore, Parsed<RequestHead>, Refused> parse_request_head(Bytes input) {
  return RequestReader(input).read();
}

std::variant<NeedMore, Parsed<ResponseHead>, Refused> parse_response_head(
    Bytes input, std::string_view request_method) {
  return ResponseReader(input).read(request_method);
}

}  // namespace daybook::core::http
