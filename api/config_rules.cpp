// Rules between settings, and the grammar of texts that the settings table knows only as text.
// Each broken rule is one sentence that names the setting and says what would be right.
#include <algorithm>
#include <charconv>

#include "api/config_loader.hpp"
#include "api/config_settings.hpp"
#include "api/config_tables.hpp"
#include "api/memory_plan.hpp"
#include "api/message_door.hpp"
#include "api/record_context.hpp"
#include "api/s3_settings.hpp"
#include "core/text.hpp"
#include "storage/postgres_settings.hpp"
#include "storage/redis_target.hpp"

namespace daybook::api {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number > 65535) {
    return std::nullopt;
  }
  return static_cast<std::uint16_t>(number);
}

bool is_word(std::string_view text, std::string_view also) {
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           also.find(c) != std::string_view::npos;
  });
}

void check_listen(const core::Config& config, std::vector<std::string>& broken) {
  const auto listen = parse_host_port(config.server_listen);
  if (!listen) {
    broken.push_back("server.listen: " + toml_quote(config.server_listen) +
                     " is not HOST:PORT. Example: listen = \"127.0.0.1:7080\".");
  } else if (!is_loopback(listen->host)) {
    broken.push_back(
        "server.listen: without authentication Daybook listens on loopback only, "
        "because whoever reaches it can write and read every record: " +
        toml_quote(config.server_listen) +
        " is refused. Use 127.0.0.1, [::1] or localhost, and for other machines a "
        "proxy or tunnel that authenticates.");
  }
}

void check_buffer(const core::Config& config, std::vector<std::string>& broken) {
  const auto target = storage::parse_redis_url(config.buffer_url);
  if (!target) {
    broken.push_back(target.error().detail);
    return;
  }
  const bool tls = target->login.tls.has_value();
  const std::pair<std::string_view, const std::string&> of_tls[] = {
      {"buffer.tls_ca_file", config.buffer_tls_ca_file},
      {"buffer.tls_cert_file", config.buffer_tls_cert_file},
      {"buffer.tls_key_file", config.buffer_tls_key_file},
      {"buffer.tls_server_name", config.buffer_tls_server_name}};
  for (const auto& [name, value] : of_tls) {
    if (tls || value.empty()) continue;
    broken.push_back(std::string(name) +
                     " is set, but buffer.url does not ask for TLS: begin it with rediss.");
  }
  if (config.buffer_tls_cert_file.empty() != config.buffer_tls_key_file.empty()) {
    broken.push_back("buffer.tls_cert_file and buffer.tls_key_file belong together: set both.");
  }
  if (target->kind != storage::RedisTarget::Kind::sentinel &&
      !(config.buffer_sentinel_username.empty() && config.buffer_sentinel_password.empty())) {
    broken.push_back(
        "buffer.sentinel_username or buffer.sentinel_password is set, but buffer.url names no "
        "sentinels: redis+sentinel://HOST:PORT,HOST:PORT/MASTER-NAME.");
  }
  if (!config.buffer_sentinel_username.empty() && config.buffer_sentinel_password.empty()) {
    broken.push_back(
        "buffer.sentinel_username is set but buffer.sentinel_password is not: set "
        "DAYBOOK_BUFFER_SENTINEL_PASSWORD or buffer.sentinel_password_file.");
  }
}

// Without keys in the settings they come from one of the AWS tools' places, which start-up finds.
void check_s3_keys(const core::Config& config, std::vector<std::string>& broken) {
  const std::string& from = config.archive_s3_credentials;
  const bool key = !config.archive_s3_access_key.empty();
  const bool secret = !config.archive_s3_secret_key.empty();
  const auto missing = [&](std::string_view name) {
    const Setting* setting = find_setting("archive", name);
    broken.push_back("archive." + std::string(name) + " is missing: " +
                     (from == "static" ? "archive.s3_credentials = \"static\" needs it"
                                       : "the other one of the pair of keys is set") +
                     ". Set " + setting->environment_name() + ", " + setting->environment_name() +
                     "_FILE, or " + std::string(name) + "_file in the configuration.");
  };
  const bool wanted = from == "static" || key || secret;
  if (wanted && !key) missing("s3_access_key");
  if (wanted && !secret) missing("s3_secret_key");
  if (!config.archive_s3_session_token.empty() && !key) {
    broken.push_back(
        "archive.s3_session_token belongs to archive.s3_access_key and "
        "archive.s3_secret_key, which are not set.");
  }
  if (from != "auto" && from != "static" && (key || secret)) {
    broken.push_back("archive.s3_credentials is " + toml_quote(from) +
                     ", but archive.s3_access_key or archive.s3_secret_key is set: remove them, "
                     "or set it to \"static\".");
  }
}

void check_archive(const core::Config& config, std::vector<std::string>& broken) {
  const std::string& prefix = config.archive_prefix;
  if (!prefix.empty() &&
      (!is_word(prefix, "/._-") || prefix.starts_with('/') || prefix.ends_with('/') ||
       prefix.find("..") != std::string::npos || prefix.find("//") != std::string::npos)) {
    broken.push_back("archive.prefix: " + toml_quote(prefix) +
                     " may have letters, digits, '.', '_', '-' and single '/' inside.");
  }
  if (config.archive_layout == "segment" && config.archive_segment_age >= config.ingest_wait_max) {
    broken.push_back("archive.segment_age (" + core::format_duration(config.archive_segment_age) +
                     ") must be below ingest.wait_max (" +
                     core::format_duration(config.ingest_wait_max) +
                     "), or a request that waits for archived could never see it.");
  }
  check_s3_options(config, broken);
  if (config.archive_kind != "s3") return;
  const std::string& endpoint = config.archive_s3_endpoint;
  if (!endpoint.empty() &&
      ((!endpoint.starts_with("http://") && !endpoint.starts_with("https://")) ||
       endpoint.ends_with("://") || endpoint.find('@') != std::string::npos)) {
    broken.push_back(
        "archive.s3_endpoint: it is http://HOST[:PORT] or https://HOST[:PORT], "
        "without credentials in it.");
  }
  if (!endpoint.empty() && (config.archive_s3_dualstack || config.archive_s3_fips)) {
    broken.push_back(
        "archive.s3_dualstack and archive.s3_fips choose among AWS's endpoints: leave "
        "archive.s3_endpoint empty, or name the endpoint you mean.");
  }
  if (config.archive_s3_bucket.empty()) {
    broken.push_back("archive.s3_bucket is missing: archive.kind = \"s3\" needs it.");
  } else if (!is_word(config.archive_s3_bucket, "._-")) {
    broken.push_back("archive.s3_bucket: " + toml_quote(config.archive_s3_bucket) +
                     " may have letters, digits, '.', '_' and '-'.");
  }
  check_s3_keys(config, broken);
}

void check_metadata(const core::Config& config, std::vector<std::string>& broken) {
  if (config.metadata_kind != "postgresql") return;
  if (config.metadata_postgresql_url.empty()) {
    broken.push_back(
        "metadata.postgresql_url is missing: metadata.kind = \"postgresql\" needs it. Example: "
        "postgresql_url = \"postgresql://daybook@db.example.com:5432/daybook"
        "?sslmode=verify-full\".");
  } else if (const auto url = storage::parse_postgres_url(config.metadata_postgresql_url); !url) {
    broken.push_back(url.error().detail);
  }
}

void check_feed(const core::Config& config, std::vector<std::string>& broken) {
  const std::uint64_t needed =
      feed_answer_bytes(config.feed_page_bytes_max, config.feed_inline_max);
  if (config.feed_memory_max >= needed) return;
  broken.push_back(
      "feed.memory_max is too small for one answer: with this feed.page_bytes_max and "
      "feed.inline_max it must be at least " +
      core::format_size(needed) + ".");
}

void check_dynamodb(const core::Config& config, std::vector<std::string>& broken) {
  if (config.metadata_kind != "dynamodb") return;
  const std::string& endpoint = config.metadata_dynamodb_endpoint;
  if (!endpoint.empty() &&
      (!(endpoint.starts_with("http://") || endpoint.starts_with("https://")) ||
       endpoint.ends_with("://") || endpoint.contains('@'))) {
    broken.emplace_back(
        "metadata.dynamodb_endpoint: it is http://HOST[:PORT] or https://HOST[:PORT], without "
        "credentials in it, or empty for AWS's of metadata.dynamodb_region.");
  }
  if (!is_word(config.metadata_dynamodb_region, "-")) {
    broken.push_back("metadata.dynamodb_region: " + toml_quote(config.metadata_dynamodb_region) +
                     " is no region. Example: dynamodb_region = \"eu-central-1\".");
  }
  const std::string& table = config.metadata_dynamodb_table;
  if (!is_word(table, "._-") || table.size() < 3 || table.size() > 255) {
    broken.push_back("metadata.dynamodb_table: " + toml_quote(table) +
                     " has 3 to 255 letters, digits, '.', '_' and '-'.");
  }
  if (config.metadata_dynamodb_access_key.empty() != config.metadata_dynamodb_secret_key.empty()) {
    broken.emplace_back(
        "metadata.dynamodb_access_key and dynamodb_secret_key belong together: set both, or "
        "neither "
        "to take the keys that the AWS tools would find. Set DAYBOOK_METADATA_DYNAMODB_ACCESS_KEY "
        "and _SECRET_KEY, or …_FILE.");
  }
}

}  // namespace

std::optional<HostPort> parse_host_port(std::string_view text) {
  HostPort parts;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find("]:");
    if (close == std::string_view::npos) return std::nullopt;
    parts.host = text.substr(1, close - 1);
    port = text.substr(close + 2);
    if (parts.host.find(':') == std::string::npos) return std::nullopt;
  } else {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    parts.host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  const auto number = parse_port(port);
  if (!number || !is_word(parts.host, ".:-_")) return std::nullopt;
  parts.port = *number;
  return parts;
}

bool is_loopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  // Four numbers, the first of them 127. A host name such as 127.example.org is none.
  std::size_t numbers = 0;
  std::string_view rest = host;
  for (; numbers < 4; ++numbers) {
    const std::size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    const auto number = parse_port(part);
    if (!number || *number > 255 || (numbers == 0 && *number != 127)) return false;
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  return numbers == 3;
}

std::vector<std::string> broken_rules(const core::Config& config) {
  std::vector<std::string> broken;
  check_listen(config, broken);
  check_buffer(config, broken);
  check_archive(config, broken);
  check_metadata(config, broken);
  check_dynamodb(config, broken);
  check_feed(config, broken);
  check_context_settings(config, broken);
  check_message_settings(config, broken);
  if (!is_word(config.ingest_tenant, "._-") || config.ingest_tenant.starts_with('.')) {
    broken.push_back("ingest.tenant: " + toml_quote(config.ingest_tenant) +
                     " may have letters, digits, '.', '_' and '-', and must not begin with '.': "
                     "it becomes a folder of the archive.");
  }
  if (!is_word(config.buffer_prefix, "._-")) {
    broken.push_back("buffer.prefix: " + toml_quote(config.buffer_prefix) +
                     " may have letters, digits, '.', '_' and '-'.");
  }
  if (config.node_data_dir.empty()) broken.push_back("node.data_dir: it must not be empty.");
  if (config.ingest_memory_max < 2 * config.ingest_body_bytes_max) {
    broken.push_back("ingest.memory_max is " + core::format_size(config.ingest_memory_max) +
                     ": it must be at least twice ingest.body_bytes_max (" +
                     core::format_size(config.ingest_body_bytes_max) +
                     "), or the largest payload could never be admitted beside another.");
  }
  if (config.pipeline_retry_first > config.pipeline_retry_max) {
    broken.push_back("pipeline.retry_first (" + core::format_duration(config.pipeline_retry_first) +
                     ") must not exceed pipeline.retry_max (" +
                     core::format_duration(config.pipeline_retry_max) + ").");
  }
  if (!config.buffer_username.empty() && config.buffer_password.empty()) {
    broken.push_back(
        "buffer.username is set but buffer.password is not: set "
        "DAYBOOK_BUFFER_PASSWORD or buffer.password_file.");
  }
  std::ranges::move(broken_table_rules(config), std::back_inserter(broken));
  return broken;
}

}  // namespace daybook::api
