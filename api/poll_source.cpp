#include "api/poll_source.hpp"

#include <algorithm>

#include "api/config_tables.hpp"
#include "core/check.hpp"
#include "core/public_address.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Result;
using core::Task;

io::HttpClient::Settings client_settings(const core::PollerConfig& config) {
  const auto url = io::parse_full_url(config.url);
  CHECK(url.has_value());
  io::HttpClient::Settings settings;
  settings.endpoint = {.host = url->server.host, .port = url->server.port, .unix_path = {}};
  settings.host_header = url->server.authority();
  if (url->server.https) {
    settings.tls = io::TlsSettings{.server_name = url->server.host,
                                   .ca_file = config.ca_file,
                                   .verify_peer = true,
                                   .cert_file = config.cert_file,
                                   .key_file = config.key_file};
  }
  settings.connections_max = 1;
  settings.connect_timeout = config.connect_timeout;
  if (!config.allow_private) settings.allowed = core::is_public_address;
  return settings;
}

}  // namespace

Task<Result<core::http::Fields>> read_header_files(core::Workers& disk,
                                                   std::map<std::string, core::SecretFile> files) {
  core::http::Fields fields;
  Result<void> read;
  if (files.empty()) co_return fields;
  co_await disk.run([&] {
    for (const auto& [name, file] : files) {
      auto text = read_secret_file(file.path);
      if (!text) {
        read = core::fail(core::Code::misconfigured, core::Origin::self, core::Retry::safe,
                          "header " + name + ": " + text.error().detail);
        return;
      }
      fields.add(name, *std::move(text));
    }
  });
  if (!read) co_return pass(std::move(read));
  co_return fields;
}

PollSource::PollSource(io::IoRuntime& runtime, core::Workers& disk,
                       const core::PollerConfig& config)
    : runtime_(runtime), disk_(disk), config_(config), client_(runtime, client_settings(config)) {}

Task<Result<PollAnswer>> PollSource::fetch(PollRequest request) {
  const core::Deadline deadline = runtime_.steady_now() + config_.timeout;
  auto fields = co_await read_header_files(disk_, config_.header_files);
  if (!fields) co_return pass(std::move(fields));
  for (const auto& [name, value] : config_.headers) fields->add(name, value);
  const auto add_default = [&fields](const char* name, std::string value) {
    if (!value.empty() && !fields->find(name)) fields->add(name, std::move(value));
  };
  add_default("Accept", "application/json, application/x-ndjson;q=0.9, */*;q=0.1");
  add_default("User-Agent", "daybook/" DAYBOOK_VERSION);
  add_default("Accept-Encoding", "identity");
  add_default("If-None-Match", std::move(request.etag));
  add_default("If-Modified-Since", std::move(request.last_modified));
  if (config_.method == "POST") add_default("Content-Type", config_.body_type);
  io::HttpRequest http{.method = config_.method,
                       .target = std::move(request.target),
                       .fields = *std::move(fields),
                       .body = {},
                       .expect_continue = false,
                       .response_bytes_max = config_.response_bytes_max,
                       .on_sent = {}};
  if (!config_.body.empty()) http.body = {core::as_bytes(config_.body)};
  auto response = co_await client_.send(std::move(http), deadline);
  if (!response) co_return pass(std::move(response));
  co_return PollAnswer{response->head.status, std::move(response->head.fields),
                       std::move(response->body)};
}

}  // namespace daybook::api
