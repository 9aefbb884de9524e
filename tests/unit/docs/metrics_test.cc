// docs/metrics.md says what the programs tell Prometheus, no more and no less; the alerts and the dashboard
// of the chart name nothing else; and every alert has its entry in docs/runbook.md and its test.
#include "agents/agent/metrics.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "controller/api/metrics.h"
#include "tests/support/scrape.h"
#include "tests/unit/metrics/sample.h"

namespace walstitch::test {
namespace {

const std::string kRoot = WALSTITCH_SOURCE_DIR;
const std::string kPage = kRoot + "/docs/metrics.md";
const std::string kRunbook = kRoot + "/docs/runbook.md";
const std::string kAlerts = kRoot + "/helm/walstitch/files/alerts.yaml";
const std::string kAlertsTest = kRoot + "/tests/helm/alerts_test.yaml";
const std::string kDashboard = kRoot + "/helm/walstitch/files/dashboard.json";

std::string ContentOf(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// The page with the text between the marks of `what` replaced; empty: they are not there.
std::string With(const std::string& page, const std::string& what, const std::string& text) {
  const std::string begin = "<!-- begin " + what + " -->\n";
  const std::string end = "<!-- end " + what + " -->\n";
  const auto from = page.find(begin);
  const auto to = page.find(end);
  if (from == std::string::npos || to == std::string::npos) return "";
  return page.substr(0, from + begin.size()) + text + page.substr(to);
}

// What a program has of its own.
std::span<const metrics::MetricInfo> OwnOf(std::span<const metrics::MetricInfo> table) {
  return table.subspan(metrics::kProcessMetrics.size());
}

std::map<std::string, const metrics::MetricInfo*> AllMetrics() {
  std::map<std::string, const metrics::MetricInfo*> all;
  for (const auto& info : api::ControllerMetrics()) all.emplace(info.name, &info);
  for (const auto& info : agent::AgentMetrics()) all.emplace(info.name, &info);
  return all;
}

// nullptr: there is none. A histogram is asked for by its parts.
const metrics::MetricInfo* MetricOf(const std::string& name) {
  static const auto all = AllMetrics();
  for (const std::string part : {"_bucket", "_sum", "_count"}) {
    if (!name.ends_with(part)) continue;
    const auto whole = all.find(name.substr(0, name.size() - part.size()));
    if (whole != all.end() && whole->second->type == metrics::MetricType::kHistogram) return whole->second;
  }
  const auto found = all.find(name);
  const bool whole = found != all.end() && found->second->type != metrics::MetricType::kHistogram;
  return whole ? found->second : nullptr;
}

std::set<std::string> Split(const std::string& list) {
  std::set<std::string> parts;
  static const std::regex kPart("[^, ]+");
  for (auto it = std::sregex_iterator(list.begin(), list.end(), kPart); it != std::sregex_iterator(); ++it)
    parts.insert(it->str());
  return parts;
}

// What Prometheus itself puts on a series.
const std::set<std::string> kLabelsOfPrometheus = {"instance", "job", "namespace", "pod"};

std::set<std::string> LabelsOf(const metrics::MetricInfo& info) {
  std::set<std::string> labels = kLabelsOfPrometheus;
  labels.merge(Split(std::string(info.labels)));
  if (info.type == metrics::MetricType::kHistogram) labels.insert("le");
  return labels;
}

struct Matcher {
  std::string label;
  std::string value;
  bool regex = false;
};

struct Selector {
  std::string name;
  std::vector<Matcher> matchers;
};

// Every walstitch_… of an expression, with what it is narrowed to.
std::vector<Selector> SelectorsOf(const std::string& expr) {
  static const std::regex kSelector(R"re((walstitch_[a-z_]+)(?:\{([^}]*)\})?)re");
  static const std::regex kMatcher(R"re(([a-z_]+)(=~|=)"([^"]*)")re");
  std::vector<Selector> selectors;
  for (auto it = std::sregex_iterator(expr.begin(), expr.end(), kSelector); it != std::sregex_iterator();
       ++it) {
    Selector selector{(*it)[1], {}};
    const std::string inside = (*it)[2];
    for (auto m = std::sregex_iterator(inside.begin(), inside.end(), kMatcher); m != std::sregex_iterator();
         ++m)
      selector.matchers.push_back({(*m)[1], (*m)[3], (*m)[2] == "=~"});
    selectors.push_back(std::move(selector));
  }
  return selectors;
}

// All series that the programs ever tell, as far as the samples go.
const std::set<std::string>& Series() {
  static const std::set<std::string> all = [] {
    std::set<std::string> series;
    const core::RecordCounters nothing = NothingDecided();
    const core::RecordCounters much = MuchDecided();
    for (const std::string& text :
         {api::MetricsText(CalmController(nothing)), api::MetricsText(TroubledController(much)),
          agent::MetricsText(CalmAgent()), agent::MetricsText(TroubledAgent())}) {
      for (const auto& [name, value] : ParseScrape(text).values) series.insert(name);
    }
    return series;
  }();
  return all;
}

bool SomethingMatches(const Selector& selector) {
  return std::any_of(Series().begin(), Series().end(), [&](const std::string& series) {
    if (series.substr(0, series.find('{')) != selector.name) return false;
    return std::all_of(selector.matchers.begin(), selector.matchers.end(), [&](const Matcher& matcher) {
      if (matcher.value.find('$') != std::string::npos) return true;  // a variable of the dashboard
      if (kLabelsOfPrometheus.contains(matcher.label)) return true;
      const std::regex label("[{,]" + matcher.label + "=\"([^\"]*)\"");
      std::smatch found;
      if (!std::regex_search(series, found, label)) return false;
      const std::string value = found[1];
      return matcher.regex ? std::regex_match(value, std::regex(matcher.value)) : value == matcher.value;
    });
  });
}

void ExpectOnlyWhatExists(const std::string& expr) {
  SCOPED_TRACE(expr);
  const auto selectors = SelectorsOf(expr);
  EXPECT_FALSE(selectors.empty());
  std::set<std::string> labels;
  for (const Selector& selector : selectors) {
    const metrics::MetricInfo* info = MetricOf(selector.name);
    ASSERT_NE(info, nullptr) << selector.name << " does not exist";
    labels.merge(LabelsOf(*info));
    for (const Matcher& matcher : selector.matchers)
      EXPECT_TRUE(LabelsOf(*info).contains(matcher.label))
          << selector.name << " has no label " << matcher.label;
    EXPECT_TRUE(SomethingMatches(selector)) << "no series of " << selector.name << " is ever like that";
  }
  static const std::regex kGrouping(R"re(\b(?:by|on|without|ignoring) \(([^)]*)\))re");
  for (auto it = std::sregex_iterator(expr.begin(), expr.end(), kGrouping); it != std::sregex_iterator();
       ++it) {
    for (const std::string& label : Split((*it)[1])) EXPECT_TRUE(labels.contains(label)) << label;
  }
}

struct Alert {
  std::string name;
  std::string expr;
  std::map<std::string, std::string> annotations;
  std::string severity;
};

std::vector<Alert> Alerts() {
  std::vector<Alert> alerts;
  for (const auto& group : YAML::LoadFile(kAlerts)["groups"]) {
    for (const auto& rule : group["rules"]) {
      alerts.push_back({rule["alert"].as<std::string>(), rule["expr"].as<std::string>(),
                        rule["annotations"].as<std::map<std::string, std::string>>(),
                        rule["labels"]["severity"].as<std::string>()});
    }
  }
  return alerts;
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

void CollectExpressions(const boost::json::value& value, std::vector<std::string>* exprs) {
  if (const auto* array = value.if_array()) {
    for (const auto& element : *array) CollectExpressions(element, exprs);
  }
  if (const auto* object = value.if_object()) {
    for (const auto& [key, each] : *object) {
      const bool is_one = (key == "expr" || key == "definition") && each.is_string();
      if (is_one) exprs->push_back(std::string(each.as_string()));
      CollectExpressions(each, exprs);
    }
  }
}

TEST(MetricsPage, SaysWhatTheProgramsTell) {
  const std::string page = ContentOf(kPage);
  std::string expected = With(page, "both", metrics::Markdown(metrics::kProcessMetrics));
  expected = With(expected, "walstitch-controller", metrics::Markdown(OwnOf(api::ControllerMetrics())));
  expected = With(expected, "walstitch-agent", metrics::Markdown(OwnOf(agent::AgentMetrics())));
  ASSERT_FALSE(expected.empty()) << kPage << " has lost its begin and end marks";
  if (std::getenv("WALSTITCH_UPDATE_DOCS") != nullptr) {
    std::ofstream(kPage) << expected;
    return;
  }
  EXPECT_EQ(page, expected) << "docs/metrics.md is not as the programs say; ./x docs --update writes it";
}

TEST(Alerts, NameOnlyWhatExists) {
  ASSERT_GT(Alerts().size(), 20U);
  for (const Alert& alert : Alerts()) {
    SCOPED_TRACE(alert.name);
    ExpectOnlyWhatExists(alert.expr);
  }
}

TEST(Alerts, SayWhatIsTheMatterInWords) {
  static const std::set<std::string> kSeverities = {"critical", "warning", "info"};
  static const std::regex kLabel(R"re(\$labels\.([a-z_]+))re");
  for (const Alert& alert : Alerts()) {
    SCOPED_TRACE(alert.name);
    EXPECT_TRUE(alert.name.starts_with("Walstitch"));
    EXPECT_TRUE(kSeverities.contains(alert.severity)) << alert.severity;
    EXPECT_FALSE(alert.annotations.at("summary").ends_with('.'));
    EXPECT_TRUE(alert.annotations.at("description").ends_with('.'));
    std::set<std::string> labels;
    for (const Selector& selector : SelectorsOf(alert.expr)) {
      if (const auto* info = MetricOf(selector.name)) labels.merge(LabelsOf(*info));
    }
    // What it is summed up by is all that is left of them.
    static const std::regex kSummedUp(R"re(\bby \(([^)]*)\))re");
    std::smatch summed_up;
    if (std::regex_search(alert.expr, summed_up, kSummedUp)) labels = Split(summed_up[1]);
    for (const auto& [key, text] : alert.annotations) {
      for (auto it = std::sregex_iterator(text.begin(), text.end(), kLabel); it != std::sregex_iterator();
           ++it)
        EXPECT_TRUE(labels.contains((*it)[1]))
            << key << " names the label " << (*it)[1] << ", which there is not";
    }
  }
}

TEST(Alerts, EachHasItsPlaceInTheRunbook) {
  const std::string runbook = ContentOf(kRunbook);
  const auto from = runbook.find("\n## By alert\n");
  ASSERT_NE(from, std::string::npos);
  const auto to = runbook.find("\n## ", from + 1);
  const std::string part = runbook.substr(from, to == std::string::npos ? to : to - from);
  std::set<std::string> headings;
  static const std::regex kHeading("\n### (\\S+)\n\n[^#]");
  for (auto it = std::sregex_iterator(part.begin(), part.end(), kHeading); it != std::sregex_iterator(); ++it)
    EXPECT_TRUE(headings.insert((*it)[1]).second) << (*it)[1];
  std::set<std::string> names;
  for (const Alert& alert : Alerts()) {
    EXPECT_TRUE(names.insert(alert.name).second) << alert.name << " is there twice";
    EXPECT_EQ(alert.annotations.at("runbook"), "docs/runbook.md#" + Lower(alert.name));
  }
  EXPECT_EQ(headings, names);
}

TEST(Alerts, EachFiresAndStopsInATest) {
  std::set<std::string> fired_and_stopped;
  for (const auto& test : YAML::LoadFile(kAlertsTest)["tests"]) {
    std::set<std::string> firing;
    for (const auto& look : test["promql_expr_test"]) {
      std::set<std::string> now;
      for (const auto& sample : look["exp_samples"]) {
        const auto labels = sample["labels"].as<std::string>();
        const auto begin = labels.find('"') + 1;
        now.insert(labels.substr(begin, labels.rfind('"') - begin));
      }
      for (const std::string& name : firing) {
        if (!now.contains(name)) fired_and_stopped.insert(name);
      }
      firing = std::move(now);
    }
  }
  for (const Alert& alert : Alerts()) EXPECT_TRUE(fired_and_stopped.contains(alert.name)) << alert.name;
}

TEST(Alerts, AreTestedOnSeriesThatTheProgramsTell) {
  std::size_t count = 0;
  for (const auto& test : YAML::LoadFile(kAlertsTest)["tests"]) {
    SCOPED_TRACE(test["name"].as<std::string>());
    for (const auto& input : test["input_series"]) {
      ++count;
      const auto series = input["series"].as<std::string>();
      ExpectOnlyWhatExists(series);
      const auto selectors = SelectorsOf(series);
      ASSERT_EQ(selectors.size(), 1U) << series;
      const metrics::MetricInfo* info = MetricOf(selectors[0].name);
      if (info == nullptr) continue;  // that was said
      std::set<std::string> named;
      for (const Matcher& matcher : selectors[0].matchers) named.insert(matcher.label);
      for (const std::string& label : Split(std::string(info->labels)))
        EXPECT_TRUE(named.contains(label)) << series << " lacks its label " << label;
    }
  }
  EXPECT_GT(count, Alerts().size());
}

// 1. A replica leads, and its pod's name is on all it says. 2. Another leads. 3. An alert on the series as
// they are is resolved, and waits anew for as long as it waited before.
TEST(Alerts, OnWhatTheLeaderTellsDoNotAskWhichPodLeads) {
  static const std::regex kLooksAway(R"re(\b(?:max|min|sum) by \()re");
  // What is only matched by, and not told, may be of any pod.
  static const std::regex kOnlyMatched(R"re( unless on \([^)]*\) walstitch_[a-z_]+)re");
  const auto of_agent = [](std::string_view name) { return name.starts_with("walstitch_agent_"); };
  for (const Alert& alert : Alerts()) {
    SCOPED_TRACE(alert.name);
    const std::string told = std::regex_replace(alert.expr, kOnlyMatched, "");
    bool of_groups = false;
    for (const Selector& selector : SelectorsOf(told)) {
      const auto* info = MetricOf(selector.name);
      ASSERT_NE(info, nullptr) << selector.name;
      const bool of_group = info->labels.find("group") != std::string_view::npos;
      of_groups = of_groups || (of_group && !of_agent(selector.name));
    }
    EXPECT_TRUE(!of_groups || std::regex_search(told, kLooksAway)) << told;
  }
}

TEST(Dashboard, NamesOnlyWhatExists) {
  std::vector<std::string> exprs;
  CollectExpressions(boost::json::parse(ContentOf(kDashboard)), &exprs);
  ASSERT_GT(exprs.size(), 30U);
  for (const std::string& expr : exprs) ExpectOnlyWhatExists(expr);
}

TEST(Dashboard, EveryPanelSaysWhatItShows) {
  const auto dashboard = boost::json::parse(ContentOf(kDashboard));
  std::set<std::int64_t> ids;
  for (const auto& panel : dashboard.at("panels").as_array()) {
    EXPECT_TRUE(ids.insert(panel.at("id").as_int64()).second);
    EXPECT_FALSE(panel.at("title").as_string().empty());
    if (panel.at("type") == "row") continue;
    EXPECT_TRUE(panel.at("description").as_string().ends_with('.')) << panel.at("title");
  }
}

}  // namespace
}  // namespace walstitch::test
