// What the services that hand out AWS credentials answer. Pure.
#include <algorithm>

#include <boost/json.hpp>

#include "core/text.hpp"
#include "storage/aws_network_credentials.hpp"
#include "storage/xml_text.hpp"

namespace daybook::storage {
namespace {

namespace json = boost::json;
using core::Code;
using core::Origin;
using core::Result;
using core::Retry;

// Codes are words of the service's own; anything else is not repeated.
std::string word(std::string_view text) {
  const bool sound = text.size() <= 64 && std::ranges::all_of(text, [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                              (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_';
                     });
  return sound ? std::string(text) : "";
}

core::Failure refuse(int status, std::string_view code, std::string_view why) {
  std::string detail = "it answered " + std::to_string(status);
  if (const std::string known = word(code); !known.empty()) detail += " " + known;
  detail += why;
  const bool outage = status >= 500 || status == 429;
  return core::fail(outage ? Code::unavailable : Code::denied, Origin::self, Retry::safe,
                    std::move(detail));
}

// Keys and tokens become header fields.
bool is_visible(std::string_view text) {
  return !text.empty() && text.size() <= 16 * core::KiB &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

Result<AwsKeys> make_keys(int status, core::sigv4::Credentials keys, std::string_view expiration,
                          bool needs_token) {
  if (!is_visible(keys.access_key) || !is_visible(keys.secret_key)) {
    return refuse(status, "", " without keys");
  }
  const bool token_sound = keys.session_token.empty() || is_visible(keys.session_token);
  if (!token_sound || (needs_token && keys.session_token.empty())) {
    return refuse(status, "", " without a session token");
  }
  AwsKeys made;
  made.keys = std::move(keys);
  if (!expiration.empty() || needs_token) {
    made.expires = core::parse_time(expiration);
    if (!made.expires) return refuse(status, "", " without a time of expiration");
  }
  return made;
}

std::string text_of(std::string_view xml, std::string_view name) {
  const auto inside = only_xml_element(xml, name);
  const auto text = inside ? xml_unescaped(*inside) : std::nullopt;
  return text ? std::string(core::trim(*text)) : "";
}

std::string text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
}

}  // namespace

Result<AwsKeys> parse_sts_answer(int status, std::string_view body) {
  const std::size_t start = body.find("<AssumeRoleWithWebIdentityResponse");
  const auto credentials = start == std::string_view::npos
                               ? std::nullopt
                               : only_xml_element(body.substr(start), "Credentials");
  if (status != 200 || !credentials) {
    const std::string code = text_of(body, "Code");
    const bool token = code == "ExpiredTokenException" || code == "InvalidIdentityToken";
    return refuse(status, code,
                  token          ? ". Renew the web identity token"
                  : code.empty() ? ", which is no answer of STS"
                                 : ". Check the role's ARN and its trust policy");
  }
  return make_keys(status,
                   {text_of(*credentials, "AccessKeyId"), text_of(*credentials, "SecretAccessKey"),
                    text_of(*credentials, "SessionToken")},
                   text_of(*credentials, "Expiration"), true);
}

Result<AwsKeys> parse_credentials_json(int status, std::string_view body) {
  boost::system::error_code error;
  const json::value value = json::parse(body, error);
  const json::object* object = error ? nullptr : value.if_object();
  const std::string code = object != nullptr ? text_of(*object, "Code") : "";
  if (status != 200 || (!code.empty() && code != "Success")) return refuse(status, code, "");
  if (object == nullptr) return refuse(status, "", " with no JSON object");
  return make_keys(status,
                   {text_of(*object, "AccessKeyId"), text_of(*object, "SecretAccessKey"),
                    text_of(*object, "Token")},
                   text_of(*object, "Expiration"), false);
}

}  // namespace daybook::storage
