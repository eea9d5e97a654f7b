// Dictionaries of structured field values (RFC 9651 section 3.2), as Content-Digest and its kin
// are. The whole grammar is checked, because a member of any type may stand beside the one that is
// wanted; only byte sequences are kept. Strict where the RFC leaves a choice: base64 must be
// padded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core::http {

struct DictionaryMember {
  std::string key;
  std::optional<ByteVector> bytes;  // of a member that is a byte sequence
};

// Members in their order; a repeated key keeps its first place and has its last value.
// Several lines of one field are joined with ", " before. Malformed: Code::invalid_argument,
// client.
[[nodiscard]] Result<std::vector<DictionaryMember>> parse_dictionary(std::string_view value);

}  // namespace daybook::core::http
