#include "core/sigv4/sigv4.hpp"

#include <algorithm>
#include <cstdio>
#include <map>

#include "core/digest.hpp"
#include "core/text.hpp"

namespace daybook::core::sigv4 {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

// 20150830T123600Z
std::string amz_date(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(seconds - day);
  char text[64];
  std::snprintf(text, sizeof text, "%04d%02u%02uT%02d%02d%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text;
}

std::string credential_scope(const Scope& scope) {
  return amz_date(scope.time).substr(0, 8) + "/" + scope.region + "/" + scope.service +
         "/aws4_request";
}

// Without white space at the ends, and every run of it inside as one space.
std::string canonical_value(std::string_view value) {
  std::string result;
  bool pending_space = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      pending_space = !result.empty();
      continue;
    }
    if (pending_space) result += ' ';
    pending_space = false;
    result += c;
  }
  return result;
}

// Lower-case names in byte order; values of equal names joined in the order they are sent.
std::map<std::string, std::string> canonical_headers(const NamedValues& headers) {
  std::map<std::string, std::string> lines;
  for (const auto& [name, value] : headers) {
    const auto [line, inserted] = lines.try_emplace(to_lower(name), canonical_value(value));
    if (!inserted) line->second += "," + canonical_value(value);
  }
  return lines;
}

Sha256 keyed(const Sha256& key, std::string_view message) {
  return hmac_sha256(key.bytes, as_bytes(message));
}

}  // namespace

std::string canonical_uri(std::string_view path) {
  return path.empty() ? "/" : percent_encode(path, true);
}

std::string canonical_query(const NamedValues& query) {
  NamedValues encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query) {
    encoded.emplace_back(percent_encode(name), percent_encode(value));
  }
  std::ranges::sort(encoded);
  std::string text;
  for (const auto& [name, value] : encoded) {
    if (!text.empty()) text += '&';
    text.append(name).append("=").append(value);
  }
  return text;
}

std::string signed_headers(const NamedValues& headers) {
  std::string names;
  for (const auto& [name, value] : canonical_headers(headers)) {
    if (!names.empty()) names += ';';
    names += name;
  }
  return names;
}

std::string canonical_request(const Request& request, std::string_view payload_sha256_hex) {
  std::string text = request.method + "\n" + canonical_uri(request.path) + "\n" +
                     canonical_query(request.query) + "\n";
  for (const auto& [name, value] : canonical_headers(request.headers)) {
    text.append(name).append(":").append(value).append("\n");
  }
  text += "\n" + signed_headers(request.headers) + "\n";
  text += payload_sha256_hex;
  return text;
}

std::string string_to_sign(const Scope& scope, std::string_view canonical_request) {
  return std::string(kAlgorithm) + "\n" + amz_date(scope.time) + "\n" + credential_scope(scope) +
         "\n" + sha256(as_bytes(canonical_request)).hex();
}

std::string signature(std::string_view secret_key, const Scope& scope,
                      std::string_view string_to_sign) {
  const std::string secret = "AWS4" + std::string(secret_key);
  const std::string date = amz_date(scope.time).substr(0, 8);
  const Sha256 date_key = hmac_sha256(as_bytes(secret), as_bytes(date));
  const Sha256 service_key = keyed(keyed(date_key, scope.region), scope.service);
  return keyed(keyed(service_key, "aws4_request"), string_to_sign).hex();
}

NamedValues sign(Request request, const Credentials& credentials, const Scope& scope,
                 std::string_view payload_sha256_hex, PayloadHeader payload_header) {
  NamedValues added;
  added.emplace_back("x-amz-date", amz_date(scope.time));
  if (payload_header == PayloadHeader::signed_header) {
    added.emplace_back("x-amz-content-sha256", payload_sha256_hex);
  }
  if (!credentials.session_token.empty()) {
    added.emplace_back("x-amz-security-token", credentials.session_token);
  }
  request.headers.insert(request.headers.end(), added.begin(), added.end());
  const std::string to_sign = string_to_sign(scope, canonical_request(request, payload_sha256_hex));
  added.emplace_back("Authorization",
                     std::string(kAlgorithm) + " Credential=" + credentials.access_key + "/" +
                         credential_scope(scope) +
                         ", SignedHeaders=" + signed_headers(request.headers) +
                         ", Signature=" + signature(credentials.secret_key, scope, to_sign));
  return added;
}

NamedValues presign(Request request, const Credentials& credentials, const Scope& scope,
                    std::chrono::seconds expires) {
  NamedValues added = {{"X-Amz-Algorithm", std::string(kAlgorithm)},
                       {"X-Amz-Credential", credentials.access_key + "/" + credential_scope(scope)},
                       {"X-Amz-Date", amz_date(scope.time)},
                       {"X-Amz-Expires", std::to_string(expires.count())},
                       {"X-Amz-SignedHeaders", signed_headers(request.headers)}};
  if (!credentials.session_token.empty()) {
    added.emplace_back("X-Amz-Security-Token", credentials.session_token);
  }
  request.query.insert(request.query.end(), added.begin(), added.end());
  const std::string to_sign = string_to_sign(scope, canonical_request(request, "UNSIGNED-PAYLOAD"));
  added.emplace_back("X-Amz-Signature", signature(credentials.secret_key, scope, to_sign));
  return added;
}

}  // namespace daybook::core::sigv4
