// Transforms: each step by itself, which records they concern, and what they may leave behind.
#include "core/transform/transform.hpp"

#include <gtest/gtest.h>

#include "core/digest.hpp"
#include "core/json_capture.hpp"
#include "core/limits.hpp"
#include "core/transform/attributes.hpp"
#include "tests/contract/run_task.hpp"

namespace daybook::tests {
namespace {

using namespace core;             // NOLINT: one file
using namespace core::transform;  // NOLINT: one file
using Attributes = std::map<std::string, std::string>;

class FixedTable final : public LookupTable {
 public:
  explicit FixedTable(Rows rows) : rows_(std::make_shared<const Rows>(std::move(rows))) {}
  Task<Result<std::shared_ptr<const Rows>>> rows() override { co_return rows_; }

 private:
  std::shared_ptr<const Rows> rows_;
};

class ScriptedTransformer final : public Transformer {
 public:
  explicit ScriptedTransformer(Result<std::optional<std::string>> answer)
      : answer_(std::move(answer)) {}
  std::string asked;
  Task<Result<std::optional<std::string>>> call(std::string attributes, RecordId,
                                                std::string) override {
    asked = std::move(attributes);
    co_return answer_;
  }

 private:
  Result<std::optional<std::string>> answer_;
};

Envelope record() {
  Envelope envelope;
  envelope.tenant = "acme";
  envelope.source = "/till/3";
  envelope.event_id = "e-1";
  envelope.type = "sale.done";
  envelope.subject = "s";
  envelope.idempotency_key = "/till/3 e-1";
  envelope.attributes = {{"user", "ada"}, {"xa", "1"}, {"xb", "2"}};
  envelope.context = {{"door", "records"}, {"peer", "10.0.0.7"}};
  return envelope;
}

ReadPayload payload(std::string json) {
  return [json = std::move(json)](std::vector<JsonPointer> pointers) {
    JsonCapture capture(pointers, limits::kAttributeBytesMax);
    capture.feed(as_bytes(json));
    capture.finish();
    return [](PayloadValues values) -> Task<Result<PayloadValues>> {
      co_return values;
    }(capture.values());
  };
}

Result<Envelope> apply(std::vector<Step> steps, Envelope envelope = record(),
                       std::string json = "{}") {
  const Transforms transforms({Transform{.name = "t", .when = {}, .steps = std::move(steps)}});
  return run_task(transforms.apply(std::move(envelope), payload(std::move(json))));
}

Attributes attributes_after(std::vector<Step> steps, std::string json = "{}") {
  const auto changed = apply(std::move(steps), record(), std::move(json));
  EXPECT_TRUE(changed) << changed.error().detail;
  return changed ? changed->attributes : Attributes{};
}

std::string reason(std::vector<Step> steps, std::string json = "{}") {
  const auto changed = apply(std::move(steps), record(), std::move(json));
  EXPECT_FALSE(changed);
  return changed ? "" : changed.error().detail;
}

JsonPointer at(std::string_view text) {
  return *JsonPointer::parse(text);
}

TEST(Transform, adds_and_leaves_what_is_there_where_it_is_told_to) {
  EXPECT_EQ(attributes_after({{Add{"site", "a"}}, {Add{"user", "eve"}}}),
            (Attributes{{"site", "a"}, {"user", "eve"}, {"xa", "1"}, {"xb", "2"}}));
  EXPECT_EQ(attributes_after({{Add{"user", "eve"}, false}}), record().attributes);
  EXPECT_EQ(apply({{Add{"type", "x"}}, {Add{"source", "y"}}, {Add{"subject", "z"}}})->type, "x");
}

TEST(Transform, renames) {
  EXPECT_EQ(attributes_after({{Rename{"user", "principal"}}}),
            (Attributes{{"principal", "ada"}, {"xa", "1"}, {"xb", "2"}}));
  EXPECT_EQ(apply({{Rename{"user", "subject"}}})->subject, "ada");
  EXPECT_EQ(attributes_after({{Rename{"context.peer", "address"}}}).at("address"), "10.0.0.7");
  EXPECT_EQ(attributes_after({{Rename{"user", "xa"}, false}}), record().attributes);
  EXPECT_EQ(attributes_after({{Rename{"none", "x"}}}), record().attributes);
  EXPECT_EQ(reason({{Rename{"none", "x"}, true, Missing::park}}),
            "transform t, step 1: there is no attribute 'none' to rename");
}

TEST(Transform, names_that_go_round_come_to_an_end) {
  EXPECT_EQ(attributes_after({{Rename{"xa", "xc"}}, {Rename{"xb", "xa"}}, {Rename{"xc", "xb"}}}),
            (Attributes{{"user", "ada"}, {"xa", "2"}, {"xb", "1"}}));
}

TEST(Transform, drops_by_name_and_by_pattern) {
  EXPECT_EQ(attributes_after({{Drop{"user"}}}), (Attributes{{"xa", "1"}, {"xb", "2"}}));
  EXPECT_EQ(attributes_after({{Drop{"x*"}}}), (Attributes{{"user", "ada"}}));
  EXPECT_EQ(attributes_after({{Drop{"*"}}}), Attributes{});
  const auto all = apply({{Drop{"*"}}});
  EXPECT_EQ(all->source, "/till/3") << "a pattern is for the free ones";
  EXPECT_EQ(apply({{Drop{"subject"}}})->subject, "");
  EXPECT_FALSE(apply({{Drop{"context.peer"}}})->context.contains("peer"));
  EXPECT_NE(reason({{Drop{"none"}, true, Missing::park}}).find("'none' to drop"),
            std::string::npos);
}

TEST(Transform, hashes_with_a_salt) {
  const std::string salt = "0123456789abcdef";
  const std::string hash = hmac_sha256(as_bytes(salt), as_bytes("ada")).hex();
  EXPECT_EQ(attributes_after({{Hash{"user", "user", salt}}}).at("user"), hash);
  const auto kept = attributes_after({{Hash{"user", "user_hash", salt}}});
  EXPECT_EQ(kept.at("user_hash"), hash);
  EXPECT_EQ(kept.at("user"), "ada");
  EXPECT_NE(attributes_after({{Hash{"user", "user", salt + "x"}}}).at("user"), hash);
}

TEST(Transform, what_goes_from_source_or_id_is_not_left_in_the_key) {
  EXPECT_EQ(apply({{Drop{"id"}}})->idempotency_key, "");
  EXPECT_EQ(apply({{Hash{"source", "source", "0123456789abcdef"}}})->idempotency_key, "");
  EXPECT_EQ(apply({{Drop{"user"}}})->idempotency_key, "/till/3 e-1");
  EXPECT_EQ(apply({{Drop{"idempotency_key"}}})->idempotency_key, "");
}

TEST(Transform, copies_from_the_payload) {
  const std::string json = R"({"a":{"b":["x",12345678901234567890,true,null]},"big":")" +
                           std::string(2000, 'x') + R"("})";
  EXPECT_EQ(attributes_after({{Copy{at("/a/b/0"), "v"}}}, json).at("v"), "x");
  EXPECT_EQ(attributes_after({{Copy{at("/a/b/1"), "v"}}}, json).at("v"), "12345678901234567890");
  EXPECT_EQ(attributes_after({{Copy{at("/a/b/2"), "v"}}}, json).at("v"), "true");
  EXPECT_EQ(attributes_after({{Copy{at("/a/b/3"), "v"}}}, json), record().attributes);
  EXPECT_EQ(attributes_after({{Copy{at("/none"), "v"}}}, json), record().attributes);
  EXPECT_EQ(attributes_after({{Copy{at("/a"), "v"}}}, json), record().attributes);
  EXPECT_EQ(attributes_after({{Copy{at("/a"), "v"}}}, "no json"), record().attributes);
  EXPECT_EQ(reason({{Copy{at("/none"), "v"}, true, Missing::park}}, json),
            "transform t, step 1: nothing is at /none in the payload");
  EXPECT_EQ(reason({{Copy{at("/a"), "v"}, true, Missing::park}}, json),
            "transform t, step 1: /a: it is an object, not a text");
  EXPECT_EQ(reason({{Copy{at("/a"), "v"}, true, Missing::park}}, "{x"),
            "transform t, step 1: /a: byte 1: a name in quotes is missing");
  EXPECT_NE(reason({{Copy{at("/big"), "v"}}}, json).find("more than 1024 bytes"),
            std::string::npos);
}

TEST(Transform, looks_up) {
  const auto table = std::make_shared<FixedTable>(
      Rows{{"ada", {{"team", "red"}, {"site", "b"}, {"user", "other"}}}});
  EXPECT_EQ(attributes_after({{Lookup{table, "user", {}}}}),
            (Attributes{{"site", "b"}, {"team", "red"}, {"user", "ada"}, {"xa", "1"}, {"xb", "2"}}))
      << "and never the attribute it looked up by";
  EXPECT_EQ(attributes_after({{Lookup{table, "user", {"team", "none"}}}}).count("site"), 0u);
  EXPECT_EQ(attributes_after({{Lookup{table, "xa", {}}}}), record().attributes);
  EXPECT_NE(reason({{Lookup{table, "xa", {}}, true, Missing::park}}).find("nothing for this 'xa'"),
            std::string::npos);
  EXPECT_EQ(reason({{Lookup{table, "xa", {}}, true, Missing::park}}).find("'1'"), std::string::npos)
      << "values do not show in reasons";
}

TEST(Transform, asks_a_transformer) {
  const auto good = std::make_shared<ScriptedTransformer>(R"({"type":"new","user":null,"k":"v"})");
  const auto changed = apply({{Http{good}}});
  ASSERT_TRUE(changed) << changed.error().detail;
  EXPECT_EQ(good->asked,
            R"({"source":"/till/3","type":"sale.done","subject":"s","id":"e-1","user":"ada",)"
            R"("xa":"1","xb":"2"})");
  EXPECT_EQ(changed->type, "new");
  EXPECT_EQ(changed->source, "");
  EXPECT_EQ(changed->attributes, (Attributes{{"k", "v"}}));
  for (const char* bad : {"", "[]", R"({"a":1})", R"({"a b":"c"})", R"({"context.peer":"x"})",
                          R"({"idempotency_key":"x"})", R"({"":"x"})"}) {
    const auto why = apply({{Http{std::make_shared<ScriptedTransformer>(std::string(bad))}}});
    ASSERT_FALSE(why) << bad;
    EXPECT_EQ(why.error().retry, Retry::never) << "it is parked with its reason";
  }
  const auto nothing = apply({{Http{std::make_shared<ScriptedTransformer>(std::nullopt)}}});
  EXPECT_EQ(nothing->attributes, record().attributes);
  // A client may have sent names that no step may make; a service may send them back.
  Envelope odd = record();
  odd.attributes = {{"a+b", "1"}, {"context.peer", "2"}};
  ASSERT_TRUE(replace_attributes(odd, attributes_json(odd)));
  EXPECT_EQ(odd.attributes, (Attributes{{"a+b", "1"}, {"context.peer", "2"}}));
  EXPECT_EQ(odd.context, record().context);
  const auto away =
      apply({{Http{std::make_shared<ScriptedTransformer>(Result<std::optional<std::string>>(
          fail(Code::unavailable, Origin::sink, Retry::safe, "away")))}}});
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().retry, Retry::safe);
  EXPECT_EQ(away.error().detail, "transform t, step 1: away");
}

TEST(Transform, invalid_attributes_are_refused_with_their_step) {
  std::string many = "{";
  for (int i = 0; i < 65; ++i) {
    many += (i == 0 ? "" : ",") + ("\"a" + std::to_string(i)) + "\":\"x\"";
  }
  const auto answered = [](std::string json) {
    return std::vector<Step>{{Add{"site", "a"}},
                             {Http{std::make_shared<ScriptedTransformer>(std::move(json))}}};
  };
  EXPECT_EQ(reason(answered(many + "}")),
            "transform t, step 2: there are 65 attributes, more than 64");
  EXPECT_EQ(reason(answered(R"({"a":")" + std::string(1025, 'x') + R"("})")),
            "transform t, step 2: attribute 'a' is no UTF-8 text of at most 1KiB");
  for (const char* twice : {R"({"a":"x","b":"y","a":"x"})", R"({"a":"x","\u0061":null})"}) {
    EXPECT_EQ(reason(answered(twice)), "transform t, step 2: the answer has attribute 'a' twice");
  }
  EXPECT_EQ(reason(answered(R"({"a":"x\u0000y"})")),
            "transform t, step 2: attribute 'a' is no UTF-8 text of at most 1KiB");
  std::string large = "{";
  for (int i = 0; i < 60; ++i) {
    large += (i == 0 ? "" : ",") + ("\"a" + std::to_string(i)) + "\":\"";
    for (int j = 0; j < 1000; ++j) large += "\\u0001";
    large += "\"";
  }
  EXPECT_EQ(reason(answered(large + "}")),
            "transform t, step 2: the attributes are too large together");
}

TEST(Transform, concerns_the_records_that_came_in_that_way) {
  const auto concerned = [](Attributes when, const Envelope& envelope) {
    return Transforms({Transform{.name = "t", .when = std::move(when), .steps = {}}})
        .concerns(envelope);
  };
  const Envelope envelope = record();
  EXPECT_TRUE(concerned({}, envelope));
  EXPECT_TRUE(concerned({{"source", "/till/*"}, {"type", "*.done"}, {"tenant", "acme"}}, envelope));
  EXPECT_TRUE(concerned({{"door", "records"}}, envelope));
  EXPECT_FALSE(concerned({{"door", "poller"}}, envelope));
  EXPECT_FALSE(concerned({{"poller", "orders"}}, envelope));
  EXPECT_TRUE(concerned({{"poller", ""}}, envelope)) << "none is an empty text";
  EXPECT_FALSE(concerned({{"source", "/till/*"}, {"type", "sale"}}, envelope)) << "all must match";
}

TEST(Transform, chains_are_chosen_before_the_first_and_applied_in_order) {
  const Transforms transforms({
      Transform{.name = "a", .when = {{"type", "sale.*"}}, .steps = {{Add{"type", "other"}}}},
      Transform{.name = "b", .when = {{"type", "other"}}, .steps = {{Add{"b", "1"}}}},
      Transform{.name = "c", .when = {{"type", "sale.*"}}, .steps = {{Rename{"type", "was"}}}},
  });
  const auto changed = run_task(transforms.apply(record(), payload("{}")));
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->attributes.count("b"), 0u) << "one cannot call up another";
  EXPECT_EQ(changed->attributes.at("was"), "other");
  EXPECT_EQ(changed->context.at("transform"), "a,c");
}

TEST(Transform, patterns) {
  for (const auto& [pattern, text] : {std::pair{"", ""},
                                      {"*", ""},
                                      {"*", "abc"},
                                      {"a*c", "abbc"},
                                      {"a*c", "ac"},
                                      {"*b*", "abc"},
                                      {"**", "x"},
                                      {"a*b*c", "aXbXbXc"},
                                      {"/a/*/z", "/a/b/c/z"}}) {
    EXPECT_TRUE(matches(pattern, text)) << pattern << " " << text;
  }
  for (const auto& [pattern, text] :
       {std::pair{"", "a"}, {"a", ""}, {"a*c", "abcd"}, {"*b", "abc"}, {"a", "A"}, {"a?", "ab"}}) {
    EXPECT_FALSE(matches(pattern, text)) << pattern << " " << text;
  }
}

TEST(JsonCapture, gets_the_same_however_the_text_is_cut) {
  const std::string json =
      R"({"a":"x\u00e9y","b":[10,{"c":false}],"d":{"a":1},"a2":null,"t":1,"t":2})";
  const std::vector<JsonPointer> pointers = {at("/a"),  at("/b/1/c"), at("/b/0"), at("/d"),
                                             at("/a2"), at("/none"),  at("/t"),   at("")};
  for (std::size_t piece = 1; piece <= json.size(); ++piece) {
    JsonCapture capture(pointers, 100);
    for (std::size_t i = 0; i < json.size(); i += piece) {
      const std::string copy = json.substr(i, piece);
      EXPECT_TRUE(capture.feed(as_bytes(copy)));
    }
    capture.finish();
    const auto values = capture.values();
    EXPECT_EQ(**values[0], "xéy");
    EXPECT_EQ(**values[1], "false");
    EXPECT_EQ(**values[2], "10");
    EXPECT_EQ(values[3].error().code, Code::unsupported);
    EXPECT_EQ(*values[4], std::nullopt);
    EXPECT_EQ(*values[5], std::nullopt);
    EXPECT_EQ(values[6].error().code, Code::invalid_argument);
    EXPECT_EQ(values[7].error().code, Code::unsupported);
  }
}

TEST(JsonCapture, a_text_that_ends_too_soon_has_no_values) {
  JsonCapture capture({at("/a")}, 100);
  EXPECT_TRUE(capture.feed(as_bytes(R"({"a":1,)")));
  capture.finish();
  EXPECT_EQ(capture.values()[0].error().detail, "byte 7: the text ends too soon");
}

}  // namespace
}  // namespace daybook::tests
