#include "api/records_door.hpp"

#include <cstdlib>

#include "api/problem.hpp"
#include "api/record_context.hpp"
#include "core/faults.hpp"
#include "core/text.hpp"

namespace daybook::api {

using core::Result;
using core::Task;

Task<> RecordsDoor::handle(io::HttpExchange& exchange) {
  Upload upload;
  auto answer = co_await accept(exchange, upload);
  if (PLANTED("never_answer")) co_await runtime_.make_signal()->wait(core::SteadyTime::max());
  if (PLANTED("abort_on_error") && !answer) std::abort();
  if (!answer) answer = problem(answer.error(), upload.retry_after_s);
  metrics_.add(metrics_.http_requests,
               {{"route", "/v1/records"}, {"status", std::to_string(answer->status)}});
  static_cast<void>(co_await exchange.respond(std::move(*answer)));
}

Task<Result<io::HttpAnswer>> RecordsDoor::accept(io::HttpExchange& exchange, Upload& upload) {
  const core::http::RequestHead& head = exchange.head();
  auto read = read_ingest_head(head, config_);
  if (!read) co_return pass(std::move(read));
  if (const auto coding = head.fields.find("Content-Encoding");
      coding && !core::equals_ignoring_case(*coding, "identity")) {
    // RFC 9110 section 8.4; Daybook compresses by itself.
    co_return core::fail(
        core::Code::unsupported, core::Origin::client, core::Retry::never,
        "Content-Encoding is not taken: send the bytes themselves, or say what they "
        "are with Content-Type (application/gzip, application/zstd).");
  }
  auto context = record_context(head, exchange.peer(), "records", config_);
  if (!context) co_return pass(std::move(context));
  upload.envelope = std::move(read->envelope);
  upload.envelope.context = std::move(*context);
  upload.key = std::move(read->key);
  upload.expected = read->expected;
  upload.level = read->level;
  upload.peer = exchange.peer();
  BodySource body(exchange);
  auto taken = co_await ingest_.take(upload, body);
  if (!taken) co_return pass(std::move(taken));
  io::HttpAnswer answer = json_answer(taken->first ? 201 : 200, taken->receipt + "\n");
  if (taken->id) answer.fields.add("Location", "/v1/records/" + taken->id->str());
  if (upload.level != Level::safe) {
    answer.fields.add("Preference-Applied", upload.level == Level::indexed ? "durability=indexed"
                                                                           : "durability=archived");
  }
  co_return answer;
}

}  // namespace daybook::api
