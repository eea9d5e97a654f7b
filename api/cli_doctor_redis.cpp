// The doctor's questions to Redis: can it be reached, and can it keep the promise that
// buffer.durability makes? Every master is asked, and the replicas that may take its place.
#include <cstdlib>
#include <map>

#include "api/cli_doctor.hpp"
#include "api/cli_output.hpp"
#include "core/text.hpp"
#include "io/runtime.hpp"
#include "storage/redis_checks.hpp"
#include "storage/redis_facts.hpp"

namespace daybook::api {
namespace {

using core::Result;
using core::Task;
using storage::RedisTarget;
using Settings = std::map<std::string, std::string>;

struct Master {
  io::Endpoint endpoint;
  Result<storage::RedisFacts> facts;
  Result<void> access;
  std::vector<storage::ReplicaFacts> replicas;
};
struct Answers {
  Result<void> found;  // the masters
  std::vector<Master> masters;
};

// A key of the buffer that the master serves; "" where it serves none.
std::string key_at(const storage::RedisRouter& router, const io::Endpoint& master,
                   const core::Config& config) {
  for (std::uint64_t p = 0; p < config.buffer_partitions; ++p) {
    std::string key = "{" + config.buffer_prefix + ":" + std::to_string(p) + "}:probe";
    const auto owner = router.master_of(key);
    if (owner && owner->str() == master.str()) return key;
  }
  return {};
}

Task<Answers> ask_redis(io::IoRuntime& runtime, RedisTarget target, const core::Config& config) {
  constexpr auto kTimeout = std::chrono::seconds(3);
  storage::RedisRouter router(runtime, std::move(target), {});
  Answers answers;
  answers.found = co_await router.look(runtime.steady_now() + 2 * kTimeout);
  if (!answers.found) co_return answers;
  for (const io::Endpoint& endpoint : router.masters()) {
    Master master;
    master.endpoint = endpoint;
    master.facts = co_await read_redis_facts(router, endpoint, runtime.steady_now() + kTimeout);
    if (master.facts) {
      if (const std::string key = key_at(router, endpoint, config); !key.empty()) {
        const bool with_wait = storage::replicas_of(config.buffer_durability).has_value();
        master.access = co_await probe_access(router, endpoint, key, with_wait,
                                              runtime.steady_now() + kTimeout);
      }
      master.replicas = co_await read_replicas(
          router, storage::replicas_of_info(master.facts->info), runtime.steady_now() + kTimeout);
    }
    answers.masters.push_back(std::move(master));
  }
  co_return answers;
}

std::string redis_cli_for(const io::Endpoint& endpoint, bool tls) {
  if (!endpoint.unix_path.empty()) return "redis-cli -s " + endpoint.unix_path;
  return "redis-cli -h " + endpoint.host + " -p " + std::to_string(endpoint.port) +
         (tls ? " --tls" : "");
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

std::string with_address(const std::string& address, const std::string& detail) {
  return detail.find(address) == std::string::npos ? address + ": " + detail : detail;
}

// What to do about a server that gave no answer; most errors say it themselves.
std::string mend_of(const core::Error& error, const std::string& redis_cli) {
  if (error.code == core::Code::unavailable || error.code == core::Code::timeout) {
    return "Start Redis or correct buffer.url. To see it: " + redis_cli + " PING";
  }
  if (error.code == core::Code::denied) {
    return "Check buffer.username and DAYBOOK_BUFFER_PASSWORD (or its file), and the user's "
           "permissions: redis-cli ACL GETUSER NAME";
  }
  return "Correct the settings of the section [buffer]";
}

}  // namespace

void Doctor::examine_redis() {
  const auto target = storage::redis_target(config_);
  if (!target) return note(Verdict::fail, "redis", target.error().detail, "Correct buffer.url");
  const bool tls = target->login.tls.has_value();
  if (tls && !target->login.tls->verify_peer) {
    note(Verdict::warn, "redis tls",
         "certificates are not verified: anybody between this machine and Redis can read and "
         "change records",
         "buffer.tls_verify = true, with buffer.tls_ca_file");
  }
  const Answers answers = io::run_to_completion<Answers>(
      [&](io::IoRuntime& runtime) { return ask_redis(runtime, *target, config_); });
  const std::string first = redis_cli_for(target->addresses.front(), tls);
  if (!answers.found) {
    return note(Verdict::fail, "redis", answers.found.error().detail,
                mend_of(answers.found.error(), first));
  }
  if (target->kind == RedisTarget::Kind::cluster) {
    note(Verdict::ok, "redis cluster",
         std::to_string(answers.masters.size()) + " masters serve the slots");
  } else if (target->kind == RedisTarget::Kind::sentinel) {
    note(
        Verdict::ok, "redis sentinel",
        "the master of '" + target->master_name + "' is " + answers.masters.front().endpoint.str());
  }
  const bool several = target->kind != RedisTarget::Kind::single;
  for (const Master& master : answers.masters) {
    const std::string address = master.endpoint.str();
    const std::string redis_cli = redis_cli_for(master.endpoint, tls);
    if (!master.facts) {
      note(Verdict::fail, "redis", with_address(address, master.facts.error().detail),
           mend_of(master.facts.error(), redis_cli));
      continue;
    }
    note(Verdict::ok, "redis",
         "version " + value_of(master.facts->info, "redis_version") + " answers at " + address +
             (tls ? " over TLS" : ""));
    if (!master.access) {
      note(Verdict::fail, "redis permissions", with_address(address, master.access.error().detail),
           mend_of(master.access.error(), redis_cli));
    }
    examine_redis_settings(*master.facts, several ? "redis " + address : "redis", redis_cli);
    for (const auto& advice :
         storage::advise_replicas(master.replicas, config_.buffer_durability)) {
      note(Verdict::warn, advice.subject, advice.detail, advice.mend);
    }
    const auto replicas = storage::check_replicas(master.replicas, config_.buffer_durability,
                                                  storage::has_waitaof(master.facts->info));
    if (!replicas) {
      note(Verdict::fail, "redis replicas", replicas.error().detail,
           "Daybook answers 503 until then");
    }
  }
}

void Doctor::examine_redis_settings(const storage::RedisFacts& facts, const std::string& name,
                                    const std::string& redis_cli) {
  const bool promises_fsync = storage::promises_fsync(config_.buffer_durability);
  for (const Wanted& wanted : kWanted) {
    const std::string is = value_of(facts.config, wanted.name);
    const std::string subject = name + " " + wanted.name;
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
       name + " auto-aof-rewrite-min-size",
       core::format_size(rewrite_min) + (rewrite_min >= core::GiB
                                             ? ""
                                             : ": the AOF is rewritten all the time, which costs a "
                                               "fifth of the throughput"),
       redis_cli +
           " CONFIG SET auto-aof-rewrite-min-size 8gb (and in redis.conf; its disk must "
           "have that much free)");
  const std::uint64_t memory_max = number_of_text(value_of(facts.info, "maxmemory"));
  note(memory_max > 0 ? Verdict::ok : Verdict::warn, name + " maxmemory",
       memory_max > 0 ? human_bytes(number_of_text(value_of(facts.info, "used_memory"))) + " of " +
                            human_bytes(memory_max) + " used"
                      : "is not set: a long outage of the archive would fill the machine's memory, "
                        "and the kernel would kill Redis instead of Daybook answering 503",
       redis_cli + " CONFIG SET maxmemory 4gb (and in redis.conf)");
  const std::uint64_t record_max = config_.ingest_body_bytes_max + core::MiB;
  const bool several = name != "redis";
  for (const auto& advice :
       storage::advise_redis(facts, config_.buffer_durability, record_max, several)) {
    // Its words are for one server that needs no address: here is which one it is.
    note(Verdict::warn, name + advice.subject.substr(advice.subject.find(' ')), advice.detail,
         redis_cli + advice.mend.substr(advice.mend.find(' ')));
  }
  // The server's own judgement, so that doctor and /readyz cannot disagree.
  if (const auto verdict =
          storage::check_redis(facts, config_.buffer_durability, record_max, several);
      !verdict) {
    note(Verdict::fail, name + " verdict", verdict.error().detail,
         "Daybook answers 503 until then");
  } else {
    note(Verdict::ok, name + " verdict",
         "keeps the promise durability = " + config_.buffer_durability);
  }
}

}  // namespace daybook::api
