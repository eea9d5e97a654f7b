// What an S3 answer means: the error document in its body, and the one place where a status and a
// code become an Error. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::storage {

// <Error><Code>SlowDown</Code><Message>…</Message>…</Error>. Parts that are missing or are not what
// S3 writes are empty; a message is at most 300 printable characters.
struct S3ErrorDocument {
  std::string code;
  std::string message;
  std::string region;  // what the server would have liked instead
  std::string endpoint;
};

// nullopt: the body is no error document. Looks at the first 64 KiB and trusts nothing in them.
[[nodiscard]] std::optional<S3ErrorDocument> parse_s3_error(core::Bytes body);

// The Error for an answer that is not the one hoped for. `doing` begins its sentence: "PUT
// bucket/key". A 200 may carry an error document (S3 sends the status before it is done); its code
// counts then.
[[nodiscard]] core::Error classify_s3(int status, const S3ErrorDocument& document,
                                      std::string_view doing);

}  // namespace daybook::storage
