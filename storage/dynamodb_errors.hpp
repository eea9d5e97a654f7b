// What a DynamoDB answer that is no success means: the one place where its exception's name and its
// status become an Error. Pure; any thread.
//
//   {"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"…"}
//
// - Code::conflict: the condition of a write did not hold. Code::not_found: there is no such table.
// - Code::unavailable: too busy, or it stumbled; the same request will do after a pause.
// - What an operator must mend (no table, another table, wrong keys) is retry safe: nothing was
//   written, and the same request works once it is mended.
// Names: Amazon DynamoDB API reference, "Error handling with DynamoDB" and "Common errors".
#pragma once

#include <string>
#include <string_view>

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::storage {

// Parts that are missing or are not what the service writes are empty; a message is at most 300
// printable characters.
struct DynamodbRefusal {
  std::string type;  // "ThrottlingException", without what stands before '#'
  std::string message;
};

[[nodiscard]] DynamodbRefusal parse_dynamodb_refusal(core::Bytes body);

// `doing` begins the sentence: "PutItem daybook".
[[nodiscard]] core::Error classify_dynamodb(int status, const DynamodbRefusal& refusal,
                                            std::string_view doing);

}  // namespace daybook::storage
