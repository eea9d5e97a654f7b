// Published cases for HTTP/1.1 parsers (llhttp's and nginx's): what they refuse we refuse, what
// they accept we accept with the same bodies, however the bytes are cut. Each exception is a row
// here.
#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "conversation.hpp"
#include "suite_files.hpp"

namespace daybook::core::http::testing {
namespace {

// Accepted there and refused here, on purpose.
const std::map<std::string, std::string_view> kStricter = {
    {"llhttp-080", "the asterisk-form is for OPTIONS only (RFC 9112 section 3.2.4)"},
    {"llhttp-087", "ICE is not HTTP"},
    {"llhttp-088", "RTSP is not HTTP"},
    {"llhttp-089", "RTSP is not HTTP"},
    {"llhttp-115", "HTTP/0.9 has no version and no fields"},
    {"llhttp-143", "no transfer coding but chunked is implemented: 501"},
    {"llhttp-144", "no transfer coding but chunked is implemented: 501"},
    {"llhttp-162", "a request target has no fragment (RFC 9112 section 3.2)"},
    {"llhttp-164", "user information in an authority is refused (RFC 9110 section 4.2.4)"},
};
const std::map<std::string, std::string_view> kStricterResponses = {
    {"Pipelining / Should parse multiple events", "an empty line before a status line is a desync"},
    {"HTTP 304 with Content-Length", "an empty line before a status line is a desync"},
    {"HTTP 100 first, then 400", "an empty line before a status line is a desync"},
    {"Response starting with CRLF", "an empty line before a status line is a desync"},
    {"RTSP response", "RTSP is not HTTP"},
    {"ICE response", "ICE is not HTTP"},
    {"HTTP version 0.9", "only HTTP/1.0 and HTTP/1.1 are spoken"},
    {"chunked before other transfer-encoding", "only a single chunked is understood"},
    {"multiple transfer-encoding where chunked is not the last",
     "only a single chunked is understood"},
    {"chunkedchunked transfer-encoding does not enable", "only a single chunked is understood"},
};
// Refused there for a method that is unknown there. Here any token is a method; the router answers
// 405.
const std::set<std::string> kRoutersDecision = {"llhttp-045", "llhttp-055"};
// The body of a CONNECT is framed like any other here; there it is the tunnel's.
const std::set<std::string> kConnectBody = {"llhttp-079"};

// Cases are written for a parser that does not look for Host; ours must not refuse them only for
// that.
std::string with_host(std::string input) {
  constexpr std::string_view kEnd = " HTTP/1.1\r\n";
  if (to_lower(input).contains("\nhost:")) return input;
  std::string host = "test";  // or what an absolute-form target says
  if (const std::size_t scheme = input.find("://"); scheme < input.find('\r')) {
    const std::size_t begin = scheme + 3;
    host = input.substr(begin, input.find_first_of("/? ", begin) - begin);
  }
  for (std::size_t at = input.find(kEnd); at != std::string::npos; at = input.find(kEnd, at)) {
    at += kEnd.size();
    input.insert(at, "Host: " + host + "\r\n");
  }
  return input;
}

template <class Head>
Conversation<Head> talk_in_every_way(std::string_view input) {
  const auto whole = talk<Head>(input, input.size());
  EXPECT_TRUE(talk<Head>(input, 1) == whole) << "byte by byte it is read in another way";
  for (unsigned seed = 1; seed <= 5; ++seed) {
    EXPECT_TRUE(talk_in_random_pieces<Head>(input, seed) == whole) << "random pieces, " << seed;
  }
  return whole;
}

// llhttp's error codes that are no refusals: it stops for its user, who takes the connection over.
constexpr int kPausedUpgrade = 22;
constexpr int kDataAfterClose = 5;

struct Case {
  std::string id, name, mode, body;
  int error = 0;
  std::size_t messages = 0;
  bool lenient = false;
};

// The cases give bodies without their line ends.
std::string without_line_ends(std::string text) {
  std::erase_if(text, [](char c) { return c == '\r' || c == '\n'; });
  return text;
}

template <class Head>
void expect_refusal(const Case& c, const Conversation<Head>& result) {
  EXPECT_LE(result.complete(), c.messages);
  // What follows a last message is never parsed: the connection ends there.
  const bool ended = result.data_after_close() && (c.lenient || c.error == kDataAfterClose);
  EXPECT_TRUE(result.refused() || ended) << "accepted " << result.complete() << " messages";
}

template <class Head>
void expect_acceptance(const Case& c, const Conversation<Head>& result) {
  if (c.error == 0) {
    EXPECT_FALSE(result.refused()) << result.detail();
  }
  EXPECT_EQ(result.complete(), c.messages);
  EXPECT_EQ(without_line_ends(result.bodies()), c.body);
}

bool is_stricter(const Case& c) {
  if (kStricter.contains(c.id)) return true;
  for (const auto& [name, reason] : kStricterResponses) {
    if (c.mode.starts_with("response") && c.name.contains(name)) return true;
  }
  return false;
}

template <class Head>
void run_llhttp(std::string_view kind, std::size_t expected_cases) {
  const auto path = suite_path("llhttp-md") / "cases.jsonl";
  DAYBOOK_NEEDS_SUITE(path);
  std::size_t cases = 0;
  for (const auto& row : read_json_lines(path)) {
    Case c{text_of(row, "id"), text_of(row, "name"), text_of(row, "mode"), text_of(row, "body")};
    c.lenient = c.mode.contains("-lenient");
    if (!c.mode.starts_with(kind) || row.at("meta").as_object().contains("skipBody")) continue;
    SCOPED_TRACE(c.id + " " + c.mode + " " + c.name);
    ++cases;
    c.messages = row.at("messages_complete").to_number<std::size_t>();
    if (const auto* error = row.at("error").if_object())
      c.error = error->at("code").to_number<int>();
    const std::string raw = decode_base64(row, "input_b64");
    const std::string input = kind == "request" ? with_host(raw) : raw;
    const auto result = talk_in_every_way<Head>(input);

    if (kRoutersDecision.contains(c.id)) {
      EXPECT_FALSE(result.refused()) << "no longer an exception: remove the row";
    } else if (is_stricter(c)) {
      EXPECT_TRUE(result.refused()) << "no longer an exception: remove the row";
    } else if (kConnectBody.contains(c.id)) {
      EXPECT_EQ(result.complete(), c.messages);
    } else if (c.lenient || (c.error != 0 && c.error != kPausedUpgrade)) {
      expect_refusal(c, result);
      expect_refusal(c, talk_in_every_way<Head>(raw));
    } else {
      expect_acceptance(c, result);
    }
  }
  EXPECT_EQ(cases, expected_cases);
}

TEST(PublishedCases, llhttp_requests_are_refused_and_accepted_alike) {
  run_llhttp<RequestHead>("request", 165);
}

TEST(PublishedCases, llhttp_responses_are_refused_and_accepted_alike) {
  run_llhttp<ResponseHead>("response", 84);
}

// One answer of nginx per request: "2xx" is an accepted message; refusals have their status.
void expect_answers(const boost::json::object& expect, const Conversation<RequestHead>& result) {
  std::vector<std::string> statuses;
  for (const auto& status : expect.at("statuses").as_array()) {
    statuses.emplace_back(status.as_string());
  }
  if (expect.contains("any")) {
    std::string ours = result.refused() ? std::to_string(result.status()) : "2xx";
    if (!result.refused() && result.messages().at(0).head.expects_continue) ours = "100";
    EXPECT_TRUE(std::ranges::find(statuses, ours) != statuses.end()) << ours;
    return;
  }
  if (statuses[0] == "413") {  // the limit is the server's; it sees what the parser delivers
    ASSERT_EQ(result.complete(), 1U);
    EXPECT_GT(result.bodies().size(), expect.at("limit").to_number<std::size_t>());
    return;
  }
  if (statuses[0] != "2xx") {
    ASSERT_EQ(statuses.size(), 1U);
    EXPECT_EQ(std::to_string(result.status()), statuses[0]) << result.detail();
    EXPECT_EQ(result.complete(), 0U);
    return;
  }
  ASSERT_FALSE(result.refused()) << result.detail();
  ASSERT_EQ(result.complete(), statuses.size());
  const auto& bodies = expect.at("bodies").as_array();
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    EXPECT_EQ(result.messages()[i].body.size(), bodies[i].to_number<std::size_t>());
  }
}

TEST(PublishedCases, nginx_cases_have_nginx_answers) {
  const auto path = suite_path("nginx-derived") / "cases.jsonl";
  DAYBOOK_NEEDS_SUITE(path);
  std::size_t cases = 0;
  for (const auto& row : read_json_lines(path)) {
    SCOPED_TRACE(text_of(row, "id") + " " + text_of(row, "what"));
    ++cases;
    const auto result = talk_in_every_way<RequestHead>(decode_base64(row, "request_b64"));
    const auto& expect = row.at("expect").as_object();
    if (expect.contains("statuses")) {
      expect_answers(expect, result);
    } else if (expect.contains("responses")) {
      EXPECT_FALSE(result.refused()) << result.detail();
      EXPECT_EQ(result.complete(), expect.at("responses").to_number<std::size_t>());
    } else if (text_of(expect, "not_status") == "100") {
      ASSERT_EQ(result.complete(), 1U);
      EXPECT_FALSE(result.messages()[0].head.expects_continue);
    } else {
      EXPECT_FALSE(result.refused()) << result.detail();
      EXPECT_EQ(result.complete(), 1U);
    }
  }
  EXPECT_EQ(cases, 67U);
}

}  // namespace
}  // namespace daybook::core::http::testing
