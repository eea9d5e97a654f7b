// Streams over loopback: what read and write say when the peer sends, ends, resets or is silent.
#include "io/stream.hpp"

#include <atomic>

#include <gtest/gtest.h>

#include "tests/contract/payloads.hpp"
#include "tests/unit/io/raw_client.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;
using core::Code;
using core::Retry;

class Stream : public ::testing::Test {
 protected:
  void SetUp() override {
    auto listener = io::listen(runtime_, {"127.0.0.1", 0, ""});
    ASSERT_TRUE(listener) << listener.error().detail;
    listener_ = std::move(*listener);
    client_ = std::make_unique<RawClient>(listener_->local().port);
    auto stream = run_on_io(runtime_, listener_->accept());
    ASSERT_TRUE(stream);
    stream_ = std::move(*stream);
  }

  core::Result<std::string> read(core::Duration patience = 5s) {
    std::vector<std::byte> into(1000);
    const auto bytes =
        run_on_io(runtime_, stream_->read_some(into, std::chrono::steady_clock::now() + patience));
    if (!bytes) return pass(bytes);
    return std::string(core::as_text(core::Bytes(into).first(*bytes)));
  }
  core::Result<void> write(std::string_view text, core::Duration patience = 5s) {
    return run_on_io(runtime_, stream_->write_all({core::as_bytes(text)},
                                                  std::chrono::steady_clock::now() + patience));
  }

  io::IoRuntime runtime_;
  std::unique_ptr<io::Listener> listener_;
  std::unique_ptr<RawClient> client_;
  std::unique_ptr<io::Stream> stream_;
};

TEST_F(Stream, carries_bytes_both_ways) {
  client_->send("question");
  EXPECT_EQ(read().value_or("?"), "question");
  ASSERT_TRUE(write("answer"));
  EXPECT_EQ(client_->receive_until("answer"), "answer");
}

TEST_F(Stream, an_orderly_end_and_a_reset_are_told_apart) {
  client_->finish_sending();
  auto end = read();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Code::closed);
  EXPECT_EQ(end.error().retry, Retry::never);
  ASSERT_TRUE(write("still writable"));
  client_->reset();
  end = read();
  ASSERT_FALSE(end);
}

TEST_F(Stream, a_reset_is_an_unknown_outcome) {
  client_->reset();
  const auto end = read();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Code::closed);
  EXPECT_EQ(end.error().retry, Retry::unknown_outcome);
}

TEST_F(Stream, a_read_ends_at_its_deadline_and_writing_still_works) {
  const auto before = std::chrono::steady_clock::now();
  const auto silent = read(100ms);
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, Code::timeout);
  EXPECT_GE(std::chrono::steady_clock::now() - before, 95ms);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 2s);
  ASSERT_TRUE(write("408"));
  EXPECT_EQ(client_->receive_until("408"), "408");
  client_->send("late");
  EXPECT_EQ(read().value_or("?"), "late");
}

TEST_F(Stream, a_shorter_deadline_after_a_longer_one_counts) {
  client_->send("x");
  ASSERT_TRUE(read(1h));
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(read(50ms).error().code, Code::timeout);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 2s);
}

TEST_F(Stream, a_longer_deadline_after_a_shorter_one_counts) {
  client_->send("x");
  ASSERT_TRUE(read(50ms));
  std::thread late([this] {
    std::this_thread::sleep_for(200ms);
    client_->send("y");
  });
  EXPECT_EQ(read(5s).value_or("?"), "y");
  late.join();
}

TEST_F(Stream, a_peer_that_does_not_read_cannot_hold_a_write_for_ever) {
  const std::string much(64 * core::MiB, 'm');
  const auto stuck = write(much, 200ms);
  ASSERT_FALSE(stuck);
  EXPECT_EQ(stuck.error().code, Code::timeout);
}

TEST_F(Stream, writes_many_slices_in_their_order) {
  std::vector<std::string> parts;
  std::string whole;
  for (int i = 0; i < 3000; ++i) {  // more than one gathered write takes
    parts.push_back(std::to_string(i) + ";");
    whole += parts.back();
  }
  core::Slices slices;
  for (const std::string& part : parts) slices.push_back(core::as_bytes(part));
  std::string received;
  std::thread reader([&] {
    while (received.size() < whole.size()) {
      const std::string part = client_->receive();
      if (part.empty()) break;
      received += part;
    }
  });
  EXPECT_TRUE(run_on_io(runtime_, stream_->write_all(slices, soon())));
  reader.join();
  EXPECT_EQ(received, whole);
}

TEST_F(Stream, close_ends_a_wait_in_progress) {
  std::optional<Code> ended;
  runtime_.spawn([](io::Stream& stream, std::optional<Code>& out) -> core::Task<> {
    std::vector<std::byte> into(10);
    const auto bytes = co_await stream.read_some(into, soon());
    out = bytes ? Code::internal : bytes.error().code;
  }(*stream_, ended));
  run_on_io(runtime_, runtime_.sleep(20ms));
  EXPECT_FALSE(ended);
  stream_->close();
  stream_->close();
  run_on_io(runtime_, runtime_.sleep(20ms));
  EXPECT_EQ(ended, Code::closed);
}

TEST_F(Stream, shutdown_write_tells_the_peer_and_reading_goes_on) {
  stream_->shutdown_write();
  EXPECT_EQ(client_->receive_all(), "");
  EXPECT_TRUE(client_->ended_orderly());
  client_->send("after it");
  EXPECT_EQ(read().value_or("?"), "after it");
}

TEST_F(Stream, connects_and_says_who_did_not_answer) {
  auto out = run_on_io(runtime_, io::connect(runtime_, listener_->local(), std::nullopt,
                                             core::Origin::buffer, soon()));
  ASSERT_TRUE(out);
  const io::Endpoint gone = listener_->local();
  listener_->close();
  out =
      run_on_io(runtime_, io::connect(runtime_, gone, std::nullopt, core::Origin::buffer, soon()));
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().origin, core::Origin::buffer);
  EXPECT_EQ(out.error().code, Code::unavailable);
  EXPECT_NE(out.error().detail.find(gone.str()), std::string::npos) << out.error().detail;
  out = run_on_io(runtime_, io::connect(runtime_, {"", 0, "/nonexistent/socket"}, std::nullopt,
                                        core::Origin::buffer, soon()));
  EXPECT_FALSE(out);
}

TEST_F(Stream, a_closed_listener_accepts_nobody) {
  listener_->close();
  const auto stream = run_on_io(runtime_, listener_->accept());
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().code, Code::closed);
}

TEST(Endpoint, is_read_from_text_and_written_back) {
  struct Case {
    const char* text;
    const char* host;
    std::uint16_t port;
  };
  for (const Case& each :
       {Case{"127.0.0.1:7080", "127.0.0.1", 7080}, Case{"localhost:1", "localhost", 1},
        Case{"[::1]:65535", "::1", 65535}}) {
    const auto endpoint = io::parse_endpoint(each.text);
    ASSERT_TRUE(endpoint) << each.text;
    EXPECT_EQ(endpoint->host, each.host);
    EXPECT_EQ(endpoint->port, each.port);
    EXPECT_EQ(endpoint->str(), each.text);
  }
  for (const char* bad : {"", ":1", "host", "host:", "host:x", "host:65536", "host:-1", "[::1]",
                          "[::1", "::1:80", "host:1x"}) {
    EXPECT_FALSE(io::parse_endpoint(bad)) << bad;
  }
}

}  // namespace
}  // namespace daybook::tests
