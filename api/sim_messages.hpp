// The messages of the simulators: making batches of them, and finding them again in whatever a
// route made of them. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "core/units.hpp"

namespace daybook::api {

// [{"id": first, …}, …, {"id": last, …}]; nothing where last < first. Whoever gives a message twice
// gives it the same time: it is another message otherwise.
[[nodiscard]] std::string sim_batch(std::uint64_t first, std::uint64_t last,
                                    const std::function<core::WallTime(std::uint64_t)>& time_of);

// Calls with the id of each message in the document: in arrays and members, in texts that are JSON
// and in base64 of such.
void find_messages(const boost::json::value& document,
                   const std::function<void(std::uint64_t)>& found);

}  // namespace daybook::api
