// The doctor's questions to Redis: can it be reached, and can it keep the promise that
// buffer.durability makes? Blocking, over hiredis' own connection.
#include <cstdlib>
#include <map>
#include <memory>

#include <hiredis/hiredis.h>

#include "api/cli_doctor.hpp"
#include "api/cli_output.hpp"
#include "core/text.hpp"
#include "storage/redis_checks.hpp"

namespace daybook::api {
namespace {

using Settings = std::map<std::string, std::string>;
struct FreeContext {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Connection = std::unique_ptr<redisContext, FreeContext>;
using Reply = std::unique_ptr<redisReply, FreeReply>;

struct Address {
  std::string host;
  int port = 6379;
  std::string unix_path;
  std::string database;
};

// buffer.url has passed the configuration's rules, so that its form is known.
Address parse_address(std::string_view url) {
  Address address;
  if (url.starts_with("unix:")) {
    address.unix_path = url.substr(std::string_view("unix:").size());
    return address;
  }
  std::string_view rest = url.substr(std::string_view("redis://").size());
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos) address.database = rest.substr(slash + 1);
  const std::string_view authority = rest.substr(0, slash);
  if (const auto parts = parse_host_port(authority)) {
    address.host = parts->host;
    address.port = parts->port;
  } else {
    address.host = authority;
  }
  return address;
}

Connection open(const Address& address) {
  constexpr timeval kTimeout = {.tv_sec = 3, .tv_usec = 0};
  Connection connection(address.unix_path.empty()
                            ? redisConnectWithTimeout(address.host.c_str(), address.port, kTimeout)
                            : redisConnectUnixWithTimeout(address.unix_path.c_str(), kTimeout));
  if (connection && connection->err == 0) redisSetTimeout(connection.get(), kTimeout);
  return connection;
}

Reply ask(const Connection& connection, const std::vector<std::string>& words) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const std::string& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  return Reply(static_cast<redisReply*>(redisCommandArgv(
      connection.get(), static_cast<int>(words.size()), texts.data(), sizes.data())));
}

// What went wrong, or "".
std::string complaint(const Connection& connection, const Reply& reply) {
  if (!reply) return connection->errstr;
  return reply->type == REDIS_REPLY_ERROR ? std::string(reply->str, reply->len) : std::string();
}

Settings pairs_of(const Reply& reply) {
  Settings settings;
  if (!reply || reply->type != REDIS_REPLY_ARRAY) return settings;
  for (std::size_t i = 0; i + 1 < reply->elements; i += 2) {
    const redisReply* name = reply->element[i];
    const redisReply* value = reply->element[i + 1];
    if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING) continue;
    settings[std::string(name->str, name->len)] = std::string(value->str, value->len);
  }
  return settings;
}

struct Wanted {
  const char* name;
  const char* value;
  const char* because;
  bool for_fsync_only;
};
constexpr Wanted kWanted[] = {
    {"appendonly", "yes", "acknowledged records are lost when Redis ends", true},
    {"appendfsync", "always", "a power cut loses acknowledged records", true},
    {"no-appendfsync-on-rewrite", "no", "nothing is synced while the AOF is rewritten", true},
    {"maxmemory-policy", "noeviction", "Redis drops acknowledged records when memory is short",
     false},
};

std::string value_of(const Settings& settings, const std::string& name) {
  const auto found = settings.find(name);
  return found == settings.end() ? std::string() : found->second;
}

std::uint64_t number_of_text(const std::string& text) {
  return std::strtoull(text.c_str(), nullptr, 10);
}

}  // namespace

void Doctor::examine_redis() {
  const Address address = parse_address(config_.buffer_url);
  const std::string redis_cli =
      address.unix_path.empty()
          ? "redis-cli -h " + address.host + " -p " + std::to_string(address.port)
          : "redis-cli -s " + address.unix_path;
  const Connection connection = open(address);
  if (!connection || connection->err != 0) {
    return note(Verdict::fail, "redis",
                config_.buffer_url +
                    " cannot be reached: " + (connection ? connection->errstr : "out of memory"),
                "Start Redis or correct buffer.url. To see it: " + redis_cli + " PING");
  }
  std::string wrong;
  if (!config_.buffer_password.empty()) {
    std::vector<std::string> words = {"AUTH"};
    if (!config_.buffer_username.empty()) words.push_back(config_.buffer_username);
    words.push_back(config_.buffer_password);
    wrong = complaint(connection, ask(connection, words));
  }
  if (wrong.empty() && !address.database.empty()) {
    wrong = complaint(connection, ask(connection, {"SELECT", address.database}));
  }
  if (wrong.empty()) wrong = complaint(connection, ask(connection, {"PING"}));
  if (!wrong.empty()) {
    return note(Verdict::fail, "redis", config_.buffer_url + " answers: " + wrong,
                "Check buffer.username and DAYBOOK_BUFFER_PASSWORD (or its file)");
  }
  const Reply config_reply = ask(connection, {"CONFIG", "GET", "*"});
  const Reply info_reply = ask(connection, {"INFO"});
  wrong = complaint(connection, config_reply) + complaint(connection, info_reply);
  if (!wrong.empty() || !info_reply || info_reply->str == nullptr) {
    return note(Verdict::fail, "redis", "its settings cannot be read: " + wrong,
                "Daybook must see them to keep its promise. Allow this user: ACL SETUSER NAME "
                "+config|get +info");
  }
  storage::RedisFacts facts;
  facts.config = pairs_of(config_reply);
  facts.info = storage::parse_info(std::string(info_reply->str, info_reply->len));
  note(Verdict::ok, "redis",
       "version " + value_of(facts.info, "redis_version") + " answers at " + config_.buffer_url);

  const bool promises_fsync = storage::promises_fsync(config_.buffer_durability);
  for (const Wanted& wanted : kWanted) {
    const std::string is = value_of(facts.config, wanted.name);
    const std::string subject = "redis " + std::string(wanted.name);
    if (is == wanted.value) {
      note(Verdict::ok, subject, is);
    } else if (wanted.for_fsync_only && !promises_fsync) {
      note(Verdict::ok, subject, is + ", which buffer.durability = memory allows");
    } else {
      note(Verdict::fail, subject, "is " + is + ": " + wanted.because,
           redis_cli + " CONFIG SET " + wanted.name + " " + wanted.value +
               " (and in redis.conf, or CONFIG REWRITE)");
    }
  }
  const std::uint64_t rewrite_min =
      number_of_text(value_of(facts.config, "auto-aof-rewrite-min-size"));
  note(rewrite_min >= core::GiB || !promises_fsync ? Verdict::ok : Verdict::warn,
       "redis auto-aof-rewrite-min-size",
       core::format_size(rewrite_min) + (rewrite_min >= core::GiB
                                             ? ""
                                             : ": the AOF is rewritten all the time, which costs a "
                                               "fifth of the throughput"),
       redis_cli +
           " CONFIG SET auto-aof-rewrite-min-size 8gb (and in redis.conf; its disk must "
           "have that much free)");
  const std::uint64_t memory_max = number_of_text(value_of(facts.config, "maxmemory"));
  note(memory_max > 0 ? Verdict::ok : Verdict::warn, "redis maxmemory",
       memory_max > 0 ? human_bytes(number_of_text(value_of(facts.info, "used_memory"))) + " of " +
                            human_bytes(memory_max) + " used"
                      : "is not set: a long outage of the archive would fill the machine's memory, "
                        "and the kernel would kill Redis instead of Daybook answering 503",
       redis_cli + " CONFIG SET maxmemory 4gb (and in redis.conf)");
  // The server's own judgement, so that doctor and /readyz cannot disagree.
  if (const auto verdict = storage::check_redis(facts, config_.buffer_durability,
                                                config_.ingest_body_bytes_max + core::MiB);
      !verdict) {
    note(Verdict::fail, "redis verdict", verdict.error().detail, "Daybook answers 503 until then");
  } else {
    note(Verdict::ok, "redis verdict",
         "keeps the promise durability = " + config_.buffer_durability);
  }
}

}  // namespace daybook::api
