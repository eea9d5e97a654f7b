#include "storage/aws_network_credentials.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/text.hpp"
#include "io/http_client.hpp"
#include "storage/aws_chain.hpp"
#include "storage/blocking_call.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;

constexpr std::uint64_t kAnswerBytesMax = 64 * core::KiB;

// The AWS tools' own: a machine that is no instance should find out soon.
constexpr core::Duration kInstanceTimeout = std::chrono::seconds(1);
constexpr core::Duration kContainerTimeout = std::chrono::seconds(2);
constexpr const char* kInstanceTokenSeconds = "21600";

constexpr std::string_view kEcsAddress = "169.254.170.2";
constexpr std::string_view kClearHosts[] = {kEcsAddress, "169.254.170.23", "fd00:ec2::23",
                                            "localhost", "::1"};

core::Failure fail(Code code, std::string detail) {
  return core::fail(code, Origin::self, Retry::safe, std::move(detail));
}

struct Ask {
  std::string method = "GET";
  std::string url{};  // http(s)://host[:port]/path?query, encoded
  core::http::Fields fields{};
  std::string body{};
  std::string ca_file{};
};

struct Answer {
  int status = 0;
  std::string body;
};

// "http://host/a?b" -> "http://host" and "/a?b".
std::pair<std::string, std::string> split_url(const std::string& url) {
  const std::size_t scheme = url.find("://");
  const std::size_t path =
      scheme == std::string::npos ? std::string::npos : url.find_first_of("/?", scheme + 3);
  if (path == std::string::npos) return {url, "/"};
  std::string target = url.substr(path);
  if (target.front() == '?') target.insert(0, "/");
  return {url.substr(0, path), target};
}

Task<Result<Answer>> ask(io::IoRuntime& runtime, Ask question, core::Deadline deadline) {
  const auto [server, target] = split_url(question.url);
  const auto url = io::parse_url(server);
  if (!url) co_return fail(Code::misconfigured, url.error().detail);
  io::HttpClient::Settings settings;
  settings.endpoint = io::Endpoint{url->host, url->port, {}};
  settings.host_header = url->authority();
  if (url->https) settings.tls = io::TlsSettings{url->host, question.ca_file, true};
  settings.connections_max = 1;
  io::HttpClient client(runtime, std::move(settings));
  io::HttpRequest request;
  request.method = question.method;
  request.target = target;
  request.fields = std::move(question.fields);
  if (!question.body.empty()) request.body = {core::as_bytes(question.body)};
  request.response_bytes_max = kAnswerBytesMax;
  auto response = co_await client.send(std::move(request), deadline);
  if (!response) co_return pass(std::move(response));
  co_return Answer{response->head.status, std::string(core::as_text(response->body))};
}

// A token's file, read anew each time: it is rotated under us.
Task<Result<std::string>> read_token(core::Workers& workers, std::string path) {
  co_return co_await call_on<std::string>(
      workers, Origin::self, [path = std::move(path)]() -> Result<std::string> {
        errno = 0;
        std::ifstream file(path, std::ios::binary);
        std::ostringstream text;
        if (!file || !(text << file.rdbuf())) {
          return fail(Code::denied, "the token file " + path + " cannot be read: " +
                                        (errno != 0 ? std::strerror(errno) : "it is empty"));
        }
        std::string token = text.str();
        while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
        const bool sound = !token.empty() && token.size() <= kAnswerBytesMax &&
                           std::ranges::all_of(token, [](char c) { return c >= ' ' && c <= '~'; });
        if (!sound) return fail(Code::denied, "the token file " + path + " holds no token");
        return token;
      });
}

// --- web identity ---

struct WebIdentity {
  std::string token_file;
  std::string role_arn;
  std::string session_name;
};

Result<WebIdentity> web_identity_of(const AwsSetup& setup) {
  WebIdentity found;
  if (setup.profile.empty()) {
    found = {setup.variables("AWS_WEB_IDENTITY_TOKEN_FILE"), setup.variables("AWS_ROLE_ARN"),
             setup.variables("AWS_ROLE_SESSION_NAME")};
  }
  if (found.token_file.empty() || found.role_arn.empty()) {
    const auto profiles =
        read_aws_profiles(aws_file_path(setup, AwsFileKind::config), AwsFileKind::config);
    if (!profiles) return pass(profiles);
    if (const auto profile = profiles->find(aws_profile_name(setup)); profile != profiles->end()) {
      const auto fill = [&](std::string& member, std::string_view name) {
        const auto value = profile->second.find(name);
        if (member.empty() && value != profile->second.end()) member = value->second;
      };
      fill(found.token_file, "web_identity_token_file");
      fill(found.role_arn, "role_arn");
      fill(found.session_name, "role_session_name");
    }
  }
  if (found.token_file.empty()) {
    return fail(Code::not_found, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
  }
  if (found.role_arn.empty()) {
    return fail(Code::denied, "there is a token file, but no AWS_ROLE_ARN");
  }
  return found;
}

class WebIdentitySource final : public AwsCredentialSource {
 public:
  WebIdentitySource(io::IoRuntime& runtime, core::Workers& workers, AwsSetup setup)
      : runtime_(runtime), workers_(workers), setup_(std::move(setup)) {}
  [[nodiscard]] std::string name() const override { return "web identity"; }

  Task<Result<AwsKeys>> fetch(core::Deadline deadline) override {
    const auto identity = co_await call_on<WebIdentity>(
        workers_, Origin::self, [setup = setup_] { return web_identity_of(setup); });
    if (!identity) co_return pass(identity);
    const auto token = co_await read_token(workers_, identity->token_file);
    if (!token) co_return pass(token);
    std::string session = identity->session_name;
    if (session.empty()) {
      const auto now = std::chrono::floor<std::chrono::seconds>(runtime_.now());
      session = "daybook-" + std::to_string(now.time_since_epoch().count());
    }
    Ask question{.method = "POST", .url = endpoint(), .ca_file = setup_.variables("AWS_CA_BUNDLE")};
    question.fields.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    question.body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=" +
                    core::percent_encode(identity->role_arn) +
                    "&RoleSessionName=" + core::percent_encode(session) +
                    "&WebIdentityToken=" + core::percent_encode(*token);
    const auto answer = co_await ask(runtime_, std::move(question), deadline);
    if (!answer) co_return pass(answer);
    auto keys = parse_sts_answer(answer->status, answer->body);
    if (keys) keys->source = "web identity, role " + identity->role_arn;
    co_return keys;
  }

 private:
  [[nodiscard]] std::string endpoint() const {
    if (std::string url = setup_.variables("AWS_ENDPOINT_URL_STS"); !url.empty()) return url;
    if (setup_.region.empty()) return "https://sts.amazonaws.com/";
    return "https://sts." + setup_.region + ".amazonaws.com" +
           (setup_.region.starts_with("cn-") ? ".cn/" : "/");
  }

  io::IoRuntime& runtime_;
  core::Workers& workers_;
  AwsSetup setup_;
};

// --- containers ---

class ContainerSource final : public AwsCredentialSource {
 public:
  ContainerSource(io::IoRuntime& runtime, core::Workers& workers, AwsSetup setup)
      : runtime_(runtime), workers_(workers), setup_(std::move(setup)) {}
  [[nodiscard]] std::string name() const override { return "container"; }

  Task<Result<AwsKeys>> fetch(core::Deadline deadline) override {
    const std::string relative = setup_.variables("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    std::string url = setup_.variables("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (!relative.empty()) url = "http://" + std::string(kEcsAddress) + relative;
    if (url.empty()) {
      co_return fail(Code::not_found,
                     "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are "
                     "not set");
    }
    if (auto sound = check_container_url(url); !sound) co_return pass(std::move(sound));
    Ask question{.url = url, .ca_file = setup_.variables("AWS_CA_BUNDLE")};
    question.fields.add("Accept", "application/json");
    std::string token = setup_.variables("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (const std::string path = setup_.variables("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        !path.empty()) {
      auto read = co_await read_token(workers_, path);
      if (!read) co_return pass(std::move(read));
      token = std::move(*read);
    }
    if (token.find_first_of("\r\n") != std::string::npos) {
      co_return fail(Code::denied, "AWS_CONTAINER_AUTHORIZATION_TOKEN holds a line break");
    }
    if (!token.empty()) question.fields.add("Authorization", token);
    const auto answer = co_await ask(runtime_, std::move(question),
                                     std::min(deadline, runtime_.steady_now() + kContainerTimeout));
    if (!answer) co_return pass(answer);
    auto keys = parse_credentials_json(answer->status, answer->body);
    if (keys) keys->source = name();
    co_return keys;
  }

 private:
  io::IoRuntime& runtime_;
  core::Workers& workers_;
  AwsSetup setup_;
};

// --- instances ---

class InstanceSource final : public AwsCredentialSource {
 public:
  InstanceSource(io::IoRuntime& runtime, AwsSetup setup)
      : runtime_(runtime), setup_(std::move(setup)) {}
  [[nodiscard]] std::string name() const override { return "instance metadata"; }

  Task<Result<AwsKeys>> fetch(core::Deadline deadline) override {
    if (core::to_lower(setup_.variables("AWS_EC2_METADATA_DISABLED")) == "true") {
      co_return fail(Code::not_found, "AWS_EC2_METADATA_DISABLED is set");
    }
    const std::string base = endpoint() + "/latest/";
    const std::string roles = base + "meta-data/iam/security-credentials/";
    Ask for_token{.method = "PUT", .url = base + "api/token"};
    for_token.fields.add("X-aws-ec2-metadata-token-ttl-seconds", kInstanceTokenSeconds);
    const auto token = co_await request(std::move(for_token), deadline);
    // Nobody there is the usual case on a machine that is no instance.
    if (!token) co_return fail(Code::not_found, token.error().detail);
    if (token->status != 200 || token->body.empty()) {
      co_return fail(Code::not_found,
                     endpoint() + " gave no token, status " + std::to_string(token->status));
    }
    const auto role_answer = co_await request(with_token(roles, token->body), deadline);
    if (!role_answer) co_return pass(role_answer);
    if (role_answer->status == 404) co_return fail(Code::not_found, "this instance has no role");
    const std::string role(core::trim(role_answer->body.substr(0, role_answer->body.find('\n'))));
    if (role_answer->status != 200 || role.empty()) {
      co_return fail(Code::unavailable,
                     "it named no role, status " + std::to_string(role_answer->status));
    }
    const auto answer =
        co_await request(with_token(roles + core::percent_encode(role), token->body), deadline);
    if (!answer) co_return pass(answer);
    auto keys = parse_credentials_json(answer->status, answer->body);
    if (keys && !keys->expires) {
      co_return fail(Code::denied, "the credentials of role " + role + " have no expiration");
    }
    if (keys) keys->source = "instance metadata, role " + role;
    co_return keys;
  }

 private:
  [[nodiscard]] std::string endpoint() const {
    std::string url = setup_.variables("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (url.empty()) {
      const bool six =
          core::to_lower(setup_.variables("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")) == "ipv6";
      url = six ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
    }
    while (url.ends_with('/')) url.pop_back();
    return url;
  }
  static Ask with_token(std::string url, const std::string& token) {
    Ask question{.url = std::move(url)};
    question.fields.add("X-aws-ec2-metadata-token", token);
    return question;
  }
  Task<Result<Answer>> request(Ask question, core::Deadline deadline) {
    co_return co_await ask(runtime_, std::move(question),
                           std::min(deadline, runtime_.steady_now() + kInstanceTimeout));
  }

  io::IoRuntime& runtime_;
  AwsSetup setup_;
};

}  // namespace

Result<void> check_container_url(std::string_view url) {
  const auto parsed = io::parse_url(split_url(std::string(url)).first);
  if (!parsed) return fail(Code::denied, parsed.error().detail);
  if (parsed->https) return {};
  const std::string& host = parsed->host;
  const bool numbers = host.find_first_not_of("0123456789.") == std::string::npos;
  if (std::ranges::find(kClearHosts, host) != std::end(kClearHosts) ||
      (numbers && host.starts_with("127."))) {
    return {};
  }
  return fail(Code::denied,
              "AWS_CONTAINER_CREDENTIALS_FULL_URI: http goes only to this machine, "
              "169.254.170.2, 169.254.170.23 and fd00:ec2::23, not to " +
                  host + ". Use https");
}

std::unique_ptr<AwsCredentialSource> make_web_identity_source(io::IoRuntime& runtime,
                                                              core::Workers& workers,
                                                              const AwsSetup& setup) {
  return std::make_unique<WebIdentitySource>(runtime, workers, setup);
}

std::unique_ptr<AwsCredentialSource> make_container_source(io::IoRuntime& runtime,
                                                           core::Workers& workers,
                                                           const AwsSetup& setup) {
  return std::make_unique<ContainerSource>(runtime, workers, setup);
}

std::unique_ptr<AwsCredentialSource> make_instance_source(io::IoRuntime& runtime,
                                                          const AwsSetup& setup) {
  return std::make_unique<InstanceSource>(runtime, setup);
}

}  // namespace daybook::storage
