// AWS Signature Version 4, in the Authorization header or in the URL, for S3. Pure: request parts,
// keys and a time go in, header lines come out; the clock and the connection are the caller's.
//
//   canonical request   method, URI, query, headers, names of the headers, SHA-256 of the body
//   string to sign      algorithm, time, scope, SHA-256 of the canonical request
//   signature           HMAC-SHA256 with a key derived from secret, date, region and service
//
// S3's own rules hold: a path is encoded once and never normalised, because "a//b" and "a/./b" are
// keys of their own there.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/units.hpp"

namespace daybook::core::sigv4 {

using NamedValues = std::vector<std::pair<std::string, std::string>>;

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty = long-lived keys
};

struct Scope {
  std::string region;
  std::string service = "s3";
  WallTime time{};
};

// What is signed. Every header given here is signed; Host must be among them.
struct Request {
  std::string method;
  std::string path;     // not encoded, from '/' on
  NamedValues query;    // not encoded
  NamedValues headers;  // as they will be sent; the order of equal names counts
};

// Whether the body's digest is a signed header too. S3 demands it and then checks the body against
// it.
enum class PayloadHeader { signed_header, absent };

// %XX for everything but unreserved characters; '/' is kept.
[[nodiscard]] std::string canonical_uri(std::string_view path);
// Sorted, encoded: the form to send as well as the form to sign.
[[nodiscard]] std::string canonical_query(const NamedValues& query);
// "host;x-amz-date": lower case, sorted, each name once.
[[nodiscard]] std::string signed_headers(const NamedValues& headers);
[[nodiscard]] std::string canonical_request(const Request& request,
                                            std::string_view payload_sha256_hex);
[[nodiscard]] std::string string_to_sign(const Scope& scope, std::string_view canonical_request);
[[nodiscard]] std::string signature(std::string_view secret_key, const Scope& scope,
                                    std::string_view string_to_sign);

// The header lines to add to the request: x-amz-date, x-amz-content-sha256, x-amz-security-token
// where there is a token, Authorization.
[[nodiscard]] NamedValues sign(Request request, const Credentials& credentials, const Scope& scope,
                               std::string_view payload_sha256_hex,
                               PayloadHeader payload_header = PayloadHeader::signed_header);

// The query to add to the URL of a request that carries no header but those given here, and that
// anybody may send until `expires` has passed; the body is not signed. At most seven days.
[[nodiscard]] NamedValues presign(Request request, const Credentials& credentials,
                                  const Scope& scope, std::chrono::seconds expires);

}  // namespace daybook::core::sigv4
