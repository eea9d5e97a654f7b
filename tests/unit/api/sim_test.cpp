// The simulators' parts that decide whether a route lost something: they are the judge of
// ops/demo-routes, so each verdict is tried with a case that must show.
#include "api/sim.hpp"

#include <vector>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "api/sim_messages.hpp"
#include "api/sim_tally.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

SimTally tally_of(const std::vector<std::uint64_t>& ids) {
  SimTally tally;
  for (const std::uint64_t id : ids) tally.note(id);
  return tally;
}

TEST(SimTally, finds_nothing_wrong_with_an_unbroken_row) {
  const SimTally tally = tally_of({1, 2, 3, 4});
  EXPECT_EQ(tally.distinct(), 4U);
  EXPECT_EQ(tally.missing() + tally.duplicated() + tally.late(), 0U);
}

TEST(SimTally, counts_a_gap_until_it_is_filled) {
  SimTally tally = tally_of({1, 2, 5});
  EXPECT_EQ(tally.missing(), 2U);
  tally.note(4);
  tally.note(3);
  EXPECT_EQ(tally.missing(), 0U);
  EXPECT_EQ(tally.late(), 2U);
}

TEST(SimTally, misses_the_first_message_too) {
  EXPECT_EQ(tally_of({2, 3}).missing(), 1U);
}

TEST(SimTally, counts_every_repetition) {
  const SimTally tally = tally_of({1, 2, 2, 1, 3, 2});
  EXPECT_EQ(tally.duplicated(), 3U);
  EXPECT_EQ(tally.received(), 6U);
  EXPECT_EQ(tally.distinct(), 3U);
}

TEST(SimTally, counts_from_0_where_the_source_does) {
  const SimTally whole = tally_of({0, 1, 2});
  EXPECT_EQ(whole.missing(), 0U);
  EXPECT_EQ(whole.distinct(), 3U);
  EXPECT_EQ(whole.lowest(), 0U);
  EXPECT_EQ(tally_of({0, 2}).missing(), 1U);
  EXPECT_EQ(tally_of({0}).missing(), 0U);
  EXPECT_EQ(tally_of({0, 0}).duplicated(), 1U);
  EXPECT_EQ(tally_of({1, 0}).late(), 1U);
  EXPECT_EQ(tally_of({}).missing(), 0U);
}

TEST(SimTally, knows_in_which_order_the_numbers_came_first) {
  const SimTally tally = tally_of({5, 1, 5, 2, 9});
  EXPECT_EQ(tally.order(), (std::vector<std::uint64_t>{5, 1, 2, 9}));
  EXPECT_EQ(boost::json::serialize(tally.json()),
            R"({"received":5,"distinct":4,"missing":5,"duplicated":1,"late":2,"lowest":1,)"
            R"("highest":9})");
}

std::vector<std::uint64_t> found_in(std::string_view text) {
  std::vector<std::uint64_t> ids;
  find_messages(boost::json::parse({text.data(), text.size()}),
                [&ids](std::uint64_t id) { ids.push_back(id); });
  return ids;
}

TEST(SimMessages, finds_again_what_it_made_wherever_a_route_put_it) {
  const std::string batch = sim_batch(7, 9, [](std::uint64_t) { return core::WallTime{}; });
  const std::vector<std::uint64_t> made = {7, 8, 9};
  EXPECT_EQ(found_in(batch), made);
  EXPECT_EQ(found_in(R"({"entries":[{"id":"x","payload":)" + batch + "}]}"), made);
  EXPECT_EQ(found_in(R"({"data":{"payload":")" + core::to_base64(core::as_bytes(batch)) + "\"}}"),
            made);
  EXPECT_EQ(found_in(boost::json::serialize(boost::json::object{{"payload", batch}})), made);
}

TEST(SimMessages, takes_no_other_object_for_a_message) {
  EXPECT_TRUE(found_in(R"({"id":4,"size":9,"record":{"id":"a","message":"no"}})").empty());
}

TEST(SimMessages, takes_no_number_that_no_source_gives) {
  for (const char* id : {"-1", "1.5", "1e30", "true"}) {
    EXPECT_TRUE(found_in(std::string(R"({"timestamp":0,"message":"","id":)") + id + "}").empty())
        << id;
  }
}

TEST(SimLogLevel, has_the_original_names_and_spdlogs) {
  for (const auto& [text, level] :
       std::vector<std::pair<const char*, const char*>>{{"error", "error"},
                                                        {"warn", "warning"},
                                                        {"info", "info"},
                                                        {"http", "info"},
                                                        {"verbose", "debug"},
                                                        {"debug", "debug"},
                                                        {"silly", "trace"},
                                                        {"TRACE", "trace"},
                                                        {"off", "off"},
                                                        {"critical", "critical"}}) {
    EXPECT_EQ(parse_log_level(text), level) << text;
  }
  for (const char* wrong : {"", "loud", "5"}) EXPECT_FALSE(parse_log_level(wrong)) << wrong;
}

TEST(SimMessages, makes_no_batch_of_nothing) {
  EXPECT_EQ(sim_batch(5, 4, [](std::uint64_t) { return core::WallTime{}; }), "[]");
}

TEST(SimFrequency, takes_durations_and_bare_milliseconds) {
  EXPECT_EQ(parse_frequency("250ms"), std::chrono::milliseconds(250));
  EXPECT_EQ(parse_frequency("2"), std::chrono::milliseconds(2));
  EXPECT_EQ(parse_frequency("2s"), std::chrono::seconds(2));
  for (const char* wrong : {"", "0", "-1", "soon", "0s"}) EXPECT_FALSE(parse_frequency(wrong));
}

}  // namespace
}  // namespace daybook::api
