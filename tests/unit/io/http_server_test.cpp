// The HTTP server over real loopback sockets: an echo behind it, raw sockets in a thread before it.
#include "io/http_server.hpp"

#include <atomic>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "tests/unit/io/raw_client.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

std::string post(std::string_view body, std::string_view fields = "") {
  return "POST /echo HTTP/1.1\r\nHost: t\r\n" + std::string(fields) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

struct Seen {
  std::atomic<int> handled = 0;
  std::atomic<int> refused = 0;
  std::vector<core::Code> body_errors;
};

core::Task<> echo(io::HttpExchange& exchange, Seen& seen) {
  std::string body;
  std::vector<std::byte> part(100'000);
  for (;;) {
    const auto bytes = co_await exchange.read_body(part);
    if (!bytes) {
      seen.body_errors.push_back(bytes.error().code);
      static_cast<void>(co_await exchange.respond({.status = 408, .fields = {}, .body = "late"}));
      co_return;
    }
    if (*bytes == 0) break;
    body.append(core::as_text(core::Bytes(part).first(*bytes)));
  }
  static_cast<void>(co_await exchange.respond(
      {.status = 200, .fields = {}, .body = exchange.head().path + ":" + body}));
}

// /echo: body back. /refuse: 413 at once. /slow: answers after 300 ms. /short: breaks off.
// /long: 3 MB in pieces. /stream: three pieces and an end; /stream-cut: no end; /flood: until the
// client does not take it.
core::Task<> handle(io::HttpExchange& exchange, io::IoRuntime& runtime, Seen& seen) {
  ++seen.handled;
  const std::string path = exchange.head().path;
  if (path == "/refuse") {
    static_cast<void>(
        co_await exchange.respond({.status = 413, .fields = {}, .body = "too large"}));
  } else if (path == "/slow") {
    co_await runtime.sleep(300ms);
    static_cast<void>(co_await exchange.respond({.status = 200, .fields = {}, .body = "slow"}));
  } else if (path == "/short") {
    static_cast<void>(co_await exchange.begin({.status = 200, .fields = {}, .body = {}}, 100));
    static_cast<void>(co_await exchange.write({core::as_bytes("only this")}));
  } else if (path == "/long") {
    static_cast<void>(
        co_await exchange.begin({.status = 200, .fields = {}, .body = {}}, 3'000'000));
    if (exchange.head().method == "HEAD") co_return;
    const std::string piece(1'000'000, 'x');
    for (int i = 0; i < 3; ++i) {
      const auto sent = co_await exchange.write({core::as_bytes(piece)});
      if (!sent) co_return;
    }
  } else if (path.starts_with("/stream")) {
    static_cast<void>(co_await exchange.begin_stream({.status = 200, .fields = {}, .body = {}}));
    if (exchange.head().method == "HEAD") co_return;
    const std::string twenty(20, 'y');
    for (const std::string_view piece :
         {std::string_view("x"), std::string_view(), std::string_view(twenty)}) {
      static_cast<void>(co_await exchange.write({core::as_bytes(piece)}));
    }
    if (path == "/stream") static_cast<void>(co_await exchange.end());
  } else if (path == "/flood") {
    static_cast<void>(co_await exchange.begin_stream({.status = 200, .fields = {}, .body = {}}));
    const std::string piece(1'000'000, 'x');
    while (co_await exchange.write({core::as_bytes(piece)})) {
    }
  } else if (path == "/begun") {
    const auto begun = co_await exchange.body_arrives(16 * 1024);
    if (begun) co_return co_await echo(exchange, seen);
    seen.body_errors.push_back(begun.error().code);
    static_cast<void>(co_await exchange.respond({.status = 408, .fields = {}, .body = "late"}));
  } else {
    co_await echo(exchange, seen);
  }
}

class HttpServer : public ::testing::Test {
 protected:
  void SetUp() override {
    settings_ = {.connections_max = 4096,
                 .header_timeout = 300ms,
                 .idle_timeout = 500ms,
                 .body_idle_timeout = 300ms,
                 .body_timeout = 2s,
                 .write_timeout = 5s};
  }
  void TearDown() override { stop(); }

  void stop() {
    if (!server_) return;
    server_->close();
    EXPECT_TRUE(run_on_io(runtime_, server_->drained(std::chrono::steady_clock::now() + 15s)));
    EXPECT_EQ(server_->connections(), 0u);
    server_.reset();
  }

  void start() {
    server_ = std::make_unique<io::HttpServer>(
        runtime_, settings_,
        [this](io::HttpExchange& exchange) { return handle(exchange, runtime_, seen_); },
        [this](int status, const std::string& detail) {
          ++seen_.refused;
          return io::HttpAnswer{.status = status, .fields = {}, .body = detail};
        });
    const auto listening = server_->listen({"127.0.0.1", 0, ""});
    ASSERT_TRUE(listening) << listening.error().detail;
    port_ = server_->local().port;
  }

  // Runs the server for as long as the client takes.
  template <class Client>
  void serve(Client client) {
    if (!server_) start();
    std::atomic<bool> done = false;
    std::thread thread([&] {
      client();
      done = true;
    });
    while (!done) run_on_io(runtime_, runtime_.sleep(2ms));
    thread.join();
  }
  void run_until_connections(std::size_t count) {
    for (int i = 0; i < 1500 && server_->connections() != count; ++i) {
      run_on_io(runtime_, runtime_.sleep(10ms));
    }
    EXPECT_EQ(server_->connections(), count);
  }
  // One connection: everything it sends, and all that comes back until the server ends it.
  std::string talk(const std::string& request) {
    std::string answer;
    serve([&] {
      RawClient client(port());
      client.send(request);
      client.finish_sending();
      answer = client.receive_all();
    });
    return answer;
  }
  std::uint16_t port() { return port_; }

  io::IoRuntime runtime_;
  io::HttpServerSettings settings_;
  Seen seen_;
  std::unique_ptr<io::HttpServer> server_;
  std::uint16_t port_ = 0;
};

// --- requests and answers ---

TEST_F(HttpServer, serves_several_requests_on_one_connection) {
  serve([this] {
    RawClient client(port());
    for (const std::string body : {"one", "two", "three"}) {
      client.send(post(body));
      const std::string answer = client.receive_until("/echo:" + body);
      EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
      EXPECT_NE(answer.find("\r\nContent-Length: " + std::to_string(body.size() + 6) + "\r\n"),
                std::string::npos);
      EXPECT_NE(answer.find("\r\nDate: "), std::string::npos);
      EXPECT_EQ(answer.find("Connection:"), std::string::npos);
    }
  });
  EXPECT_EQ(seen_.handled, 3);
}

TEST_F(HttpServer, answers_pipelined_requests_in_their_order) {
  std::string requests;
  for (int i = 0; i < 20; ++i) requests += post("body " + std::to_string(i) + ";");
  const std::string answer = talk(requests);
  EXPECT_EQ(count_of(answer, "HTTP/1.1 200 OK"), 20u);
  std::size_t at = 0;
  for (int i = 0; i < 20; ++i) {
    at = answer.find("body " + std::to_string(i) + ";", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

TEST_F(HttpServer, reads_chunked_bodies_and_the_request_behind_them) {
  const std::string chunked =
      "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n1;x=y\r\n \r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n";
  const std::string answer = talk(chunked + post("next"));
  EXPECT_NE(answer.find("/echo:hello world"), std::string::npos) << answer;
  EXPECT_NE(answer.find("/echo:next"), std::string::npos) << answer;
}

TEST_F(HttpServer, reads_a_chunked_body_that_comes_byte_by_byte) {
  std::string answer;
  serve([&] {
    RawClient client(port());
    const std::string request =
        "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    for (char c : request) client.send({&c, 1});
    answer = client.receive_until("/echo:");
    if (!answer.ends_with("abcde")) answer += client.receive_until("abcde");
  });
  EXPECT_NE(answer.find("/echo:abcde"), std::string::npos) << answer;
}

TEST_F(HttpServer, answers_a_broken_chunk_and_closes) {
  const std::string answer = talk(
      "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + post("next"));
  EXPECT_EQ(count_of(answer, "HTTP/1.1 "), 1u) << "what follows is not a request";
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  ASSERT_EQ(seen_.body_errors.size(), 1u);
  EXPECT_EQ(seen_.body_errors[0], core::Code::invalid_argument);
}

TEST_F(HttpServer, says_continue_only_when_the_handler_wants_the_body) {
  serve([this] {
    RawClient client(port());
    client.send(
        "POST /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_EQ(client.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("ok");
    EXPECT_NE(client.receive_until("/echo:ok").find("HTTP/1.1 200"), std::string::npos);
    client.send(
        "POST /refuse HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
        "Content-Length: 2\r\n\r\n");
    client.finish_sending();
    const std::string refusal = client.receive_all();
    EXPECT_TRUE(refusal.starts_with("HTTP/1.1 413 ")) << refusal;
    EXPECT_EQ(refusal.find("100 Continue"), std::string::npos);
    EXPECT_NE(refusal.find("Connection: close"), std::string::npos);
  });
}

TEST_F(HttpServer, answers_head_with_the_length_and_without_the_body) {
  const std::string answer =
      talk("HEAD /x HTTP/1.1\r\nHost: t\r\n\r\nHEAD /long HTTP/1.1\r\nHost: t\r\n\r\n" + post("z"));
  EXPECT_NE(answer.find("Content-Length: 3\r\n"), std::string::npos);
  EXPECT_EQ(answer.find("/x:"), std::string::npos);
  EXPECT_NE(answer.find("Content-Length: 3000000\r\n"), std::string::npos);
  EXPECT_NE(answer.find("/echo:z"), std::string::npos) << "the connection goes on";
}

TEST_F(HttpServer, writes_long_answers_in_pieces) {
  const std::string answer = talk("GET /long HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 3'000'000u);
}

TEST_F(HttpServer, keeps_http_1_0_connections_only_when_asked) {
  std::string answer = talk("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  answer = talk("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n");
  EXPECT_NE(answer.find("Connection: keep-alive"), std::string::npos);
  EXPECT_NE(answer.find("/b:"), std::string::npos);
}

TEST_F(HttpServer, closes_after_the_answer_when_the_client_says_so) {
  const std::string answer = talk(post("a", "Connection: close\r\n") + post("b"));
  EXPECT_NE(answer.find("/echo:a"), std::string::npos);
  EXPECT_EQ(answer.find("/echo:b"), std::string::npos);
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
}

TEST_F(HttpServer, a_body_nobody_read_is_not_the_next_request) {
  const std::string hidden = "GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n";
  const std::string answer =
      talk("POST /refuse HTTP/1.1\r\nHost: t\r\nContent-Length: " + std::to_string(hidden.size()) +
           "\r\n\r\n" + hidden);
  EXPECT_EQ(count_of(answer, "HTTP/1.1 "), 1u) << answer;
}

TEST_F(HttpServer, an_answer_that_ends_short_closes_the_connection) {
  const std::string answer = talk("GET /short HTTP/1.1\r\nHost: t\r\n\r\n" + post("next"));
  EXPECT_NE(answer.find("Content-Length: 100"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("only this")) << answer;
}

TEST_F(HttpServer, streams_an_answer_in_chunks_and_serves_the_next_request) {
  const std::string answer = talk("GET /stream HTTP/1.1\r\nHost: t\r\n\r\n" + post("next"));
  EXPECT_NE(answer.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << answer;
  EXPECT_EQ(count_of(answer, "Content-Length"), 1u) << "of the second answer";
  const std::string body = "\r\n\r\n1\r\nx\r\n14\r\n" + std::string(20, 'y') + "\r\n0\r\n\r\n";
  EXPECT_NE(answer.find(body), std::string::npos) << answer;
  EXPECT_NE(answer.find("/echo:next"), std::string::npos) << answer;
}

TEST_F(HttpServer, streams_an_answer_up_to_the_end_where_chunks_are_not_known) {
  const std::string answer = talk("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(answer.find("chunked"), std::string::npos) << answer;
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\nx" + std::string(20, 'y'))) << answer;
}

TEST_F(HttpServer, closes_the_connection_of_a_stream_that_was_not_ended) {
  const std::string answer = talk("GET /stream-cut HTTP/1.1\r\nHost: t\r\n\r\n" + post("next"));
  EXPECT_TRUE(answer.ends_with("yy\r\n")) << answer;
}

TEST_F(HttpServer, sends_the_head_of_a_stream_alone_where_that_is_asked_for) {
  const std::string answer = talk("HEAD /stream HTTP/1.1\r\nHost: t\r\n\r\n" + post("next"));
  EXPECT_EQ(answer.find("yy"), std::string::npos) << answer;
  EXPECT_NE(answer.find("/echo:next"), std::string::npos) << answer;
}

TEST_F(HttpServer, ends_a_stream_whose_client_takes_nothing_in_time_and_at_once_when_it_closes) {
  settings_.write_timeout = 300ms;
  serve([this] {
    RawClient client(port());
    client.send("GET /flood HTTP/1.1\r\nHost: t\r\n\r\n");
    std::this_thread::sleep_for(600ms);
    const std::string answer = client.receive_all();
    EXPECT_FALSE(answer.ends_with("0\r\n\r\n"));
  });
  run_until_connections(0);
  stop();
  settings_.write_timeout = 60s;
  start();
  RawClient stuck(port());
  stuck.send("GET /flood HTTP/1.1\r\nHost: t\r\n\r\n");
  run_until_connections(1);
  run_on_io(runtime_, runtime_.sleep(100ms));
  // TearDown() waits 15 s at most for what would have taken 60.
}

// --- bad heads and slow clients ---

TEST_F(HttpServer, refuses_bad_heads_in_plain_words_and_closes) {
  for (const auto& [request, status] : std::vector<std::pair<std::string, std::string>>{
           {"nonsense\r\n\r\n", "400"},
           {"GET / HTTP/1.1\r\n\r\n", "400"},  // no Host
           {"GET / HTTP/1.1\r\nHost: t\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n", "431"},
           {"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "400"}}) {
    const std::string answer = talk(request);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + status)) << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  }
  EXPECT_EQ(seen_.handled, 0);
  EXPECT_EQ(seen_.refused, 4);
}

TEST_F(HttpServer, a_head_that_does_not_arrive_is_a_408) {
  std::string answer;
  core::Duration took{};
  serve([&] {
    RawClient client(port());
    client.send("GET / HTTP/1.1\r\nHo");
    const auto began = std::chrono::steady_clock::now();
    answer = client.receive_until("\r\n\r\n");
    took = std::chrono::steady_clock::now() - began;
  });
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
  EXPECT_GE(took, 250ms);
  EXPECT_LT(took, 2s);
}

TEST_F(HttpServer, a_head_that_trickles_in_gets_no_more_time) {
  std::string answer;
  core::Duration took{};
  serve([&] {
    RawClient client(port());
    const auto began = std::chrono::steady_clock::now();
    client.send("GET / HTTP/1.1\r\nHost: t\r\n");
    for (int i = 0; i < 8; ++i) {
      std::this_thread::sleep_for(100ms);
      if (!client.send("X: y\r\n")) break;
    }
    answer = client.receive_until("\r\n\r\n");
    took = std::chrono::steady_clock::now() - began;
  });
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
  EXPECT_EQ(seen_.handled, 0);
}

TEST_F(HttpServer, a_connection_that_says_nothing_is_closed_without_a_word) {
  std::string answer = "?";
  serve([&] {
    RawClient client(port());
    answer = client.receive_all();
    EXPECT_TRUE(client.ended_orderly());
  });
  EXPECT_EQ(answer, "");
}

TEST_F(HttpServer, an_idle_connection_is_closed_after_its_time) {
  core::Duration took{};
  serve([&] {
    RawClient client(port());
    client.send(post("a"));
    client.receive_until("/echo:a");
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(client.receive_all(), "");
    took = std::chrono::steady_clock::now() - began;
  });
  EXPECT_GE(took, 450ms);
  EXPECT_LT(took, 3s);
}

TEST_F(HttpServer, a_body_that_stops_is_a_timeout_that_can_be_answered) {
  std::string answer;
  serve([&] {
    RawClient client(port());
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf");
    answer = client.receive_until("late");
  });
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
  ASSERT_EQ(seen_.body_errors.size(), 1u);
  EXPECT_EQ(seen_.body_errors[0], core::Code::timeout);
}

TEST_F(HttpServer, a_body_that_trickles_for_ever_ends_at_its_deadline) {
  std::string answer;
  serve([&] {
    RawClient client(port());
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n");
    const auto began = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - began < 2500ms && client.send("x")) {
      std::this_thread::sleep_for(100ms);
    }
    answer = client.receive_until("late");
  });
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
}

TEST_F(HttpServer, a_client_that_leaves_in_its_body_ends_the_request) {
  serve([this] {
    RawClient client(port());
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf");
    client.reset();
  });
  run_until_connections(0);
  ASSERT_EQ(seen_.body_errors.size(), 1u);
  EXPECT_EQ(seen_.body_errors[0], core::Code::closed);
}

TEST_F(HttpServer, a_refusal_can_be_read_by_a_client_that_still_sends) {
  std::string answer;
  bool all_sent = false;
  bool orderly = false;
  serve([&] {
    RawClient client(port());
    client.send("POST /refuse HTTP/1.1\r\nHost: t\r\nContent-Length: 6000000\r\n\r\n");
    all_sent = client.send(std::string(6'000'000, 'b'));  // reads only after all of it
    client.finish_sending();
    answer = client.receive_all();
    orderly = client.ended_orderly();
  });
  EXPECT_TRUE(all_sent);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 413 ")) << answer;
  EXPECT_TRUE(answer.ends_with("too large"));
  EXPECT_TRUE(orderly) << "a reset would have thrown the answer away";
}

TEST_F(HttpServer, a_body_below_the_least_rate_is_a_408_after_its_grace) {
  settings_.body_rate_min = 1000;
  settings_.body_rate_grace = 400ms;
  std::string answer;
  core::Duration took{};
  serve([&] {
    RawClient client(port());
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n");
    const auto began = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - began < 1700ms && client.send("0123456789")) {
      std::this_thread::sleep_for(50ms);  // 200 bytes a second
    }
    answer = client.receive_until("late");
    took = std::chrono::steady_clock::now() - began;
  });
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
  EXPECT_GE(took, 390ms);
  ASSERT_EQ(seen_.body_errors.size(), 1u);
  EXPECT_EQ(seen_.body_errors[0], core::Code::timeout);
}

TEST_F(HttpServer, a_body_that_keeps_the_least_rate_goes_on_past_the_grace) {
  settings_.body_rate_min = 1000;
  settings_.body_rate_grace = 200ms;
  std::string answer;
  serve([&] {
    RawClient client(port());
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4000\r\n\r\n");
    for (int i = 0; i < 10; ++i) {
      client.send(std::string(400, 'x'));  // 4,000 bytes a second
      std::this_thread::sleep_for(100ms);
    }
    answer = client.receive_until("\r\n\r\n");
  });
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
}

TEST_F(HttpServer, a_body_has_begun_when_16_kib_or_all_of_it_are_there) {
  const std::string long_body(1'000'000, 'b');
  for (const auto& [request, body] : std::vector<std::pair<std::string, std::string>>{
           {"Content-Length: 5\r\n\r\nsmall", "small"},
           {"Content-Length: 1000000\r\n\r\n" + long_body, long_body},
           {"Transfer-Encoding: chunked\r\n\r\n5\r\nsmall\r\n0\r\n\r\n", "small"},
           {"Transfer-Encoding: chunked\r\n\r\nF4240\r\n" + long_body + "\r\n0\r\n\r\n",
            long_body}}) {
    const std::string answer =
        talk("POST /begun HTTP/1.1\r\nHost: t\r\nConnection: close\r\n" + request);
    EXPECT_TRUE(answer.ends_with("/begun:" + body)) << answer.substr(0, 200);
  }
}

TEST_F(HttpServer, a_body_that_comes_in_pieces_has_begun_all_the_same) {
  for (const bool chunked : {false, true}) {
    std::string answer;
    serve([&] {
      RawClient client(port());
      client.send("POST /begun HTTP/1.1\r\nHost: t\r\nConnection: close\r\n");
      client.send(chunked ? "Transfer-Encoding: chunked\r\n\r\n7530\r\n"
                          : "Content-Length: 30000\r\n\r\n");
      for (int i = 0; i < 10; ++i) {
        std::this_thread::sleep_for(20ms);
        client.send(std::string(3000, 'p'));
      }
      if (chunked) client.send("\r\n0\r\n\r\n");
      answer = client.receive_all();
    });
    EXPECT_TRUE(answer.ends_with(std::string(30000, 'p'))) << answer.substr(0, 200);
  }
}

TEST_F(HttpServer, a_body_that_does_not_begin_is_a_408_and_one_whose_client_left_is_closed) {
  for (const char* framing :
       {"Content-Length: 30000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n7530\r\n"}) {
    const std::string request = std::string("POST /begun HTTP/1.1\r\nHost: t\r\n") + framing;
    seen_.body_errors.clear();
    std::string answer;
    serve([&] {
      RawClient client(port());
      client.send(request + "xyz");
      answer = client.receive_until("\r\n\r\n");
    });
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
    talk(request + "xyz");
    EXPECT_EQ(seen_.body_errors, (std::vector{core::Code::timeout, core::Code::closed}));
  }
}

TEST_F(HttpServer, bodies_that_have_not_begun_make_room_for_others) {
  settings_.connections_max = 1;
  settings_.body_idle_timeout = 20s;
  settings_.body_timeout = 20s;
  for (const char* framing :
       {"Content-Length: 30000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n7530\r\n"}) {
    std::string told;
    serve([&] {
      RawClient slow(port());
      slow.send(std::string("POST /begun HTTP/1.1\r\nHost: t\r\n") + framing);
      std::this_thread::sleep_for(100ms);
      RawClient good(port());
      good.send(post("in", "Connection: close\r\n"));
      EXPECT_NE(good.receive_all().find("/echo:in"), std::string::npos);
      told = slow.receive_all();
    });
    EXPECT_TRUE(told.starts_with("HTTP/1.1 408 ")) << told;
    run_until_connections(0);
  }
}

// --- many connections, and the end ---

TEST_F(HttpServer, an_address_with_too_many_connections_is_told_so) {
  settings_.connections_per_address_max = 2;
  settings_.header_timeout = 20s;
  std::string refusal;
  std::string later;
  serve([&] {
    RawClient first(port());
    RawClient second(port());
    for (RawClient* busy : {&first, &second}) {
      busy->send("GET /slow HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    }
    std::this_thread::sleep_for(30ms);
    RawClient third(port());
    refusal = third.receive_all();
    third.finish_sending();
    first.receive_all();
    second.receive_all();
    first.finish_sending();
    second.finish_sending();
    std::this_thread::sleep_for(100ms);  // until the server has seen their ends
    RawClient fourth(port());
    fourth.send(post("d", "Connection: close\r\n"));
    later = fourth.receive_all();
  });
  EXPECT_TRUE(refusal.starts_with("HTTP/1.1 429 ")) << refusal;
  EXPECT_NE(refusal.find("Connection: close"), std::string::npos);
  EXPECT_NE(later.find("/echo:d"), std::string::npos) << later;
}

TEST_F(HttpServer, connections_that_only_wait_make_room_for_others) {
  settings_.connections_max = 2;
  settings_.header_timeout = 20s;
  std::string answer;
  std::string silent_got = "?";
  core::Duration took{};
  serve([&] {
    RawClient silent(port());
    RawClient slow(port());
    slow.send("GET / HTTP/1.1\r\n");
    std::this_thread::sleep_for(100ms);
    const auto began = std::chrono::steady_clock::now();
    RawClient good(port());
    good.send(post("in", "Connection: close\r\n"));
    answer = good.receive_all();
    took = std::chrono::steady_clock::now() - began;
    silent_got = silent.receive_all();
  });
  EXPECT_NE(answer.find("/echo:in"), std::string::npos) << answer;
  EXPECT_LT(took, 1s);
  EXPECT_EQ(silent_got, "") << "the one that waited longest was ended";
  EXPECT_EQ(server_->ended_for_room(), 1u);
}

TEST_F(HttpServer, a_half_sent_head_that_makes_room_is_told_408_and_idle_ones_go_last) {
  settings_.connections_max = 2;
  settings_.header_timeout = 20s;
  settings_.idle_timeout = 20s;
  std::string told;
  std::string kept;
  serve([&] {
    RawClient idle(port());
    idle.send(post("a"));
    idle.receive_until("/echo:a");
    std::this_thread::sleep_for(20ms);
    RawClient slow(port());
    slow.send("GET / HTTP/1.1\r\nHost: t\r\n");
    std::this_thread::sleep_for(100ms);
    RawClient good(port());
    good.send(post("in", "Connection: close\r\n"));
    EXPECT_NE(good.receive_all().find("/echo:in"), std::string::npos);
    told = slow.receive_all();
    idle.send(post("still here", "Connection: close\r\n"));
    kept = idle.receive_all();
  });
  EXPECT_TRUE(told.starts_with("HTTP/1.1 408 ")) << told;
  EXPECT_NE(told.find("Connection: close"), std::string::npos);
  EXPECT_NE(kept.find("/echo:still here"), std::string::npos) << kept;
}

TEST_F(HttpServer, a_crowd_of_half_sent_heads_does_not_keep_others_out) {
  settings_.connections_max = 50;
  settings_.header_timeout = 20s;
  int served = 0;
  serve([&] {
    std::vector<std::unique_ptr<RawClient>> crowd;
    for (int i = 0; i < 200; ++i) {
      crowd.push_back(std::make_unique<RawClient>(port()));
      crowd.back()->send("GET / HTTP/1.1\r\n");
    }
    for (int i = 0; i < 20; ++i) {
      RawClient good(port());
      good.send(post("in", "Connection: close\r\n"));
      if (good.receive_all().find("/echo:in") != std::string::npos) ++served;
    }
  });
  EXPECT_EQ(served, 20);
  EXPECT_GE(server_->ended_for_room(), 150u);
  run_until_connections(0);
}

TEST_F(HttpServer, requests_being_served_never_make_room) {
  settings_.connections_max = 1;
  std::string answer;
  serve([&] {
    RawClient busy(port());
    busy.send("GET /slow HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    std::this_thread::sleep_for(50ms);
    RawClient other(port());
    other.send(post("x", "Connection: close\r\n"));
    answer = busy.receive_all();
    EXPECT_NE(other.receive_all().find("/echo:x"), std::string::npos);
  });
  EXPECT_NE(answer.find("slow"), std::string::npos) << answer;
}

TEST_F(HttpServer, holds_no_more_connections_than_it_may) {
  settings_.connections_max = 5;
  settings_.header_timeout = 5s;
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<RawClient>(port()));
  std::size_t most = 0;
  for (int i = 0; i < 30; ++i) {
    run_on_io(runtime_, runtime_.sleep(10ms));
    most = std::max(most, server_->connections());
  }
  EXPECT_EQ(most, 5u);
  clients.erase(clients.begin(), clients.begin() + 15);  // five held, ten gone before their turn
  serve([&] {
    clients.back()->send(post("my turn"));
    EXPECT_NE(clients.back()->receive_until("my turn").find("200 OK"), std::string::npos);
  });
  clients.clear();
  run_until_connections(0);
}

TEST_F(HttpServer, close_ends_idle_connections_and_lets_requests_finish) {
  settings_.idle_timeout = 60s;
  start();
  std::string slow_answer;
  std::string idle_rest = "?";
  bool refused = false;
  std::atomic<bool> closed = false;
  std::atomic<bool> ready = false;
  std::thread closer_view([&] {
    RawClient idle(port());
    idle.send(post("a"));
    idle.receive_until("/echo:a");
    RawClient slow(port());
    slow.send("GET /slow HTTP/1.1\r\nHost: t\r\n\r\n");
    std::this_thread::sleep_for(50ms);
    ready = true;
    idle_rest = idle.receive_all();
    slow_answer = slow.receive_all();
    slow.close();
    const RawClient late(port());
    refused = !late.connected();
    closed = true;
  });
  while (!ready) run_on_io(runtime_, runtime_.sleep(2ms));
  run_on_io(runtime_, runtime_.sleep(20ms));
  server_->close();
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(run_on_io(runtime_, server_->drained(began + 5s)));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 3s);
  while (!closed) run_on_io(runtime_, runtime_.sleep(2ms));
  closer_view.join();
  EXPECT_EQ(idle_rest, "");
  EXPECT_TRUE(slow_answer.starts_with("HTTP/1.1 200 OK")) << slow_answer;
  EXPECT_NE(slow_answer.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(refused);
}

TEST_F(HttpServer, drained_tells_when_it_took_too_long) {
  std::atomic<bool> done = false;
  start();
  std::thread client([&] {
    RawClient slow(port());
    slow.send("GET /slow HTTP/1.1\r\nHost: t\r\n\r\n");
    slow.receive_all();
    done = true;
  });
  while (seen_.handled == 0) run_on_io(runtime_, runtime_.sleep(2ms));
  server_->close();
  EXPECT_FALSE(run_on_io(runtime_, server_->drained(std::chrono::steady_clock::now() + 50ms)));
  EXPECT_TRUE(run_on_io(runtime_, server_->drained(std::chrono::steady_clock::now() + 5s)));
  while (!done) run_on_io(runtime_, runtime_.sleep(2ms));
  client.join();
}

TEST_F(HttpServer, a_thousand_connections_that_come_and_go_leave_nothing) {
  std::mt19937 random(7);
  const std::string request = post(std::string(3000, 'r'));
  serve([&] {
    for (int i = 0; i < 1000; ++i) {
      RawClient client(port());
      ASSERT_TRUE(client.connected());
      client.send(std::string_view(request).substr(0, random() % (request.size() + 1)));
      switch (random() % 4) {
        case 0:
          client.reset();
          break;
        case 1:
          client.finish_sending();
          break;
        case 2:
          std::this_thread::sleep_for(std::chrono::microseconds(random() % 500));
          client.reset();
          break;
        default:
          client.close();
      }
    }
  });
  run_until_connections(0);
  EXPECT_NE(talk(post("still here")).find("/echo:still here"), std::string::npos);
}

}  // namespace
}  // namespace daybook::tests
