// A poller on a virtual clock, against a source that does what the test says, and keepers of
// records and places that fail when they are told to.
#include "api/poller.hpp"

#include <map>
#include <set>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "tests/contract/fakes/inline_workers.hpp"
#include "tests/contract/fakes/memory_places.hpp"
#include "tests/unit/virtual_runtime.hpp"

namespace daybook::tests {
namespace {

using namespace std::chrono_literals;
namespace polling = core::polling;
using api::PollAnswer;
using api::PollRequest;

class Keeper final : public api::Depositor {
 public:
  explicit Keeper(VirtualRuntime& runtime) : runtime_(runtime) {}

  std::function<std::optional<core::Error>(const std::string& payload)> refuse;
  core::Duration takes{};
  std::vector<std::string> payloads;          // acknowledged, in the order of their ids
  std::map<std::string, std::string> by_key;  // key -> payload
  std::vector<api::Deposit> deposits;         // everything that was handed in

  core::Task<core::Result<api::Deposited>> deposit(api::Deposit deposit) override {
    const std::string payload(core::as_text(deposit.payload));
    deposits.push_back(deposit);
    if (takes != core::Duration{}) co_await runtime_.sleep(takes);
    if (deposit.on_identified) deposit.on_identified();
    if (const auto error = refuse ? refuse(payload) : std::nullopt) co_return core::Failure(*error);
    const auto [known, is_new] = by_key.emplace(deposit.key->key, payload);
    if (!is_new && known->second != payload) {
      co_return core::fail(core::Code::conflict, core::Origin::client, core::Retry::never, "other");
    }
    if (is_new) payloads.push_back(payload);
    co_return api::Deposited{.first = is_new, .id = {}, .receipt = "{}"};
  }

 private:
  VirtualRuntime& runtime_;
};

core::Error away() {
  return {core::Code::unavailable, core::Origin::buffer, core::Retry::safe, "Redis is away"};
}

core::JsonPointer at(std::string_view text) {
  return *core::JsonPointer::parse(text);
}

class Poller : public testing::Test {
 protected:
  Poller() : places_(runtime_), keeper_(runtime_) {
    rules_.name = "p";
    rules_.origin = "http://source";
    rules_.target = "/items";
    rules_.element.poller = "p";
    rules_.element.tenant = "default";
    rules_.schedule = {.interval = 60s, .jitter = 0s, .backoff_max = 10min};
    rules_.pages_max = 100;
    answer_ = [](const PollRequest&) { return json("[]"); };
  }
  ~Poller() override {
    for (const auto& node : nodes_) node->close();
    runtime_.run_until([this] { return ended_ == nodes_.size(); });
  }

  static PollAnswer json(std::string_view body, int status = 200) {
    PollAnswer answer;
    answer.status = status;
    answer.fields.add("content-type", "application/json");
    const core::Bytes bytes = core::as_bytes(body);
    answer.body.assign(bytes.begin(), bytes.end());
    return answer;
  }

  api::Poller& start(const std::string& node = "n1") {
    api::Poller::Services services{
        runtime_,
        workers_,
        places_,
        keeper_,
        metrics_,
        [this](PollRequest request) { return fetch(std::move(request)); },
        [this](core::Envelope envelope, core::Bytes bytes) {
          return set_aside(std::move(envelope), bytes);
        }};
    nodes_.push_back(std::make_unique<api::Poller>(
        std::move(services), rules_, core::PlaceHolder{node, "run" + std::to_string(nodes_.size())},
        15s, 7));
    runtime_.spawn(run(*nodes_.back()));
    return *nodes_.back();
  }
  core::Task<> run(api::Poller& poller) {
    co_await poller.run();
    ++ended_;
  }
  // As a process dies: nothing more of it is heard. Its task waits for ever and is ended by
  // close().
  void restart(const std::string& node = "n1") {
    nodes_.back()->close();
    runtime_.run_until([this] { return ended_ == nodes_.size(); });
    start(node);
  }

  core::Task<core::Result<PollAnswer>> fetch(PollRequest request) {
    requests_.push_back(request);
    times_.push_back(runtime_.elapsed());
    if (fetch_error_) co_return core::Failure(*fetch_error_);
    co_return answer_(request);
  }
  core::Task<core::Result<void>> set_aside(core::Envelope envelope, core::Bytes bytes) {
    aside_.emplace_back(std::string(core::as_text(bytes)), envelope.context["reason"]);
    co_return core::Result<void>{};
  }

  std::string text(const char* member, std::size_t node = 0) {
    const auto status = nodes_[node]->status();
    const auto* value = status.if_contains(member);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  }
  std::vector<std::string> targets() const {
    std::vector<std::string> all;
    for (const PollRequest& request : requests_) all.push_back(request.target);
    return all;
  }

  VirtualRuntime runtime_;
  InlineWorkers workers_;
  MemoryPlaces places_;
  Keeper keeper_;
  api::Metrics metrics_;
  polling::PollRules rules_;
  std::function<core::Result<PollAnswer>(const PollRequest&)> answer_;
  std::optional<core::Error> fetch_error_;
  std::vector<PollRequest> requests_;
  std::vector<core::Duration> times_;
  std::vector<std::pair<std::string, std::string>> aside_;
  std::vector<std::unique_ptr<api::Poller>> nodes_;
  std::size_t ended_ = 0;
};

using Texts = std::vector<std::string>;

TEST_F(Poller, polls_at_its_interval_and_keeps_each_element_once) {
  answer_ = [](const PollRequest&) { return json(R"([{"n": 1},{"n": 2}])"); };
  start();
  runtime_.run_for(125s);
  EXPECT_EQ(times_, (std::vector<core::Duration>{0s, 60s, 120s}));
  EXPECT_EQ(keeper_.payloads, (Texts{R"({"n": 1})", R"({"n": 2})"}));
  EXPECT_EQ(keeper_.deposits.size(), 6u);
  EXPECT_EQ(keeper_.deposits[0].peer, "poller:p");
  EXPECT_EQ(keeper_.deposits[0].expected, core::sha256(core::as_bytes(R"({"n": 1})")));
  EXPECT_EQ(text("state"), "ok");
}

TEST_F(Poller, the_order_of_the_elements_is_kept_though_they_are_under_way_together) {
  std::string body;
  Texts wanted;
  for (int i = 0; i < 100; ++i) {
    wanted.push_back(std::to_string(i));
    body += (i == 0 ? "[" : ",") + wanted.back();
  }
  answer_ = [body](const PollRequest&) { return json(body + "]"); };
  keeper_.takes = 5ms;
  start();
  runtime_.run_for(10s);
  EXPECT_EQ(keeper_.payloads, wanted);
}

TEST_F(Poller, the_cursor_moves_when_everything_before_it_is_acknowledged) {
  rules_.cursor = {.from = polling::CursorFrom::last, .path = at("/t"), .parameter = "since"};
  answer_ = [](const PollRequest& request) {
    return request.target == "/items" ? json(R"([{"t":1},{"t":2},{"t":3}])") : json("[]");
  };
  keeper_.refuse = [](const std::string& payload) {
    return payload == R"({"t":2})" ? std::optional(away()) : std::nullopt;
  };
  start();
  runtime_.run_for(1s);
  EXPECT_EQ(text("outcome"), "not_kept");
  EXPECT_EQ(text("detail"), "Redis is away");
  EXPECT_EQ(places_.kept["p"].place, "") << "nothing of the page is passed over";
  keeper_.refuse = nullptr;
  runtime_.run_for(20min);
  EXPECT_EQ(keeper_.by_key.size(), 3u);
  EXPECT_EQ(keeper_.payloads.size(), 3u);
  EXPECT_EQ(requests_.back().target, "/items?since=3");
  EXPECT_EQ(text("cursor"), "3");
}

TEST_F(Poller, a_restart_goes_on_at_the_place_that_was_kept) {
  rules_.cursor = {.from = polling::CursorFrom::max, .path = at("/t"), .parameter = "since"};
  rules_.cursor.start = "0";
  answer_ = [](const PollRequest&) { return json(R"([{"t":9},{"t":10}])"); };
  start();
  runtime_.run_for(1s);
  restart();
  runtime_.run_for(1s);
  EXPECT_EQ(targets(), (Texts{"/items?since=0", "/items?since=10"}));
}

TEST_F(Poller, a_place_of_other_settings_is_not_used) {
  rules_.cursor = {.from = polling::CursorFrom::max, .path = at("/t"), .parameter = "since"};
  answer_ = [](const PollRequest&) { return json(R"([{"t":9,"id":"z"}])"); };
  start();
  runtime_.run_for(1s);
  rules_.cursor.path = at("/id");
  restart();
  runtime_.run_for(1s);
  EXPECT_EQ(requests_.size(), 1u);
  EXPECT_EQ(text("outcome", 1), "no_place");
  EXPECT_NE(text("detail", 1).find("kept for other settings"), std::string::npos);
  const auto reset = runtime_.run(nodes_.back()->reset("y"));
  ASSERT_TRUE(reset);
  runtime_.run_for(2min);
  EXPECT_EQ(requests_.at(1).target, "/items?since=y");
}

TEST_F(Poller, pages_are_followed_and_an_open_window_survives_a_restart) {
  rules_.next = {.from = polling::NextFrom::member, .path = at("/next"), .parameter = ""};
  rules_.cursor = {.from = polling::CursorFrom::first, .path = at("/t"), .parameter = "since"};
  rules_.elements = at("/items");
  bool third_fails = true;
  answer_ = [&](const PollRequest& request) -> core::Result<PollAnswer> {
    if (request.target == "/items") return json(R"({"items":[{"t":9}],"next":"?page=2"})");
    if (request.target == "/items?page=2") return json(R"({"items":[{"t":8}],"next":"?page=3"})");
    if (request.target == "/items?page=3" && third_fails) return json("", 500);
    if (request.target == "/items?page=3") return json(R"({"items":[{"t":7}],"next":null})");
    return json(R"({"items":[]})");
  };
  start();
  runtime_.run_for(1s);
  EXPECT_EQ(text("outcome"), "failed");
  EXPECT_EQ(text("window"), "open");
  third_fails = false;
  restart();
  runtime_.run_for(61s);
  EXPECT_EQ(targets(),
            (Texts{"/items", "/items?page=2", "/items?page=3", "/items?page=3", "/items?since=9"}))
      << "the newest element of the first page, though the window was interrupted";
  EXPECT_EQ(keeper_.payloads.size(), 3u);
}

TEST_F(Poller, a_page_that_is_gone_begins_the_window_again) {
  rules_.next = {.from = polling::NextFrom::member, .path = at("/next"), .parameter = "token"};
  rules_.elements = at("/items");
  bool expired = true;
  answer_ = [&](const PollRequest& request) -> core::Result<PollAnswer> {
    if (request.target == "/items") return json(R"({"items":[1],"next":"abc"})");
    if (expired) return json("", 410);
    return json(R"({"items":[2]})");
  };
  start();
  runtime_.run_for(1s);
  EXPECT_EQ(text("outcome"), "refused");
  EXPECT_EQ(text("window"), "");
  expired = false;
  runtime_.run_for(2min);
  EXPECT_EQ(keeper_.payloads, (Texts{"1", "2"}));
  EXPECT_EQ(targets()[2], "/items");
}

TEST_F(Poller, pages_in_a_circle_are_an_error) {
  rules_.next = {.from = polling::NextFrom::member, .path = at("/next"), .parameter = ""};
  rules_.elements = at("/items");
  answer_ = [&](const PollRequest& request) {
    return json(request.target == "/a" ? R"({"items":[1],"next":"/b"})"
                                       : R"({"items":[2],"next":"/a"})");
  };
  start();
  runtime_.run_for(1s);
  EXPECT_EQ(text("outcome"), "bad_answer");
  EXPECT_EQ(text("detail"), "the source's pages go in a circle");
  EXPECT_LE(requests_.size(), 4u);
}

TEST_F(Poller, asks_again_with_the_new_cursor_until_it_stays) {
  rules_.next.from = polling::NextFrom::cursor;
  rules_.cursor = {.from = polling::CursorFrom::last, .path = at("/t"), .parameter = "after"};
  answer_ = [](const PollRequest& request) {
    if (request.target == "/items") return json(R"([{"t":1},{"t":2}])");
    if (request.target == "/items?after=2") return json(R"([{"t":3},{"t":4}])");
    return json("[]");
  };
  start();
  runtime_.run_for(1s);
  EXPECT_EQ(targets(), (Texts{"/items", "/items?after=2", "/items?after=4"}));
  EXPECT_EQ(keeper_.payloads.size(), 4u);
}

TEST_F(Poller, a_bad_element_is_set_aside_once_and_holds_up_no_other) {
  rules_.element.id = at("/id");
  answer_ = [](const PollRequest&) {
    return json(R"([{"id":1},{"id":null},{"id":2},{"id":3,"big":true}])");
  };
  keeper_.refuse = [](const std::string& payload) -> std::optional<core::Error> {
    if (payload.find("big") == std::string::npos) return std::nullopt;
    return core::Error{core::Code::too_large, core::Origin::client, core::Retry::never, "too big"};
  };
  start();
  runtime_.run_for(125s);
  EXPECT_EQ(keeper_.payloads, (Texts{R"({"id":1})", R"({"id":2})"}));
  ASSERT_EQ(aside_.size(), 2u) << "three polls";
  EXPECT_EQ(aside_[0],
            (std::pair<std::string, std::string>{R"({"id":null})", "its id: it is null"}));
  EXPECT_EQ(aside_[1].second, "too big");
  EXPECT_EQ(text("outcome"), "ok");
  restart();
  runtime_.run_for(1s);
  EXPECT_EQ(aside_.size(), 2u) << "it is remembered with the place";
}

TEST_F(Poller, an_element_that_changed_under_its_id_is_kept_too) {
  rules_.element.id = at("/id");
  std::string body = R"([{"id":1,"v":1}])";
  answer_ = [&](const PollRequest&) { return json(body); };
  start();
  runtime_.run_for(1s);
  body = R"([{"id":1,"v":2}])";
  runtime_.run_for(3min);
  EXPECT_EQ(keeper_.payloads, (Texts{R"({"id":1,"v":1})", R"({"id":1,"v":2})"}));
}

TEST_F(Poller, lines_and_whole_answers_are_records_too) {
  answer_ = [](const PollRequest&) {
    PollAnswer answer = json("{\"a\":1}\nnot json\n{\"a\":2}\n");
    answer.fields = {};
    answer.fields.add("content-type", "application/x-ndjson; charset=utf-8");
    return answer;
  };
  start();
  runtime_.run_for(1s);
  EXPECT_EQ(keeper_.payloads, (Texts{R"({"a":1})", R"({"a":2})"}));
  ASSERT_EQ(aside_.size(), 1u);
  EXPECT_EQ(aside_[0].first, "not json");
  rules_.form = polling::Form::raw;
  answer_ = [](const PollRequest&) {
    PollAnswer answer = json("\x89PNG");
    answer.fields = {};
    answer.fields.add("content-type", "image/png");
    return answer;
  };
  restart();
  runtime_.run_for(1s);
  EXPECT_EQ(keeper_.payloads.back(), "\x89PNG");
  EXPECT_EQ(keeper_.deposits.back().envelope.content_type, "image/png");
}

TEST_F(Poller, what_is_wrong_with_an_answer_is_said_and_nothing_of_it_is_kept) {
  struct Case {
    const char* body;
    const char* detail;
  };
  rules_.elements = at("/items");
  start();
  runtime_.run_for(1s);
  const Case cases[] = {
      {R"({"item":[1]})", "nothing is at /items: the document has no member 'items'"},
      {R"({"items":[1,2)", "byte 13: the text ends too soon"},
      {R"({"items":{"a":1}})", "/items is an object, not an array"},
      {"<html>", "byte 0: a value is missing"},
      {"", "byte 0: there is nothing"},
  };
  for (const Case& c : cases) {
    answer_ = [&](const PollRequest&) { return json(c.body); };
    const std::size_t before = requests_.size();
    runtime_.run_until([&] { return requests_.size() > before; });
    runtime_.run_for(1ms);
    EXPECT_EQ(text("outcome"), "bad_answer");
    EXPECT_EQ(text("detail"), c.detail);
  }
  EXPECT_TRUE(keeper_.deposits.empty());
  answer_ = [&](const PollRequest&) {
    PollAnswer answer = json("<html>");
    answer.fields = {};
    answer.fields.add("content-type", "text/html");
    return answer;
  };
  runtime_.run_for(11min);
  EXPECT_NE(text("detail").find("Content-Type is text/html"), std::string::npos);
}

TEST_F(Poller, a_failing_source_is_asked_ever_more_rarely_and_then_at_its_interval_again) {
  fetch_error_ = core::Error{core::Code::unavailable, core::Origin::self, core::Retry::safe, "no"};
  start();
  runtime_.run_for(3h);
  const std::size_t failed = requests_.size();
  EXPECT_GT(failed, 3h / 10min);
  EXPECT_LT(failed, 80u) << "not every minute";
  EXPECT_EQ(text("outcome"), "unreachable");
  EXPECT_EQ(text("state"), "failing");
  fetch_error_.reset();
  runtime_.run_until([&] { return requests_.size() > failed; });
  const core::Duration back = runtime_.elapsed();
  runtime_.run_for(121s);
  EXPECT_EQ(times_.back() - back, 120s);
  EXPECT_EQ(text("state"), "ok");
}

TEST_F(Poller, retry_after_is_honoured) {
  answer_ = [](const PollRequest&) {
    PollAnswer answer = json("", 429);
    answer.fields.add("retry-after", "1800");
    return answer;
  };
  start();
  runtime_.run_for(1790s);
  EXPECT_EQ(requests_.size(), 1u);
  EXPECT_EQ(text("outcome"), "throttled");
  runtime_.run_for(15s);
  EXPECT_EQ(requests_.size(), 2u);
}

TEST_F(Poller, statuses_have_their_meaning) {
  const std::pair<int, const char*> cases[] = {
      {301, "refused"}, {401, "refused"}, {404, "refused"}, {408, "failed"},
      {500, "failed"},  {503, "failed"},  {304, "refused"}, {206, "bad_answer"}};
  int status = 0;
  answer_ = [&](const PollRequest&) { return json("[]", status); };
  start();
  for (const auto& [code, outcome] : cases) {
    status = code;
    const std::size_t before = requests_.size();
    runtime_.run_until([&] { return requests_.size() > before; });
    runtime_.run_for(1ms);
    EXPECT_EQ(text("outcome"), outcome) << code;
  }
  status = 204;
  runtime_.run_for(11min);
  EXPECT_EQ(text("outcome"), "ok");
}

TEST_F(Poller, what_has_not_changed_is_not_sent_again) {
  answer_ = [](const PollRequest& request) {
    PollAnswer answer = request.etag == "\"v1\"" ? json("", 304) : json("[1]");
    answer.fields.add("etag", "\"v1\"");
    return answer;
  };
  start();
  runtime_.run_for(1s);
  EXPECT_EQ(requests_[0].etag, "");
  runtime_.run_for(60s);
  EXPECT_EQ(requests_[1].etag, "\"v1\"");
  EXPECT_EQ(text("outcome"), "unchanged");
  EXPECT_EQ(keeper_.deposits.size(), 1u);
}

TEST_F(Poller, of_two_nodes_one_polls_and_the_other_takes_over) {
  start("n1");
  start("n2");
  runtime_.run_for(5min);
  EXPECT_EQ(requests_.size(), 6u) << "one poll a minute";
  EXPECT_EQ(text("polled_by", 0), text("polled_by", 1));
  EXPECT_EQ(text("state", 1), "ok") << "as the other one reports";
  const std::size_t before = requests_.size();
  nodes_[0]->close();
  runtime_.run_until([&] { return ended_ == 1; });
  runtime_.run_for(2min);
  EXPECT_GT(requests_.size(), before);
  EXPECT_EQ(text("polled_by", 1), "n2");
}

TEST_F(Poller, a_node_that_lost_its_lease_cannot_save) {
  rules_.cursor = {.from = polling::CursorFrom::last, .path = at("/t"), .parameter = "since"};
  answer_ = [this](const PollRequest&) {
    // While the answer was under way somebody else took over, and went further.
    auto& kept = places_.kept["p"];
    ++kept.fence;
    kept.node = "n2";
    kept.until = runtime_.steady_now() + 1h;
    kept.place = R"({"cursor":"99"})";
    return json(R"([{"t":5}])");
  };
  start("n1");
  runtime_.run_for(1s);
  EXPECT_EQ(places_.kept["p"].place, R"({"cursor":"99"})");
  EXPECT_EQ(text("polled_by"), "n2");
  runtime_.run_for(10min);
  EXPECT_EQ(requests_.size(), 1u);
}

TEST_F(Poller, without_a_place_nothing_is_polled) {
  places_.away = true;
  start();
  runtime_.run_for(5min);
  EXPECT_TRUE(requests_.empty());
  EXPECT_EQ(text("state"), "waiting");
  places_.away = false;
  runtime_.run_for(6s);
  EXPECT_EQ(requests_.size(), 1u);
  places_.away = true;
  runtime_.run_for(1h);
  const std::size_t then = requests_.size();
  EXPECT_LT(then, 4u) << "the lease has run out";
  places_.away = false;
  runtime_.run_for(30min);
  EXPECT_GT(requests_.size(), then);
}

TEST_F(Poller, a_poll_has_a_bounded_number_of_pages) {
  rules_.pages_max = 3;
  rules_.next = {.from = polling::NextFrom::member, .path = at("/next"), .parameter = "p"};
  rules_.elements = at("/items");
  int page = 0;
  answer_ = [&](const PollRequest&) {
    ++page;
    return json("{\"items\":[" + std::to_string(page) + "],\"next\":" + std::to_string(page) + "}");
  };
  start();
  runtime_.run_for(1s);
  EXPECT_EQ(requests_.size(), 3u);
  runtime_.run_for(60s);
  EXPECT_EQ(requests_.size(), 6u);
  EXPECT_EQ(requests_[3].target, "/items?p=3");
}

}  // namespace
}  // namespace daybook::tests
