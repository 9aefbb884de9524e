#include "agents/metrics/metric_set.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/support/scrape.h"

namespace walstitch::metrics {
namespace {

constexpr MetricInfo kTable[] = {
    {"walstitch_a", MetricType::kGauge, "", "One."},
    {"walstitch_b_total", MetricType::kCounter, "group, node", "Two."},
    {"walstitch_c_seconds", MetricType::kHistogram, "group", "Three."},
};

TEST(MetricSet, WhatHasNoSampleIsNotTold) { EXPECT_EQ(MetricSet(kTable).Text(), ""); }

TEST(MetricSet, EachIsToldWithItsHelpItsTypeAndItsLabels) {
  MetricSet set(kTable);
  set.Set("walstitch_b_total", {"shop", "n1"}, std::uint64_t{3});
  set.Set("walstitch_a", {}, true);
  EXPECT_EQ(set.Text(),
            "# HELP walstitch_a One.\n# TYPE walstitch_a gauge\nwalstitch_a 1\n"
            "# HELP walstitch_b_total Two.\n# TYPE walstitch_b_total counter\n"
            "walstitch_b_total{group=\"shop\",node=\"n1\"} 3\n");
}

TEST(MetricSet, GreatNumbersAreNotRounded) {
  MetricSet set(kTable);
  set.Set("walstitch_b_total", {"shop", "n1"}, std::uint64_t{9'007'199'254'740'991});
  EXPECT_EQ(test::ParseScrape(set.Text()).Find("walstitch_b_total{group=\"shop\",node=\"n1\"}"),
            9'007'199'254'740'991.0)
      << set.Text();
}

TEST(MetricSet, LabelsAreEscaped) {
  MetricSet set(kTable);
  set.Set("walstitch_b_total", {"a\"b", "c\\d\ne"}, 1.0);
  EXPECT_NE(set.Text().find(R"({group="a\"b",node="c\\d\ne"} 1)"), std::string::npos) << set.Text();
}

TEST(MetricSet, HistogramsEndAtInfinity) {
  MetricSet set(kTable);
  const std::array<double, 2> bounds = {0.5, 2};
  const std::array<std::uint64_t, 2> up_to = {1, 3};
  set.SetHistogram("walstitch_c_seconds", {"shop"}, {bounds, up_to, 4, 12.5});
  const test::Scrape scrape = test::ParseScrape(set.Text());
  EXPECT_EQ(scrape.Find("walstitch_c_seconds_bucket{group=\"shop\",le=\"0.5\"}"), 1);
  EXPECT_EQ(scrape.Find("walstitch_c_seconds_bucket{group=\"shop\",le=\"2\"}"), 3);
  EXPECT_EQ(scrape.Find("walstitch_c_seconds_bucket{group=\"shop\",le=\"+Inf\"}"), 4);
  EXPECT_EQ(scrape.Find("walstitch_c_seconds_count{group=\"shop\"}"), 4);
  EXPECT_EQ(scrape.Find("walstitch_c_seconds_sum{group=\"shop\"}"), 12.5);
  EXPECT_EQ(scrape.types.at("walstitch_c_seconds"), "histogram");
}

TEST(MetricSet, TheTableBecomesRowsOfMarkdown) {
  EXPECT_EQ(Markdown(std::span(kTable).subspan(1, 1)),
            "| name | type | labels | meaning |\n|---|---|---|---|\n"
            "| `walstitch_b_total` | counter | group, node | Two. |\n");
}

}  // namespace
}  // namespace walstitch::metrics
