#include "api/problem.hpp"

#include <boost/json.hpp>

#include "core/http/message.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::Origin;

// Seconds after which another try has a chance; 0 = none is announced.
std::uint32_t retry_after_s(int status) {
  switch (status) {
    case 409:
      return 1;
    case 408:
      return 1;
    case 429:
      return 2;
    case 503:
      return 2;
    case 507:
      return 60;
    default:
      return 0;
  }
}

}  // namespace

int http_status(const core::Error& error) {
  switch (error.code) {
    case Code::invalid_argument:
    case Code::digest_mismatch:
      return 400;
    case Code::unsupported:
      return 415;
    case Code::too_large:
      return 413;
    case Code::not_found:
      return error.origin == Origin::client ? 404 : 500;
    case Code::conflict:
      return 422;
    case Code::in_flight:
      return 409;
    case Code::timeout:
      return error.origin == Origin::client ? 408 : 503;
    case Code::closed:
      return error.origin == Origin::client ? 400 : 503;
    case Code::out_of_space:
      return error.origin == Origin::self ? 507 : 503;
    case Code::overloaded:  // by this client alone, or by all together
      return error.origin == Origin::client ? 429 : 503;
    case Code::unavailable:
    case Code::misconfigured:
    case Code::denied:
      return 503;
    case Code::damaged:
    case Code::internal:
      return 500;
  }
  return 500;
}

namespace {

io::HttpAnswer make_problem(int status, std::string_view code, std::string_view detail,
                            std::uint32_t retry_after, const ProblemMembers& members = {}) {
  boost::json::object body = {{"type", "urn:daybook:problem:" + std::string(code)},
                              {"title", core::http::reason_phrase(status)},
                              {"status", status},
                              {"code", code},
                              {"detail", detail}};
  for (const auto& [name, value] : members) body[name] = value;
  io::HttpAnswer answer = json_answer(status, boost::json::serialize(body) + "\n");
  answer.fields = {};
  answer.fields.add("Content-Type", "application/problem+json");
  if (retry_after != 0) answer.fields.add("Retry-After", std::to_string(retry_after));
  return answer;
}

}  // namespace

io::HttpAnswer problem(int status, std::string_view code, std::string_view detail) {
  return make_problem(status, code, detail, retry_after_s(status));
}

io::HttpAnswer problem(const core::Error& error, std::uint32_t retry_after) {
  return problem(error, retry_after, {});
}

io::HttpAnswer problem(const core::Error& error, std::uint32_t retry_after,
                       const ProblemMembers& members) {
  const int status = http_status(error);
  return make_problem(status, core::to_string(error.code), error.detail,
                      retry_after != 0 ? retry_after : retry_after_s(status), members);
}

io::HttpAnswer problem(const core::Error& error) {
  return problem(http_status(error), core::to_string(error.code), error.detail);
}

io::HttpAnswer json_answer(int status, std::string body) {
  io::HttpAnswer answer;
  answer.status = status;
  answer.fields.add("Content-Type", "application/json");
  answer.body = std::move(body);
  return answer;
}

}  // namespace daybook::api
