// What a notice says about its record, as JSON. The notices of the steps say what that step added;
// the final one is the whole row. No secrets are in a row, and none are added here. Pure.
#pragma once

#include <string>

#include <boost/json/value.hpp>

#include "core/delivery/notice.hpp"
#include "core/units.hpp"

namespace daybook::api {

// {"encoding": "utf-8" | "base64", "content": …}: the bytes exactly as they came.
[[nodiscard]] boost::json::value payload_json(core::Bytes payload);

// payload: what the final notice carries beside the row; null leaves the reference alone.
[[nodiscard]] std::string notice_data(const core::delivery::Delivery& delivery,
                                      core::delivery::Event event, boost::json::value payload);

}  // namespace daybook::api
