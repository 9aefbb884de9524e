// What holds for every metric of a program, held by the tests of both.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <span>
#include <string>
#include <string_view>

#include "agents/metrics/metric_set.h"
#include "tests/support/scrape.h"

namespace walstitch::test {

// Names and units by Prometheus' conventions.
inline void ExpectConventions(std::span<const metrics::MetricInfo> table) {
  std::set<std::string_view> names;
  for (const metrics::MetricInfo& info : table) {
    SCOPED_TRACE(info.name);
    EXPECT_TRUE(names.insert(info.name).second) << "is there twice";
    EXPECT_TRUE(info.name.starts_with("walstitch_"));
    EXPECT_EQ(info.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos);
    EXPECT_EQ(info.name.ends_with("_total"), info.type == metrics::MetricType::kCounter);
    for (const std::string_view kept :
         {"_bucket", "_sum", "_count", "_ms", "_milliseconds", "_kb", "_percent"})
      EXPECT_FALSE(info.name.ends_with(kept)) << kept;
    if (info.type == metrics::MetricType::kHistogram) {
      EXPECT_TRUE(info.name.ends_with("_seconds"));
    }
    EXPECT_TRUE(info.help.ends_with('.')) << info.help;
  }
}

// Each has another value in `after` than in `before`: one that is there in one of them only has, too.
inline void ExpectEachChanges(std::span<const metrics::MetricInfo> table, const Scrape& before,
                              const Scrape& after) {
  for (const metrics::MetricInfo& info : table) {
    const std::string name(info.name);
    const bool told = !before.Of(name).empty() || !after.Of(name).empty();
    EXPECT_TRUE(told) << name << " is never told";
    if (name == "walstitch_build_info") continue;  // the same as long as the program runs
    EXPECT_NE(before.Of(name), after.Of(name)) << name << " is the same all the time";
    if (info.type != metrics::MetricType::kCounter) continue;
    for (const auto& [series, value] : before.Of(name)) {
      const auto later = after.Find(series);
      if (later) {
        EXPECT_GE(*later, value) << series;
      }
    }
  }
}

}  // namespace walstitch::test
