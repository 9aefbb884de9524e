#include "agents/agent/report_builder.h"

#include <gtest/gtest.h>

namespace walstitch::agent {
namespace {

ReportInput UpReplica() {
  ReportInput input;
  input.node = "n1";
  input.group = "shop";
  input.endpoint = {"10.0.0.1", 6666};
  input.relay_endpoint = {"127.0.0.1", 7666};
  input.epoch = 3;
  input.seen.process = ProcessState::kUp;
  input.seen.facts.emplace();
  input.seen.facts->role = Role::kReplica;
  input.seen.facts->master = Endpoint{"127.0.0.1", 7666};
  input.seen.facts->link_up = true;
  input.seen.facts->loading = false;
  input.seen.facts->sync_in_progress = false;
  input.seen.facts->last = Sequence(41);
  input.seen.facts->version = "2.11.0";
  input.known = input.seen.facts;
  input.relay.state = RelayState::kParked;
  return input;
}

TEST(BuildReport, NodeThatIsUpIsReportedAsItSays) {
  Report report = BuildReport(UpReplica());
  EXPECT_EQ(report.process, ProcessState::kUp);
  EXPECT_EQ(report.role, Role::kReplica);
  EXPECT_TRUE(report.upstream_is_relay);
  EXPECT_TRUE(report.link_up);
  EXPECT_EQ(report.last, Sequence(41));
  EXPECT_EQ(report.full_sync, FullSyncState::kNone);
  EXPECT_EQ(report.epoch, 3U);
  EXPECT_EQ(report.endpoint.ToString(), "10.0.0.1:6666");
}

TEST(BuildReport, WhatTheAgentDidByItselfComesBeforeOtherErrors) {
  ReportInput input = UpReplica();
  input.fence_note = "the lease ran out: the node is parked";
  input.seen.error = "no answer";
  input.seen.facts->writes_refused = "its database is too large";
  input.disk = DiskReport{1, 2, true};
  input.boot_id = "b";
  input.boot_ms = 5;
  const Report report = BuildReport(input);
  EXPECT_EQ(report.error, "the lease ran out: the node is parked");
  EXPECT_EQ(report.writes_refused, "its database is too large");
  EXPECT_EQ(report.disk, input.disk);
  EXPECT_EQ(report.boot_id, "b");
  EXPECT_EQ(report.boot_ms, 5);
  EXPECT_EQ(report.relay_endpoint, input.relay_endpoint);
}

TEST(BuildReport, MasterThatIsNotTheRelayIsNoRelay) {
  ReportInput input = UpReplica();
  input.seen.facts->master = Endpoint{"10.0.0.2", 6666};
  EXPECT_FALSE(BuildReport(input).upstream_is_relay);
  input.seen.facts->master = Endpoint{"localhost", 7666};
  EXPECT_TRUE(BuildReport(input).upstream_is_relay);
}

TEST(BuildReport, RestoringNodeHasNoLast) {
  ReportInput input = UpReplica();
  input.seen.facts->loading = true;
  Report report = BuildReport(input);
  EXPECT_TRUE(report.loading);
  EXPECT_FALSE(report.last);
  EXPECT_EQ(report.full_sync, FullSyncState::kRestoring);
}

TEST(BuildReport, FullSyncShowsFromBothSides) {
  ReportInput input = UpReplica();
  input.seen.facts->sync_in_progress = true;
  EXPECT_EQ(BuildReport(input).full_sync, FullSyncState::kFetching);
  input.seen.facts->sync_in_progress = false;
  input.relay.state = RelayState::kFullSync;
  EXPECT_EQ(BuildReport(input).full_sync, FullSyncState::kFetching);
}

TEST(BuildReport, WhatIsNotKnownIsUnknown) {
  ReportInput input = UpReplica();
  input.seen.facts->loading.reset();
  EXPECT_EQ(BuildReport(input).full_sync, FullSyncState::kUnknown);
  input.seen = Observation();
  input.known.reset();
  Report report = BuildReport(input);
  EXPECT_EQ(report.process, ProcessState::kUnknown);
  EXPECT_EQ(report.role, Role::kUnknown);
  EXPECT_FALSE(report.last);
  EXPECT_FALSE(report.counters);
  EXPECT_EQ(report.full_sync, FullSyncState::kUnknown);
}

TEST(BuildReport, OfAProcessThatIsDownLastComesFromItsFiles) {
  ReportInput input = UpReplica();
  input.seen = Observation();
  input.seen.process = ProcessState::kDown;
  EXPECT_FALSE(BuildReport(input).last);  // the old INFO proves nothing
  input.wal_last = Sequence(45);
  Report report = BuildReport(input);
  EXPECT_EQ(report.last, Sequence(45));
  EXPECT_EQ(report.role, Role::kUnknown);
  EXPECT_FALSE(report.link_up);
  EXPECT_EQ(report.version, "2.11.0");
}

TEST(BuildReport, HungNodeKeepsItsRoleButNotItsLast) {
  ReportInput input = UpReplica();
  input.seen = Observation();
  input.seen.process = ProcessState::kHung;
  input.wal_last = Sequence(45);
  Report report = BuildReport(input);
  EXPECT_EQ(report.role, Role::kReplica);
  EXPECT_TRUE(report.upstream_is_relay);
  EXPECT_FALSE(report.last);
}

TEST(BuildReport, ErrorOfTheNodeComesFirst) {
  ReportInput input = UpReplica();
  input.error = "agent";
  EXPECT_EQ(BuildReport(input).error, "agent");
  input.seen.error = "node";
  EXPECT_EQ(BuildReport(input).error, "node");
}

TEST(Classify, ProcessIsWhatTheFailureProves) {
  auto of = [](ErrorCode code) { return ClassifyProcess(Fail(code, "x")); };
  EXPECT_EQ(ClassifyProcess(node::InfoFields()), ProcessState::kUp);
  EXPECT_EQ(of(ErrorCode::kUnavailable), ProcessState::kDown);
  EXPECT_EQ(of(ErrorCode::kTimeout), ProcessState::kHung);
  EXPECT_EQ(of(ErrorCode::kConflict), ProcessState::kUp);
  EXPECT_EQ(of(ErrorCode::kInvalid), ProcessState::kUp);
  EXPECT_EQ(of(ErrorCode::kIo), ProcessState::kUnknown);
  EXPECT_EQ(of(ErrorCode::kDamaged), ProcessState::kUnknown);
}

TEST(Substance, ClockAndFlowAreNone) {
  Report one = BuildReport(UpReplica());
  Report other = one;
  other.time_ms = 1;
  other.number = 9;
  other.relay.bytes_forwarded = 5;
  other.relay.frames_forwarded = 5;
  other.relay.node_next = Sequence(50);
  EXPECT_TRUE(SameSubstance(one, other));
}

TEST(Substance, EverythingElseIs) {
  const Report one = BuildReport(UpReplica());
  auto differs = [&](auto change) {
    Report other = one;
    change(other);
    return !SameSubstance(one, other);
  };
  EXPECT_TRUE(differs([](Report& r) { r.last = Sequence(42); }));
  EXPECT_TRUE(differs([](Report& r) { r.role = Role::kMaster; }));
  EXPECT_TRUE(differs([](Report& r) { r.process = ProcessState::kDown; }));
  EXPECT_TRUE(differs([](Report& r) { r.link_up = false; }));
  EXPECT_TRUE(differs([](Report& r) { r.epoch = 4; }));
  EXPECT_TRUE(differs([](Report& r) { r.relay.state = RelayState::kFollowing; }));
  EXPECT_TRUE(differs([](Report& r) { r.relay.error = "x"; }));
  EXPECT_TRUE(differs([](Report& r) { r.full_sync = FullSyncState::kFetching; }));
  EXPECT_TRUE(differs([](Report& r) { r.counters = SyncCounters{1, 0, 0}; }));
}

}  // namespace
}  // namespace walstitch::agent
