// PostgresSettings: where the database is and how it is used; the grammar of
// metadata.postgresql_url.
//
//   postgresql://[user@]host[:port][,host…][/database][?option=value&…]
//
// Options are libpq's (sslmode, sslrootcert, target_session_attrs, options, …). Secrets do not
// belong into it. What it leaves out comes from libpq's PG* variables and defaults, as for psql.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.hpp"
#include "core/units.hpp"

namespace daybook::storage {

struct PostgresAddress {
  struct Host {
    std::string host;  // a name, an address, or a folder with a Unix socket ("/run/postgresql")
    std::string port;  // empty: libpq's default
  };
  std::vector<Host> hosts;  // in the order in which they are tried; at least one
  std::vector<std::pair<std::string, std::string>> options;  // libpq's keywords, without hosts

  [[nodiscard]] std::string option(std::string_view keyword) const;  // "" where it is not given
  // "user@host:port/database", for people: no options.
  [[nodiscard]] std::string str() const;
  // No host is reached over a network.
  [[nodiscard]] bool is_local() const;
};

// The error names what is wrong, and never repeats a text that may hold a secret.
[[nodiscard]] core::Result<PostgresAddress> parse_postgres_url(std::string_view url);

struct PostgresSettings {
  PostgresAddress address;
  std::string password;                                         // empty: none, or libpq's own ways
  std::size_t connections = 4;                                  // at most so many at a time
  core::Duration statement_timeout = std::chrono::seconds(30);  // the server's, for each statement
};

}  // namespace daybook::storage
