// HTTP/1.1 messages as values (RFC 9110, RFC 9112), shared by server and client. No I/O here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace daybook::core::http {

// Field lines in the order received; names compare without case.
class Fields {
 public:
  void add(std::string name, std::string value) {
    lines_.emplace_back(std::move(name), std::move(value));
  }
  // The first line of that name; nullopt where there is none.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& lines() const {
    return lines_;
  }

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

// How the body's end is found (RFC 9112 section 6.3).
enum class Framing { none, length, chunked, until_close };

struct RequestHead {
  std::string method;
  std::string target;  // as received
  std::string path;    // decoded, of an origin-form or absolute-form target; "*" of OPTIONS *;
                       // empty of CONNECT
  std::string query;   // raw, without '?'
  int minor_version = 1;
  Fields fields;
  Framing framing = Framing::none;
  std::uint64_t content_length = 0;  // with Framing::length
  bool keep_alive = true;
  bool expects_continue = false;  // never in HTTP/1.0 (RFC 9110 section 10.1.1)
};

struct ResponseHead {
  int status = 0;
  std::string reason;
  int minor_version = 1;
  Fields fields;
  Framing framing = Framing::none;
  std::uint64_t content_length = 0;  // with Framing::length; after HEAD, what a GET would have had
  bool keep_alive = true;            // false with Framing::until_close
};

[[nodiscard]] std::string_view reason_phrase(int status);

// The first value of a query parameter, percent- and plus-decoded; nullopt where absent or
// malformed.
[[nodiscard]] std::optional<std::string> query_parameter(std::string_view query,
                                                         std::string_view name);

// Every value of a parameter that may be repeated; malformed ones are left out.
[[nodiscard]] std::vector<std::string> query_parameters(std::string_view query,
                                                        std::string_view name);

}  // namespace daybook::core::http
