#include "api/webhook_sender.hpp"

#include <boost/json.hpp>

#include "api/notice_data.hpp"
#include "core/frame.hpp"
#include "core/limits.hpp"
#include "core/public_address.hpp"
#include "core/sealed_object.hpp"
#include "core/text.hpp"
#include "io/runtime.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Task;
using core::delivery::Delivery;
using core::delivery::Event;
using core::delivery::Verdict;

// What a receiver may answer; nothing of it is kept.
constexpr std::uint64_t kAnswerBytesMax = 1 * core::MiB;

io::HttpClient::Settings client_of(const Subscriber& subscriber) {
  io::HttpClient::Settings settings;
  const io::Url& server = subscriber.url.server;
  settings.endpoint = {.host = server.host, .port = server.port, .unix_path = {}};
  settings.host_header = server.authority();
  settings.tls = subscriber.tls;
  settings.origin = core::Origin::sink;
  settings.connections_max = subscriber.course.parallel + 1;  // and a test
  if (!subscriber.allow_private) settings.allowed = core::is_public_address;
  return settings;
}

Verdict away(std::string reason, std::string detail) {
  return {.kind = Verdict::Kind::away,
          .reason = std::move(reason),
          .detail = std::move(detail),
          .retry_after = std::nullopt};
}

core::http::Fields fields_of(const Subscriber& subscriber) {
  core::http::Fields fields = subscriber.headers;
  fields.add("User-Agent", "daybook/" DAYBOOK_VERSION);
  if (!subscriber.origin.empty()) fields.add("WebHook-Request-Origin", subscriber.origin);
  return fields;
}

}  // namespace

WebhookSender::WebhookSender(io::IoRuntime& runtime, core::Workers& workers,
                             core::ObjectStore& objects, NoticeTexts& texts, Subscriber subscriber)
    : runtime_(runtime),
      workers_(workers),
      objects_(objects),
      texts_(texts),
      subscriber_(std::move(subscriber)),
      fields_(fields_of(subscriber_)),
      client_(runtime, client_of(subscriber_)) {}

Task<Verdict> WebhookSender::prepare(core::Deadline deadline) {
  rate_ = 0;
  if (subscriber_.origin.empty()) co_return Verdict{};
  io::HttpRequest request;
  request.method = "OPTIONS";
  request.target = subscriber_.url.target;
  request.fields = fields_;
  request.response_bytes_max = kAnswerBytesMax;
  const auto answer = co_await client_.send(std::move(request), deadline);
  if (!answer) {
    Verdict verdict = core::delivery::judge(answer.error());
    verdict.kind = Verdict::Kind::away;
    co_return verdict;
  }
  // Whatever the status says: only the fields are a consent.
  const auto rate = core::delivery::granted_rate(answer->head, subscriber_.origin);
  if (rate) {
    rate_ = *rate;
    co_return Verdict{};
  }
  Verdict verdict =
      away("permission",
           "it did not permit " + subscriber_.origin + " to send notices: its answer to OPTIONS (" +
               std::to_string(answer->head.status) + ") names no such WebHook-Allowed-Origin");
  if (const auto asked = answer->head.fields.find("Retry-After")) {
    verdict.retry_after = core::delivery::parse_retry_after(*asked, runtime_.now());
  }
  co_return verdict;
}

Task<core::Result<core::ByteVector>> WebhookSender::read_payload(
    std::shared_ptr<const core::MetadataRow> row, core::Deadline deadline) {
  const core::Envelope& envelope = row->envelope;
  if (envelope.size == 0) co_return core::ByteVector{};
  const auto where = core::frames_of_range(envelope.frames, row->data_offset, 0, envelope.size - 1);
  const auto stored = co_await objects_.get(
      row->object_key, core::ByteRange{where.stored_first, where.stored_length}, deadline);
  if (!stored) co_return pass(stored);
  // Not above one block (config: payload_max), so it is one frame.
  core::Result<core::ByteVector> payload;
  co_await workers_.run([&] { payload = core::decompress_frame(*stored, envelope.size); });
  co_return payload;
}

Task<Verdict> WebhookSender::send(Delivery delivery, Event event, core::Deadline deadline) {
  core::delivery::Notice notice;
  const bool with_payload =
      event == Event::final && delivery.row->envelope.size <= subscriber_.payload_max;
  if (with_payload) {
    const auto bytes = co_await read_payload(delivery.row, deadline);
    const bool lost =
        !bytes && (bytes.error().code == Code::not_found || bytes.error().code == Code::damaged);
    // Without the archive there is nothing to send now; without this object there never will be.
    if (!bytes && !lost) {
      co_return away("payload", "the payload could not be read: " + bytes.error().detail);
    }
    notice.data = std::make_shared<const std::string>(
        notice_data(delivery, event, bytes ? payload_json(*bytes) : nullptr));
  } else {
    notice.data = texts_.of(delivery, event);
  }
  notice.id = notice_id(delivery, event, subscriber_.name);
  notice.type = "daybook.record." + std::string(to_string(event));
  notice.time = notice_time(delivery, event);
  notice.source = "/daybook/" + core::percent_encode(delivery.row->envelope.tenant);
  notice.subject = delivery.id.str();
  notice.sequence = delivery.number;
  notice.partition = delivery.partition;
  co_return co_await post(std::move(notice), deadline);
}

Task<Verdict> WebhookSender::test(core::Deadline deadline) {
  const Verdict permitted = co_await prepare(deadline);
  if (permitted.kind != Verdict::Kind::delivered) co_return permitted;
  core::delivery::Notice notice;
  notice.time = runtime_.now();
  notice.id =
      "test_" + std::to_string(notice.time.time_since_epoch().count()) + "_" + subscriber_.name;
  notice.type = "daybook.test";
  notice.source = "/daybook";
  notice.subject = subscriber_.name;
  notice.data = std::make_shared<const std::string>(boost::json::serialize(boost::json::object{
      {"subscriber", subscriber_.name}, {"note", "A test by command; it is about no record."}}));
  co_return co_await post(std::move(notice), deadline);
}

Task<Verdict> WebhookSender::post(core::delivery::Notice notice, core::Deadline deadline) {
  core::delivery::WebhookMessage message =
      core::delivery::write_notice(notice, subscriber_.format, subscriber_.secrets, runtime_.now());
  io::HttpRequest request;
  request.method = "POST";
  request.target = subscriber_.url.target;
  request.fields = std::move(message.fields);
  for (const auto& [name, value] : fields_.lines()) request.fields.add(name, value);
  request.body = {core::as_bytes(message.body)};
  request.response_bytes_max = kAnswerBytesMax;
  const auto answer = co_await client_.send(std::move(request), deadline);
  if (!answer) co_return core::delivery::judge(answer.error());
  co_return core::delivery::judge(answer->head, runtime_.now());
}

}  // namespace daybook::api
