// Section "redis": SET and XADD of the bodies, each client with one command at a time, on a fresh
// private Redis for each measure.
#include <array>
#include <atomic>
#include <mutex>

#include <fmt/format.h>

#include "bench/percentiles.hpp"
#include "bench/roofline/clock.hpp"
#include "bench/roofline/private_redis.hpp"
#include "bench/roofline/settings.hpp"
#include "bench/roofline/stored_bodies.hpp"

namespace daybook::bench::roofline {
namespace {

using Persistence = PrivateRedis::Persistence;
using Transport = PrivateRedis::Transport;

enum class Operation { set, xadd };

// Values that Redis keeps at a time: enough not to write over what is still in its caches, few
// enough for its memory.
constexpr std::uint64_t kKept = 64;

struct Case {
  Operation operation;
  Persistence persistence;
  Transport transport;
  std::size_t clients;
};

RedisReply command(redisContext* connection, Operation operation, std::uint64_t number,
                   core::Bytes value) {
  const std::string key = fmt::format("roofline:{}", number % kKept);
  const std::string kept = std::to_string(kKept);
  std::vector<std::string_view> words;
  if (operation == Operation::set) {
    words = {"SET", key, core::as_text(value)};
  } else {
    words = {"XADD", "roofline", "MAXLEN", kept, "*", "payload", core::as_text(value)};
  }
  std::vector<const char*> texts;
  std::vector<std::size_t> lengths;
  for (const std::string_view word : words) {
    texts.push_back(word.data());
    lengths.push_back(word.size());
  }
  return RedisReply(static_cast<redisReply*>(
      redisCommandArgv(connection, static_cast<int>(words.size()), texts.data(), lengths.data())));
}

core::Failure failed(std::string detail) {
  return core::fail(core::Code::unavailable, core::Origin::buffer, core::Retry::never,
                    std::move(detail));
}

core::Result<Row> measure_case(const Settings& settings, const PrivateRedis& redis,
                               const StoredBodies& bodies, const Case& which) {
  std::vector<RedisConnection> connections;
  for (std::size_t client = 0; client < which.clients; ++client) {
    connections.push_back(redis.connect(which.transport));
    if (!connections.back()) return failed("redis-server does not take a connection");
  }
  const auto cpu_before = redis.cpu_seconds();
  if (!cpu_before) return core::pass(cpu_before);
  std::mutex mutex;  // of took and error
  Percentiles took;
  std::string error;
  std::atomic<std::uint64_t> next{0}, payload_bytes{0}, warm_bytes{0};
  const Rate rate = measure(
      which.clients, settings.seconds,
      [&](std::size_t client, std::uint64_t turn) -> std::uint64_t {
        const std::uint64_t number = next++;
        const core::Bytes body = bodies.at(number);
        const auto begin = Clock::now();
        const RedisReply reply = command(connections[client].get(), which.operation, number, body);
        const auto end = Clock::now();
        const std::lock_guard lock(mutex);
        if (!reply || reply->type == REDIS_REPLY_ERROR) {
          error = reply ? std::string(reply->str, reply->len) : connections[client]->errstr;
        }
        if (turn == 0) {
          warm_bytes += body.size();
        } else {
          took.record(end - begin);
          payload_bytes += bodies.payload_bytes(number);
        }
        return body.size();
      });
  if (!error.empty()) return failed(error);
  const auto cpu_after = redis.cpu_seconds();
  if (!cpu_after) return core::pass(cpu_after);
  return Row{{"command", which.operation == Operation::set ? "SET" : "XADD"},
             {"body", bodies.name()},
             {"persistence", which.persistence == Persistence::memory ? "memory" : "AOF always"},
             {"transport", which.transport == Transport::tcp ? "TCP" : "Unix socket"},
             {"clients", which.clients},
             {"mb_per_s", rounded(rate.mb_per_s())},
             {"payload_mb_per_s", rounded(megabytes(payload_bytes) / rate.seconds)},
             {"p50_ms", rounded(took.milliseconds_at(0.50))},
             {"p99_ms", rounded(took.milliseconds_at(0.99))},
             {"client_cpu_s_per_gb", rounded(rate.cpu_per_gb())},
             {"server_cpu_s_per_gb",
              rounded(per_gigabyte(*cpu_after - *cpu_before, rate.bytes + warm_bytes))}};
}

}  // namespace

core::Result<void> measure_redis(const Settings& settings, const PayloadSource& payloads,
                                 Report& report) {
  report.begin_section("redis", "bare commands on a private Redis, data below --dir");
  const auto program = find_redis_server();
  if (!program) {
    report.skip("there is no redis-server in PATH; apt-get install redis-server");
    return {};
  }
  const std::array<StoredBodies, 2> forms{StoredBodies(payloads, Form::raw),
                                          StoredBodies(payloads, Form::sealed)};
  for (const Operation operation : {Operation::set, Operation::xadd}) {
    for (const StoredBodies& bodies : forms) {
      for (const Persistence persistence : {Persistence::memory, Persistence::aof_always}) {
        for (const Transport transport : {Transport::unix_socket, Transport::tcp}) {
          for (const std::size_t clients : {1, 8}) {
            const auto redis = PrivateRedis::start(*program, settings.dir, persistence);
            if (!redis) return core::pass(redis);
            auto row = measure_case(settings, **redis, bodies,
                                    {operation, persistence, transport, clients});
            if (!row) return core::pass(row);
            report.add(std::move(*row));
          }
        }
      }
    }
  }
  return {};
}

}  // namespace daybook::bench::roofline
