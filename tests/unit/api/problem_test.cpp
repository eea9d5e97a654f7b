// Every kind of error has its status, and every problem says the same things in the same form.
#include "api/problem.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace daybook::api {
namespace {

using core::Code;
using core::Origin;

core::Error error(Code code, Origin origin = Origin::client) {
  return {code, origin, core::Retry::never, "what to do"};
}

TEST(Problem, every_error_has_its_status) {
  struct Case {
    Code code;
    Origin origin;
    int status;
  };
  for (const Case& each : {
           Case{Code::invalid_argument, Origin::client, 400},
           Case{Code::digest_mismatch, Origin::client, 400},
           Case{Code::unsupported, Origin::client, 415},
           Case{Code::too_large, Origin::client, 413},
           Case{Code::not_found, Origin::client, 404},
           Case{Code::not_found, Origin::object_store, 500},  // we promised that it is there
           Case{Code::not_found, Origin::buffer, 500},
           Case{Code::conflict, Origin::client, 422},
           Case{Code::in_flight, Origin::client, 409},
           Case{Code::timeout, Origin::client, 408},
           Case{Code::timeout, Origin::buffer, 503},
           Case{Code::timeout, Origin::metadata, 503},
           Case{Code::closed, Origin::client, 400},
           Case{Code::closed, Origin::buffer, 503},
           Case{Code::out_of_space, Origin::self, 507},
           Case{Code::out_of_space, Origin::buffer, 503},
           Case{Code::overloaded, Origin::self, 503},
           Case{Code::unavailable, Origin::buffer, 503},
           Case{Code::misconfigured, Origin::buffer, 503},
           Case{Code::denied, Origin::object_store, 503},
           Case{Code::damaged, Origin::buffer, 500},
           Case{Code::internal, Origin::self, 500},
       }) {
    EXPECT_EQ(http_status(error(each.code, each.origin)), each.status)
        << core::to_string(each.code) << " of " << core::to_string(each.origin);
  }
}

TEST(Problem, is_problem_json_with_the_status_the_code_and_the_detail) {
  const io::HttpAnswer answer = problem(error(Code::conflict));
  EXPECT_EQ(answer.status, 422);
  EXPECT_EQ(answer.fields.find("Content-Type"), "application/problem+json");
  EXPECT_EQ(answer.fields.count("Content-Type"), 1u);
  const auto body = boost::json::parse(answer.body).as_object();
  EXPECT_EQ(body.at("status").as_int64(), 422);
  EXPECT_EQ(body.at("code").as_string(), "conflict");
  EXPECT_EQ(body.at("detail").as_string(), "what to do");
  EXPECT_EQ(body.at("type").as_string(), "urn:daybook:problem:conflict");
  EXPECT_FALSE(body.at("title").as_string().empty());
}

TEST(Problem, details_are_escaped) {
  const io::HttpAnswer answer = problem(400, "invalid_argument", "a \"quote\"\nand \\ more");
  const auto body = boost::json::parse(answer.body).as_object();
  EXPECT_EQ(body.at("detail").as_string(), "a \"quote\"\nand \\ more");
}

TEST(Problem, says_when_to_come_again_only_where_that_helps) {
  for (int status : {408, 409, 429, 503, 507}) {
    const io::HttpAnswer answer = problem(status, "x", "y");
    ASSERT_TRUE(answer.fields.find("Retry-After")) << status;
    EXPECT_GT(std::stoi(std::string(*answer.fields.find("Retry-After"))), 0);
  }
  for (int status : {400, 404, 405, 413, 415, 422, 431, 500}) {
    EXPECT_FALSE(problem(status, "x", "y").fields.find("Retry-After")) << status;
  }
}

}  // namespace
}  // namespace daybook::api
