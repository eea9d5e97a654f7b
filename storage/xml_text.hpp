// The little XML that S3 and STS answer with: elements found by name, text with its entities
// resolved. No attributes, no namespaces. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace daybook::storage {

// The text of the only <name> element directly or further inside; nullopt where it is missing or
// there are two.
[[nodiscard]] std::optional<std::string_view> only_xml_element(std::string_view xml,
                                                               std::string_view name);

// XML 1.0 section 4.6: the five names, and characters by number. nullopt: it is no plain text.
[[nodiscard]] std::optional<std::string> xml_unescaped(std::string_view text);

}  // namespace daybook::storage
