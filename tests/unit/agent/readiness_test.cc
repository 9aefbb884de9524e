#include "agents/agent/readiness.h"

#include <gtest/gtest.h>

namespace walstitch::agent {
namespace {

Report Following() {
  Report report;
  report.process = ProcessState::kUp;
  report.role = Role::kReplica;
  report.upstream_is_relay = true;
  report.relay.state = RelayState::kFollowing;
  report.relay.node_attached = true;
  report.relay.upstream = Endpoint{"10.0.0.1", 6666};
  report.relay.upstream_connected = true;
  return report;
}

Report Master() {
  Report report;
  report.process = ProcessState::kUp;
  report.role = Role::kMaster;
  report.leased = true;
  report.lease_left_ms = 1000;
  return report;
}

TEST(Readiness, ReplicaThatTheStreamComesToIsReady) {
  EXPECT_TRUE(ReadinessOf(Following()).ready);
  EXPECT_EQ(ReadinessOf(Following()).sentence, "it follows 10.0.0.1:6666");
}

TEST(Readiness, MasterWithALeaseIsReady) { EXPECT_TRUE(ReadinessOf(Master()).ready); }

TEST(Readiness, MasterWhoseLeaseRanOutIsNot) {
  Report report = Master();
  report.lease_left_ms.reset();
  EXPECT_FALSE(ReadinessOf(report).ready);
}

TEST(Readiness, ParkedNodeIsNotReadyAndSaysWhy) {
  Report report = Following();
  report.relay.state = RelayState::kParked;
  report.relay.error = "the stream broke off";
  EXPECT_FALSE(ReadinessOf(report).ready);
  EXPECT_EQ(ReadinessOf(report).sentence,
            "it follows nobody: its relay is in the state parked; the stream broke off");
}

TEST(Readiness, BrokenLinkOnEitherSideOfTheRelayIsNotReady) {
  Report report = Following();
  report.relay.node_attached = false;
  EXPECT_FALSE(ReadinessOf(report).ready);
  report = Following();
  report.relay.upstream_connected = false;
  EXPECT_FALSE(ReadinessOf(report).ready);
}

TEST(Readiness, NodeThatLoadsOrIsDownIsNotReady) {
  Report report = Following();
  report.loading = true;
  EXPECT_FALSE(ReadinessOf(report).ready);
  for (const ProcessState state : {ProcessState::kUnknown, ProcessState::kHung, ProcessState::kDown}) {
    report = Following();
    report.process = state;
    EXPECT_FALSE(ReadinessOf(report).ready) << ToString(state);
  }
}

TEST(Readiness, ServerThatWalstitchDoesNotLeadIsReadyByItsOwnWord) {
  Report report = Master();
  report.leased = false;
  report.lease_left_ms.reset();
  EXPECT_TRUE(ReadinessOf(report).ready);
  report = Following();
  report.upstream_is_relay = false;
  EXPECT_FALSE(ReadinessOf(report).ready);
  report.link_up = true;
  EXPECT_TRUE(ReadinessOf(report).ready);
}

}  // namespace
}  // namespace walstitch::agent
