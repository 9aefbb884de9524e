// What tests share that look at the numbers of real programs while things happen.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/cluster_fixture.h"
#include "tests/support/scrape.h"

namespace walstitch::test {

class MetricsClusterTest : public ClusterTest {
 protected:
  static Scrape ScrapeOf(const HttpAnswer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.status == 200 ? ParseScrape(answer.body) : Scrape();
  }
  Scrape Controller() { return ScrapeOf(cluster().CallController("GET", "/metrics")); }
  Scrape Agent(const std::string& node) { return ScrapeOf(cluster().CallAgent(node, "GET", "/metrics")); }

  using Look = std::function<Scrape()>;
  Look OfController() {
    return [this] { return Controller(); };
  }
  Look OfAgent(std::string node) {
    return [this, node = std::move(node)] { return Agent(node); };
  }

  // "walstitch_" and the name, of the group, and of the node if there is one; `more`: `role="master"`.
  static std::string Series(const std::string& name, const std::string& node = "",
                            const std::string& more = "") {
    std::string labels = "group=\"shop\"";
    if (!node.empty()) labels += ",node=\"" + node + "\"";
    if (!more.empty()) labels += "," + more;
    return "walstitch_" + name + "{" + labels + "}";
  }

  // Waits until the series has such a value.
  void Expect(const Look& look, const std::string& series, const std::function<bool(double)>& such,
              const std::string& words) {
    std::optional<double> last;
    const bool came = cluster().WaitUntil([&] {
      last = look().Find(series);
      return last && such(*last);
    });
    EXPECT_TRUE(came) << series << " is " << (last ? std::to_string(*last) : "not told") << ", not " << words;
  }
  void ExpectIs(const Look& look, const std::string& series, double value) {
    Expect(
        look, series, [value](double is) { return is == value; }, std::to_string(value));
  }
  void ExpectAbove(const Look& look, const std::string& series, double bound) {
    Expect(
        look, series, [bound](double is) { return is > bound; }, "above " + std::to_string(bound));
  }
  void ExpectBelow(const Look& look, const std::string& series, double bound) {
    Expect(
        look, series, [bound](double is) { return is < bound; }, "below " + std::to_string(bound));
  }
  void ExpectAbsent(const Look& look, const std::string& series) {
    EXPECT_TRUE(cluster().WaitUntil([&] { return !look().Find(series); })) << series << " is told";
  }

  void ExpectOrdered(const std::vector<std::string>& arguments) {
    const CommandOutput output = cluster().Cli(arguments);
    EXPECT_EQ(output.exit_code, 0) << output.out << output.error;
  }
};

}  // namespace walstitch::test
