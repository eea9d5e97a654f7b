// HttpClient against servers that keep to HTTP and servers that do not.
#include "io/http_client.hpp"

#include <algorithm>
#include <atomic>
#include <memory>

#include <gtest/gtest.h>

#include "tests/contract/run_task.hpp"
#include "tests/unit/io/run_on_io.hpp"
#include "tests/unit/io/scripted_server.hpp"

namespace daybook::io {
namespace {

using core::Code;
using core::Retry;
using tests::Peer;
using namespace std::chrono_literals;

core::Deadline in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

// A server with one script and a client of it.
class HttpClientTest : public testing::Test {
 protected:
  // Ends the server and its scripts before what they refer to goes.
  class [[nodiscard]] Serving {
   public:
    explicit Serving(HttpClientTest& test) : test_(test) {}
    ~Serving() { test_.stop(); }
    Serving(const Serving&) = delete;
    Serving& operator=(const Serving&) = delete;

   private:
    HttpClientTest& test_;
  };
  Serving serve(tests::ScriptedServer::Script script, std::size_t connections = 4,
                core::Duration idle_max = 30s) {
    server_ = std::make_unique<tests::ScriptedServer>(std::move(script));
    HttpClient::Settings settings;
    settings.endpoint = {"127.0.0.1", server_->port(), {}};
    settings.host_header = "example.test";
    settings.origin = core::Origin::object_store;
    settings.connections_max = connections;
    settings.idle_max = idle_max;
    client_ = std::make_unique<HttpClient>(runtime_, settings);
    return Serving(*this);
  }
  void stop() {
    client_.reset();
    server_.reset();
  }

  core::Result<HttpResponse> send(HttpRequest request, std::chrono::milliseconds time = 20s) {
    return tests::run_on_io(runtime_, client_->send(std::move(request), in(time)));
  }
  core::Result<HttpResponse> get(std::chrono::milliseconds time = 20s) { return send({}, time); }
  HttpRequest put(std::uint64_t bytes) {
    body_.assign(bytes, std::byte{'x'});
    HttpRequest request;
    request.method = "PUT";
    request.target = "/object";
    request.body = {core::Bytes(body_)};
    return request;
  }
  static void expect_error(const core::Result<HttpResponse>& result, Code code, Retry retry) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code) << result.error().detail;
    EXPECT_EQ(result.error().retry, retry) << result.error().detail;
    EXPECT_EQ(result.error().origin, core::Origin::object_store);
  }
  static std::string text(const core::Result<HttpResponse>& result) {
    return result ? std::string(core::as_text(result->body)) : result.error().detail;
  }

  IoRuntime runtime_;
  core::ByteVector body_;
  std::unique_ptr<tests::ScriptedServer> server_;
  std::unique_ptr<HttpClient> client_;
};

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// Answers every request of a connection the same way.
tests::ScriptedServer::Script always(std::string_view answer) {
  return [answer](Peer& peer) {
    while (!peer.read_request().first.empty()) peer.send(answer);
  };
}

TEST_F(HttpClientTest, sends_host_length_fields_and_body) {
  std::string head;
  std::string body;
  const Serving serving = serve([&](Peer& peer) {
    std::tie(head, body) = peer.read_request();
    peer.send(kOk);
    peer.drain();
  });
  HttpRequest request = put(300'000);
  request.fields.add("x-one", "1");
  const auto response = send(std::move(request));
  EXPECT_EQ(text(response), "ok");
  EXPECT_EQ(head,
            "PUT /object HTTP/1.1\r\nHost: example.test\r\nContent-Length: 300000\r\n"
            "x-one: 1\r\n\r\n");
  EXPECT_EQ(body, std::string(300'000, 'x'));
}

TEST_F(HttpClientTest, reports_progress_up_to_the_last_byte) {
  const Serving serving = serve(always(kOk));
  std::vector<std::uint64_t> reports;
  HttpRequest request = put(1'000'000);
  request.on_sent = [&](std::uint64_t bytes) { reports.push_back(bytes); };
  EXPECT_TRUE(send(std::move(request)));
  ASSERT_GE(reports.size(), 2u);
  EXPECT_TRUE(std::ranges::is_sorted(reports));
  EXPECT_EQ(reports.back(), 1'000'000u);
}

TEST_F(HttpClientTest, keeps_a_connection_for_the_next_request) {
  const Serving serving = serve(always(kOk));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(text(get()), "ok");
  EXPECT_EQ(server_->connections(), 1);
}

TEST_F(HttpClientTest, does_not_keep_a_connection_that_the_server_will_close) {
  const Serving serving =
      serve(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(text(get()), "ok");
  EXPECT_EQ(server_->connections(), 3);
}

TEST_F(HttpClientTest, does_not_keep_a_connection_with_bytes_nobody_asked_for) {
  const Serving serving =
      serve(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(text(get()), "ok");
  EXPECT_EQ(server_->connections(), 3);
}

TEST_F(HttpClientTest, does_not_reuse_a_connection_that_was_idle_too_long) {
  const Serving serving = serve(always(kOk), 4, 1ms);
  EXPECT_TRUE(get());
  std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(get());
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(HttpClientTest, replaces_a_kept_connection_that_the_server_closed) {
  const Serving serving = serve([](Peer& peer) {
    peer.read_request();
    peer.send(kOk);
  });
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(text(send(put(100'000))), "ok");
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_EQ(server_->connections(), 3);
}

TEST_F(HttpClientTest, replaces_a_kept_connection_whose_server_says_408_and_closes) {
  std::atomic<int> number = 0;
  const Serving serving = serve([&](Peer& peer) {
    ++number;
    peer.read_request();
    peer.send(kOk);
    if (number == 1) {
      peer.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
  });
  EXPECT_EQ(text(get()), "ok");
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(text(get()), "ok");
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(HttpClientTest, replaces_a_closed_connection_only_once) {
  std::atomic<int> number = 0;
  const Serving serving = serve([&](Peer& peer) {
    const bool answers = ++number == 1;
    peer.read_request();
    if (answers) peer.send(kOk);
  });
  EXPECT_TRUE(get());
  expect_error(get(), Code::closed, Retry::unknown_outcome);
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(HttpClientTest, does_not_repeat_a_request_on_a_fresh_connection) {
  const Serving serving = serve([](Peer& peer) { peer.read_request(); });
  expect_error(get(), Code::closed, Retry::unknown_outcome);
  EXPECT_EQ(server_->connections(), 1);
}

TEST_F(HttpClientTest, does_not_repeat_a_request_whose_answer_had_begun) {
  std::atomic<int> number = 0;
  const Serving serving = serve([&](Peer& peer) {
    peer.read_request();
    peer.send(kOk);
    peer.read_request();
    ++number;
    peer.send("HTTP/1.1 20");
  });
  EXPECT_TRUE(get());
  expect_error(get(), Code::closed, Retry::unknown_outcome);
  EXPECT_EQ(number, 1);
}

TEST_F(HttpClientTest, says_unavailable_where_nobody_listens) {
  const Serving serving = serve(always(kOk));
  HttpClient::Settings settings;
  settings.endpoint = {"127.0.0.1", 1, {}};
  settings.origin = core::Origin::object_store;
  HttpClient nobody(runtime_, settings);
  expect_error(tests::run_on_io(runtime_, nobody.send({}, in(5s))), Code::unavailable, Retry::safe);
}

TEST_F(HttpClientTest, says_timeout_when_no_answer_comes) {
  const Serving serving = serve([](Peer& peer) { peer.drain(); });
  expect_error(get(50ms), Code::timeout, Retry::unknown_outcome);
}

TEST_F(HttpClientTest, ends_requests_in_progress_when_it_is_closed) {
  const Serving serving = serve([](Peer& peer) { peer.drain(); });
  const auto began = std::chrono::steady_clock::now();
  runtime_.spawn([](IoRuntime& runtime, HttpClient& client) -> core::Task<> {
    co_await runtime.sleep(50ms);
    client.close();
  }(runtime_, *client_));
  expect_error(get(), Code::closed, Retry::unknown_outcome);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 15s);
  expect_error(get(), Code::closed, Retry::safe);
}

TEST_F(HttpClientTest, says_timeout_when_the_answer_stops_in_its_body) {
  const Serving serving = serve([](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok");
    peer.drain();
  });
  expect_error(get(50ms), Code::timeout, Retry::unknown_outcome);
}

TEST_F(HttpClientTest, sends_nothing_when_the_deadline_has_passed) {
  const Serving serving = serve(always(kOk));
  expect_error(get(-1ms), Code::timeout, Retry::safe);
  EXPECT_EQ(server_->connections(), 0);
}

TEST_F(HttpClientTest, opens_at_most_the_connections_it_may) {
  std::atomic<int> open = 0;
  std::atomic<int> most = 0;
  const Serving serving = serve(
      [&](Peer& peer) {
        while (!peer.read_request().first.empty()) {
          const int now = ++open;
          int seen = most;
          while (seen < now && !most.compare_exchange_weak(seen, now)) {
          }
          std::this_thread::sleep_for(2ms);
          --open;
          peer.send(kOk);
        }
      },
      3);
  std::vector<core::Task<core::Result<HttpResponse>>> requests;
  for (int i = 0; i < 30; ++i) requests.push_back(client_->send({}, in(20s)));
  for (const auto& response : tests::run_on_io(runtime_, tests::gather(std::move(requests)))) {
    EXPECT_EQ(text(response), "ok");
  }
  EXPECT_LE(most, 3);
  EXPECT_EQ(server_->connections(), 3);
}

TEST_F(HttpClientTest, says_timeout_when_no_connection_becomes_free) {
  const Serving serving = serve([](Peer& peer) { peer.drain(); }, 1);
  std::vector<core::Task<core::Result<HttpResponse>>> requests;
  requests.push_back(client_->send({}, in(300ms)));
  requests.push_back(client_->send({}, in(50ms)));
  const auto results = tests::run_on_io(runtime_, tests::gather(std::move(requests)));
  expect_error(results[0], Code::timeout, Retry::unknown_outcome);
  expect_error(results[1], Code::timeout, Retry::safe);
}

TEST_F(HttpClientTest, gives_the_refusal_of_a_body_that_is_still_being_sent) {
  const Serving serving = serve([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge");
    // Never reads the body: the client's writer would wait for ever.
    while (!peer.readable_within(50ms)) {
    }
    std::this_thread::sleep_for(300ms);
  });
  const auto response = send(put(64 * core::MiB), 10s);
  ASSERT_TRUE(response) << response.error().detail;
  EXPECT_EQ(response->head.status, 413);
  EXPECT_EQ(text(response), "large");
}

TEST_F(HttpClientTest, gives_the_refusal_when_the_server_then_resets) {
  const Serving serving = serve([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    std::this_thread::sleep_for(100ms);
    peer.reset();
  });
  const auto response = send(put(64 * core::MiB), 10s);
  ASSERT_TRUE(response) << response.error().detail;
  EXPECT_EQ(response->head.status, 403);
}

TEST_F(HttpClientTest, keeps_the_connection_when_a_refused_body_is_taken_all_the_same) {
  const Serving serving = serve([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    peer.read_exactly(1'000'000);
    peer.read_head();
    peer.send(kOk);
    peer.drain();
  });
  const auto refused = send(put(1'000'000));
  ASSERT_TRUE(refused) << refused.error().detail;
  EXPECT_EQ(refused->head.status, 403);
  EXPECT_EQ(text(get()), "ok");
  EXPECT_EQ(server_->connections(), 1);
}

TEST_F(HttpClientTest, sends_the_body_after_100) {
  bool body_came_early = true;
  std::string body;
  const Serving serving = serve([&](Peer& peer) {
    EXPECT_NE(peer.read_head().find("\r\nExpect: 100-continue\r\n"), std::string::npos);
    body_came_early = peer.readable_within(100ms);
    peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    body = peer.read_exactly(10'000);
    peer.send(kOk);
    peer.drain();
  });
  HttpRequest request = put(10'000);
  request.expect_continue = true;
  EXPECT_EQ(text(send(std::move(request))), "ok");
  EXPECT_FALSE(body_came_early);
  EXPECT_EQ(body.size(), 10'000u);
}

TEST_F(HttpClientTest, sends_no_body_after_a_refusal_instead_of_100) {
  std::string rest = "unset";
  const Serving serving = serve([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    rest = peer.read_exactly(1);
  });
  HttpRequest request = put(10'000);
  request.expect_continue = true;
  const auto response = send(std::move(request));
  ASSERT_TRUE(response) << response.error().detail;
  EXPECT_EQ(response->head.status, 403);
  stop();
  EXPECT_EQ(rest, "");
}

TEST_F(HttpClientTest, sends_the_body_after_a_second_without_100) {
  const Serving serving = serve([](Peer& peer) {
    peer.read_head();
    if (peer.read_exactly(10'000).size() == 10'000) peer.send(kOk);
    peer.drain();
  });
  HttpRequest request = put(10'000);
  request.expect_continue = true;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(text(send(std::move(request))), "ok");
  EXPECT_GE(std::chrono::steady_clock::now() - start, 900ms);
}

TEST_F(HttpClientTest, skips_interim_answers) {
  const Serving serving =
      serve(always("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  EXPECT_EQ(text(get()), "ok");
  EXPECT_EQ(text(get()), "ok");
  EXPECT_EQ(server_->connections(), 1);
}

TEST_F(HttpClientTest, reads_a_chunked_answer_and_keeps_the_connection) {
  const Serving serving =
      serve(always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\nTrailer: t\r\n\r\n"));
  EXPECT_EQ(text(get()), "abcdefgh");
  EXPECT_EQ(text(get()), "abcdefgh");
  EXPECT_EQ(server_->connections(), 1);
}

TEST_F(HttpClientTest, reads_a_large_answer_in_pieces) {
  const std::string large(3'000'000, 'l');
  const Serving serving = serve([&](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 3; ++i) peer.send("F4240\r\n" + large.substr(0, 1'000'000) + "\r\n");
    peer.send("0\r\n\r\n");
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + large);
    peer.drain();
  });
  EXPECT_TRUE(text(get()) == large);
  EXPECT_TRUE(text(get()) == large);
}

TEST_F(HttpClientTest, reads_an_answer_until_the_server_closes) {
  const Serving serving = serve([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
  });
  EXPECT_EQ(text(get()), "until the end");
}

TEST_F(HttpClientTest, does_not_take_a_reset_for_the_end_of_an_answer) {
  const Serving serving = serve([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    std::this_thread::sleep_for(50ms);
    peer.reset();
  });
  expect_error(get(), Code::closed, Retry::unknown_outcome);
}

TEST_F(HttpClientTest, does_not_take_a_short_answer_for_a_whole_one) {
  const Serving serving = serve([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort");
  });
  expect_error(get(), Code::closed, Retry::unknown_outcome);
}

TEST_F(HttpClientTest, does_not_take_a_cut_chunk_for_a_whole_answer) {
  const Serving serving = serve([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  });
  expect_error(get(), Code::closed, Retry::unknown_outcome);
}

TEST_F(HttpClientTest, reads_no_body_after_head_204_and_304) {
  const Serving serving = serve([](Peer& peer) {
    peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    peer.read_head();
    peer.send("HTTP/1.1 204 No Content\r\n\r\n");
    peer.read_head();
    peer.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n");
    peer.read_head();
    peer.send(kOk);
    peer.drain();
  });
  HttpRequest head;
  head.method = "HEAD";
  const auto first = send(std::move(head));
  ASSERT_TRUE(first) << first.error().detail;
  EXPECT_EQ(first->head.content_length, 1000u);
  EXPECT_TRUE(first->body.empty());
  EXPECT_EQ(text(get()), "");
  EXPECT_EQ(text(get()), "");
  EXPECT_EQ(text(get()), "ok");
  EXPECT_EQ(server_->connections(), 1);
}

TEST_F(HttpClientTest, refuses_an_answer_that_is_too_large) {
  for (const std::string_view answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a",
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n0123456789a"}) {
    SCOPED_TRACE(answer);
    const Serving serving = serve([answer](Peer& peer) {
      peer.read_head();
      peer.send(answer);
      peer.stop_sending();
      peer.drain();
    });
    HttpRequest request;
    request.response_bytes_max = 10;
    expect_error(send(std::move(request)), Code::too_large, Retry::unknown_outcome);
  }
}

TEST_F(HttpClientTest, refuses_what_is_no_http) {
  for (const std::string& answer :
       {std::string("SSH-2.0-OpenSSH_9.2\r\n"), std::string("HTTP/1.1 200 OK\nA: b\n\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        std::string("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        "HTTP/1.1 200 OK\r\nA: " + std::string(20'000, 'a'), [] {
          std::string many;
          for (int i = 0; i < 100; ++i) many += "HTTP/1.1 100 Continue\r\n\r\n";
          return many;
        }()}) {
    SCOPED_TRACE(answer.substr(0, 60));
    const Serving serving = serve([&answer](Peer& peer) {
      peer.read_head();
      peer.send(answer);
      peer.drain();
    });
    expect_error(get(), Code::invalid_argument, Retry::unknown_outcome);
  }
}

TEST_F(HttpClientTest, does_not_connect_where_its_rule_says_no) {
  std::atomic<int> met = 0;
  tests::ScriptedServer server([&met](Peer& peer) {
    ++met;
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  for (const bool allowed : {false, true}) {
    for (const char* host : {"127.0.0.1", "localhost"}) {
      std::vector<std::string> asked;
      HttpClient::Settings settings;
      settings.endpoint = {host, server.port(), {}};
      settings.host_header = "example.test";
      settings.origin = core::Origin::object_store;
      settings.allowed = [&](std::string_view address) {
        asked.emplace_back(address);
        return allowed;
      };
      HttpClient client(runtime_, settings);
      const auto answer = tests::run_on_io(runtime_, client.send({}, in(20s)));
      EXPECT_NE(std::ranges::find(asked, "127.0.0.1"), asked.end()) << host;
      EXPECT_EQ(answer.has_value(), allowed);
      if (!allowed) expect_error(answer, Code::denied, Retry::safe);
    }
    EXPECT_EQ(met, allowed ? 2 : 0);
  }
}

TEST_F(HttpClientTest, does_not_send_what_could_end_a_line_early) {
  const Serving serving = serve(always(kOk));
  const auto refused = [this](auto change) {
    HttpRequest request;
    change(request);
    expect_error(send(std::move(request)), Code::invalid_argument, Retry::never);
  };
  refused([](HttpRequest& request) { request.target = "/a b"; });
  refused([](HttpRequest& request) { request.target = "/a\r\nX: y"; });
  refused([](HttpRequest& request) { request.method = "GET /"; });
  refused([](HttpRequest& request) { request.fields.add("x", "a\r\nb: c"); });
  refused([](HttpRequest& request) { request.fields.add("x", "a\nb"); });
  refused([](HttpRequest& request) { request.fields.add("x: y", "a"); });
  refused([](HttpRequest& request) { request.fields.add("", "a"); });
  EXPECT_EQ(server_->connections(), 0);
}

TEST(Url, is_read_with_and_without_its_parts) {
  const auto plain = parse_url("http://127.0.0.1:7080/a/b/");
  ASSERT_TRUE(plain) << plain.error().detail;
  EXPECT_FALSE(plain->https);
  EXPECT_EQ(plain->host, "127.0.0.1");
  EXPECT_EQ(plain->port, 7080);
  EXPECT_EQ(plain->path, "/a/b");
  EXPECT_EQ(plain->authority(), "127.0.0.1:7080");

  const auto secure = parse_url("HTTPS://s3.example.com");
  ASSERT_TRUE(secure) << secure.error().detail;
  EXPECT_TRUE(secure->https);
  EXPECT_EQ(secure->port, 443);
  EXPECT_EQ(secure->path, "");
  EXPECT_EQ(secure->authority(), "s3.example.com");

  const auto bracketed = parse_url("http://[::1]:9000");
  ASSERT_TRUE(bracketed) << bracketed.error().detail;
  EXPECT_EQ(bracketed->host, "::1");
  EXPECT_EQ(bracketed->authority(), "[::1]:9000");
}

TEST(Url, says_what_is_wrong_with_a_bad_one) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"127.0.0.1:7080", "http://"},
      {"ftp://host", "http://"},
      {"http://", "host"},
      {"http://:80", "host"},
      {"http://a:0", "port"},
      {"http://a:99999", ""},
      {"http://user:secret@host", "creden"},
      {"http://host/?q", "'?'"},
      {"http://ho st", "space"},
      {"", "http://"},
  };
  for (const auto& [text, word] : cases) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, Code::invalid_argument);
    EXPECT_NE(url.error().detail.find(word), std::string::npos) << url.error().detail;
  }
}

}  // namespace
}  // namespace daybook::io
