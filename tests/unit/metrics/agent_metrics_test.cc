// What an agent tells Prometheus.
#include <gtest/gtest.h>

#include <string>

#include "agents/agent/metrics.h"
#include "tests/support/scrape.h"
#include "tests/unit/metrics/conventions.h"
#include "tests/unit/metrics/sample.h"

namespace walstitch::test {
namespace {

Scrape Calm() { return ParseScrape(agent::MetricsText(CalmAgent())); }
Scrape Troubled() { return ParseScrape(agent::MetricsText(TroubledAgent())); }

TEST(AgentMetrics, NamesAreByConvention) { ExpectConventions(agent::AgentMetrics()); }

TEST(AgentMetrics, EachTakesOneValueThenAnother) {
  ExpectEachChanges(agent::AgentMetrics(), Calm(), Troubled());
}

TEST(AgentMetrics, OfAStateExactlyOneIsTrue) {
  for (const Scrape& scrape : {Calm(), Troubled()}) {
    for (const char* const name :
         {"walstitch_agent_server_state", "walstitch_agent_role", "walstitch_agent_relay_state"}) {
      double sum = 0;
      for (const auto& [series, value] : scrape.Of(name)) sum += value;
      EXPECT_EQ(sum, 1) << name;
    }
  }
}

TEST(AgentMetrics, WithoutALeaseNoneIsToldToBeLeft) {
  EXPECT_EQ(Calm().Find(R"(walstitch_agent_lease_left_seconds{group="shop",node="n2"})"), 2.5);
  EXPECT_EQ(Troubled().Find(R"(walstitch_agent_lease_left_seconds{group="shop",node="n2"})"), std::nullopt);
}

TEST(AgentMetrics, ParksAreToldByWhoeverParked) {
  const Scrape calm = Calm();
  const Scrape troubled = Troubled();
  for (const std::string reason : {"command", "lease-over", "relay", "found"}) {
    const std::string series =
        R"(walstitch_agent_parks_total{group="shop",node="n2",reason=")" + reason + "\"}";
    EXPECT_EQ(calm.Find(series), 0) << series;
    EXPECT_EQ(troubled.Find(series), reason == "command" ? 2 : 1) << series;
  }
}

TEST(AgentMetrics, EveryCommandBeginsAtZero) {
  const Scrape calm = Calm();
  EXPECT_EQ(calm.Find(R"(walstitch_agent_commands_total{group="shop",node="n2",action="offer_padding",)"
                      R"(result="refused"})"),
            0);
  EXPECT_EQ(Troubled().Find(
                R"(walstitch_agent_commands_total{group="shop",node="n2",action="pad",result="failed"})"),
            1);
}

TEST(AgentMetrics, ListenersTellWhyTheyRefuse) {
  const Scrape calm = Calm();
  for (const std::string reason : {"token", "role", "certificate", "handshake", "plain_http", "too_large",
                                   "slow", "garbage", "full", "evicted"}) {
    const std::string series = R"(walstitch_listener_refused_total{listener="api",reason=")" + reason + "\"}";
    EXPECT_EQ(calm.Find(series), 0) << series;
    EXPECT_EQ(Troubled().Find(series), 2) << series;
  }
}

TEST(AgentMetrics, TheRelaysListenerTellsWhyItRefuses) {
  relay::ListenerCounts counts;
  counts.accepted = 5;
  counts.open = 1;
  counts.refused[static_cast<std::size_t>(relay::Refused::kForeign)] = 4;
  agent::AgentNumbers numbers = CalmAgent();
  agent::AddListener("relay", counts, &numbers.process);
  const Scrape scrape = ParseScrape(agent::MetricsText(numbers));
  EXPECT_EQ(scrape.Find(R"(walstitch_listener_connections_total{listener="relay"})"), 5);
  EXPECT_EQ(scrape.Find(R"(walstitch_listener_connections{listener="relay"})"), 1);
  EXPECT_EQ(scrape.Find(R"(walstitch_listener_refused_total{listener="relay",reason="foreign"})"), 4);
  EXPECT_EQ(scrape.Find(R"(walstitch_listener_refused_total{listener="relay",reason="garbage"})"), 0);
  EXPECT_EQ(scrape.Find(R"(walstitch_listener_requests_total{listener="relay"})"), std::nullopt);
}

TEST(AgentMetrics, ACertificateIsToldWithItsEnd) {
  EXPECT_EQ(Calm().Find(R"(walstitch_certificate_expiry_timestamp_seconds{use="api"})"), 1'700'864'000);
  EXPECT_EQ(Troubled().Find(R"(walstitch_certificate_expiry_timestamp_seconds{use="api"})"), 1'699'999'940);
}

TEST(AgentMetrics, AWalThatCannotBeReadIsNotTold) {
  agent::AgentNumbers numbers = CalmAgent();
  numbers.wal.reset();
  EXPECT_TRUE(ParseScrape(agent::MetricsText(numbers)).Of("walstitch_agent_wal_bytes").empty());
  EXPECT_EQ(Calm().Find(R"(walstitch_agent_wal_bytes{group="shop",node="n2"})"), 4096);
}

TEST(AgentMetrics, SalvagesAreNotToldWhileTheirWorkerIsBusy) {
  agent::AgentNumbers numbers = TroubledAgent();
  numbers.salvages.reset();
  EXPECT_TRUE(ParseScrape(agent::MetricsText(numbers)).Of("walstitch_agent_salvages").empty());
  EXPECT_EQ(Troubled().Find(R"(walstitch_agent_salvages{group="shop",node="n2"})"), 2);
}

}  // namespace
}  // namespace walstitch::test
