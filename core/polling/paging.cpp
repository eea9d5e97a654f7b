#include "core/polling/paging.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace daybook::core::polling {
namespace {

Failure refuse(std::string detail) {
  return fail(Code::invalid_argument, Origin::client, Retry::safe, std::move(detail));
}

// Reads Link values: <reference>; name=token; name="text", <…>
class LinkReader {
 public:
  explicit LinkReader(std::string_view text) : rest_(text) {}

  // The next link with the relation; nullopt: none is left, or the rest is malformed.
  std::optional<std::string> next(std::string_view relation) {
    for (;;) {
      while (rest_.starts_with(' ') || rest_.starts_with('\t') || rest_.starts_with(',')) {
        rest_.remove_prefix(1);
      }
      const std::size_t close = rest_.find('>');
      if (!rest_.starts_with('<') || close == std::string_view::npos) return std::nullopt;
      const std::string reference(trim(rest_.substr(1, close - 1)));
      rest_.remove_prefix(close + 1);
      if (read_parameters(relation)) return reference;
    }
  }

 private:
  // Whether the link's first rel names the relation.
  bool read_parameters(std::string_view relation) {
    std::optional<std::string> rel;
    for (;;) {
      skip_space();
      if (!rest_.starts_with(';')) break;
      rest_.remove_prefix(1);
      skip_space();
      const std::size_t end = std::min(rest_.find_first_of("=;, \t"), rest_.size());
      const std::string name = to_lower(rest_.substr(0, end));
      rest_.remove_prefix(end);
      skip_space();
      std::string value;
      if (rest_.starts_with('=')) {
        rest_.remove_prefix(1);
        skip_space();
        value = read_value();
      }
      if (name == "rel" && !rel) rel = std::move(value);
    }
    rest_.remove_prefix(std::min(rest_.find(','), rest_.size()));
    return rel && has_word(*rel, relation);
  }

  std::string read_value() {
    std::string value;
    if (!rest_.starts_with('"')) {
      const std::size_t end = std::min(rest_.find_first_of(";, \t"), rest_.size());
      value = rest_.substr(0, end);
      rest_.remove_prefix(end);
      return value;
    }
    std::size_t i = 1;
    for (; i < rest_.size() && rest_[i] != '"'; ++i) {
      if (rest_[i] == '\\' && i + 1 < rest_.size()) ++i;
      value += rest_[i];
    }
    rest_.remove_prefix(std::min(i + 1, rest_.size()));
    return value;
  }

  // rel is a list of words; they compare without case.
  static bool has_word(std::string_view words, std::string_view word) {
    while (!words.empty()) {
      const std::size_t end = std::min(words.find(' '), words.size());
      if (equals_ignoring_case(words.substr(0, end), word)) return true;
      words.remove_prefix(std::min(end + 1, words.size()));
    }
    return false;
  }

  void skip_space() {
    while (rest_.starts_with(' ') || rest_.starts_with('\t')) rest_.remove_prefix(1);
  }

  std::string_view rest_;
};

// RFC 3986 section 5.2.4, of a path that begins with '/'.
std::string without_dots(std::string_view path) {
  std::vector<std::string_view> segments;
  bool folder = false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    path.remove_prefix(end);
    folder = segment == "." || segment == "..";
    if (segment == ".." && !segments.empty()) segments.pop_back();
    if (!folder) segments.push_back(segment);
  }
  std::string result;
  for (const std::string_view segment : segments) result.append("/").append(segment);
  return folder || result.empty() ? result + "/" : result;
}

bool is_target_text(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

std::string with_parameter(std::string_view target, std::string_view name, std::string_view value) {
  const std::string encoded = percent_encode(name);
  const std::size_t mark = std::min(target.find('?'), target.size());
  std::string result(target.substr(0, mark));
  std::string_view query = target.substr(std::min(mark + 1, target.size()));
  char separator = '?';
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::string_view part_name = part.substr(0, part.find('='));
    if (part.empty() || part_name == encoded || part_name == name) continue;
    result += separator;
    result += part;
    separator = '&';
  }
  return result + separator + encoded + "=" + percent_encode(value);
}

std::optional<std::string> find_link(const http::Fields& fields, std::string_view relation) {
  for (const auto& [name, value] : fields.lines()) {
    if (!equals_ignoring_case(name, "link")) continue;
    if (auto link = LinkReader(value).next(relation)) return link;
  }
  return std::nullopt;
}

Result<std::string> resolve_target(const std::string& origin, std::string_view page_target,
                                   std::string_view reference) {
  reference = reference.substr(0, reference.find('#'));
  constexpr std::size_t kBytesMax = 8192;  // more is no address
  if (reference.size() > kBytesMax || !is_target_text(reference)) {
    return refuse("the next page's URL holds what a URL cannot, or has more than 8192 bytes");
  }
  const std::size_t scheme = reference.find("://");
  const bool absolute = scheme != std::string_view::npos && scheme < reference.find_first_of("/?");
  if (absolute || reference.starts_with("//")) {
    const std::size_t authority = absolute ? scheme + 3 : 2;
    const std::size_t path = std::min(reference.find_first_of("/?", authority), reference.size());
    const std::string ours_scheme = origin.substr(0, origin.find("://") + 3);
    std::string theirs = absolute ? to_lower(reference.substr(0, path))
                                  : ours_scheme + to_lower(reference.substr(2, path - 2));
    // The scheme's own port says nothing.
    const std::string_view port = theirs.starts_with("https:") ? ":443" : ":80";
    if (theirs.ends_with(port)) theirs.resize(theirs.size() - port.size());
    if (theirs != to_lower(origin)) {
      return refuse("the next page is at " + theirs + ", not at " + origin +
                    "; our headers are for that one only");
    }
    reference.remove_prefix(path);
    if (!reference.starts_with('/')) return "/" + std::string(reference);
    page_target = "/";
  }
  const std::string_view base_path = page_target.substr(0, page_target.find('?'));
  if (reference.empty()) return std::string(page_target);
  if (reference.starts_with('?')) return std::string(base_path) + std::string(reference);
  const std::size_t mark = std::min(reference.find('?'), reference.size());
  const std::string path = reference.starts_with('/')
                               ? std::string(reference.substr(0, mark))
                               : std::string(base_path.substr(0, base_path.rfind('/') + 1)) +
                                     std::string(reference.substr(0, mark));
  return without_dots(path) + std::string(reference.substr(mark));
}

Result<std::string> next_target(const NextRules& rules, const std::string& origin,
                                const std::string& page_target, const http::Fields& fields,
                                Bytes document) {
  std::string reference;
  if (rules.from == NextFrom::link) {
    reference = find_link(fields, "next").value_or("");
  } else if (rules.from == NextFrom::member) {
    const auto found = find_json(document, rules.path);
    if (!found && found.error().code != Code::not_found) return pass(found);
    if (!found || found->type == 'n' || found->type == 'f') return std::string();
    auto text = json_text(*found);
    if (!text) return refuse("next_path: " + text.error().detail);
    reference = *std::move(text);
  }
  if (reference.empty()) return std::string();
  Result<std::string> target = rules.parameter.empty()
                                   ? resolve_target(origin, page_target, reference)
                                   : with_parameter(page_target, rules.parameter, reference);
  if (target && *target == page_target) {
    return refuse("an answer names itself as its next page: the pages go in a circle");
  }
  return target;
}

}  // namespace daybook::core::polling
