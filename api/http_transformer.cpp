#include "api/http_transformer.hpp"

#include "api/poll_source.hpp"
#include "core/check.hpp"
#include "core/limits.hpp"
#include "core/public_address.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Result;
using core::Retry;
using core::Task;

// Requests to one transformer at a time; others wait for their turn within their deadline.
constexpr std::size_t kConnections = 16;

io::HttpClient::Settings client_settings(const core::TransformStepConfig& config) {
  const auto url = io::parse_full_url(config.http);
  CHECK(url.has_value());
  io::HttpClient::Settings settings;
  settings.endpoint = {.host = url->server.host, .port = url->server.port, .unix_path = {}};
  settings.host_header = url->server.authority();
  if (url->server.https) {
    settings.tls = io::TlsSettings{.server_name = url->server.host, .ca_file = config.ca_file};
  }
  settings.connections_max = kConnections;
  if (!config.allow_private) settings.allowed = core::is_public_address;
  return settings;
}

// After so many failures in a row it is asked once in that time, and the others are told at once.
constexpr std::uint32_t kFailuresMax = 5;
constexpr core::Duration kProbeEvery = std::chrono::seconds(1);

// What a transformer does wrong is not what the pipeline's stores do: nobody else waits for it.
core::Failure away(std::string detail) {
  return core::fail(Code::unavailable, core::Origin::sink, Retry::safe,
                    "the transformer: " + std::move(detail));
}

}  // namespace

HttpTransformer::HttpTransformer(io::IoRuntime& runtime, core::Workers& disk,
                                 const core::TransformStepConfig& config)
    : runtime_(runtime), disk_(disk), config_(config), client_(runtime, client_settings(config)) {}

Task<Result<HttpTransformer::Answer>> HttpTransformer::call(std::string attributes,
                                                            core::RecordId id, std::string tenant) {
  if (failures_ >= kFailuresMax) {
    if (runtime_.steady_now() < probe_at_) co_return core::Failure(last_failure_);
    probe_at_ = runtime_.steady_now() + kProbeEvery;
  }
  auto answer = co_await ask(std::move(attributes), id, std::move(tenant));
  const bool is_away = !answer && answer.error().retry != Retry::never;
  if (is_away) {
    ++failures_;
    probe_at_ = runtime_.steady_now() + kProbeEvery;
    last_failure_ = answer.error();
  } else {
    failures_ = 0;
  }
  co_return answer;
}

Task<Result<HttpTransformer::Answer>> HttpTransformer::ask(std::string attributes,
                                                           core::RecordId id, std::string tenant) {
  const core::Deadline deadline = runtime_.steady_now() + config_.timeout;
  auto fields = co_await read_header_files(disk_, config_.header_files);
  if (!fields) co_return away(fields.error().detail);
  for (const auto& [name, value] : config_.headers) fields->add(name, value);
  const auto add_default = [&fields](const char* name, std::string value) {
    if (!fields->find(name)) fields->add(name, std::move(value));
  };
  add_default("Content-Type", "application/json");
  add_default("Accept", "application/json");
  add_default("User-Agent", "daybook/" DAYBOOK_VERSION);
  add_default("Daybook-Record-Id", id.str());
  add_default("Daybook-Tenant", core::percent_encode(tenant));
  io::HttpRequest request{.method = "POST",
                          .target = io::parse_full_url(config_.http)->target,
                          .fields = *std::move(fields),
                          .body = {core::as_bytes(attributes)},
                          .expect_continue = false,
                          .response_bytes_max = core::limits::kEnvelopeBytesMax,
                          .on_sent = {}};
  const auto answer = co_await client_.send(std::move(request), deadline);
  if (!answer) co_return away(answer.error().detail);
  const int status = answer->head.status;
  if (status == 200) co_return Answer(core::as_text(answer->body));
  if (status == 204) co_return Answer();
  const std::string detail = "it answered " + std::to_string(status);
  const bool of_record = status >= 400 && status < 500 && status != 401 && status != 403 &&
                         status != 404 && status != 408 && status != 425 && status != 429;
  if (!of_record) co_return away(detail);
  co_return core::fail(Code::invalid_argument, core::Origin::sink, Retry::never,
                       "the transformer: " + detail);
}

}  // namespace daybook::api
