// When credentials are fetched, renewed and replaced, on a virtual clock; and the mends that a
// signer offers after a refusal.
#include "storage/aws_credentials.hpp"

#include <functional>

#include <gtest/gtest.h>

#include "core/text.hpp"
#include "storage/aws_signer.hpp"
#include "tests/unit/virtual_runtime.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Origin;
using core::Retry;
using tests::VirtualRuntime;
using namespace std::chrono_literals;
using Keys = core::sigv4::Credentials;

// A source that hands out k1, k2, … or fails, and takes its time.
struct Script {
  explicit Script(VirtualRuntime& virtual_runtime) : runtime(virtual_runtime) {}
  VirtualRuntime& runtime;
  std::optional<core::Duration> lifetime;
  std::optional<core::Duration> look_again;
  core::Duration takes{};
  bool fails = false;
  bool same_again = false;
  std::vector<core::Duration> fetches;  // when
  int running = 0, running_max = 0, number = 0;

  core::Task<core::Result<AwsKeys>> fetch() {
    fetches.push_back(runtime.elapsed());
    running_max = std::max(running_max, ++running);
    if (takes != core::Duration{}) co_await runtime.sleep(takes);
    --running;
    if (fails) {
      co_return core::fail(Code::unavailable, Origin::self, Retry::safe, "no answer");
    }
    if (!same_again || number == 0) ++number;
    AwsKeys keys;
    keys.keys = {"k" + std::to_string(number), "SECRETWORD", "token"};
    if (lifetime) {
      keys.expires =
          runtime.now() + std::chrono::duration_cast<core::WallTime::duration>(*lifetime);
    }
    keys.look_again = look_again;
    keys.source = "script";
    co_return keys;
  }
};

class ScriptSource final : public AwsCredentialSource {
 public:
  explicit ScriptSource(Script& script) : script_(script) {}
  [[nodiscard]] std::string name() const override { return "script"; }
  core::Task<core::Result<AwsKeys>> fetch(core::Deadline /*deadline*/) override {
    return script_.fetch();
  }

 private:
  Script& script_;
};

struct World {
  VirtualRuntime runtime;
  Script script{runtime};
  std::vector<std::string> news;
  std::shared_ptr<AwsCredentials> credentials = AwsCredentials::make(
      runtime, std::make_unique<ScriptSource>(script),
      {.on_renewed = [this](const AwsKeys& keys) { news.push_back(keys.keys.access_key); },
       .on_failed =
           [this](const core::Error& error, bool is_news) {
             if (is_news) news.push_back("failed: " + error.detail);
           }});

  // "" where there are none.
  std::string key(core::Duration patience = 5s) {
    const auto keys = runtime.run(credentials->current(runtime.steady_now() + patience));
    return keys ? keys->access_key : "";
  }
  // Asks every `step` for `time`, as requests would; false: somebody had to wait or got none.
  bool never_waits(core::Duration time, core::Duration step = 100ms) {
    const core::Duration end = runtime.elapsed() + time;
    while (runtime.elapsed() < end) {
      const core::Duration before = runtime.elapsed();
      if (key().empty() || runtime.elapsed() != before) return false;
      runtime.run_for(step);
    }
    return true;
  }
};

TEST(AwsCredentials, are_fetched_when_they_are_first_asked_for_by_many_at_once) {
  World world;
  world.script.takes = 500ms;
  int got = 0;
  for (int i = 0; i < 50; ++i) {
    world.runtime.spawn([](World& owner, int& count) -> core::Task<> {
      const auto keys = co_await owner.credentials->current(owner.runtime.steady_now() + 5s);
      if (keys && keys->access_key == "k1") ++count;
    }(world, got));
  }
  world.runtime.run_for(1s);
  EXPECT_EQ(got, 50);
  EXPECT_EQ(world.script.fetches.size(), 1u);
  EXPECT_EQ(world.credentials->source(), "script");
}

TEST(AwsCredentials, without_an_end_are_fetched_once) {
  World world;
  EXPECT_EQ(world.key(), "k1");
  EXPECT_TRUE(world.never_waits(100h, 1h));
  EXPECT_EQ(world.script.fetches.size(), 1u);
}

TEST(AwsCredentials, are_renewed_a_quarter_of_an_hour_before_they_end_while_nobody_waits) {
  World world;
  world.script.lifetime = 6h;
  world.script.takes = 900ms;
  EXPECT_EQ(world.key(), "k1");
  EXPECT_TRUE(world.never_waits(24h, 10s));
  ASSERT_GE(world.script.fetches.size(), 4u);
  for (std::size_t i = 1; i < world.script.fetches.size(); ++i) {
    const auto between = world.script.fetches[i] - world.script.fetches[i - 1];
    EXPECT_GE(between, 5h + 45min);
    EXPECT_LE(between, 5h + 46min);
  }
  EXPECT_EQ(world.script.running_max, 1);
}

TEST(AwsCredentials, of_a_short_life_are_renewed_after_two_thirds_of_it) {
  World world;
  world.script.lifetime = 9s;
  EXPECT_EQ(world.key(), "k1");
  EXPECT_TRUE(world.never_waits(5min));
  EXPECT_NEAR(static_cast<double>(world.script.fetches.size()), 50.0, 4.0);
}

TEST(AwsCredentials, that_cannot_be_renewed_serve_until_they_end_with_one_try_a_second) {
  World world;
  world.script.lifetime = 1h;
  EXPECT_EQ(world.key(), "k1");
  world.script.fails = true;
  world.runtime.run_for(45min);
  EXPECT_TRUE(world.never_waits(14min + 55s));
  const auto& fetches = world.script.fetches;
  EXPECT_GE(fetches.size(), 800u);
  for (std::size_t i = 2; i < fetches.size(); ++i) EXPECT_GE(fetches[i] - fetches[i - 1], 1s);
  EXPECT_EQ(world.news, (std::vector<std::string>{"k1", "failed: no answer"})) << "news once";

  world.runtime.run_for(10s);
  EXPECT_EQ(world.key(), "") << "they have ended";
  world.script.fails = false;
  world.runtime.run_for(1s);
  EXPECT_EQ(world.key(), "k2");
}

TEST(AwsCredentials, that_are_not_there_cost_one_try_a_second_and_an_error_without_secrets) {
  World world;
  world.script.fails = true;
  std::size_t refused = 0;
  for (int i = 0; i < 100; ++i) {
    const auto keys =
        world.runtime.run(world.credentials->current(world.runtime.steady_now() + 5s));
    ASSERT_FALSE(keys);
    EXPECT_EQ(keys.error().retry, Retry::safe);
    EXPECT_EQ(keys.error().detail, "no answer");
    ++refused;
    world.runtime.run_for(100ms);
  }
  EXPECT_EQ(refused, 100u);
  EXPECT_LE(world.script.fetches.size(), 11u);
  EXPECT_GE(world.script.fetches.size(), 9u);
}

TEST(AwsCredentials, that_are_slow_to_come_end_with_the_deadline) {
  World world;
  world.script.takes = 8s;
  const auto keys = world.runtime.run(world.credentials->current(world.runtime.steady_now() + 2s));
  ASSERT_FALSE(keys);
  EXPECT_EQ(keys.error().code, Code::timeout);
  EXPECT_EQ(world.key(10s), "k1");
}

// The clock may be what is wrong, and only an answer to a request shows that.
TEST(AwsCredentials, that_had_ended_when_they_came_are_used_and_asked_for_again) {
  World world;
  world.script.lifetime = -1min;
  EXPECT_EQ(world.key(), "k1");
  EXPECT_NE(world.credentials->source().find("ended by this machine's clock"), std::string::npos);
  EXPECT_TRUE(world.never_waits(1min));
  EXPECT_NEAR(static_cast<double>(world.script.fetches.size()), 6.0, 1.0);
}

TEST(AwsCredentials, of_a_file_that_was_rotated_are_taken_up) {
  World world;
  world.script.look_again = 5s;
  world.script.same_again = true;
  EXPECT_EQ(world.key(), "k1");
  EXPECT_TRUE(world.never_waits(1min));
  EXPECT_EQ(world.key(), "k1");
  EXPECT_EQ(world.news.size(), 1u) << "the same keys are no news";
  world.script.same_again = false;
  EXPECT_TRUE(world.never_waits(6s));
  EXPECT_NE(world.key(), "k1");
  // The file goes away: what was read last goes on.
  world.script.fails = true;
  EXPECT_TRUE(world.never_waits(10min));
}

TEST(AwsCredentials, that_were_refused_are_replaced_at_once_where_the_source_has_others) {
  World world;
  EXPECT_EQ(world.key(), "k1");
  world.runtime.run_for(10s);
  const auto deadline = world.runtime.steady_now() + 5s;
  EXPECT_TRUE(
      world.runtime.run(world.credentials->replace({"k1", "SECRETWORD", "token"}, deadline)));
  EXPECT_EQ(world.key(), "k2");
  EXPECT_EQ(world.script.fetches.size(), 2u);
  // Requests that were under way with the old ones are told without asking again.
  EXPECT_TRUE(
      world.runtime.run(world.credentials->replace({"k1", "SECRETWORD", "token"}, deadline)));
  EXPECT_EQ(world.script.fetches.size(), 2u);
}

TEST(AwsCredentials, that_are_refused_for_ever_are_asked_for_once_a_second) {
  World world;
  world.script.same_again = true;
  EXPECT_EQ(world.key(), "k1");
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(world.runtime.run(world.credentials->replace({"k1", "SECRETWORD", "token"},
                                                              world.runtime.steady_now() + 5s)));
    world.runtime.run_for(100ms);
  }
  EXPECT_LE(world.script.fetches.size(), 12u);
}

// --- the signer ---

struct Signing {
  World world;
  std::vector<core::Duration> offsets;
  AwsSigner signer{world.runtime, world.credentials,
                   [this](core::Duration offset) { offsets.push_back(offset); }};

  AwsSigner::Ready ready() {
    return world.runtime.run(signer.ready(world.runtime.steady_now() + 5s)).value();
  }
  bool mend(const AwsSigner::Ready& used, int status, const std::string& code,
            const std::string& date = "") {
    return world.runtime.run(
        signer.mend(used, status, code, date, world.runtime.steady_now() + 5s));
  }
  std::string date_after(std::chrono::seconds offset) {
    const auto time = std::chrono::floor<std::chrono::seconds>(world.runtime.now()) + offset;
    const std::time_t second = std::chrono::system_clock::to_time_t(
        std::chrono::time_point_cast<std::chrono::system_clock::duration>(time));
    std::tm parts{};
    gmtime_r(&second, &parts);
    char text[40];
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return text;
  }
};

TEST(AwsSigner, signs_with_the_services_time_once_it_was_told) {
  for (const auto offset : {std::chrono::seconds(1h), std::chrono::seconds(-3h)}) {
    Signing signing;
    const auto used = signing.ready();
    EXPECT_EQ(used.time, signing.world.runtime.now());
    EXPECT_TRUE(signing.mend(used, 403, "RequestTimeTooSkewed", signing.date_after(offset)));
    const auto again = signing.ready();
    EXPECT_LE(std::chrono::abs(again.time - signing.world.runtime.now() - offset), 1s);
    signing.world.runtime.run_for(1h);
    EXPECT_LE(std::chrono::abs(signing.ready().time - signing.world.runtime.now() - offset), 1s);
    // Refused with the right time: nothing more can be done.
    EXPECT_FALSE(
        signing.mend(signing.ready(), 403, "RequestTimeTooSkewed", signing.date_after(offset)));
    // Those that were under way when the first was refused: sent again, and no news.
    EXPECT_TRUE(signing.mend({used.keys, used.time + 1h}, 403, "RequestTimeTooSkewed",
                             signing.date_after(offset)));
    EXPECT_EQ(signing.offsets.size(), 1u);
  }
}

TEST(AwsSigner, does_not_believe_a_date_that_is_none_or_says_nothing_new) {
  Signing signing;
  const auto used = signing.ready();
  for (const std::string& date :
       {std::string(), std::string("yesterday"), signing.date_after(0s), signing.date_after(20s)}) {
    EXPECT_FALSE(signing.mend(used, 403, "RequestTimeTooSkewed", date)) << date;
  }
  EXPECT_TRUE(signing.offsets.empty());
}

TEST(AwsSigner, reads_the_clock_from_a_refusal_without_words) {
  Signing signing;
  const auto used = signing.ready();
  EXPECT_FALSE(signing.mend(used, 403, "", signing.date_after(60s)));
  EXPECT_FALSE(signing.mend(used, 404, "", signing.date_after(3600s)));
  EXPECT_TRUE(signing.mend(used, 403, "", signing.date_after(3600s)));
}

TEST(AwsSigner, renews_keys_that_the_service_calls_stale) {
  for (const char* code :
       {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidAccessKeyId",
        "UnrecognizedClientException", "TokenRefreshRequired", "SignatureDoesNotMatch"}) {
    Signing signing;
    const auto used = signing.ready();
    signing.world.runtime.run_for(2s);
    EXPECT_TRUE(signing.mend(used, 403, code)) << code;
    EXPECT_EQ(signing.ready().keys.access_key, "k2") << code;
  }
  Signing signing;
  const auto used = signing.ready();
  signing.world.runtime.run_for(2s);
  for (const char* code : {"AccessDenied", "NoSuchBucket", "SlowDown", ""}) {
    EXPECT_FALSE(signing.mend(used, 403, code, signing.date_after(0s))) << code;
  }
  EXPECT_EQ(signing.world.script.fetches.size(), 1u);
}

TEST(AwsSigner, keys_of_the_settings_are_what_they_are) {
  VirtualRuntime runtime;
  AwsSigner signer(runtime, AwsCredentials::fixed(runtime, {"ak", "sk", "st"}));
  const auto used = runtime.run(signer.ready(core::SteadyTime::max())).value();
  EXPECT_EQ(used.keys.session_token, "st");
  EXPECT_FALSE(runtime.run(signer.mend(used, 403, "ExpiredToken", "", runtime.steady_now() + 1s)));
  EXPECT_EQ(signer.credentials().source(), "settings");
}

}  // namespace
}  // namespace daybook::storage
