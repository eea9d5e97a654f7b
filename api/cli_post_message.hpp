// `daybook post --format message`: the test client of /ingestMessage. Each file becomes one
// message: JSON as it stands, anything else as base64 with its content type. What the server
// answers is printed whole. Nothing is tried again.
#pragma once

#include <string>

#include "api/cli_post.hpp"

namespace daybook::api {

// Runs the command; the exit code.
[[nodiscard]] int post_messages(const PostOptions& options);

// --- parts, for tests ---

// What is wrong with the options, or "".
[[nodiscard]] std::string check_message_options(const PostOptions& options);
// The document of one file. transaction and time are as options.id and options.time say, or new.
[[nodiscard]] std::string message_document(const PostOptions& options, const std::string& path,
                                           core::Bytes payload, const std::string& transaction,
                                           const std::string& time);

}  // namespace daybook::api
