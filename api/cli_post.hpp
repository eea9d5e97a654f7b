// `daybook post`: sends files, folders and standard input as records, several at a time.
// A record counts as stored only when its receipt names the digest and size of what was sent. Each
// file has one random idempotency key for the run, so that retries cannot store it twice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/cli_client.hpp"
#include "core/digest.hpp"
#include "core/http/message.hpp"

namespace daybook::api {

struct PostOptions {
  ServerAddress server;
  std::vector<std::string> paths;  // files, folders, "-"
  bool message = false;            // --format message: cli_post_message.hpp
  std::string id;                  // of its transaction; empty: random for each file
  std::string type, source, subject;
  std::string time;                     // RFC 3339, or "mtime": each file's time of change
  std::string content_type;             // empty: from the file's extension
  std::vector<std::string> attributes;  // "name=value"
  std::string idempotency_key;          // for a single file
  unsigned retries = 8;
  unsigned concurrency = 4;
  bool json = false;
};

// Runs the command; the exit code.
[[nodiscard]] int run_post(const PostOptions& options);

// --- parts, for tests ---

struct PostItem {
  std::string path;  // "-" = standard input
  std::uint64_t size = 0;
};
// Folders become their regular files, in the order of their paths; symbolic links inside of folders
// are passed over. What does not exist is an error in `problems`.
[[nodiscard]] std::vector<PostItem> list_items(const std::vector<std::string>& paths,
                                               std::vector<std::string>& problems);
[[nodiscard]] std::string content_type_of(const std::string& path);
// A CloudEvents attribute value as a header value: what is not printable ASCII, '%' and '"' become
// %XX (CloudEvents HTTP binding 1.0, section 3.1.3.2).
[[nodiscard]] std::string encode_attribute(std::string_view value);
// A random UUID (RFC 9562 version 4).
[[nodiscard]] std::string random_key();
// What is wrong with the options, or "".
[[nodiscard]] std::string check_post_options(const PostOptions& options);
// The ce-* and content fields of one record.
[[nodiscard]] core::http::Fields record_fields(const PostOptions& options, const std::string& path,
                                               core::WallTime modified_at,
                                               const core::Sha256& sha256,
                                               const std::string& idempotency_key);
// Why a receipt does not prove that these bytes were stored; empty = it does.
[[nodiscard]] std::string distrust(const boost::json::value& receipt, const core::Sha256& sha256,
                                   std::uint64_t size);

}  // namespace daybook::api
