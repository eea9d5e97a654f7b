// Metrics in both text forms.
#include "api/metrics.hpp"

#include <gtest/gtest.h>

namespace daybook::api {
namespace {

bool contains(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

struct Filled {
  Filled() {
    metrics.add(metrics.http_requests, {{"route", "/v1/records"}, {"status", "201"}}, 3);
    metrics.set(metrics.ready, 1);
    metrics.set(metrics.runtime_info, 1, {{"backend", "io\"ur\\ing\n"}});
    metrics.observe(metrics.ingest_seconds, {{"step", "total"}}, std::chrono::milliseconds(7));
    metrics.observe(metrics.ingest_seconds, {{"step", "total"}}, std::chrono::minutes(2));
    metrics.advance_to(metrics.records_accepted, 42);
  }
  Metrics metrics;
};

TEST(Metrics, prometheus_text_has_every_kind) {
  const Filled filled;
  const std::string text = filled.metrics.text();
  EXPECT_TRUE(contains(text, "# TYPE daybook_http_requests_total counter")) << text;
  EXPECT_TRUE(
      contains(text, "daybook_http_requests_total{route=\"/v1/records\",status=\"201\"} 3"));
  EXPECT_TRUE(contains(text, "daybook_ready 1"));
  EXPECT_TRUE(contains(text, "daybook_ingest_seconds_bucket{step=\"total\",le=\"0.005\"} 0"));
  EXPECT_TRUE(contains(text, "daybook_ingest_seconds_bucket{step=\"total\",le=\"0.0075\"} 1"));
  EXPECT_TRUE(contains(text, "daybook_ingest_seconds_bucket{step=\"total\",le=\"+Inf\"} 2"));
  EXPECT_TRUE(contains(text, "daybook_ingest_seconds_count{step=\"total\"} 2"));
  EXPECT_TRUE(contains(text, "daybook_records_accepted_total 42"));
}

TEST(Metrics, open_metrics_names_counters_and_ends_as_it_must) {
  const Filled filled;
  const std::string text = filled.metrics.open_metrics();
  EXPECT_TRUE(text.ends_with("\n# EOF\n"));
  EXPECT_EQ(text.find("# EOF"), text.size() - 6);
  EXPECT_TRUE(contains(text, "# TYPE daybook_http_requests counter")) << text;
  EXPECT_TRUE(
      contains(text, "daybook_http_requests_total{route=\"/v1/records\",status=\"201\"} 3"));
  EXPECT_TRUE(contains(text, "# TYPE daybook_ingest_seconds histogram"));
  EXPECT_TRUE(contains(text, "daybook_ingest_seconds_bucket{step=\"total\",le=\"+Inf\"} 2"));
  EXPECT_TRUE(contains(text, "daybook_ingest_seconds_sum{step=\"total\"} 120.007"));
  EXPECT_TRUE(contains(text, "daybook_runtime_info{backend=\"io\\\"ur\\\\ing\\n\"} 1"));
  EXPECT_TRUE(contains(text, "daybook_ready 1"));
}

TEST(Metrics, a_counter_kept_elsewhere_never_goes_back) {
  Filled filled;
  filled.metrics.advance_to(filled.metrics.records_accepted, 40);
  EXPECT_TRUE(contains(filled.metrics.text(), "daybook_records_accepted_total 42"));
  filled.metrics.advance_to(filled.metrics.records_accepted, 43);
  EXPECT_TRUE(contains(filled.metrics.text(), "daybook_records_accepted_total 43"));
}

TEST(Metrics, counters_end_in_total_and_every_family_has_help) {
#define METRIC(member, type, name, help)                                                      \
  EXPECT_TRUE(std::string_view(name).starts_with("daybook_")) << name;                        \
  EXPECT_EQ(std::string_view(name).ends_with("_total"), std::string_view(#type) == "Counter") \
      << name;                                                                                \
  EXPECT_FALSE(std::string_view(help).empty()) << name;
#include "core/metrics.def"
#undef METRIC
}

}  // namespace
}  // namespace daybook::api
