#include "storage/dynamodb_errors.hpp"

#include <algorithm>

#include <boost/json.hpp>

namespace daybook::storage {
namespace {

using core::Code;
using core::Retry;

constexpr std::size_t kRefusalBytesMax = 64 * core::KiB;
constexpr std::size_t kTypeBytesMax = 100;
constexpr std::size_t kMessageBytesMax = 300;

struct Rule {
  std::string_view type;
  Code meaning;
  Retry retry;
  std::string_view advice;
};

constexpr std::string_view kFewer =
    "The service asks for fewer requests; raise the table's capacity if this lasts.";
constexpr std::string_view kCheckKeys =
    "Check metadata.dynamodb_access_key, metadata.dynamodb_secret_key and "
    "metadata.dynamodb_region.";

// What a name means whatever the status beside it. Names that are not here are judged by status.
constexpr Rule kRules[] = {
    {"ConditionalCheckFailedException", Code::conflict, Retry::never, ""},
    {"ProvisionedThroughputExceededException", Code::unavailable, Retry::safe, kFewer},
    {"ThrottlingException", Code::unavailable, Retry::safe, kFewer},
    {"Throttling", Code::unavailable, Retry::safe, kFewer},
    {"RequestLimitExceeded", Code::unavailable, Retry::safe, kFewer},
    {"LimitExceededException", Code::unavailable, Retry::safe,
     "Too many tables or indexes are being made at once, or the account's limit is reached."},
    {"InternalServerError", Code::unavailable, Retry::unknown_outcome,
     "The service failed inside."},
    {"InternalFailure", Code::unavailable, Retry::unknown_outcome, "The service failed inside."},
    {"ServiceUnavailable", Code::unavailable, Retry::safe, "The service is not ready."},
    {"ServiceUnavailableException", Code::unavailable, Retry::safe, "The service is not ready."},
    {"ReplicatedWriteConflictException", Code::unavailable, Retry::safe,
     "Another region writes the same item."},
    {"ResourceInUseException", Code::in_flight, Retry::safe,
     "The table is being made or changed right now."},
    {"ResourceNotFoundException", Code::not_found, Retry::safe,
     "There is no such table there: make it with `daybook metadata migrate`, or mend "
     "metadata.dynamodb_table, metadata.dynamodb_region or metadata.dynamodb_endpoint."},
    {"TableNotFoundException", Code::not_found, Retry::safe,
     "There is no such table there: make it with `daybook metadata migrate`."},
    {"UnrecognizedClientException", Code::denied, Retry::safe, kCheckKeys},
    {"InvalidClientTokenId", Code::denied, Retry::safe, kCheckKeys},
    {"MissingAuthenticationTokenException", Code::denied, Retry::safe, kCheckKeys},
    {"MissingAuthenticationToken", Code::denied, Retry::safe, kCheckKeys},
    {"IncompleteSignatureException", Code::denied, Retry::safe, kCheckKeys},
    {"IncompleteSignature", Code::denied, Retry::safe, kCheckKeys},
    {"InvalidSignatureException", Code::denied, Retry::safe,
     "Check metadata.dynamodb_secret_key, metadata.dynamodb_region and this machine's clock."},
    {"RequestExpired", Code::denied, Retry::safe, "Check this machine's clock."},
    {"ExpiredTokenException", Code::denied, Retry::safe,
     "The credentials have expired; renew them."},
    {"ExpiredToken", Code::denied, Retry::safe, "The credentials have expired; renew them."},
    {"AccessDeniedException", Code::denied, Retry::safe,
     "The key may not do this: allow it dynamodb:GetItem, BatchGetItem, PutItem, UpdateItem, Query "
     "and DescribeTable on the table and its index."},
    {"AccessDenied", Code::denied, Retry::safe, "The key may not do this."},
    {"OptInRequired", Code::denied, Retry::safe, "The account has no subscription to DynamoDB."},
    {"NotAuthorized", Code::denied, Retry::safe, "The key may not do this."},
    {"ItemCollectionSizeLimitExceededException", Code::misconfigured, Retry::safe,
     "The table has a local secondary index that is not Daybook's; use a table of its own."},
    {"UnknownOperationException", Code::misconfigured, Retry::safe,
     "The service lacks an operation Daybook needs."},
};

// One name for everything that is wrong with a request: its message tells what.
Rule rule_of_validation(std::string_view message) {
  const auto says = [&](std::string_view words) {
    return message.find(words) != std::string_view::npos;
  };
  if (says("match the schema") || says("specified index") || says("Type mismatch for") ||
      says("key element") || says("Missing the key")) {
    return {"", Code::misconfigured, Retry::safe,
            "The table has other keys or lacks the index: it is not one that Daybook made. Choose "
            "another metadata.dynamodb_table and make it with `daybook metadata migrate`."};
  }
  if (says("tem size")) return {"", Code::too_large, Retry::never, "An item has 400 KB at most."};
  return {"", Code::invalid_argument, Retry::never, ""};
}

Rule rule_of_status(int status) {
  if (status == 401 || status == 403) return {"", Code::denied, Retry::safe, kCheckKeys};
  if (status == 413) return {"", Code::too_large, Retry::never, ""};
  if (status == 429) return {"", Code::unavailable, Retry::safe, kFewer};
  if (status == 503) return {"", Code::unavailable, Retry::safe, "The service is not ready."};
  if (status >= 500) return {"", Code::unavailable, Retry::unknown_outcome, ""};
  return {"", Code::misconfigured, Retry::safe,
          "This is no answer of a DynamoDB service; check metadata.dynamodb_endpoint."};
}

Rule rule_of(int status, const DynamodbRefusal& refusal) {
  if (refusal.type == "ValidationException") return rule_of_validation(refusal.message);
  const auto* rule = std::ranges::find(kRules, refusal.type, &Rule::type);
  if (rule != std::end(kRules)) return *rule;
  if (status == 400 && !refusal.type.empty()) {
    return {"", Code::invalid_argument, Retry::never, ""};
  }
  return rule_of_status(status);
}

std::string printable_part(std::string_view text, std::size_t bytes_max) {
  std::string cleaned;
  for (const char c : text.substr(0, bytes_max)) cleaned += c >= ' ' && c <= '~' ? c : ' ';
  if (text.size() > bytes_max) cleaned += "...";
  return cleaned;
}

}  // namespace

DynamodbRefusal parse_dynamodb_refusal(core::Bytes body) {
  DynamodbRefusal refusal;
  if (body.size() > kRefusalBytesMax) return refusal;
  boost::json::error_code error;
  const std::string_view text = core::as_text(body);
  const boost::json::value value = boost::json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) return refusal;
  const auto text_of = [&](const char* name) -> std::string_view {
    const boost::json::value* found = value.get_object().if_contains(name);
    return found != nullptr && found->is_string() ? std::string_view(found->get_string())
                                                  : std::string_view();
  };
  std::string_view type = text_of("__type");
  if (const auto hash = type.rfind('#'); hash != std::string_view::npos)
    type.remove_prefix(hash + 1);
  refusal.type = printable_part(type, kTypeBytesMax);
  const std::string_view lower = text_of("message");  // some exceptions spell it "Message"
  refusal.message = printable_part(lower.empty() ? text_of("Message") : lower, kMessageBytesMax);
  return refusal;
}

core::Error classify_dynamodb(int status, const DynamodbRefusal& refusal, std::string_view doing) {
  const Rule rule = rule_of(status, refusal);
  std::string detail = std::string(doing) + ": the service answered " + std::to_string(status);
  if (!refusal.type.empty()) detail += " " + refusal.type;
  if (!refusal.message.empty()) detail += " (" + refusal.message + ")";
  detail += ".";
  if (!rule.advice.empty()) detail += " " + std::string(rule.advice);
  return {rule.meaning, core::Origin::metadata, rule.retry, std::move(detail)};
}

}  // namespace daybook::storage
