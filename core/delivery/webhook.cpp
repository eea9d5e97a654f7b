#include "core/delivery/webhook.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <boost/json.hpp>

#include "core/text.hpp"

namespace daybook::core::delivery {
namespace {

struct Attribute {
  std::string_view name;
  std::string value;
};

// CloudEvents 1.0 section 3.1, and its documented extensions: a sequence sorts as text.
std::array<Attribute, 8> attributes_of(const Notice& notice) {
  std::string sequence = std::to_string(notice.sequence);
  sequence.insert(0, 20 - sequence.size(), '0');
  return {Attribute{"specversion", "1.0"},
          Attribute{"id", notice.id},
          Attribute{"source", notice.source},
          Attribute{"type", notice.type},
          Attribute{"subject", notice.subject},
          Attribute{"time", format_time(notice.time)},
          Attribute{"sequence", std::move(sequence)},
          Attribute{"partitionkey", std::to_string(notice.partition)}};
}

std::string quoted(std::string_view text) {
  const bool plain = std::ranges::all_of(
      text, [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  if (plain) return '"' + std::string(text) + '"';
  return boost::json::serialize(boost::json::string_view(text.data(), text.size()));
}

// What stands around the data, at most, but for long texts.
constexpr std::size_t kFrameBytes = 512;

std::string structured_body(const Notice& notice) {
  std::string body = "{";
  body.reserve(notice.data->size() + kFrameBytes);
  for (const Attribute& attribute : attributes_of(notice)) {
    body += quoted(attribute.name) + ":" + quoted(attribute.value) + ",";
  }
  body += R"("datacontenttype":"application/json","data":)";
  body += *notice.data;
  body += '}';
  return body;
}

std::string standard_body(const Notice& notice) {
  std::string body = R"({"type":)" + quoted(notice.type) + R"(,"timestamp":)" +
                     quoted(format_time(notice.time)) + R"(,"data":)";
  body.reserve(body.size() + notice.data->size() + 1);
  body += *notice.data;
  body += '}';
  return body;
}

}  // namespace

std::optional<Format> parse_format(std::string_view word) {
  if (word == "standard-webhooks") return Format::standard_webhooks;
  if (word == "cloudevents-structured") return Format::cloudevents_structured;
  if (word == "cloudevents-binary") return Format::cloudevents_binary;
  return std::nullopt;
}

WebhookMessage write_notice(const Notice& notice, Format format,
                            const std::vector<WebhookSecret>& secrets, WallTime now) {
  WebhookMessage message;
  switch (format) {
    case Format::standard_webhooks:
      message.fields.add("Content-Type", "application/json");
      message.body = standard_body(notice);
      break;
    case Format::cloudevents_structured:
      message.fields.add("Content-Type", "application/cloudevents+json; charset=utf-8");
      message.body = structured_body(notice);
      break;
    case Format::cloudevents_binary:
      // All values are ASCII that a field may carry as it is.
      for (Attribute& attribute : attributes_of(notice)) {
        message.fields.add("ce-" + std::string(attribute.name), std::move(attribute.value));
      }
      message.fields.add("Content-Type", "application/json");
      message.body = *notice.data;
      break;
  }
  const std::int64_t seconds =
      std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  message.fields.add("webhook-id", notice.id);
  message.fields.add("webhook-timestamp", std::to_string(seconds));
  if (!secrets.empty()) {
    message.fields.add("webhook-signature",
                       sign_all(secrets, notice.id, seconds, as_bytes(message.body)));
  }
  return message;
}

std::optional<std::uint32_t> granted_rate(const http::ResponseHead& answer,
                                          std::string_view origin) {
  const auto allowed = answer.fields.find("WebHook-Allowed-Origin");
  if (!allowed) return std::nullopt;
  const std::string_view who = trim(*allowed);
  if (who != "*" && !equals_ignoring_case(who, origin)) return std::nullopt;
  const std::string_view rate = trim(answer.fields.find("WebHook-Allowed-Rate").value_or("*"));
  std::uint32_t per_minute = 0;
  const auto [end, error] = std::from_chars(rate.data(), rate.data() + rate.size(), per_minute);
  return error == std::errc{} && end == rate.data() + rate.size() ? per_minute : 0;
}

}  // namespace daybook::core::delivery
