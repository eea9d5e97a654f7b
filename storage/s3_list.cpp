#include "storage/s3_list.hpp"

#include <charconv>
#include <optional>
#include <string_view>

#include "storage/xml_text.hpp"

namespace daybook::storage {
namespace {

core::Failure damaged(std::string_view why) {
  return core::fail(core::Code::damaged, core::Origin::object_store, core::Retry::safe,
                    "The store's list of objects cannot be read: " + std::string(why) + ".");
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

core::Result<S3ListPage> parse_s3_list(core::Bytes document) {
  constexpr std::string_view kRoot = "<ListBucketResult";
  constexpr std::string_view kRootEnd = "</ListBucketResult>";
  constexpr std::string_view kObject = "<Contents>";
  constexpr std::string_view kObjectEnd = "</Contents>";
  std::string_view xml = core::as_text(document);
  const std::size_t root = xml.find(kRoot);
  const std::size_t root_end = xml.rfind(kRootEnd);
  if (root == std::string_view::npos || root_end == std::string_view::npos || root_end < root) {
    return damaged("it is no whole ListBucketResult");
  }
  xml = xml.substr(root, root_end - root);

  S3ListPage page;
  std::string outside;  // everything but the objects
  for (;;) {
    const std::size_t start = xml.find(kObject);
    outside += xml.substr(0, start);
    if (start == std::string_view::npos) break;
    xml.remove_prefix(start + kObject.size());
    const std::size_t end = xml.find(kObjectEnd);
    if (end == std::string_view::npos) return damaged("an entry does not end");
    const std::string_view entry = xml.substr(0, end);
    const auto key_text = only_xml_element(entry, "Key");
    const auto size_text = only_xml_element(entry, "Size");
    if (!key_text || !size_text) return damaged("an entry has not one Key and one Size");
    auto key = xml_unescaped(*key_text);
    const auto size = number(*size_text);
    if (!key || key->empty() || !size) return damaged("an entry's Key or Size is no such thing");
    page.objects.push_back({std::move(*key), *size});
    xml.remove_prefix(end + kObjectEnd.size());
  }
  const auto truncated = only_xml_element(outside, "IsTruncated");
  if (!truncated || (*truncated != "true" && *truncated != "false")) {
    return damaged("it does not say whether it is complete");
  }
  if (*truncated == "false") return page;
  const auto token = only_xml_element(outside, "NextContinuationToken");
  auto text = token ? xml_unescaped(*token) : std::nullopt;
  if (!text || text->empty()) return damaged("it goes on, but does not say where");
  page.continuation_token = std::move(*text);
  return page;
}

}  // namespace daybook::storage
