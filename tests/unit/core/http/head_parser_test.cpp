#include "core/http/head_parser.hpp"

#include <gtest/gtest.h>

#include "core/limits.hpp"

namespace daybook::core::http {
namespace {

using RequestOutcome = std::variant<NeedMore, Parsed<RequestHead>, Refused>;

RequestOutcome request(std::string_view text) {
  return parse_request_head(as_bytes(text));
}

// The status of the refusal; 0 where the head was accepted, 1 where more is needed.
int refusal(std::string_view text) {
  const auto outcome = request(text);
  if (const auto* refused = std::get_if<Refused>(&outcome)) {
    EXPECT_FALSE(refused->detail.empty());
    return refused->status;
  }
  return std::holds_alternative<NeedMore>(outcome) ? 1 : 0;
}

RequestHead accepted(std::string_view text) {
  auto outcome = request(text);
  auto* parsed = std::get_if<Parsed<RequestHead>>(&outcome);
  EXPECT_NE(parsed, nullptr) << text;
  return parsed == nullptr ? RequestHead{} : std::move(parsed->head);
}

std::string get(std::string_view target, std::string_view fields = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n";
}
std::string post(std::string_view fields, std::string_view version = "HTTP/1.1") {
  return "POST / " + std::string(version) + "\r\nHost: h\r\n" + std::string(fields) + "\r\n";
}

TEST(RequestHead, keeps_every_part_of_an_upload) {
  const std::string text =
      "POST /v1/records?dry=1&x=%20 HTTP/1.1\r\nHost: 127.0.0.1:7080\r\ncontent-length: 42\r\n"
      "Content-Type:application/json\r\nce-id: \t a b \t\r\nEmpty:\r\nExpect: "
      "100-Continue\r\n\r\nbody";
  auto outcome = request(text);
  const auto& parsed = std::get<Parsed<RequestHead>>(outcome);
  EXPECT_EQ(parsed.consumed, text.size() - 4);
  const RequestHead& head = parsed.head;
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/v1/records?dry=1&x=%20");
  EXPECT_EQ(head.path, "/v1/records");
  EXPECT_EQ(head.query, "dry=1&x=%20");
  EXPECT_EQ(head.minor_version, 1);
  EXPECT_EQ(head.fields.lines().size(), 6U);
  EXPECT_EQ(head.fields.find("CONTENT-TYPE"), "application/json");
  EXPECT_EQ(head.fields.find("ce-id"), "a b");
  EXPECT_EQ(head.fields.find("empty"), "");
  EXPECT_EQ(head.framing, Framing::length);
  EXPECT_EQ(head.content_length, 42U);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_TRUE(head.expects_continue);
}

TEST(RequestHead, needs_more_at_every_cut_of_a_good_head) {
  const std::string text = "\r\n" + post("Transfer-Encoding: chunked\r\nX: y\r\n");
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    EXPECT_EQ(refusal(text.substr(0, cut)), 1) << cut;
  }
  EXPECT_EQ(refusal(text), 0);
}

TEST(RequestHead, is_refused_at_its_first_bad_byte_without_waiting_for_the_rest) {
  EXPECT_EQ(refusal("\n"), 400);
  EXPECT_EQ(refusal("GET\t"), 400);
  EXPECT_EQ(refusal(std::string_view("G\0", 2)), 400);
  EXPECT_EQ(refusal("\x16\x03\x01"), 400) << "a TLS client on a plain port";
  EXPECT_EQ(refusal("GET / HTTP/2"), 1);
  EXPECT_EQ(refusal("GET / HTTP/2.0"), 505);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length"), 1);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n"), 400);
}

TEST(RequestHead, has_strict_request_lines) {
  for (const std::string_view line :
       {"GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET /", "GET",
        "GET / http/1.1", "GET / HTTP/1", "GET / HTTP/1.11", "GET / HTTP/11", "GET / HTTP/x.1",
        "G(T / HTTP/1.1", "GET\t/\tHTTP/1.1", "GET /\x80 HTTP/1.1", "GET /\x7F HTTP/1.1",
        "GET /#a HTTP/1.1", "GET /\x01 HTTP/1.1"}) {
    EXPECT_EQ(refusal(std::string(line) + "\r\nHost: h\r\n\r\n"), 400) << line;
  }
  for (const std::string_view version : {"HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0"}) {
    EXPECT_EQ(refusal("GET / " + std::string(version) + "\r\nHost: h\r\n\r\n"), 505) << version;
  }
  EXPECT_EQ(refusal("\r\n" + get("/")), 0);
  EXPECT_EQ(refusal("\r\n\r\n" + get("/")), 0);
  EXPECT_EQ(refusal("\n" + get("/")), 400);
  EXPECT_EQ(refusal("\r" + get("/")), 400);
  EXPECT_EQ(refusal("\n" + get("/")), 400);
}

TEST(RequestHead, has_strict_line_ends_and_field_lines) {
  using std::string_view_literals::operator""sv;
  for (const std::string_view line :
       {"X: a\n"sv, "X: a\rY: b\r\n"sv, "X: a\r\r\n"sv, "X : a\r\n"sv, " X: a\r\n"sv,
        "X: a\r\n b\r\n"sv, "X: a\r\n\tb\r\n"sv, "X\r\n"sv, ": a\r\n"sv, "X Y: a\r\n"sv,
        "X: a\0b\r\n"sv,
        "X: \x0B"
        "chunked\r\n"sv,
        "X: a\x7F\r\n"sv, "X\x80: a\r\n"sv, "X[]: a\r\n"sv, "\0X: a\r\n"sv, "X:\ra\r\n"sv}) {
    EXPECT_EQ(refusal(get("/", line)), 400) << line;
  }
  EXPECT_EQ(refusal("GET / HTTP/1.1\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\r\n\n"), 400);
  EXPECT_EQ(accepted(get("/", "X_y!#$%&'*+-.^`|~9: \xC3\xBC:\t\"q\"\r\n")).fields.lines()[1].second,
            "\xC3\xBC:\t\"q\"");
}

TEST(RequestHead, has_exactly_one_valid_host_in_http_1_1) {
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.0\r\n\r\n"), 0);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\r\nhost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.0\r\nHost: h\r\nhost: h\r\n\r\n"), 400);
  for (const std::string_view host : {"",
                                      "a,b",
                                      "a b",
                                      "u@h",
                                      "h/x",
                                      "h?x",
                                      "h#x",
                                      "h:",
                                      "h:65536",
                                      "h:x",
                                      "h:-1",
                                      "h:1:2",
                                      "h%41",
                                      "h\\x",
                                      "a..b",
                                      ".a",
                                      "[::1",
                                      "[::1]x",
                                      "[:::1]",
                                      "[1:2:3:4:5:6:7]",
                                      "[1:2:3:4:5:6:7:8:9]",
                                      "[1::2::3]",
                                      "[1:2:3:4:5:6:7::8]",
                                      "[::1%25eth0]",
                                      "[v1.x]",
                                      "[::1.2.3]",
                                      "[::1.2.3.256]",
                                      "[::1.2.3.4:5]",
                                      "[12345::]",
                                      "[::g]",
                                      "[1:]",
                                      "[:1]",
                                      "[]",
                                      "\xC3\xBC"}) {
    const int expected = host == "h:" ? 0 : 400;
    EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"), expected)
        << host;
  }
  for (const std::string_view host :
       {"localhost", "a_b.example.", "h:0", "h:65535", "10.0.0.1:80", "[::]", "[::1]:80", "[1::]",
        "[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:1.2.3.4]", "[::ffff:1.2.3.4]", "[1::3:4:5:6:7:8]"}) {
    EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"), 0) << host;
  }
}

TEST(RequestHead, takes_the_path_of_each_form_of_target) {
  struct Row {
    std::string_view method, target, path, query;
  };
  for (const Row& row :
       std::initializer_list<Row>{{"GET", "/", "/", ""},
                                  {"GET", "/a%20b/%C3%BC?x=%20&y", "/a b/\xC3\xBC", "x=%20&y"},
                                  {"GET", "/a?b?c", "/a", "b?c"},
                                  {"GET", "//double", "//double", ""},
                                  {"GET", "/%2e%2e/%2F", "/..//", ""},
                                  {"GET", "http://H:80/a?b", "/a", "b"},
                                  {"GET", "HTTPS://h?b", "/", "b"},
                                  {"GET", "http://h", "/", ""},
                                  {"OPTIONS", "*", "*", ""},
                                  {"CONNECT", "h:443", "", ""}}) {
    const auto head = accepted(std::string(row.method) + " " + std::string(row.target) +
                               " HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(head.target, row.target);
    EXPECT_EQ(head.path, row.path) << row.target;
    EXPECT_EQ(head.query, row.query) << row.target;
  }
}

TEST(RequestHead, refuses_targets_that_could_be_read_in_two_ways) {
  for (const std::string_view target :
       {"a", "*", "h:443", "?x", "ftp://h/", "http:/h", "http:///a", "http://u@h/",
        "http://h:99999/", "http://a,b/", "/%", "/%4", "/%4g", "/%00", "/?%00", "/?%zz", "://h/",
        "file:/a"}) {
    EXPECT_EQ(refusal(get(target)), 400) << target;
  }
  for (const std::string_view target : {"/", "http://h:1/", "h", "h:", "u@h:1", "*"}) {
    EXPECT_EQ(refusal("CONNECT " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n"), 400)
        << target;
  }
}

TEST(RequestHead, frames_by_one_length_or_one_chunked_coding) {
  EXPECT_EQ(accepted(post("")).framing, Framing::none);
  EXPECT_EQ(accepted(post("Content-Length: 0\r\n")).framing, Framing::length);
  EXPECT_EQ(accepted(post("Content-Length: 007\r\n")).content_length, 7U);
  EXPECT_EQ(accepted(post("Content-Length: 18446744073709551615\r\n")).content_length, UINT64_MAX);
  EXPECT_EQ(accepted(post("Transfer-Encoding: CHUNKED \r\n")).framing, Framing::chunked);
}

TEST(RequestHead, refuses_every_other_framing) {
  for (const std::string_view length :
       {"", "-1", "+1", "0x1", "1,1", "1, 2", "1 1", "1.0", "1e3", "18446744073709551616", "a",
        "\"1\"", "99999999999999999999999999"}) {
    EXPECT_EQ(refusal(post("Content-Length: " + std::string(length) + "\r\n")), 400) << length;
  }
  EXPECT_EQ(refusal(post("Content-Length: 1\r\nContent-Length: 1\r\n")), 400);
  EXPECT_EQ(refusal(post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")), 400);
  EXPECT_EQ(refusal(post("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n")), 400);
  EXPECT_EQ(refusal(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")), 400);
  EXPECT_EQ(refusal(post("Transfer-Encoding: chunked\r\n", "HTTP/1.0")), 400);
  for (const std::string_view coding :
       {"", "chunked, chunked", ",chunked", "chunked;q=1", "\"chunked\"", "chunked x"}) {
    EXPECT_EQ(refusal(post("Transfer-Encoding: " + std::string(coding) + "\r\n")), 400) << coding;
  }
  for (const std::string_view coding : {"gzip", "identity", "xchunked", "gzip, chunked"}) {
    EXPECT_EQ(refusal(post("Transfer-Encoding: " + std::string(coding) + "\r\n")), 501) << coding;
  }
}

TEST(RequestHead, knows_one_expectation) {
  EXPECT_EQ(refusal(post("Expect: 200-ok\r\n")), 417);
  EXPECT_EQ(refusal(post("Expect: 100-continue, x\r\n")), 417);
  EXPECT_EQ(refusal(post("Expect:\r\n")), 417);
  EXPECT_FALSE(accepted(post("Expect: 100-continue\r\n", "HTTP/1.0")).expects_continue);
  EXPECT_FALSE(accepted(post("")).expects_continue);
}

TEST(RequestHead, keeps_the_connection_as_version_and_tokens_say) {
  EXPECT_TRUE(accepted(post("")).keep_alive);
  EXPECT_FALSE(accepted(post("Connection: x, CLOSE\r\n")).keep_alive);
  EXPECT_FALSE(accepted(post("Connection: close, keep-alive\r\n")).keep_alive);
  EXPECT_FALSE(accepted(post("Connection: keep-alive\r\nConnection: close\r\n")).keep_alive);
  EXPECT_TRUE(accepted(post("Connection: closed\r\n")).keep_alive);
  EXPECT_FALSE(accepted(post("", "HTTP/1.0")).keep_alive);
  EXPECT_FALSE(accepted(post("Connection: xkeep-alive\r\n", "HTTP/1.0")).keep_alive);
  EXPECT_TRUE(accepted(post("Connection: ,Keep-Alive\r\n", "HTTP/1.0")).keep_alive);
}

// What follows them is another protocol for some readers.
TEST(RequestHead, ends_the_connection_behind_an_upgrade_and_behind_methods_nobody_knows) {
  EXPECT_FALSE(accepted(post("Connection: x, Upgrade\r\nUpgrade: h2c\r\n")).keep_alive);
  EXPECT_TRUE(accepted(post("Upgrade: h2c\r\n")).keep_alive) << "not asked for";
  for (const std::string_view method : {"get", "PRI", "BREW", "TRACE", "GETX"}) {
    EXPECT_FALSE(accepted(std::string(method) + " / HTTP/1.1\r\nHost: h\r\n\r\n").keep_alive)
        << method;
  }
  EXPECT_FALSE(accepted("CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n").keep_alive);
}

TEST(RequestHead, refuses_fields_that_another_reader_would_take_for_framing) {
  for (const std::string_view fields :
       {"Content_Length: 5\r\n", "transfer_encoding: chunked\r\n", "Connection: Content-Length\r\n",
        "Connection: close, transfer-encoding\r\n", "Connection: keep-alive,HOST\r\n"}) {
    EXPECT_EQ(refusal(post(fields)), 400) << fields;
  }
  EXPECT_EQ(refusal(post("Connection: TE\r\nTE: trailers\r\nX_Content_Length: 1\r\n")), 0);
}

TEST(RequestHead, has_the_host_of_an_absolute_target_in_its_host_field) {
  const auto with = [](std::string_view target, std::string_view host) {
    return refusal("GET " + std::string(target) + " HTTP/1.1\r\nHost: " + std::string(host) +
                   "\r\n\r\n");
  };
  for (const auto& [target, host] :
       std::vector<std::pair<std::string_view, std::string_view>>{{"http://a/", "A"},
                                                                  {"http://a:80/", "a"},
                                                                  {"http://a/", "a:80"},
                                                                  {"http://a:/", "a"},
                                                                  {"https://a/", "a:443"},
                                                                  {"http://a:81?x", "a:81"},
                                                                  {"http://[::1]:80", "[::1]"}}) {
    EXPECT_EQ(with(target, host), 0) << target << ' ' << host;
  }
  for (const auto& [target, host] :
       std::vector<std::pair<std::string_view, std::string_view>>{{"http://a/", "b"},
                                                                  {"http://a:81/", "a"},
                                                                  {"https://a/", "a:80"},
                                                                  {"http://a/", "a."},
                                                                  {"http://a:8/", "a:80"},
                                                                  {"http://[::1]/", "[::2]"}}) {
    EXPECT_EQ(with(target, host), 400) << target << ' ' << host;
  }
  EXPECT_EQ(refusal("GET http://a/ HTTP/1.0\r\n\r\n"), 0) << "HTTP/1.0 needs no Host";
}

TEST(RequestHead, may_be_as_large_as_the_bound_and_no_larger) {
  const std::string front = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
  const std::size_t room = limits::kHeadBytesMax - front.size() - 4;
  EXPECT_EQ(refusal(front + std::string(room, 'a') + "\r\n\r\n"), 0);
  EXPECT_EQ(refusal(front + std::string(room + 1, 'a') + "\r\n\r\n"), 431);
  EXPECT_EQ(refusal(front + std::string(room + 3, 'a')), 1);
  EXPECT_EQ(refusal(front + std::string(room + 4, 'a')), 431) << "at once, though it has no end";
}

TEST(RequestHead, may_have_as_many_fields_as_the_bound_and_no_more) {
  std::string fields;
  for (std::size_t i = 1; i < limits::kHeaderFieldsMax; ++i) fields += "X: y\r\n";
  EXPECT_EQ(refusal(get("/", fields)), 0);
  EXPECT_EQ(refusal(get("/", fields + "X: y\r\n")), 431);
}

TEST(RequestHead, may_have_a_request_line_as_long_as_the_bound_and_no_longer) {
  const std::size_t room = kRequestLineBytesMax - std::string_view("GET / HTTP/1.1").size();
  for (const std::string empty_line : {"", "\r\n"}) {
    EXPECT_EQ(refusal(empty_line + get("/" + std::string(room, 'a'))), 0);
    EXPECT_EQ(refusal(empty_line + get("/" + std::string(room + 1, 'a'))), 414);
  }
  EXPECT_EQ(refusal("GET /" + std::string(kRequestLineBytesMax - 5, 'a')), 1);
  EXPECT_EQ(refusal(std::string(kRequestLineBytesMax + 2, 'a')), 414) << "without an end, too";
}

ResponseHead response(std::string_view text, std::string_view method = "GET") {
  auto outcome = parse_response_head(as_bytes(text), method);
  auto* parsed = std::get_if<Parsed<ResponseHead>>(&outcome);
  EXPECT_NE(parsed, nullptr) << text;
  return parsed == nullptr ? ResponseHead{} : std::move(parsed->head);
}
bool response_refused(std::string_view text) {
  return std::holds_alternative<Refused>(parse_response_head(as_bytes(text), "GET"));
}

TEST(ResponseHead, keeps_every_part) {
  const auto head =
      response("HTTP/1.1 404 Not \xC3\xBC Found\r\nETag: \"x\"\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(head.status, 404);
  EXPECT_EQ(head.reason, "Not \xC3\xBC Found");
  EXPECT_EQ(head.fields.find("etag"), "\"x\"");
  EXPECT_EQ(head.framing, Framing::length);
  EXPECT_EQ(head.content_length, 3U);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_EQ(response("HTTP/1.0 200\r\n\r\n").reason, "");
}

TEST(ResponseHead, finds_the_end_of_the_body_as_status_and_method_say) {
  const std::string_view chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(response(chunked).framing, Framing::chunked);
  EXPECT_EQ(response(chunked, "HEAD").framing, Framing::none);
  const auto head = response("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD");
  EXPECT_EQ(head.framing, Framing::none);
  EXPECT_EQ(head.content_length, 9U) << "what a GET would have had";
  for (const std::string status : {"100", "103", "199", "204", "304"}) {
    const auto empty = response("HTTP/1.1 " + status + " x\r\nContent-Length: 9\r\n\r\n");
    EXPECT_EQ(empty.framing, Framing::none) << status;
    EXPECT_TRUE(empty.keep_alive);
  }
  const auto until_close = response("HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(until_close.framing, Framing::until_close);
  EXPECT_FALSE(until_close.keep_alive);
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\n\r\n", "CONNECT").framing, Framing::none);
}

TEST(ResponseHead, is_as_strict_as_a_request) {
  for (const std::string_view text :
       {"\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 99 x\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n",
        "HTTP/1.1 600 x\r\n\r\n", "HTTP/1.1 2000 x\r\n\r\n", "HTTP/1.1 -20 x\r\n\r\n",
        "HTTP/1.1  200 x\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 O\x01K\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 x\r\nContent-Length: a\r\n\r\n", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n"}) {
    EXPECT_TRUE(response_refused(text)) << text;
  }
  EXPECT_TRUE(response_refused("HTTP/1.1 200 " + std::string(limits::kHeadBytesMax, 'a')));
  const std::string_view good = "HTTP/1.1 200 OK\r\nX: y\r\n\r\n";
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_TRUE(
        std::holds_alternative<NeedMore>(parse_response_head(as_bytes(good.substr(0, cut)), "GET")))
        << cut;
  }
}

TEST(Fields, finds_the_first_line_of_a_name_without_case) {
  Fields fields;
  fields.add("A", "1");
  fields.add("b", "2");
  fields.add("a", "3");
  EXPECT_EQ(fields.find("a"), "1");
  EXPECT_EQ(fields.count("A"), 2U);
  EXPECT_EQ(fields.find("c"), std::nullopt);
  EXPECT_EQ(fields.count("c"), 0U);
}

TEST(QueryParameter, is_decoded_and_the_first_of_its_name) {
  EXPECT_EQ(query_parameter("a=1&b=x+y%2B%26&a=2", "a"), "1");
  EXPECT_EQ(query_parameter("a=1&b=x+y%2B%26", "b"), "x y+&");
  EXPECT_EQ(query_parameter("a=b=c", "a"), "b=c");
  EXPECT_EQ(query_parameter("%61ll", "all"), "");
  EXPECT_EQ(query_parameter("&&a=", "a"), "");
  EXPECT_EQ(query_parameter("ab=1", "a"), std::nullopt);
  EXPECT_EQ(query_parameter("", "a"), std::nullopt);
  EXPECT_EQ(query_parameter("a=%zz", "a"), std::nullopt);
}

}  // namespace
}  // namespace daybook::core::http
