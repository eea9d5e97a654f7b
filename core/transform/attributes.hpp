// The attributes of a record by name, as transforms see them: source, type, subject and id, the
// free ones by their names, what is known of the way a record came as context.NAME, and
// idempotency_key; these two can only go. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/envelope.hpp"
#include "core/result.hpp"

namespace daybook::core::transform {

// nullopt: there is none, or it is empty.
[[nodiscard]] std::optional<std::string> attribute(const Envelope& envelope, std::string_view name);
// An empty value removes it.
void set_attribute(Envelope& envelope, const std::string& name, std::string value);

// Names that a step may set: 1 to 64 letters, digits, '.', '_' and '-'.
[[nodiscard]] bool is_settable(std::string_view name);

// What stands behind a record's idempotency key may be in it in plain words; where the source or
// the id has changed, a key that was made of them goes.
void forget_key_of(const Envelope& before, Envelope& after);

// Names, sizes, number, UTF-8. The error names the attribute and not its value.
[[nodiscard]] Result<void> check_attributes(const Envelope& envelope);

// '*' stands for any text, also none.
[[nodiscard]] bool matches(std::string_view pattern, std::string_view text);

// Everything but the context, as a flat object of texts, and back. Errors: what is no such object.
[[nodiscard]] std::string attributes_json(const Envelope& envelope);
[[nodiscard]] Result<void> replace_attributes(Envelope& envelope, std::string_view json);

}  // namespace daybook::core::transform
