#include "core/http/multipart.hpp"

#include <algorithm>

#include "core/http/char_class.hpp"
#include "core/http/fields.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::core::http {
namespace {

constexpr std::size_t kBoundaryBytesMax = 70;  // RFC 2046 section 5.1.1

bool is_boundary(std::string_view text) {
  constexpr std::string_view kMarks = "'()+_,-./:=? ";
  if (text.empty() || text.size() > kBoundaryBytesMax || text.ends_with(' ')) return false;
  return std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.contains(c);
  });
}

}  // namespace

Result<std::string> multipart_boundary(std::string_view content_type) {
  const auto wrong = [] {
    return fail(Code::invalid_argument, Origin::client, Retry::never,
                "Content-Type multipart/mixed needs a boundary of 1 to 70 characters, such as "
                "multipart/mixed; boundary=records.");
  };
  constexpr std::string_view kName = "boundary=";
  for (std::size_t at = content_type.find(';'); at != std::string_view::npos;
       at = content_type.find(';', at + 1)) {
    std::string_view parameter = trim(content_type.substr(at + 1));
    if (!equals_ignoring_case(parameter.substr(0, kName.size()), kName)) continue;
    parameter.remove_prefix(kName.size());
    const bool quoted = parameter.starts_with('"');
    if (quoted) parameter.remove_prefix(1);
    const std::size_t end = parameter.find(quoted ? '"' : ';');
    if (quoted && end == std::string_view::npos) return wrong();
    const std::string_view boundary =
        quoted ? parameter.substr(0, end) : trim(parameter.substr(0, end));
    if (!is_boundary(boundary)) return wrong();
    return std::string(boundary);
  }
  return wrong();
}

MultipartReader::MultipartReader(std::string_view boundary, std::size_t part_bytes_max)
    : delimiter_("\r\n--" + std::string(boundary)), part_bytes_max_(part_bytes_max) {}

Failure MultipartReader::refuse(const std::string& what, Code code) const {
  return fail(code, Origin::client, Retry::never,
              "The multipart body is wrong at byte " + std::to_string(offset_) + ": " + what);
}

void MultipartReader::drop(std::size_t bytes) {
  pending_.erase(0, bytes);
  offset_ += bytes;
  searched_ = 0;
}

Result<void> MultipartReader::feed(Bytes bytes) {
  pending_ += as_text(bytes);
  for (;;) {
    const auto more = step();
    if (!more) return pass(more);
    if (!*more) return {};
  }
}

Result<bool> MultipartReader::step() {
  switch (state_) {
    case State::begin:
      return read_begin();
    case State::after_delimiter:
      return read_after_delimiter();
    case State::head:
      return read_head();
    case State::body:
      return read_body();
    case State::end:
      return read_end();
  }
  return false;
}

// The first delimiter has no line before it, so its CRLF may be missing.
Result<bool> MultipartReader::read_begin() {
  const std::string_view dashes = std::string_view(delimiter_).substr(2);
  const std::string_view first = pending_.starts_with('\r') ? std::string_view(delimiter_) : dashes;
  const std::size_t known = std::min(first.size(), pending_.size());
  if (pending_.substr(0, known) != first.substr(0, known)) {
    return refuse("it must begin with " + std::string(dashes) + ".");
  }
  if (pending_.size() < first.size() || pending_.empty()) return false;
  drop(first.size());
  state_ = State::after_delimiter;
  return true;
}

Result<bool> MultipartReader::read_after_delimiter() {
  const std::size_t padding = std::min(pending_.find_first_not_of(" \t"), pending_.size());
  if (padding > kBoundaryBytesMax) return refuse("more than 70 blanks follow a boundary.");
  const std::string_view rest = std::string_view(pending_).substr(padding);
  if (rest.size() < 2) return false;
  if (rest.starts_with("--") && padding == 0) {
    drop(2);
    state_ = State::end;
    return true;
  }
  if (!rest.starts_with("\r\n")) return refuse("a boundary must be followed by a line break.");
  drop(padding + 2);
  state_ = State::head;
  part_ = BatchElement();
  return true;
}

// One line of the part's head; the empty one ends it.
Result<bool> MultipartReader::read_head() {
  const std::size_t end = pending_.find("\r\n");
  if (end == std::string::npos) {
    if (pending_.size() <= limits::kHeadBytesMax) return false;
    return refuse("a header line of a part is too long.", Code::too_large);
  }
  const std::string_view line = std::string_view(pending_).substr(0, end);
  if (line.empty()) {
    drop(2);
    part_.offset = offset_;
    state_ = State::body;
    return true;
  }
  const std::size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  const bool named = colon != std::string_view::npos && !name.empty() &&
                     std::ranges::all_of(name, [](char c) { return is_in(c, kTokenByte); });
  const std::string_view value = named ? trim(line.substr(colon + 1)) : std::string_view();
  if (!named || !std::ranges::all_of(value, [](char c) { return is_in(c, kValueByte); })) {
    return refuse("this is no header line of a part.");
  }
  if (part_.fields.lines().size() >= limits::kHeaderFieldsMax) {
    return refuse("a part has too many header lines.", Code::too_large);
  }
  if (equals_ignoring_case(name, "Content-Transfer-Encoding") &&
      !equals_ignoring_case(value, "binary") && !equals_ignoring_case(value, "8bit") &&
      !equals_ignoring_case(value, "7bit")) {
    return refuse("Content-Transfer-Encoding must be binary: send the bytes themselves.");
  }
  part_.fields.add(std::string(name), std::string(value));
  drop(end + 2);
  return true;
}

Result<bool> MultipartReader::read_body() {
  // A delimiter whose line break ended the part's head: the part has no bytes.
  const std::string_view dashes = std::string_view(delimiter_).substr(2);
  if (pending_.starts_with(dashes)) return refuse("a part is empty.");
  if (dashes.starts_with(pending_)) return false;
  const std::size_t end = pending_.find(delimiter_, searched_);
  if (std::min(end, pending_.size()) > part_bytes_max_ + delimiter_.size()) {
    return refuse("this part is larger than " + format_size(part_bytes_max_) + ".",
                  Code::too_large);
  }
  if (end == std::string::npos) {
    searched_ = pending_.size() - std::min(pending_.size(), delimiter_.size() - 1);
    return false;
  }
  if (end > part_bytes_max_) {
    return refuse("this part is larger than " + format_size(part_bytes_max_) + ".",
                  Code::too_large);
  }
  part_.bytes = pending_.substr(0, end);
  drop(end + delimiter_.size());
  parts_.push_back(std::move(part_));
  state_ = State::after_delimiter;
  return true;
}

Result<bool> MultipartReader::read_end() {
  if (pending_ == "\r" || pending_ == "\r\n" || pending_.empty()) return false;
  return refuse("bytes follow the last boundary.");
}

Result<void> MultipartReader::finish() {
  if (state_ == State::end) return {};
  offset_ += pending_.size();
  return refuse("it ends without the last boundary " + delimiter_.substr(2) + "--.");
}

std::optional<BatchElement> MultipartReader::next() {
  if (parts_.empty()) return std::nullopt;
  BatchElement part = std::move(parts_.front());
  parts_.pop_front();
  return part;
}

}  // namespace daybook::core::http
