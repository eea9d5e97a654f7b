// The HTTP forms of notices. Expected texts are of CloudEvents 1.0 and Standard Webhooks 1.0.0.
#include "core/delivery/webhook.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "core/delivery/notice.hpp"

namespace daybook::core::delivery {
namespace {

namespace json = boost::json;

constexpr WallTime kTime(std::chrono::microseconds(1'614'265'330'123'456));

Notice notice() {
  return {.id = "id_final_billing",
          .type = "daybook.record.final",
          .time = kTime,
          .source = "/daybook/bank",
          .subject = "a \"record\"",
          .sequence = 42,
          .partition = 3,
          .data = std::make_shared<const std::string>(R"({"size":7})")};
}

WebhookMessage write(Format format, std::vector<WebhookSecret> secrets = {}) {
  return write_notice(notice(), format, secrets, kTime + std::chrono::seconds(2));
}

std::string field(const WebhookMessage& message, std::string_view name) {
  return std::string(message.fields.find(name).value_or("(none)"));
}

TEST(WebhookFormat, standard_webhooks_has_type_timestamp_and_data) {
  const WebhookMessage message = write(Format::standard_webhooks);
  EXPECT_EQ(json::parse(message.body), (json::value{{"type", "daybook.record.final"},
                                                    {"timestamp", "2021-02-25T15:02:10.123456Z"},
                                                    {"data", {{"size", 7}}}}));
  EXPECT_EQ(field(message, "Content-Type"), "application/json");
  EXPECT_EQ(field(message, "webhook-id"), "id_final_billing");
  EXPECT_EQ(field(message, "webhook-timestamp"), "1614265332");
  EXPECT_EQ(field(message, "webhook-signature"), "(none)");
}

TEST(WebhookFormat, structured_cloudevents_are_one_json_object) {
  const WebhookMessage message = write(Format::cloudevents_structured);
  EXPECT_EQ(json::parse(message.body), (json::value{{"specversion", "1.0"},
                                                    {"id", "id_final_billing"},
                                                    {"source", "/daybook/bank"},
                                                    {"type", "daybook.record.final"},
                                                    {"subject", "a \"record\""},
                                                    {"time", "2021-02-25T15:02:10.123456Z"},
                                                    {"sequence", "00000000000000000042"},
                                                    {"partitionkey", "3"},
                                                    {"datacontenttype", "application/json"},
                                                    {"data", {{"size", 7}}}}));
  EXPECT_EQ(field(message, "Content-Type"), "application/cloudevents+json; charset=utf-8");
}

TEST(WebhookFormat, binary_cloudevents_have_their_attributes_in_fields) {
  const WebhookMessage message = write(Format::cloudevents_binary);
  EXPECT_EQ(message.body, R"({"size":7})");
  EXPECT_EQ(field(message, "Content-Type"), "application/json");
  EXPECT_EQ(field(message, "ce-specversion"), "1.0");
  EXPECT_EQ(field(message, "ce-id"), "id_final_billing");
  EXPECT_EQ(field(message, "ce-source"), "/daybook/bank");
  EXPECT_EQ(field(message, "ce-type"), "daybook.record.final");
  EXPECT_EQ(field(message, "ce-time"), "2021-02-25T15:02:10.123456Z");
  EXPECT_EQ(field(message, "ce-datacontenttype"), "(none)");  // that is Content-Type
}

TEST(WebhookFormat, every_form_is_signed_where_there_is_a_secret) {
  const auto secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  ASSERT_TRUE(secret);
  for (const Format format :
       {Format::standard_webhooks, Format::cloudevents_structured, Format::cloudevents_binary}) {
    const WebhookMessage message = write(format, {*secret});
    EXPECT_EQ(field(message, "webhook-signature"),
              secret->sign("id_final_billing", 1614265332, as_bytes(message.body)));
  }
}

TEST(WebhookPermission, is_given_to_an_origin_with_or_without_a_rate) {
  const auto granted = [](const std::string& origin, const std::string& rate) {
    http::ResponseHead head;
    head.status = 200;
    if (!origin.empty()) head.fields.add("webhook-allowed-origin", origin);
    if (!rate.empty()) head.fields.add("webhook-allowed-rate", rate);
    return granted_rate(head, "daybook.example.com");
  };
  EXPECT_EQ(granted("", "100"), std::nullopt);
  EXPECT_EQ(granted("other.example.com", "100"), std::nullopt);
  EXPECT_EQ(granted("daybook.example.com", "100"), 100);
  EXPECT_EQ(granted("Daybook.Example.COM", "*"), 0);
  EXPECT_EQ(granted("*", "120"), 120);
  EXPECT_EQ(granted("*", ""), 0);
}

TEST(NoticeId, is_the_same_for_the_same_and_another_for_others) {
  Delivery delivery;
  delivery.id = *RecordId::parse("01a1fc8c-ce79-7000-803a-d6276c781060");
  const std::string id = notice_id(delivery, Event::archived, "billing");
  EXPECT_EQ(id, "01a1fc8c-ce79-7000-803a-d6276c781060_archived_billing");
  EXPECT_NE(notice_id(delivery, Event::final, "billing"), id);
  EXPECT_NE(notice_id(delivery, Event::archived, "audit"), id);
  delivery.parked = ParkedRecord{};
  delivery.parked->parked_at = WallTime(std::chrono::microseconds(7));
  const std::string first = notice_id(delivery, Event::parked, "ops");
  delivery.parked->parked_at = WallTime(std::chrono::microseconds(8));
  EXPECT_NE(notice_id(delivery, Event::parked, "ops"), first);
}

}  // namespace
}  // namespace daybook::core::delivery
