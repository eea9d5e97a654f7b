// Waiting for descriptors of others, and names.
#include "io/descriptor_wait.hpp"

#include <array>

#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "io/resolve.hpp"
#include "tests/unit/io/run_on_io.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;
using io::Readiness;

class DescriptorWait : public testing::Test {
 protected:
  DescriptorWait() {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends_.data()), 0);
  }
  ~DescriptorWait() override {
    for (const int end : ends_) {
      if (end >= 0) ::close(end);
    }
  }
  core::Result<bool> wait(Readiness wanted, core::Duration patience) {
    return run_on_io(runtime_, io::wait_until_ready(runtime_, ends_[0], wanted,
                                                    runtime_.steady_now() + patience));
  }
  void fill() {
    const std::array<char, 4096> bytes{};
    while (::write(ends_[0], bytes.data(), bytes.size()) > 0) {
    }
  }

  io::IoRuntime runtime_;
  std::array<int, 2> ends_{-1, -1};
};

TEST_F(DescriptorWait, ends_at_its_deadline) {
  const auto began = runtime_.steady_now();
  EXPECT_FALSE(wait(Readiness::readable, 50ms).value());
  EXPECT_GE(runtime_.steady_now() - began, 50ms);
  fill();
  EXPECT_FALSE(wait(Readiness::writable, 20ms).value());
  EXPECT_FALSE(wait(Readiness::either, 20ms).value());
}

TEST_F(DescriptorWait, sees_what_can_be_done) {
  EXPECT_TRUE(wait(Readiness::writable, 60s).value());
  EXPECT_TRUE(wait(Readiness::either, 60s).value());
  ASSERT_EQ(::write(ends_[1], "x", 1), 1);
  EXPECT_TRUE(wait(Readiness::readable, 60s).value());
  fill();
  EXPECT_TRUE(wait(Readiness::either, 60s).value()) << "it can still be read";
}

TEST_F(DescriptorWait, wakes_when_bytes_come_while_it_waits) {
  runtime_.spawn([](io::IoRuntime& runtime, int end) -> core::Task<> {
    co_await runtime.sleep(20ms);
    EXPECT_EQ(::write(end, "x", 1), 1);
  }(runtime_, ends_[1]));
  EXPECT_TRUE(wait(Readiness::readable, 60s).value());
}

TEST_F(DescriptorWait, wakes_when_the_peer_goes) {
  ::close(ends_[1]);
  ends_[1] = -1;
  EXPECT_TRUE(wait(Readiness::readable, 60s).value());
}

TEST_F(DescriptorWait, outlives_a_descriptor_that_its_owner_closes) {
  runtime_.spawn([](io::IoRuntime& runtime, int end) -> core::Task<> {
    co_await runtime.sleep(5ms);
    ::close(end);
  }(runtime_, ends_[0]));
  EXPECT_FALSE(wait(Readiness::readable, 40ms).value());
  ends_[0] = -1;
}

TEST_F(DescriptorWait, leaves_no_descriptor_behind) {
  EXPECT_TRUE(wait(Readiness::writable, 60s).value());
  const int before = ::dup(0);
  ::close(before);
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(wait(Readiness::writable, 60s).value());
    EXPECT_FALSE(wait(Readiness::readable, 1ms).value());
  }
  runtime_.context().restart();
  runtime_.context().poll();
  const int after = ::dup(0);
  ::close(after);
  EXPECT_EQ(after, before);
}

TEST_F(DescriptorWait, says_so_where_there_is_no_descriptor) {
  const auto wrong = run_on_io(
      runtime_, io::wait_until_ready(runtime_, -1, Readiness::readable, runtime_.steady_now()));
  ASSERT_FALSE(wrong);
}

TEST(Resolve, knows_literals_and_names) {
  io::IoRuntime runtime;
  const auto addresses = [&](const char* host, core::Duration patience = 60s) {
    return run_on_io(runtime, io::resolve(runtime, host, core::Origin::metadata,
                                          runtime.steady_now() + patience));
  };
  EXPECT_EQ(addresses("192.0.2.1").value(), std::vector<std::string>{"192.0.2.1"});
  EXPECT_EQ(addresses("2001:db8::1").value(), std::vector<std::string>{"2001:db8::1"});
  EXPECT_FALSE(addresses("localhost").value().empty());
  const auto none = addresses("nowhere.invalid");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().origin, core::Origin::metadata);
  EXPECT_EQ(none.error().retry, core::Retry::safe);
  EXPECT_NE(none.error().detail.find("nowhere.invalid"), std::string::npos);
  const auto late = addresses("localhost", -1s);
  ASSERT_FALSE(late);
  EXPECT_NE(late.error().detail.find("in time"), std::string::npos);
}

}  // namespace
}  // namespace daybook::tests
