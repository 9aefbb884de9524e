#include "tests/support/scrape.h"

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace walstitch::test {

std::optional<double> Scrape::Find(const std::string& series) const {
  const auto found = values.find(series);
  return found == values.end() ? std::nullopt : std::optional<double>(found->second);
}

std::map<std::string, double> Scrape::Of(const std::string& metric) const {
  std::map<std::string, double> of;
  const auto type = types.find(metric);
  const bool histogram = type != types.end() && type->second == "histogram";
  for (const auto& [series, value] : values) {
    const std::string name = series.substr(0, series.find('{'));
    const bool part =
        histogram && (name == metric + "_bucket" || name == metric + "_sum" || name == metric + "_count");
    if (name == metric || part) of.emplace(series, value);
  }
  return of;
}

std::optional<double> Scrape::Find(const std::string& metric, const std::set<std::string>& labels) const {
  for (const auto& [series, value] : values) {
    if (series.substr(0, series.find('{')) != metric) continue;
    const bool all = std::all_of(labels.begin(), labels.end(), [&series = series](const std::string& label) {
      return series.find("{" + label) != std::string::npos || series.find("," + label) != std::string::npos;
    });
    if (all) return value;
  }
  return std::nullopt;
}

Scrape ParseScrape(const std::string& text) {
  Scrape scrape;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.starts_with("# TYPE ")) {
      const auto space = line.rfind(' ');
      scrape.types[line.substr(7, space - 7)] = line.substr(space + 1);
    }
    if (line.empty() || line.starts_with('#')) continue;
    const auto space = line.rfind(' ');
    if (space == std::string::npos) throw std::runtime_error("no sample: " + line);
    const bool is_new =
        scrape.values.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second;
    if (!is_new) throw std::runtime_error("told twice: " + line);
  }
  return scrape;
}

}  // namespace walstitch::test
