// The numbers of a program, as Prometheus reads them. What there is, is a table: a name, its labels, and one
// sentence. The table is what docs/metrics.md is made of, and nothing is told that is not in it. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace walstitch::metrics {

// Of the answer of GET /metrics.
inline constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

enum class MetricType { kGauge, kCounter, kHistogram };

std::string_view ToString(MetricType type);  // "gauge", "counter", "histogram"

struct MetricInfo {
  std::string_view name;  // by Prometheus' conventions: base units; _total if and only if it is a counter
  MetricType type = MetricType::kGauge;
  std::string_view labels;  // "group, node"; empty: none
  std::string_view help;    // one sentence
};

// How many values were at most as great as each bound. The bounds are static, ascending; seconds, say.
struct HistogramView {
  std::span<const double> bounds;
  std::span<const std::uint64_t> up_to;  // as many, cumulative
  std::uint64_t count = 0;               // of all, also of those beyond the last bound
  double sum = 0;
};

class MetricSet {
 public:
  // Every name is there once. The table outlives the set.
  explicit MetricSet(std::span<const MetricInfo> table);
  ~MetricSet();
  MetricSet(const MetricSet&) = delete;
  MetricSet& operator=(const MetricSet&) = delete;

  // A sample. The name must be in the table, with as many labels; a value is told once for the same labels.
  void Set(std::string_view name, const std::vector<std::string>& labels, double value);
  void Set(std::string_view name, const std::vector<std::string>& labels, std::uint64_t value) {
    Set(name, labels, static_cast<double>(value));
  }
  void Set(std::string_view name, const std::vector<std::string>& labels, bool value) {
    Set(name, labels, value ? 1.0 : 0.0);
  }
  void SetHistogram(std::string_view name, const std::vector<std::string>& labels,
                    const HistogramView& value);
  // 1 for the state that is, 0 for each of the others; the state is the last label.
  template <typename Enum>
  void SetState(std::string_view name, const std::vector<std::string>& labels, std::span<const Enum> states,
                Enum is) {
    for (const Enum state : states) {
      std::vector<std::string> all = labels;
      all.emplace_back(ToString(state));
      Set(name, all, state == is);
    }
  }

  // In Prometheus' text format, in the table's order. What has no sample is left out.
  [[nodiscard]] std::string Text() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// The table for docs/metrics.md: a row for each.
std::string Markdown(std::span<const MetricInfo> table);

}  // namespace walstitch::metrics
