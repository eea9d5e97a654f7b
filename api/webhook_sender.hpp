// WebhookSender: notices to one subscriber over HTTP. Redirects are not followed, and addresses
// that are not of the public Internet are refused unless the subscriber allows them. I/O thread
// only.
#pragma once

#include "api/notice_texts.hpp"
#include "api/subscriber_settings.hpp"
#include "core/ports/notice_sender.hpp"
#include "core/ports/object_store.hpp"
#include "core/ports/workers.hpp"
#include "io/http_client.hpp"

namespace daybook::api {

class WebhookSender final : public core::NoticeSender {
 public:
  WebhookSender(io::IoRuntime& runtime, core::Workers& workers, core::ObjectStore& objects,
                NoticeTexts& texts, Subscriber subscriber);

  core::Task<core::delivery::Verdict> prepare(core::Deadline deadline) override;
  core::Task<core::delivery::Verdict> send(core::delivery::Delivery delivery,
                                           core::delivery::Event event,
                                           core::Deadline deadline) override;
  [[nodiscard]] std::uint32_t notices_per_minute() const override { return rate_; }
  // A notice of type daybook.test, about no record.
  core::Task<core::delivery::Verdict> test(core::Deadline deadline);

 private:
  core::Task<core::delivery::Verdict> post(core::delivery::Notice notice, core::Deadline deadline);
  core::Task<core::Result<core::ByteVector>> read_payload(
      std::shared_ptr<const core::MetadataRow> row, core::Deadline deadline);

  io::IoRuntime& runtime_;
  core::Workers& workers_;
  core::ObjectStore& objects_;
  NoticeTexts& texts_;
  const Subscriber subscriber_;
  const core::http::Fields fields_;  // of every request
  io::HttpClient client_;
  std::uint32_t rate_ = 0;
};

}  // namespace daybook::api
