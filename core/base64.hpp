// The bulk of base64 (RFC 4648 section 4), as fast as memory where the processor has AVX2. Whole
// groups of four characters only; ends, padding and mistakes are the caller's (json_base64.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/units.hpp"

namespace daybook::core {

// The six bits of a character; -1 where it is none of the alphabet.
[[nodiscard]] int base64_value(char c);
[[nodiscard]] char base64_char(std::uint32_t six_bits);

// Decodes groups from the first on, until one has a character that is none of the alphabet, the
// text has no further whole group, or the room is full. Returns the groups: 4 characters and 3
// bytes each.
[[nodiscard]] std::size_t decode_base64_groups(std::string_view text, MutableBytes room);

}  // namespace daybook::core
