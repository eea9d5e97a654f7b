#include "api/records_door.hpp"

#include <cstdlib>

#include "api/problem.hpp"
#include "api/record_context.hpp"
#include "api/request_body.hpp"
#include "core/faults.hpp"

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
  RequestBody body(exchange, workers_, config_, config_.ingest_body_bytes_max);
  if (auto opened = body.open(); !opened) co_return refused_coding(opened.error());
  auto read = read_ingest_head(head, config_);
  if (!read) co_return pass(std::move(read));
  auto context = record_context(head, exchange.peer(), "records", config_);
  if (!context) co_return pass(std::move(context));
  upload.envelope = std::move(read->envelope);
  upload.envelope.context = std::move(*context);
  upload.key = std::move(read->key);
  if (body.coding() == core::http::Coding::identity) {
    upload.expected = read->expected;
  } else {
    if (read->expected) body.expect(*read->expected);
    upload.envelope.context["content_encoding"] = core::http::to_string(body.coding());
  }
  upload.level = read->level;
  upload.peer = exchange.peer();
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
