// The HTTP forms of a notice: Standard Webhooks 1.0.0, and CloudEvents 1.0 (HTTP protocol binding,
// structured and binary mode; extensions sequence and partitionkey). Every form carries webhook-id
// and webhook-timestamp, and webhook-signature where the subscriber has a secret. No I/O here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/delivery/signature.hpp"
#include "core/http/message.hpp"

namespace daybook::core::delivery {

enum class Format : std::uint8_t { standard_webhooks, cloudevents_structured, cloudevents_binary };

inline constexpr std::string_view kFormats =
    "standard-webhooks | cloudevents-structured | cloudevents-binary";
[[nodiscard]] std::optional<Format> parse_format(std::string_view word);

struct Notice {
  std::string id;       // notice_id()
  std::string type;     // "daybook.record.archived"
  WallTime time{};      // when it happened
  std::string source;   // a URI reference: "/daybook/TENANT"
  std::string subject;  // the record's id
  std::uint64_t sequence = 0;
  std::uint32_t partition = 0;
  std::shared_ptr<const std::string> data;  // a JSON value
};

struct WebhookMessage {
  http::Fields fields;  // with Content-Type
  std::string body;
};

// now: of this attempt; receivers refuse signatures that are minutes old.
[[nodiscard]] WebhookMessage write_notice(const Notice& notice, Format format,
                                          const std::vector<WebhookSecret>& secrets, WallTime now);

// The answer to a request for permission (CloudEvents HTTP webhook, section 4.2). nullopt: it was
// not granted to this origin; else the notices a minute, 0 = any number.
[[nodiscard]] std::optional<std::uint32_t> granted_rate(const http::ResponseHead& answer,
                                                        std::string_view origin);

}  // namespace daybook::core::delivery
