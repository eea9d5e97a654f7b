// A redis-server of our own, on a free loopback port and a Unix socket, its data in a scratch
// folder; it is stopped and its data removed when the object goes.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <sys/types.h>

#include <hiredis/hiredis.h>

#include "bench/roofline/scratch_folder.hpp"
#include "core/result.hpp"

namespace daybook::bench::roofline {

struct RedisFree {
  void operator()(redisContext* context) const { redisFree(context); }
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using RedisConnection = std::unique_ptr<redisContext, RedisFree>;
using RedisReply = std::unique_ptr<redisReply, RedisFree>;

// The program, where PATH has it.
[[nodiscard]] std::optional<std::filesystem::path> find_redis_server();

class PrivateRedis {
 public:
  enum class Persistence { memory, aof_always };
  enum class Transport { unix_socket, tcp };

  // Starts it and waits until it answers.
  [[nodiscard]] static core::Result<std::unique_ptr<PrivateRedis>> start(
      const std::filesystem::path& program, const std::filesystem::path& parent,
      Persistence persistence);
  ~PrivateRedis();
  PrivateRedis(const PrivateRedis&) = delete;
  PrivateRedis& operator=(const PrivateRedis&) = delete;

  [[nodiscard]] RedisConnection connect(Transport transport) const;  // null where it fails
  // User and system seconds since it started.
  [[nodiscard]] core::Result<double> cpu_seconds() const;

 private:
  explicit PrivateRedis(const std::filesystem::path& parent);
  [[nodiscard]] bool spawn(const std::filesystem::path& program, Persistence persistence);
  [[nodiscard]] bool wait_until_ready();

  ScratchFolder folder_;
  std::string socket_path_;
  bool socket_elsewhere_ = false;
  int port_ = 0;
  pid_t pid_ = 0;
};

}  // namespace daybook::bench::roofline
