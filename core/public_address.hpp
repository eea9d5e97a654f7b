// Which addresses belong to the public Internet. A URL is somebody's word; what it resolves to must
// not be a machine that only we can reach (server-side request forgery).
#pragma once

#include <string_view>

namespace daybook::core {

// address: a literal IPv4 or IPv6 address, as a resolver gives it. False for loopback, private,
// link-local, unique-local, multicast, documentation and every other address that the registries of
// special-purpose addresses (RFC 6890) do not call global; an IPv4 address inside an IPv6 one
// (mapped, NAT64, 6to4) is judged as such. False, too, for a text that is no address.
[[nodiscard]] bool is_public_address(std::string_view address);

}  // namespace daybook::core
