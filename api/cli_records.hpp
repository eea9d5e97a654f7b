// `daybook get`, `daybook ls` and `daybook parked`: reading records back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/cli_client.hpp"

namespace daybook::api {

struct GetOptions {
  ServerAddress server;
  std::string id;
  bool payload = false;
  std::string output;  // file; empty = standard output. Implies payload.
  std::string range;   // "FIRST-LAST", "FIRST-", "-LENGTH" of the payload
  bool json = false;
};
// A whole payload is compared with the record's SHA-256 before a byte of it is written.
[[nodiscard]] int run_get(const GetOptions& options);

struct ListOptions {
  ServerAddress server;
  std::string since, until;  // RFC 3339, or an age such as 2h
  std::string source, type, subject, state;
  unsigned limit = 50;
  bool all = false;
  bool json = false;
};
[[nodiscard]] int run_ls(const ListOptions& options);

struct ParkedOptions {
  enum class Action { list, show, replay, drop } action = Action::list;
  ServerAddress server;
  std::vector<std::string> ids;  // one for show and drop
  std::string reason;            // drop
  bool yes = false;              // drop: do not ask
  bool all = false;              // replay
  bool json = false;
};
[[nodiscard]] int run_parked(const ParkedOptions& options);

// "2h" before now, or RFC 3339, as RFC 3339; nullopt where it is neither.
[[nodiscard]] std::optional<std::string> parse_when(std::string_view text, core::WallTime now);

}  // namespace daybook::api
