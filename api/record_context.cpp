#include "api/record_context.hpp"

#include <algorithm>
#include <array>
#include <ranges>

#include "api/config_settings.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Result;

// A header with one of these in its name may carry what lets somebody act as the client.
constexpr std::array<std::string_view, 16> kSecretWords = {
    "authorization", "cookie",    "token",      "secret",    "password", "passwd",
    "passphrase",    "key",       "credential", "signature", "session",  "bearer",
    "jwt",           "assertion", "csrf",       "xsrf"};

// Of metadata, whose names are freer.
constexpr std::array<std::string_view, 19> kSecretMetadataWords = {
    "authorization", "cookie",     "token",      "secret",     "password",
    "passwd",        "passphrase", "apikey",     "api_key",    "api-key",
    "accesskey",     "access_key", "access-key", "privatekey", "private_key",
    "private-key",   "credential", "bearer",     "jwt"};

bool may_be_secret(std::string_view name) {
  if (name == "idempotency-key") return false;
  return std::ranges::any_of(kSecretWords, [&](std::string_view word) {
    return name.find(word) != std::string_view::npos;
  });
}

// RFC 9110 section 5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

// Field values are ISO-8859-1 where they are no UTF-8 (RFC 9110 section 5.5).
std::string from_latin1(std::string_view value) {
  std::string text;
  for (char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xC0 | (byte >> 6));
      text += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return text;
}

std::string bounded(std::string_view value) {
  std::string text = core::is_utf8(value) ? std::string(value) : from_latin1(value);
  if (text.size() <= core::limits::kContextValueBytesMax) return text;
  std::size_t end = core::limits::kContextValueBytesMax;
  while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text;
}

void check_header(std::string_view setting, const std::string& name,
                  std::vector<std::string>& broken) {
  if (!is_token(name) || name.size() > core::limits::kContextHeaderNameBytesMax) {
    broken.push_back(std::string(setting) + ": " + toml_quote(name) +
                     " is no name of a header of at most " +
                     std::to_string(core::limits::kContextHeaderNameBytesMax) + " characters.");
  } else if (may_be_secret(name)) {
    broken.push_back(std::string(setting) + ": header " + toml_quote(name) +
                     " may carry a secret, and what is listed here is kept with every record. "
                     "Let the proxy put what is meant into a header of another name.");
  }
}

}  // namespace

std::string bounded_context(std::string_view value) {
  return bounded(value);
}

bool may_carry_secret(std::string_view name) {
  const std::string lower = core::to_lower(name);
  return std::ranges::any_of(kSecretMetadataWords, [&](std::string_view word) {
    return lower.find(word) != std::string::npos;
  });
}

std::vector<std::string> context_headers(const core::Config& config) {
  std::vector<std::string> names;
  if (config.ingest_context_headers.empty()) return names;
  for (const auto piece : std::views::split(config.ingest_context_headers, ',')) {
    names.push_back(core::to_lower(core::trim(std::string_view(piece))));
  }
  return names;
}

Result<std::map<std::string, std::string>> record_context(const core::http::RequestHead& head,
                                                          const std::string& peer,
                                                          std::string_view door,
                                                          const core::Config& config) {
  std::map<std::string, std::string> context = {{"door", std::string(door)}};
  if (!peer.empty()) context["peer"] = bounded(peer);
  if (const auto agent = head.fields.find("User-Agent"); agent && !agent->empty()) {
    context["user_agent"] = bounded(*agent);
  }
  if (const std::string& name = config.ingest_principal_header; !name.empty()) {
    if (head.fields.count(name) > 1) {
      return core::fail(core::Code::invalid_argument, core::Origin::client, core::Retry::never,
                        "Header " + name +
                            " (ingest.principal_header) stands twice; the proxy must remove the "
                            "client's own.");
    }
    const auto principal = head.fields.find(name);
    if (principal && !principal->empty()) context["principal"] = bounded(*principal);
  }
  for (const std::string& name : context_headers(config)) {
    std::string value;
    for (const auto& [line_name, line_value] : head.fields.lines()) {
      if (!core::equals_ignoring_case(line_name, name)) continue;
      if (!value.empty()) value += ", ";
      value += line_value;
    }
    if (!value.empty()) context["header." + name] = bounded(value);
  }
  return context;
}

void check_context_settings(const core::Config& config, std::vector<std::string>& broken) {
  if (!config.ingest_principal_header.empty()) {
    check_header("ingest.principal_header", core::to_lower(config.ingest_principal_header), broken);
  }
  const auto names = context_headers(config);
  for (const std::string& name : names) check_header("ingest.context_headers", name, broken);
  if (names.size() > core::limits::kContextHeadersMax) {
    broken.push_back("ingest.context_headers lists more than " +
                     std::to_string(core::limits::kContextHeadersMax) + " headers.");
  }
}

}  // namespace daybook::api
