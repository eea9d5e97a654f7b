#include "storage/dynamodb_client.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <boost/crc.hpp>
#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include "core/digest.hpp"
#include "core/retry.hpp"
#include "core/sigv4/sigv4.hpp"
#include "storage/dynamodb_errors.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Deadline;
using core::Origin;
using core::Result;
using core::Retry;

// The most that one page can hold: 1 MB of items, each byte of which JSON may write in six.
constexpr std::uint64_t kAnswerBytesMax = 8 * core::MiB;

// 50 ms to 3.2 s between them, 6 s in all: a table that splits a partition takes longer, and then
// the pipeline's own, longer pauses take over.
constexpr core::RetryPolicy kRepeat{
    .attempts_max = 8, .first = std::chrono::milliseconds(50), .longest = std::chrono::seconds(5)};

constexpr core::Duration kWarnEvery = std::chrono::minutes(1);

core::Failure fail(Code code, Retry retry, std::string detail) {
  return core::fail(code, Origin::metadata, retry, std::move(detail));
}

bool sound_crc32(const io::HttpResponse& response) {
  const auto field = response.head.fields.find("x-amz-crc32");
  if (!field) return true;
  std::uint32_t said = 0;
  const auto [end, error] = std::from_chars(field->data(), field->data() + field->size(), said);
  if (error != std::errc{} || end != field->data() + field->size()) return false;
  boost::crc_32_type sum;
  sum.process_bytes(response.body.data(), response.body.size());
  return sum.checksum() == said;
}

// 3 to 255 of the characters that the API reference allows (CreateTable, TableName).
bool is_table_name(std::string_view name) {
  return name.size() >= 3 && name.size() <= 255 && std::ranges::all_of(name, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '.' || c == '-' || c == '_';
         });
}

}  // namespace

Result<std::unique_ptr<DynamodbClient>> DynamodbClient::open(Settings settings,
                                                             io::IoRuntime& runtime) {
  const auto bad = [](std::string what) {
    return fail(Code::misconfigured, Retry::never, std::move(what));
  };
  if (settings.region.empty()) return bad("metadata.dynamodb_region is empty: name the region.");
  if (!is_table_name(settings.table)) {
    return bad("metadata.dynamodb_table '" + settings.table +
               "' is no table name: 3 to 255 letters, digits, '.', '-' and '_'.");
  }
  if (settings.endpoint.empty()) {
    settings.endpoint = "https://dynamodb." + settings.region + ".amazonaws.com";
  }
  auto url = io::parse_url(settings.endpoint);
  if (!url) return bad("metadata.dynamodb_endpoint: " + url.error().detail);
  return std::unique_ptr<DynamodbClient>(
      new DynamodbClient(std::move(settings), std::move(*url), runtime));
}

DynamodbClient::DynamodbClient(Settings settings, io::Url url, io::IoRuntime& runtime)
    : settings_(std::move(settings)), url_(std::move(url)), runtime_(runtime) {
  io::HttpClient::Settings client;
  client.endpoint = io::Endpoint{url_.host, url_.port, {}};
  client.host_header = url_.authority();
  if (url_.https) client.tls = io::TlsSettings{url_.host, settings_.ca_file, true};
  client.origin = Origin::metadata;
  client.connections_max = std::max<std::size_t>(settings_.connections, 1);
  client_ = std::make_unique<io::HttpClient>(runtime, std::move(client));
}

std::string DynamodbClient::describe() const {
  return "dynamodb:" + settings_.table + " at " + (url_.https ? "https://" : "http://") +
         url_.authority() + url_.path + " (" + settings_.region + ")";
}

core::Task<Result<boost::json::object>> DynamodbClient::call(std::string operation,
                                                             boost::json::object request,
                                                             Deadline deadline) {
  // Requests for items of several tables name theirs themselves.
  if (!request.contains("RequestItems")) request["TableName"] = settings_.table;
  const std::string body = boost::json::serialize(request);
  for (std::uint32_t attempt = 1;; ++attempt) {
    if (runtime_.steady_now() >= deadline) {
      co_return fail(Code::timeout, Retry::safe,
                     operation + " " + settings_.table + ": the deadline has passed.");
    }
    bool not_now = false;
    auto answer = co_await call_once(operation, body, deadline, not_now);
    if (answer || !not_now) co_return answer;
    say_not_now(answer.error());
    const core::Duration pause =
        kRepeat.wait_after(attempt, std::uniform_real_distribution<double>(0, 1)(random_));
    if (attempt == kRepeat.attempts_max || runtime_.steady_now() + pause >= deadline) {
      co_return answer;
    }
    co_await runtime_.sleep(pause);
  }
}

void DynamodbClient::say_not_now(const core::Error& error) {
  ++figures_.not_now;
  const core::SteadyTime now = runtime_.steady_now();
  if (warned_ && now - *warned_ < kWarnEvery) return;
  warned_ = now;
  spdlog::warn("metadata: {} It is tried again; {} of {} answers so far were such", error.detail,
               figures_.not_now, figures_.requests);
}

core::Task<Result<boost::json::object>> DynamodbClient::call_once(std::string operation,
                                                                  std::string body,
                                                                  Deadline deadline,
                                                                  bool& not_now) {
  namespace sigv4 = core::sigv4;
  const std::string doing = operation + " " + settings_.table;
  auto with = co_await settings_.signer->ready(deadline);
  if (!with) {
    core::Error error = std::move(with).error();
    error.origin = Origin::metadata;
    co_return core::Failure(std::move(error));
  }

  const std::string path = url_.path.empty() ? "/" : url_.path;
  sigv4::NamedValues fields = {{"Content-Type", "application/x-amz-json-1.0"},
                               {"X-Amz-Target", "DynamoDB_20120810." + operation}};
  sigv4::Request signed_parts{"POST", path, {}, fields};
  signed_parts.headers.emplace_back("Host", url_.authority());
  const auto added =
      sigv4::sign(std::move(signed_parts), with->keys, {settings_.region, "dynamodb", with->time},
                  core::sha256(core::as_bytes(body)).hex(), sigv4::PayloadHeader::absent);

  io::HttpRequest request;
  request.method = "POST";
  request.target = sigv4::canonical_uri(path);
  for (const auto& [name, value] : fields) request.fields.add(name, value);
  for (const auto& [name, value] : added) request.fields.add(name, value);
  request.body = {core::as_bytes(body)};
  request.response_bytes_max = kAnswerBytesMax;
  const auto response = co_await client_->send(std::move(request), deadline);
  if (!response) {
    core::Error error = response.error();
    error.detail = doing + ": " + error.detail;
    co_return core::Failure(std::move(error));
  }
  ++figures_.requests;
  if (!sound_crc32(*response)) {
    not_now = true;
    co_return fail(Code::unavailable, Retry::unknown_outcome,
                   doing + ": the answer was damaged on its way: x-amz-crc32 is not its checksum.");
  }
  if (response->head.status != 200) {
    const DynamodbRefusal refusal = parse_dynamodb_refusal(response->body);
    core::Error error = classify_dynamodb(response->head.status, refusal, doing);
    const std::string date(response->head.fields.find("date").value_or(""));
    const int status = response->head.status;
    const bool mended =
        co_await settings_.signer->mend(std::move(*with), status, refusal.type, date, deadline);
    not_now = mended || error.code == Code::unavailable;
    co_return core::Failure(std::move(error));
  }
  boost::json::error_code error;
  const std::string_view text = core::as_text(response->body);
  boost::json::value value = boost::json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) {
    co_return fail(Code::misconfigured, Retry::unknown_outcome,
                   doing +
                       ": the answer is no JSON object, so this is no DynamoDB service; check "
                       "metadata.dynamodb_endpoint.");
  }
  co_return std::move(value.get_object());
}

}  // namespace daybook::storage
