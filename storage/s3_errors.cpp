#include "storage/s3_errors.hpp"

#include <algorithm>

namespace daybook::storage {
namespace {

using core::Code;
using core::Retry;

constexpr std::size_t kDocumentBytesMax = 64 * core::KiB;
constexpr std::size_t kCodeBytesMax = 64;
constexpr std::size_t kMessageBytesMax = 300;

// The text between <name> and </name>, wherever it first stands.
std::string_view element(std::string_view xml, std::string_view name) {
  const std::string opening = "<" + std::string(name) + ">";
  const std::size_t start = xml.find(opening);
  if (start == std::string_view::npos) return {};
  const std::string_view rest = xml.substr(start + opening.size());
  const std::size_t end = rest.find("</" + std::string(name) + ">");
  return end == std::string_view::npos ? std::string_view{} : rest.substr(0, end);
}

// Codes, regions and host names: short words.
std::string word(std::string_view text) {
  const bool sound = text.size() <= kCodeBytesMax && std::ranges::all_of(text, [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                              (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_' ||
                              c == ':' || c == '/';
                     });
  return sound ? std::string(text) : "";
}

std::string sentence(std::string_view text) {
  std::string cleaned;
  for (const char c : text.substr(0, kMessageBytesMax)) {
    cleaned += c >= ' ' && c <= '~' ? c : ' ';
  }
  if (text.size() > kMessageBytesMax) cleaned += "...";
  return cleaned;
}

// Skips white space, the XML declaration and comments in front of the first element.
std::string_view first_element(std::string_view xml) {
  if (xml.starts_with("\xEF\xBB\xBF")) xml.remove_prefix(3);
  for (;;) {
    const std::size_t start = xml.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos) return {};
    xml.remove_prefix(start);
    const std::string_view end = xml.starts_with("<?")     ? "?>"
                                 : xml.starts_with("<!--") ? "-->"
                                                           : "";
    if (end.empty()) return xml;
    const std::size_t at = xml.find(end);
    if (at == std::string_view::npos) return {};
    xml.remove_prefix(at + end.size());
  }
}

struct Rule {
  std::string_view code;  // S3's word
  Code meaning;
  Retry retry;
  std::string_view advice;
};

// What a code means whatever the status beside it. Codes that are not here are judged by status.
constexpr Rule kRules[] = {
    {"SignatureDoesNotMatch", Code::denied, Retry::never,
     "Check the secret key (archive.s3_secret_key), archive.s3_region and this machine's clock."},
    // Signed anew with the store's time where its Date could be read; what is left is an outage.
    {"RequestTimeTooSkewed", Code::unavailable, Retry::safe,
     "This machine's clock and the store's differ too much; set the clock."},
    {"RequestExpired", Code::unavailable, Retry::safe,
     "This machine's clock and the store's differ too much; set the clock."},
    {"InvalidAccessKeyId", Code::denied, Retry::never,
     "The store does not know the access key; check archive.s3_access_key."},
    {"AccessDenied", Code::denied, Retry::never,
     "The key has no permission for this; check archive.s3_access_key and the bucket's policy."},
    {"AllAccessDisabled", Code::denied, Retry::never, "The store has locked this bucket."},
    {"AccountProblem", Code::denied, Retry::never, "Ask whoever runs the store about the account."},
    {"NotSignedUp", Code::denied, Retry::never, "Ask whoever runs the store about the account."},
    {"InvalidPayer", Code::denied, Retry::never, "The store has disabled this account."},
    {"RequestForbidden", Code::denied, Retry::never, "Check the bucket's policy."},
    {"ExpiredToken", Code::denied, Retry::never,
     "The credentials have expired; renew them where they come from."},
    {"InvalidToken", Code::denied, Retry::never,
     "The session token is not valid for this key; check where the credentials come from."},
    {"TokenRefreshRequired", Code::denied, Retry::never,
     "The credentials must be renewed where they come from."},
    {"InvalidSecurity", Code::denied, Retry::never, "The credentials are not valid."},
    {"UserSuspended", Code::denied, Retry::never, "The store has suspended this user."},
    {"NoSuchBucket", Code::misconfigured, Retry::never,
     "Create the bucket or mend archive.s3_bucket."},
    {"InvalidBucketName", Code::misconfigured, Retry::never, "Mend archive.s3_bucket."},
    {"InvalidBucketState", Code::misconfigured, Retry::never, "Mend the bucket's settings."},
    {"PermanentRedirect", Code::misconfigured, Retry::never,
     "The bucket lives elsewhere; mend archive.s3_endpoint and archive.s3_region."},
    {"TemporaryRedirect", Code::misconfigured, Retry::never,
     "The bucket lives elsewhere; mend archive.s3_endpoint and archive.s3_region."},
    {"AuthorizationHeaderMalformed", Code::misconfigured, Retry::never,
     "Mend archive.s3_region and archive.s3_access_key."},
    {"AuthorizationQueryParametersError", Code::misconfigured, Retry::never,
     "Mend archive.s3_region and archive.s3_access_key."},
    {"IllegalLocationConstraintException", Code::misconfigured, Retry::never,
     "Mend archive.s3_region."},
    {"InvalidRegion", Code::misconfigured, Retry::never, "Mend archive.s3_region."},
    {"NotImplemented", Code::misconfigured, Retry::never,
     "The store lacks something Daybook needs."},
    {"KMS.DisabledException", Code::misconfigured, Retry::never,
     "The bucket's KMS key is disabled; enable it or choose another."},
    {"KMS.NotFoundException", Code::misconfigured, Retry::never,
     "The bucket's KMS key does not exist."},
    {"XAmzContentSHA256Mismatch", Code::damaged, Retry::safe,
     "The bytes that arrived are not the bytes that were sent; nothing was stored."},
    {"BadDigest", Code::damaged, Retry::safe,
     "The bytes that arrived are not the bytes that were sent; nothing was stored."},
    {"SlowDown", Code::unavailable, Retry::safe, "The store asks for fewer requests."},
    {"Busy", Code::unavailable, Retry::safe, "The store asks for fewer requests."},
    {"BandwidthLimitExceeded", Code::unavailable, Retry::safe,
     "The store asks for fewer requests."},
    {"RequestThrottled", Code::unavailable, Retry::safe, "The store asks for fewer requests."},
    {"ThrottlingException", Code::unavailable, Retry::safe, "The store asks for fewer requests."},
    {"Throttling", Code::unavailable, Retry::safe, "The store asks for fewer requests."},
    {"TooManyRequests", Code::unavailable, Retry::safe, "The store asks for fewer requests."},
    {"RequestLimitExceeded", Code::unavailable, Retry::safe, "The store asks for fewer requests."},
    {"ServiceUnavailable", Code::unavailable, Retry::safe, "The store is not ready."},
    {"RequestTimeout", Code::unavailable, Retry::safe, "The store waited too long for the bytes."},
    {"IncompleteBody", Code::unavailable, Retry::safe, "The store did not get all bytes."},
    {"InternalError", Code::unavailable, Retry::unknown_outcome, "The store failed inside."},
    {"InternalFailure", Code::unavailable, Retry::unknown_outcome, "The store failed inside."},
    {"OperationAborted", Code::conflict, Retry::safe, "Another change of the same thing runs."},
    {"QuotaExceeded", Code::out_of_space, Retry::safe, "Raise the quota or delete old objects."},
    {"InsufficientStorage", Code::out_of_space, Retry::safe, "The store is full."},
    {"EntityTooLarge", Code::too_large, Retry::never, "The store takes no object of this size."},
    {"InvalidRange", Code::invalid_argument, Retry::never, "The object ends before this range."},
};

Rule rule_of_status(int status) {
  switch (status) {
    case 301:
    case 302:
    case 307:
    case 308:
      return {"", Code::misconfigured, Retry::never,
              "The bucket lives elsewhere; mend archive.s3_endpoint and archive.s3_region."};
    case 401:
    case 403:
      return {"", Code::denied, Retry::never,
              "Check archive.s3_access_key, archive.s3_secret_key, the bucket's policy and this "
              "machine's clock."};
    case 404:
      return {"", Code::not_found, Retry::never, ""};
    case 408:
    case 429:
      return {"", Code::unavailable, Retry::safe, ""};
    case 409:
      return {"", Code::conflict, Retry::safe, ""};
    case 412:
      return {"", Code::conflict, Retry::never, ""};
    case 413:
      return {"", Code::too_large, Retry::never, ""};
    case 416:
      return {"", Code::invalid_argument, Retry::never, "The object ends before this range."};
    case 501:
      return {"", Code::misconfigured, Retry::never, "The store lacks something Daybook needs."};
    case 503:
      return {"", Code::unavailable, Retry::safe, "The store is not ready."};
    case 507:
      return {"", Code::out_of_space, Retry::safe, "The store is full."};
    default:
      break;
  }
  if (status >= 500) return {"", Code::unavailable, Retry::unknown_outcome, ""};
  if (status >= 400) return {"", Code::invalid_argument, Retry::never, ""};
  return {"", Code::unavailable, Retry::unknown_outcome,
          "This is no answer of an S3 service; check archive.s3_endpoint."};
}

Rule rule_of(int status, std::string_view code) {
  for (const Rule& rule : kRules) {
    // A refusal stays a refusal, whatever it says is missing.
    const bool refused = status == 401 || status == 403;
    if (rule.code == code && !(refused && rule.meaning == Code::misconfigured)) return rule;
  }
  return rule_of_status(status);
}

}  // namespace

std::optional<S3ErrorDocument> parse_s3_error(core::Bytes body) {
  const std::string_view text =
      core::as_text(body.first(std::min<std::size_t>(body.size(), kDocumentBytesMax)));
  const std::string_view xml = first_element(text);
  if (!xml.starts_with("<Error>") && !xml.starts_with("<Error ")) return std::nullopt;
  return S3ErrorDocument{word(element(xml, "Code")), sentence(element(xml, "Message")),
                         word(element(xml, "Region")), word(element(xml, "Endpoint"))};
}

core::Error classify_s3(int status, const S3ErrorDocument& document, std::string_view doing) {
  const Rule rule = rule_of(status, document.code);
  std::string detail = std::string(doing) + ": the store answered " + std::to_string(status);
  if (!document.code.empty()) detail += " " + document.code;
  if (!document.message.empty()) detail += " (" + document.message + ")";
  detail += ".";
  if (!document.region.empty()) detail += " It names the region " + document.region + ".";
  if (!document.endpoint.empty()) detail += " It names the endpoint " + document.endpoint + ".";
  if (!rule.advice.empty()) detail += " " + std::string(rule.advice);
  return {rule.meaning, core::Origin::object_store, rule.retry, std::move(detail)};
}

}  // namespace daybook::storage
