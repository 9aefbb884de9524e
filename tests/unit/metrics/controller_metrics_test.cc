// What the controller tells Prometheus.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>

#include "controller/api/metrics.h"
#include "tests/support/scrape.h"
#include "tests/unit/metrics/conventions.h"
#include "tests/unit/metrics/sample.h"

namespace walstitch::test {
namespace {

Scrape Calm() {
  const core::RecordCounters nothing = NothingDecided();
  return ParseScrape(api::MetricsText(CalmController(nothing)));
}

Scrape Troubled() {
  const core::RecordCounters much = MuchDecided();
  return ParseScrape(api::MetricsText(TroubledController(much)));
}

// The group of CalmController, with more in its status.
Scrape WithStatus(const boost::json::object& more) {
  const core::RecordCounters nothing = NothingDecided();
  api::ControllerNumbers numbers = CalmController(nothing);
  for (const auto& [key, value] : more) numbers.statuses[0].as_object()[key] = value;
  return ParseScrape(api::MetricsText(numbers));
}

TEST(ControllerMetrics, NamesAreByConvention) { ExpectConventions(api::ControllerMetrics()); }

TEST(ControllerMetrics, EachTakesOneValueThenAnother) {
  Scrape standby = ParseScrape(api::MetricsText({}));
  EXPECT_EQ(standby.Find("walstitch_leader"), 0);
  Scrape troubled = Troubled();
  EXPECT_EQ(troubled.Find("walstitch_leader"), 1);
  standby.values.merge(Calm().values);  // what it has of its own stays: that it stands by
  ExpectEachChanges(api::ControllerMetrics(), standby, troubled);
}

TEST(ControllerMetrics, OneThatStandsByTellsOfNoGroup) {
  for (const auto& [series, value] : ParseScrape(api::MetricsText({})).values)
    EXPECT_EQ(series.find("group="), std::string::npos) << series;
}

TEST(ControllerMetrics, OfAStateExactlyOneIsTrue) {
  for (const Scrape& scrape : {Calm(), Troubled()}) {
    for (const char* const name :
         {"walstitch_node_condition", "walstitch_node_role", "walstitch_node_relay_state"}) {
      double sum = 0;
      for (const auto& [series, value] : scrape.Of(name)) {
        if (series.find("node=\"n2\"") != std::string::npos) sum += value;
      }
      EXPECT_EQ(sum, 1) << name;
    }
  }
}

TEST(ControllerMetrics, TimesAreToldInSeconds) {
  const Scrape troubled = Troubled();
  EXPECT_EQ(troubled.Find(R"(walstitch_resume_point_left_seconds{group="shop",node="n2"})"), 1.5);
  EXPECT_EQ(troubled.Find(R"(walstitch_node_lag_seconds{group="shop",node="n2"})"), 31.5);
  EXPECT_EQ(troubled.Find(R"(walstitch_group_lease_age_seconds{group="shop"})"), 9);
  EXPECT_EQ(troubled.Find(R"(walstitch_group_without_master_seconds{group="shop"})"), 7);
  EXPECT_EQ(Calm().Find(R"(walstitch_group_without_master_seconds{group="shop"})"), 0);
  EXPECT_EQ(Calm().Find(R"(walstitch_node_lease_left_seconds{group="shop",node="n1"})"), 2.5);
}

TEST(ControllerMetrics, APauseIsAsOldAsItIsWhoeverTellsOfIt) {
  const std::string paused = R"(walstitch_group_paused_seconds{group="shop"})";
  EXPECT_EQ(Calm().Find(paused), 0);
  EXPECT_EQ(Troubled().Find(paused), 43'200.5);
  const std::int64_t tomorrow = 1'800'000'000'000;
  EXPECT_EQ(WithStatus({{"paused", {{"since_ms", tomorrow}, {"reason", ""}}}}).Find(paused), 0);
}

TEST(ControllerMetrics, WhatALostAgentSaidIsNotTold) {
  const Scrape troubled = Troubled();
  EXPECT_EQ(troubled.Find(R"(walstitch_node_connected{group="shop",node="n1"})"), 0);
  EXPECT_EQ(troubled.Find(R"(walstitch_node_last_sequence{group="shop",node="n1"})"), std::nullopt);
  EXPECT_EQ(troubled.Find(R"(walstitch_node_role{group="shop",node="n1",role="master"})"), std::nullopt);
  EXPECT_EQ(Calm().Find(R"(walstitch_node_role{group="shop",node="n1",role="master"})"), 1);
}

TEST(ControllerMetrics, ANodeWithAFindingIsNotHealthy) {
  EXPECT_EQ(Troubled().Find(R"(walstitch_node_healthy{group="shop",node="n2"})"), 0);
  EXPECT_EQ(Troubled().Find(R"(walstitch_node_healthy{group="shop",node="n3"})"), 1);
  EXPECT_EQ(Calm().Find(R"(walstitch_node_healthy{group="shop",node="n2"})"), 1);
}

TEST(ControllerMetrics, FailoversAreHeldForTheReasonOfTheGate) {
  EXPECT_EQ(Troubled().Find(R"(walstitch_failover_held{group="shop",reason="paused"})"), 1);
  EXPECT_EQ(Troubled().Find(R"(walstitch_failover_held{group="shop",reason="blocked"})"), 0);
  EXPECT_EQ(Calm().Find(R"(walstitch_failover_held{group="shop",reason="paused"})"), 0);
}

TEST(ControllerMetrics, AFailoverThatIsNotDueYetIsNotHeld) {
  const Scrape early = WithStatus({{"waits", "no failover yet: it is too early to say"}, {"waits_code", ""}});
  for (const auto& [series, value] : early.Of("walstitch_failover_held")) EXPECT_EQ(value, 0) << series;
}

TEST(ControllerMetrics, AReasonThatIsNotAmongThemIsOther) {
  EXPECT_EQ(WithStatus({{"waits_code", "of-tomorrow"}})
                .Find(R"(walstitch_failover_held{group="shop",reason="other"})"),
            1);
}

TEST(ControllerMetrics, ARefusedPolicyIsToldBesideTheOneInForce) {
  EXPECT_EQ(Calm().Find(R"(walstitch_policy_refused{group="shop"})"), 0);
  EXPECT_EQ(Troubled().Find(R"(walstitch_policy_refused{group="shop"})"), 1);
  EXPECT_EQ(Calm().Find(R"(walstitch_policy_info{group="shop",name="strict",hash="0123456789ab"})"), 1);
}

TEST(ControllerMetrics, FullSyncsAreQueuedAndRun) {
  EXPECT_EQ(Calm().Find(R"(walstitch_full_syncs_queued{group="shop"})"), 0);
  EXPECT_EQ(Calm().Find(R"(walstitch_full_syncs_running{group="shop"})"), 0);
  EXPECT_EQ(Troubled().Find(R"(walstitch_full_syncs_queued{group="shop"})"), 1);
  EXPECT_EQ(Troubled().Find(R"(walstitch_full_syncs_running{group="shop"})"), 1);
}

TEST(ControllerMetrics, DecisionsAreToldByVerdictAndReason) {
  const Scrape much = Troubled();
  EXPECT_EQ(Calm().Find(R"(walstitch_decisions_total{group="shop",kind="rejoin",verdict="padded"})"), 0);
  EXPECT_EQ(much.Find(R"(walstitch_decisions_total{group="shop",kind="rejoin",verdict="padded"})"), 1);
  EXPECT_EQ(much.Find(R"(walstitch_decisions_total{group="shop",kind="failover",verdict="none"})"), 1);
  EXPECT_EQ(much.Find(R"(walstitch_decision_reasons_total{group="shop",kind="rejoin",verdict="full",)"
                      R"(reason="keyspace-fullsync"})"),
            1);
}

TEST(ControllerMetrics, RejoinsAreToldAsAServerCountsPartialSyncs) {
  const Scrape much = Troubled();
  EXPECT_EQ(Calm().Find(R"(walstitch_sync_partial_ok_total{group="shop"})"), 0);
  EXPECT_EQ(much.Find(R"(walstitch_sync_partial_ok_total{group="shop"})"), 1);
  EXPECT_EQ(much.Find(R"(walstitch_sync_partial_padding_total{group="shop"})"), 1);
  EXPECT_EQ(much.Find(R"(walstitch_sync_partial_err_total{group="shop"})"), 2);
}

TEST(ControllerMetrics, FailoversAreTimedInBuckets) {
  const Scrape much = Troubled();
  EXPECT_EQ(Calm().Find(R"(walstitch_failover_duration_seconds_count{group="shop"})"), 0);
  EXPECT_EQ(much.Find(R"(walstitch_failover_duration_seconds_count{group="shop"})"), 1);
  EXPECT_EQ(much.Find(R"(walstitch_failover_duration_seconds_sum{group="shop"})"), 0.6);
  EXPECT_EQ(much.Find(R"(walstitch_failover_duration_seconds_bucket{group="shop",le="0.5"})"), 0);
  EXPECT_EQ(much.Find(R"(walstitch_failover_duration_seconds_bucket{group="shop",le="1"})"), 1);
}

}  // namespace
}  // namespace walstitch::test
