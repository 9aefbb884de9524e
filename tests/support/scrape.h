// Prometheus' text format, read back.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace walstitch::test {

struct Scrape {
  // By the series as it is written: walstitch_leader, walstitch_group_epoch{group="shop"}.
  std::map<std::string, double> values;
  std::map<std::string, std::string> types;  // by the metric's name: "gauge"

  [[nodiscard]] std::optional<double> Find(const std::string& series) const;
  // Of one metric; of a histogram all its series.
  [[nodiscard]] std::map<std::string, double> Of(const std::string& metric) const;
  // The value of the one series whose text begins with the metric's name and has all of `labels`
  // (group="shop"); nullopt: there is none.
  [[nodiscard]] std::optional<double> Find(const std::string& metric,
                                           const std::set<std::string>& labels) const;
};

// Throws std::runtime_error where the text is none.
Scrape ParseScrape(const std::string& text);

}  // namespace walstitch::test
