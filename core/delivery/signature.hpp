// Signatures of notices as Standard Webhooks 1.0.0 has them: HMAC-SHA256 over "id.timestamp.body",
// with a secret that is written as whsec_ and base64.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::core::delivery {

// A shared secret; the text of it shows nowhere.
class WebhookSecret {
 public:
  // "whsec_" and the base64 of 24 to 64 bytes. The error says what is wrong without the secret.
  static Result<WebhookSecret> parse(std::string_view text);

  // "v1,K5oZ…"
  [[nodiscard]] std::string sign(std::string_view id, std::int64_t unix_seconds, Bytes body) const;

 private:
  ByteVector key_;
};

// The value of webhook-signature: one signature for each secret, so that a receiver may have the
// old or the new one while they are changed.
[[nodiscard]] std::string sign_all(const std::vector<WebhookSecret>& secrets, std::string_view id,
                                   std::int64_t unix_seconds, Bytes body);

}  // namespace daybook::core::delivery
