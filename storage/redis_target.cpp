#include "storage/redis_target.hpp"

#include <charconv>
#include <optional>

namespace daybook::storage {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using Kind = RedisTarget::Kind;

core::Failure bad(const std::string& detail) {
  return core::fail(Code::invalid_argument, Origin::self, Retry::never, "buffer.url: " + detail);
}

struct Scheme {
  std::string_view prefix;
  Kind kind;
  const char* usual_port;
  const char* form;
};
constexpr Scheme kSchemes[] = {
    {"://", Kind::single, ":6379", "redis://HOST:PORT[/DATABASE]"},
    {"+sentinel://", Kind::sentinel, ":26379",
     "redis+sentinel://HOST:PORT,HOST:PORT/MASTER-NAME[/DATABASE]"},
    {"+cluster://", Kind::cluster, ":6379", "redis+cluster://HOST:PORT,HOST:PORT"},
};

bool parse_database(std::string_view text, std::uint32_t& database) {
  constexpr std::uint32_t kDatabasesMax = 65536;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), database);
  return error == std::errc{} && end == text.data() + text.size() && database < kDatabasesMax;
}

bool is_host(std::string_view host) {
  return host.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_") ==
         std::string_view::npos;
}

std::optional<io::Endpoint> parse_address(std::string_view text, const char* usual_port) {
  std::string address(text);
  if (address.find(':') == std::string::npos || address.ends_with(']')) address += usual_port;
  auto endpoint = io::parse_endpoint(address);
  if (!endpoint || endpoint->port == 0 || !is_host(endpoint->host)) return std::nullopt;
  return std::move(*endpoint);
}

bool parse_addresses(std::string_view text, const Scheme& scheme, RedisTarget& target) {
  for (;;) {
    const std::size_t comma = text.find(',');
    auto endpoint = parse_address(text.substr(0, comma), scheme.usual_port);
    if (!endpoint) return false;
    target.addresses.push_back(std::move(*endpoint));
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

// What stands behind the addresses.
bool parse_path(std::string_view path, RedisTarget& target) {
  if (target.kind == Kind::cluster) return path.empty();  // a cluster has no other databases
  if (target.kind == Kind::sentinel) {
    const std::size_t slash = path.find('/');
    target.master_name = path.substr(0, slash);
    if (target.master_name.empty()) return false;
    path = slash == std::string_view::npos ? "" : path.substr(slash + 1);
  }
  return path.empty() || parse_database(path, target.login.database);
}

}  // namespace

io::RespSettings RedisTarget::server(io::Endpoint endpoint) const {
  io::RespSettings settings = login;
  if (settings.tls) {
    settings.tls->server_name = tls_server_name.empty() ? endpoint.host : tls_server_name;
  }
  settings.endpoint = std::move(endpoint);
  return settings;
}

io::RespSettings RedisTarget::sentinel(io::Endpoint endpoint) const {
  io::RespSettings settings = server(std::move(endpoint));
  settings.username = sentinel_username;
  settings.password = sentinel_password;
  settings.database = 0;
  settings.is_sentinel = true;
  return settings;
}

Result<RedisTarget> parse_redis_url(std::string_view url) {
  RedisTarget target;
  if (url.find('@') != std::string_view::npos) {
    // The text is not repeated: it may hold a password.
    return bad(
        "user and password do not belong into the URL. Set buffer.username and "
        "DAYBOOK_BUFFER_PASSWORD or buffer.password_file.");
  }
  constexpr std::string_view kUnix = "unix:";
  if (url.starts_with("unix:/") && url.size() > kUnix.size() + 1) {
    target.addresses.push_back({"", 0, std::string(url.substr(kUnix.size()))});
    return target;
  }
  const bool tls = url.starts_with("rediss");
  const std::string_view rest = url.starts_with("redis") ? url.substr(tls ? 6 : 5) : "";
  for (const Scheme& scheme : kSchemes) {
    if (!rest.starts_with(scheme.prefix)) continue;
    const std::string_view body = rest.substr(scheme.prefix.size());
    const std::size_t slash = body.find('/');
    const std::string_view path =
        slash == std::string_view::npos ? std::string_view() : body.substr(slash + 1);
    target.kind = scheme.kind;
    if (tls) target.login.tls.emplace();
    if (parse_addresses(body.substr(0, slash), scheme, target) && parse_path(path, target) &&
        (target.kind != Kind::single || target.addresses.size() == 1)) {
      return target;
    }
    return bad("'" + std::string(url) + "' is not of the form " + scheme.form + ".");
  }
  return bad("'" + std::string(url) +
             "' is none of redis://HOST:PORT[/DATABASE], unix:/PATH, "
             "redis+sentinel://HOST:PORT,HOST:PORT/MASTER-NAME[/DATABASE], "
             "redis+cluster://HOST:PORT,HOST:PORT; rediss for redis: with TLS.");
}

Result<RedisTarget> redis_target(const core::Config& config) {
  auto target = parse_redis_url(config.buffer_url);
  if (!target) return target;
  target->login.username = config.buffer_username;
  target->login.password = config.buffer_password;
  target->sentinel_username = config.buffer_sentinel_username;
  target->sentinel_password = config.buffer_sentinel_password;
  target->tls_server_name = config.buffer_tls_server_name;
  if (auto& tls = target->login.tls) {
    tls->ca_file = config.buffer_tls_ca_file;
    tls->verify_peer = config.buffer_tls_verify;
    tls->cert_file = config.buffer_tls_cert_file;
    tls->key_file = config.buffer_tls_key_file;
  }
  return target;
}

}  // namespace daybook::storage
