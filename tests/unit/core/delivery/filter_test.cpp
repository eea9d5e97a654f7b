#include "core/delivery/filter.hpp"

#include <gtest/gtest.h>

namespace daybook::core::delivery {
namespace {

Envelope envelope() {
  Envelope made;
  made.tenant = "bank";
  made.source = "/till/7";
  made.type = "audit.login";
  made.attributes = {{"region", "eu-west"}, {"empty", ""}};
  return made;
}

TEST(DeliveryFilter, tells_by_each_member_whole_or_by_its_beginning) {
  const std::vector<std::pair<std::map<std::string, std::string>, bool>> cases = {
      {{}, true},
      {{{"tenant", "bank"}}, true},
      {{{"tenant", "ban"}}, false},
      {{{"tenant", "ban*"}}, true},
      {{{"source", "/till/*"}}, true},
      {{{"source", "/office/*"}}, false},
      {{{"type", "audit.login"}, {"tenant", "bank"}}, true},
      {{{"type", "audit.login"}, {"tenant", "shop"}}, false},
      {{{"subject", ""}}, true},  // it has none
      {{{"subject", "*"}}, true},
      {{{"attribute.region", "eu-*"}}, true},
      {{{"attribute.region", "us-*"}}, false},
      {{{"attribute.empty", ""}}, true},
      {{{"attribute.none", ""}}, false},
      {{{"attribute.none", "*"}}, false},
  };
  for (const auto& [terms, expected] : cases) {
    const auto filter = Filter::parse(terms);
    ASSERT_TRUE(filter) << filter.error().detail;
    EXPECT_EQ(filter->matches(envelope()), expected)
        << (terms.empty() ? "" : terms.begin()->first + "=" + terms.begin()->second);
  }
}

TEST(DeliveryFilter, a_name_that_means_nothing_is_refused_with_the_near_one) {
  for (const char* name : {"tenants", "attribute", "attribute.", "state", ""}) {
    const auto filter = Filter::parse({{name, "x"}});
    ASSERT_FALSE(filter) << name;
    EXPECT_EQ(filter.error().code, Code::invalid_argument);
  }
  EXPECT_NE(Filter::parse({{"tenants", "x"}}).error().detail.find("Did you mean tenant?"),
            std::string::npos);
}

TEST(DeliveryFilter, the_state_is_chosen_by_events) {
  const auto filter = Filter::parse({{"state", "archived"}});
  ASSERT_FALSE(filter);
  EXPECT_NE(filter.error().detail.find("events = [\"archived\""), std::string::npos)
      << filter.error().detail;
}

}  // namespace
}  // namespace daybook::core::delivery
