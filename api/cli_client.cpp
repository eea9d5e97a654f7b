#include "api/cli_client.hpp"

#include <cmath>
#include <utility>

#include "api/cli_output.hpp"
#include "core/text.hpp"
#include "io/runtime.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;

// The client lives in the coroutine's frame, and the frame on the runtime that sends for it.
core::Task<Result<io::HttpResponse>> exchange(io::IoRuntime& runtime,
                                              io::HttpClient::Settings settings,
                                              io::HttpRequest request, core::Duration timeout) {
  io::HttpClient client(runtime, std::move(settings));
  co_return co_await client.send(std::move(request), runtime.steady_now() + timeout);
}

Result<boost::json::value> request_json(const ServerAddress& server, io::HttpRequest request) {
  request.fields.add("Accept", "application/json, application/problem+json");
  auto response = send_request(server, std::move(request));
  if (!response) return pass(std::move(response));
  if (response->head.status / 100 != 2) return core::Failure(refusal_error(*response));
  return parse_json(response->body);
}

}  // namespace

Result<io::HttpClient::Settings> client_settings(const std::string& url) {
  auto parsed = io::parse_url(url);
  if (!parsed) return pass(std::move(parsed));
  if (!parsed->path.empty()) {
    return core::fail(Code::invalid_argument, Origin::client, Retry::never,
                      url + " has a path. Give only http://HOST:PORT.");
  }
  return client_settings(*parsed);
}

io::HttpClient::Settings client_settings(const io::Url& url) {
  io::HttpClient::Settings settings;
  settings.endpoint.host = url.host;
  settings.endpoint.port = url.port;
  const bool v6 = url.host.find(':') != std::string::npos;
  settings.host_header = (v6 ? "[" + url.host + "]" : url.host) + ":" + std::to_string(url.port);
  if (url.https) settings.tls = io::TlsSettings{.server_name = url.host, .ca_file = {}};
  settings.origin = Origin::self;
  return settings;
}

Result<io::HttpResponse> send_request(const ServerAddress& server, io::HttpRequest request) {
  if (auto usable = io::probe_backend(); !usable) return pass(std::move(usable));
  auto settings = client_settings(server.url);
  if (!settings) return pass(std::move(settings));
  request.fields.add("User-Agent", "daybook/" DAYBOOK_VERSION);
  return io::run_to_completion<Result<io::HttpResponse>>([&](io::IoRuntime& runtime) {
    return exchange(runtime, *settings, request, server.timeout);
  });
}

Result<boost::json::value> get_json(const ServerAddress& server, std::string target) {
  io::HttpRequest request;
  request.target = std::move(target);
  return request_json(server, std::move(request));
}

Result<boost::json::value> post_json(const ServerAddress& server, std::string target) {
  io::HttpRequest request;
  request.method = "POST";
  request.target = std::move(target);
  return request_json(server, std::move(request));
}

Result<boost::json::value> parse_json(core::Bytes body) {
  const std::string_view text = core::as_text(body);
  boost::json::error_code error;
  auto value = boost::json::parse({text.data(), text.size()}, error);
  if (error) {
    return core::fail(Code::damaged, Origin::self, Retry::never,
                      "The server's answer is not JSON. Is this a Daybook?");
  }
  return value;
}

std::string describe_refusal(const io::HttpResponse& response) {
  std::string text = std::to_string(response.head.status) + " " +
                     std::string(core::http::reason_phrase(response.head.status));
  const auto problem = parse_json(response.body);
  if (!problem) return text;
  const std::string detail = text_of(*problem, "detail");
  const std::string said = detail.empty() ? text_of(*problem, "title") : detail;
  return said.empty() ? text : text + ": " + printable(said);
}

core::Error refusal_error(const io::HttpResponse& response) {
  const int status = response.head.status;
  const Code code = status == 404                   ? Code::not_found
                    : status == 409                 ? Code::in_flight
                    : status == 413                 ? Code::too_large
                    : status == 507                 ? Code::out_of_space
                    : status >= 400 && status < 500 ? Code::invalid_argument
                                                    : Code::unavailable;
  return core::Error{code, Origin::client, Retry::never, describe_refusal(response)};
}

const boost::json::value* member(const boost::json::value& object, std::string_view name) {
  const boost::json::object* members = object.if_object();
  return members == nullptr ? nullptr : members->if_contains({name.data(), name.size()});
}

std::string text_of(const boost::json::value& object, std::string_view name) {
  const boost::json::value* value = member(object, name);
  if (value == nullptr || !value->is_string()) return {};
  const boost::json::string& text = value->get_string();
  return {text.data(), text.size()};
}

std::optional<double> number_of(const boost::json::value& object, std::string_view name) {
  const boost::json::value* value = member(object, name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  if (value->is_double()) return value->get_double();
  if (value->is_uint64()) return static_cast<double>(value->get_uint64());
  return static_cast<double>(value->get_int64());
}

std::uint64_t count_of(const boost::json::value& object, std::string_view name) {
  const boost::json::value* value = member(object, name);
  if (value == nullptr) return 0;
  if (value->is_uint64()) return value->get_uint64();
  if (value->is_int64() && value->get_int64() > 0) {
    return static_cast<std::uint64_t>(value->get_int64());
  }
  return 0;
}

bool flag_of(const boost::json::value& object, std::string_view name) {
  const boost::json::value* value = member(object, name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

QueryBuilder& QueryBuilder::add(std::string_view name, std::string_view value) {
  if (value.empty()) return *this;
  text_ += text_.empty() ? '?' : '&';
  text_ += std::string(name) + "=" + core::percent_encode(value);
  return *this;
}

}  // namespace daybook::api
