#include "agents/metrics/metric_set.h"

#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <utility>

#include "policies/model/result.h"

namespace walstitch::metrics {
namespace {

std::vector<std::string> LabelNames(std::string_view labels) {
  std::vector<std::string> names;
  while (!labels.empty()) {
    const std::size_t comma = labels.find(", ");
    names.emplace_back(labels.substr(0, comma));
    labels.remove_prefix(comma == std::string_view::npos ? labels.size() : comma + 2);
  }
  return names;
}

prometheus::MetricType TypeOf(MetricType type) {
  switch (type) {
    case MetricType::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricType::kCounter:
      return prometheus::MetricType::Counter;
    case MetricType::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

}  // namespace

std::string_view ToString(MetricType type) {
  switch (type) {
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kCounter:
      return "counter";
    case MetricType::kHistogram:
      return "histogram";
  }
  return "";
}

class MetricSet::Impl {
 public:
  struct Family {
    std::vector<std::string> labels;
    prometheus::MetricFamily family;
  };

  Family& Find(std::string_view name) {
    const auto found = places_.find(name);
    WALSTITCH_CHECK(found != places_.end());
    return families_[found->second];
  }

  prometheus::ClientMetric Sample(const Family& family, const std::vector<std::string>& labels) const {
    WALSTITCH_CHECK(labels.size() == family.labels.size());
    prometheus::ClientMetric metric;
    for (std::size_t i = 0; i < labels.size(); ++i) metric.label.push_back({family.labels[i], labels[i]});
    return metric;
  }

  std::vector<Family> families_;
  std::map<std::string_view, std::size_t> places_;
};

MetricSet::MetricSet(std::span<const MetricInfo> table) : impl_(std::make_unique<Impl>()) {
  for (const MetricInfo& info : table) {
    Impl::Family family;
    family.labels = LabelNames(info.labels);
    family.family.name = std::string(info.name);
    family.family.help = std::string(info.help);
    family.family.type = TypeOf(info.type);
    const bool is_new = impl_->places_.emplace(info.name, impl_->families_.size()).second;
    WALSTITCH_CHECK(is_new);
    impl_->families_.push_back(std::move(family));
  }
}

MetricSet::~MetricSet() = default;

void MetricSet::Set(std::string_view name, const std::vector<std::string>& labels, double value) {
  Impl::Family& family = impl_->Find(name);
  prometheus::ClientMetric metric = impl_->Sample(family, labels);
  metric.gauge.value = value;
  metric.counter.value = value;
  family.family.metric.push_back(std::move(metric));
}

void MetricSet::SetHistogram(std::string_view name, const std::vector<std::string>& labels,
                             const HistogramView& value) {
  Impl::Family& family = impl_->Find(name);
  WALSTITCH_CHECK(value.bounds.size() == value.up_to.size());
  prometheus::ClientMetric metric = impl_->Sample(family, labels);
  for (std::size_t i = 0; i < value.bounds.size(); ++i)
    metric.histogram.bucket.push_back({value.up_to[i], value.bounds[i]});
  metric.histogram.bucket.push_back({value.count, std::numeric_limits<double>::infinity()});
  metric.histogram.sample_count = value.count;
  metric.histogram.sample_sum = value.sum;
  family.family.metric.push_back(std::move(metric));
}

std::string MetricSet::Text() const {
  std::vector<prometheus::MetricFamily> told;
  for (const Impl::Family& each : impl_->families_) {
    if (!each.family.metric.empty()) told.push_back(each.family);
  }
  return prometheus::TextSerializer().Serialize(told);
}

std::string Markdown(std::span<const MetricInfo> table) {
  std::string text = "| name | type | labels | meaning |\n|---|---|---|---|\n";
  for (const MetricInfo& info : table) {
    text += "| `" + std::string(info.name) + "` | " + std::string(ToString(info.type)) + " | " +
            std::string(info.labels) + " | " + std::string(info.help) + " |\n";
  }
  return text;
}

}  // namespace walstitch::metrics
