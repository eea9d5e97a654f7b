// The command line's side of the HTTP API: one blocking request to a Daybook, its problem details
// as Errors, and small readers of JSON members. Call from the main thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "core/result.hpp"
#include "io/http_client.hpp"

namespace daybook::api {

struct ServerAddress {
  std::string url = "http://127.0.0.1:7080";
  core::Duration timeout = std::chrono::seconds(30);  // for one request
};

// Where to connect for a URL; it must have no path of its own.
[[nodiscard]] core::Result<io::HttpClient::Settings> client_settings(const std::string& url);
// The same for one that may have a path.
[[nodiscard]] io::HttpClient::Settings client_settings(const io::Url& url);

// One request, one answer, whatever its status.
[[nodiscard]] core::Result<io::HttpResponse> send_request(const ServerAddress& server,
                                                          io::HttpRequest request);
// GET (or POST without a body) whose answer must be 2xx JSON. Another status is an Error whose
// detail is the server's (404 not_found, 400 invalid_argument, others unavailable).
[[nodiscard]] core::Result<boost::json::value> get_json(const ServerAddress& server,
                                                        std::string target);
[[nodiscard]] core::Result<boost::json::value> post_json(const ServerAddress& server,
                                                         std::string target);

[[nodiscard]] core::Result<boost::json::value> parse_json(core::Bytes body);
// "413 Content Too Large: the record is larger than 8MiB." from problem+json or a bare answer.
[[nodiscard]] std::string describe_refusal(const io::HttpResponse& response);
[[nodiscard]] core::Error refusal_error(const io::HttpResponse& response);

// Members of a JSON object, empty where absent or of another type.
[[nodiscard]] const boost::json::value* member(const boost::json::value& object,
                                               std::string_view name);
[[nodiscard]] std::string text_of(const boost::json::value& object, std::string_view name);
[[nodiscard]] std::optional<double> number_of(const boost::json::value& object,
                                              std::string_view name);
[[nodiscard]] std::uint64_t count_of(const boost::json::value& object, std::string_view name);
[[nodiscard]] bool flag_of(const boost::json::value& object, std::string_view name);

// Builds "?a=b&c=d" from what is not empty.
class QueryBuilder {
 public:
  QueryBuilder& add(std::string_view name, std::string_view value);
  [[nodiscard]] const std::string& str() const { return text_; }

 private:
  std::string text_;
};

}  // namespace daybook::api
