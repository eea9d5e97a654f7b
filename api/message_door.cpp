#include "api/message_door.hpp"

#include <algorithm>
#include <ranges>

#include <boost/json.hpp>

#include "api/config_settings.hpp"
#include "api/message_source.hpp"
#include "api/problem.hpp"
#include "api/record_context.hpp"
#include "api/request_body.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

constexpr std::string_view kRoute = "/ingestMessage";
constexpr std::string_view kMethods = "POST, OPTIONS";

std::vector<std::string> origins(const core::Config& config) {
  std::vector<std::string> list;
  for (const auto piece : std::views::split(config.ingest_message_origins, ',')) {
    const std::string_view origin = core::trim(std::string_view(piece));
    if (!origin.empty()) list.emplace_back(origin);
  }
  return list;
}

// Which pages' scripts may read the answer (Fetch, section 3.3).
void add_cors(io::HttpAnswer& answer, const core::http::RequestHead& head,
              const core::Config& config) {
  const auto allowed = origins(config);
  if (allowed.empty()) return;
  if (allowed.front() == "*") {
    answer.fields.add("Access-Control-Allow-Origin", "*");
  } else {
    answer.fields.add("Vary", "Origin");
    const auto origin = head.fields.find("Origin");
    if (!origin || std::ranges::find(allowed, *origin) == allowed.end()) return;
    answer.fields.add("Access-Control-Allow-Origin", std::string(*origin));
  }
  answer.fields.add("Access-Control-Expose-Headers", "Location, Retry-After");
}

io::HttpAnswer preflight() {
  io::HttpAnswer answer;
  answer.status = 204;
  answer.fields.add("Allow", std::string(kMethods));
  answer.fields.add("Access-Control-Allow-Methods", std::string(kMethods));
  answer.fields.add("Access-Control-Allow-Headers",
                    "Content-Type, Content-Encoding, Content-Digest, Repr-Digest, Authorization, "
                    "X-Api-Key");
  answer.fields.add("Access-Control-Max-Age", "600");
  return answer;
}

io::HttpAnswer refusal(const core::Error& error, const Upload& upload, const std::string& kept_as) {
  ProblemMembers members;
  if (!kept_as.empty()) members.emplace_back("salvage", kept_as);
  // Its payload had come: under this id it is found if it was stored after all, or salvaged.
  if (http_status(error) >= 500 && upload.envelope.id != core::RecordId{}) {
    members.emplace_back("messageID", upload.envelope.id.str());
  }
  return problem(error, upload.retry_after_s, members);
}

}  // namespace

Task<> MessageDoor::handle(io::HttpExchange& exchange) {
  const core::http::RequestHead& head = exchange.head();
  io::HttpAnswer answer;
  if (head.method == "POST") {
    answer = co_await accept(exchange);
  } else if (head.method == "OPTIONS") {
    answer = preflight();
  } else {
    answer = problem(405, "method_not_allowed", "This path takes " + std::string(kMethods) + ".");
    answer.fields.add("Allow", std::string(kMethods));
  }
  add_cors(answer, head, config_);
  services_.metrics.add(
      services_.metrics.http_requests,
      {{"route", std::string(kRoute)}, {"status", std::to_string(answer.status)}});
  static_cast<void>(co_await exchange.respond(std::move(answer)));
}

Result<void> MessageDoor::judge_size(const core::http::RequestHead& head, bool coded) const {
  using core::http::Framing;
  if (head.framing == Framing::none ||
      (head.framing == Framing::length && head.content_length == 0)) {
    return core::fail(Code::invalid_argument, Origin::client, Retry::never,
                      "The request has no body; a message is an object with messageMetaData and "
                      "messagePayload.");
  }
  const std::uint64_t decoded_max = message_bytes_max(config_);
  const std::uint64_t bytes_max = coded ? coded_bytes_max(decoded_max) : decoded_max;
  if (head.framing != Framing::length || head.content_length <= bytes_max) return {};
  return core::fail(Code::too_large, Origin::client, Retry::never,
                    "The message has " + std::to_string(head.content_length) +
                        " bytes; its payload may have " +
                        core::format_size(config_.ingest_body_bytes_max) +
                        " (ingest.body_bytes_max). Split it into several messages.");
}

Task<io::HttpAnswer> MessageDoor::accept(io::HttpExchange& exchange) {
  const core::http::RequestHead& head = exchange.head();
  RequestBody body(exchange, services_.workers, config_, message_bytes_max(config_));
  if (auto opened = body.open(); !opened) co_return refused_coding(opened.error());
  const bool coded = body.coding() != core::http::Coding::identity;
  if (auto size = judge_size(head, coded); !size) co_return problem(size.error());
  const auto digest = read_digest(head.fields);
  if (!digest) co_return problem(digest.error());
  if (*digest) body.expect(**digest);
  auto context = record_context(head, exchange.peer(), "ingestMessage", config_);
  if (!context) co_return problem(context.error());
  Upload upload;
  upload.envelope.tenant = config_.ingest_tenant;
  upload.envelope.context = std::move(*context);
  if (coded) upload.envelope.context["content_encoding"] = core::http::to_string(body.coding());
  upload.peer = exchange.peer();
  MessageSource message({services_.workers, services_.ingest, services_.refused}, body, config_);
  const auto taken = co_await services_.ingest.take_late(upload, message);
  if (!taken) co_return refusal(taken.error(), upload, message.kept_as());
  const std::string id = taken->id.value_or(upload.envelope.id).str();
  io::HttpAnswer answer =
      json_answer(200, boost::json::serialize(boost::json::object{{"messageID", id}}) + "\n");
  answer.fields.add("Location", "/v1/records/" + id);
  co_return answer;
}

void check_message_settings(const core::Config& config, std::vector<std::string>& broken) {
  const auto list = origins(config);
  for (const std::string& origin : list) {
    if (origin == "*" && list.size() == 1) continue;
    const std::size_t host = origin.find("://");
    const bool good = (origin.starts_with("https://") || origin.starts_with("http://")) &&
                      host + 3 < origin.size() &&
                      origin.find_first_of("/ \t*", host + 3) == std::string::npos;
    if (good) continue;
    broken.push_back("ingest.message_origins: " + toml_quote(origin) +
                     " is no origin: SCHEME://HOST[:PORT] without a path, or * alone.");
  }
}

}  // namespace daybook::api
