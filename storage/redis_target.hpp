// RedisTarget: which Redis is meant, and who we are to it; buffer.url and its companions, parsed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config.hpp"
#include "core/result.hpp"
#include "io/resp_connection.hpp"

namespace daybook::storage {

struct RedisTarget {
  enum class Kind {
    single,    // one server, at a fixed address
    sentinel,  // a master that sentinels name; its replicas take its place
    cluster,   // several masters, each with a part of the slots
  };
  Kind kind = Kind::single;
  // The server; the sentinels; or some nodes of the cluster.
  std::vector<io::Endpoint> addresses;
  std::string master_name;  // what the sentinels call it
  // Of every server: user, database, TLS without the server's name. The endpoint is not used.
  io::RespSettings login;
  std::string tls_server_name;  // empty: the host that was connected to
  std::string sentinel_username;
  std::string sentinel_password;

  // How to reach a server, or a sentinel.
  [[nodiscard]] io::RespSettings server(io::Endpoint endpoint) const;
  [[nodiscard]] io::RespSettings sentinel(io::Endpoint endpoint) const;
};

// redis://HOST[:PORT][/DATABASE], unix:/PATH,
// redis+sentinel://HOST[:PORT],…/MASTER-NAME[/DATABASE], redis+cluster://HOST[:PORT],…;
// rediss for redis: with TLS. The error never repeats the text where it may hold a password.
[[nodiscard]] core::Result<RedisTarget> parse_redis_url(std::string_view url);
// With the settings of the section [buffer].
[[nodiscard]] core::Result<RedisTarget> redis_target(const core::Config& config);

}  // namespace daybook::storage
