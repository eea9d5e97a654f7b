#include "storage/postgres_settings.hpp"

#include <algorithm>
#include <memory>

#include <libpq-fe.h>

namespace daybook::storage {
namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

core::Failure refuse(const std::string& why) {
  return core::fail(core::Code::invalid_argument, core::Origin::self, core::Retry::never,
                    "metadata.postgresql_url: " + why);
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  for (std::size_t comma = 0; comma != std::string::npos; start = comma + 1) {
    comma = list.find(',', start);
    parts.push_back(list.substr(start, comma == std::string::npos ? comma : comma - start));
  }
  return parts;
}

bool is_loopback(const std::string& host) {
  return host.empty() || host.starts_with('/') || host == "localhost" || host == "::1" ||
         (host.starts_with("127.") &&
          std::ranges::all_of(host, [](char c) { return c == '.' || (c >= '0' && c <= '9'); }));
}

}  // namespace

core::Result<PostgresAddress> parse_postgres_url(std::string_view url) {
  if (!url.starts_with("postgresql://") && !url.starts_with("postgres://")) {
    return refuse(
        "it is postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=/PATH.");
  }
  char* why = nullptr;
  const std::unique_ptr<PQconninfoOption, FreeOptions> parsed(
      PQconninfoParse(std::string(url).c_str(), &why));
  PQfreemem(why);  // may quote a part of the URL
  if (!parsed) {
    return refuse(
        "it is not understood. Example: postgresql://daybook@db.example.com:5432/daybook"
        "?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca.pem.");
  }
  PostgresAddress address;
  std::vector<std::string> hosts{""};
  std::vector<std::string> ports{""};
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string keyword = option->keyword;
    if (keyword == "password" || keyword == "sslpassword") {
      return refuse(
          "a password does not belong into the URL. Set DAYBOOK_METADATA_POSTGRESQL_PASSWORD or "
          "metadata.postgresql_password_file.");
    }
    if (keyword == "hostaddr" || keyword == "service" || keyword == "replication") {
      return refuse("the option " + keyword + " is not taken; name the host.");
    }
    if (keyword == "host") {
      hosts = split(option->val);
    } else if (keyword == "port") {
      ports = split(option->val);
    } else {
      address.options.emplace_back(keyword, option->val);
    }
  }
  if (ports.size() != 1 && ports.size() != hosts.size()) {
    return refuse("it has " + std::to_string(hosts.size()) + " hosts and " +
                  std::to_string(ports.size()) + " ports.");
  }
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (hosts[i].empty()) return refuse("the host is missing.");
    address.hosts.push_back({hosts[i], ports.size() == 1 ? ports[0] : ports[i]});
  }
  return address;
}

std::string PostgresAddress::option(std::string_view keyword) const {
  const auto found = std::ranges::find(
      options, keyword, [](const auto& pair) { return std::string_view(pair.first); });
  return found == options.end() ? "" : found->second;
}

std::string PostgresAddress::str() const {
  std::string text = option("user");
  if (!text.empty()) text += "@";
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    const bool ipv6 = hosts[i].host.find(':') != std::string::npos;
    text += (i == 0 ? "" : ",") + (ipv6 ? "[" + hosts[i].host + "]" : hosts[i].host);
    if (!hosts[i].port.empty()) text += ":" + hosts[i].port;
  }
  if (!option("dbname").empty()) text += "/" + option("dbname");
  return text;
}

bool PostgresAddress::is_local() const {
  return std::ranges::all_of(hosts, is_loopback, &Host::host);
}

}  // namespace daybook::storage
