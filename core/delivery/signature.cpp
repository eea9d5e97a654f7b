#include "core/delivery/signature.hpp"

#include "core/digest.hpp"
#include "core/text.hpp"

namespace daybook::core::delivery {
namespace {

constexpr std::string_view kPrefix = "whsec_";
// Standard Webhooks 1.0.0, "Signature scheme".
constexpr std::size_t kKeyBytesMin = 24;
constexpr std::size_t kKeyBytesMax = 64;

Failure refuse(std::string detail) {
  return fail(Code::invalid_argument, Origin::self, Retry::never,
              std::move(detail) + " Make one with: echo whsec_$(openssl rand -base64 32)");
}

}  // namespace

Result<WebhookSecret> WebhookSecret::parse(std::string_view text) {
  if (!text.starts_with(kPrefix)) return refuse("The secret does not begin with whsec_.");
  auto key = from_base64(text.substr(kPrefix.size()));
  if (!key) return refuse("What follows whsec_ in the secret is no base64.");
  if (key->size() < kKeyBytesMin || key->size() > kKeyBytesMax) {
    return refuse("The secret has " + std::to_string(key->size()) + " bytes; it must have " +
                  std::to_string(kKeyBytesMin) + " to " + std::to_string(kKeyBytesMax) + ".");
  }
  WebhookSecret secret;
  secret.key_ = std::move(*key);
  return secret;
}

std::string WebhookSecret::sign(std::string_view id, std::int64_t unix_seconds, Bytes body) const {
  const std::string time = std::to_string(unix_seconds);
  std::string message;
  message.reserve(id.size() + time.size() + body.size() + 2);
  message.append(id).append(1, '.').append(time).append(1, '.').append(as_text(body));
  return "v1," + to_base64(hmac_sha256(key_, as_bytes(message)).bytes);
}

std::string sign_all(const std::vector<WebhookSecret>& secrets, std::string_view id,
                     std::int64_t unix_seconds, Bytes body) {
  std::string all;
  for (const WebhookSecret& secret : secrets) {
    all += (all.empty() ? "" : " ") + secret.sign(id, unix_seconds, body);
  }
  return all;
}

}  // namespace daybook::core::delivery
