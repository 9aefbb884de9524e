#include "controller/core/finding.h"

#include <gtest/gtest.h>

#include "tests/unit/core/snapshot_maker.h"

namespace walstitch::core {
namespace {

std::vector<std::string> Codes(const GroupSnapshot& snapshot) {
  std::vector<std::string> codes;
  for (const auto& finding : FindIn(snapshot)) {
    codes.push_back(std::string(ToString(finding.code)) + (finding.node.empty() ? "" : " " + finding.node));
  }
  return codes;
}

using Expected = std::vector<std::string>;

TEST(FindingTest, AHealthyGroupHasNone) { EXPECT_EQ(Codes(HealthyGroup()), Expected{}); }

TEST(FindingTest, ANewGroupIsParkedThroughout) { EXPECT_EQ(Codes(NewGroup()), Expected{"NewGroup"}); }

TEST(FindingTest, ANewGroupWaitsForEveryNode) {
  GroupSnapshot snapshot = NewGroup();
  snapshot.nodes["n3"].connected = false;
  EXPECT_EQ(Codes(snapshot), Expected{"NodesMissing"});
  EXPECT_NE(FindIn(snapshot)[0].sentence.find("still missing: n3"), std::string::npos);
}

TEST(FindingTest, ALostStoreIsNotTakenForANewGroup) {
  GroupSnapshot snapshot = NewGroup();
  snapshot.nodes["n2"].report->epoch = 5;
  EXPECT_EQ(Codes(snapshot), Expected{"StoreLost"});
  snapshot.state.epoch = 5;  // our own attempts used the epochs up
  EXPECT_EQ(Codes(snapshot), Expected{"NewGroup"});
}

TEST(FindingTest, ANewGroupWithAMasterIsToBeAdopted) {
  GroupSnapshot snapshot = NewGroup();
  snapshot.nodes["n1"].report->role = Role::kMaster;
  snapshot.nodes["n1"].report->upstream_is_relay = false;
  EXPECT_EQ(Codes(snapshot), Expected{"AdoptableGroup"});
}

TEST(FindingTest, AReleasedGroupIsLeftAloneWhateverItsNodesDo) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.state.management = Management::kReleased;
  snapshot.nodes["n1"].report->process = ProcessState::kDown;
  EXPECT_EQ(Codes(snapshot), Expected{"GroupReleased"});
}

TEST(FindingTest, TheMastersProcessDownIsNotItsAgentSilent) {
  GroupSnapshot down = HealthyGroup();
  down.nodes["n1"].report->process = ProcessState::kDown;
  EXPECT_EQ(Codes(down), Expected{"MasterProcessDown n1"});
  GroupSnapshot silent = HealthyGroup();
  silent.nodes["n1"].connected = false;
  EXPECT_EQ(Codes(silent), Expected{"MasterUnreachable n1"});
  GroupSnapshot hung = HealthyGroup();
  hung.nodes["n1"].report->process = ProcessState::kHung;
  EXPECT_EQ(Codes(hung), Expected{"MasterProcessHung n1"});
}

TEST(FindingTest, AMasterThatCameBackParkedIsNoMaster) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].report = ReportOf("n1", 100);
  EXPECT_EQ(Codes(snapshot), Expected{"MasterParked n1"});
}

TEST(FindingTest, ASecondMasterIsFound) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n2"].report->role = Role::kMaster;
  EXPECT_EQ(Codes(snapshot), Expected{"SecondMaster n2"});
}

TEST(FindingTest, AParkedNodeIsToRejoin) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n3"].report = ReportOf("n3", 90);
  EXPECT_EQ(Codes(snapshot), Expected{"NodeToRejoin n3"});
}

TEST(FindingTest, ANodeThatFollowsAnOlderMasterIsToRejoin) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n3"].report->relay.upstream = EndpointOf("n2");
  EXPECT_EQ(Codes(snapshot), Expected{"NodeToRejoin n3"});
}

TEST(FindingTest, ANodeWhoseRelayReconnectsIsWaitedFor) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n3"].report->relay.upstream_connected = false;
  snapshot.nodes["n3"].report->relay.error = "the upstream closed the connection";
  EXPECT_EQ(Codes(snapshot), Expected{"NodeWaiting n3"});
}

TEST(FindingTest, ARelayThatReconnectsToAnOlderMasterIsNotWaitedFor) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n3"].report->relay.upstream_connected = false;
  snapshot.nodes["n3"].report->relay.upstream = EndpointOf("n2");
  EXPECT_EQ(Codes(snapshot), Expected{"NodeToRejoin n3"});
}

TEST(FindingTest, ANodeThatReconnectsToItsRelayIsWaitedFor) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n3"].report->relay.node_attached = false;
  EXPECT_EQ(Codes(snapshot), Expected{"NodeWaiting n3"});
}

TEST(FindingTest, ALoadingNodeIsWaitedFor) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n3"].report = ReportOf("n3", 90);
  snapshot.nodes["n3"].report->loading = true;
  EXPECT_EQ(Codes(snapshot), Expected{"NodeWaiting n3"});
}

TEST(FindingTest, AFullSyncUnderWayIsNotTouched) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n3"].report = ReportOf("n3", 90);
  snapshot.nodes["n3"].full_sync_open = true;
  EXPECT_EQ(Codes(snapshot), Expected{"FullSyncRunning n3"});
}

TEST(FindingTest, NobodyRejoinsWithoutAMaster) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].report->process = ProcessState::kDown;
  snapshot.nodes["n3"].report = ReportOf("n3", 90);
  EXPECT_EQ(Codes(snapshot), Expected{"MasterProcessDown n1"});
}

TEST(FindingTest, AMasterThatOthersHearIsOutOfSightOnly) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].connected = false;
  snapshot.nodes["n3"].report->relay.upstream_silent_ms = 100;
  const auto findings = FindIn(snapshot);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].code, FindingCode::kMasterOutOfSight);
  EXPECT_EQ(findings[0].rests_on, std::vector<Source>{Source::kPeers});
}

TEST(FindingTest, AMasterThatOthersHearAndThatSaysItIsAReplicaIsParked) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].connected = false;
  snapshot.nodes["n3"].report->relay.upstream_silent_ms = 100;
  snapshot.seen_replica.emplace().through = {"n3"};
  const auto findings = FindIn(snapshot);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].code, FindingCode::kMasterParked);
  EXPECT_EQ(findings[0].rests_on, std::vector<Source>{Source::kPeers});
  EXPECT_EQ(findings[0].sentence,
            "the agent of master n1 does not answer, and its server takes no writes: it told n3 that it is a "
            "replica");
}

TEST(FindingTest, WhoeverSawThatTheMasterIsAReplicaIsNamed) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].connected = false;
  snapshot.master_probe = true;
  SeenReplica& seen = snapshot.seen_replica.emplace();
  seen.probed = true;
  auto trouble = FindMasterTrouble(snapshot);
  ASSERT_TRUE(trouble);
  EXPECT_EQ(trouble->code, FindingCode::kMasterParked);
  EXPECT_EQ(trouble->rests_on, std::vector<Source>{Source::kProbe});
  EXPECT_NE(trouble->sentence.find("it told the controller that"), std::string::npos) << trouble->sentence;

  seen.through = {"n2", "n3"};
  trouble = FindMasterTrouble(snapshot);
  const std::vector<Source> both{Source::kPeers, Source::kProbe};
  EXPECT_EQ(trouble->rests_on, both);
  EXPECT_NE(trouble->sentence.find("it told the controller, n2, n3 that"), std::string::npos);

  seen.by_hand = true;
  trouble = FindMasterTrouble(snapshot);
  EXPECT_NE(trouble->sentence.find("the controller made it a replica itself"), std::string::npos);
}

TEST(FindingTest, OfAMasterWhoseAgentAnswersOnlyThatAgentsWordCounts) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.seen_replica.emplace().probed = true;
  EXPECT_EQ(Codes(snapshot), Expected{});
  snapshot.nodes["n1"].report->process = ProcessState::kDown;
  EXPECT_EQ(Codes(snapshot), Expected{"MasterProcessDown n1"});
}

TEST(FindingTest, TheServerIsAskedThroughThoseThatHearItOnly) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].connected = false;
  EXPECT_EQ(NodesThatHear(snapshot, EndpointOf("n1")), Expected{});
  snapshot.nodes["n2"].report->relay.upstream_silent_ms = kPeerSilenceMs + 1;
  snapshot.nodes["n3"].report->relay.upstream_silent_ms = kPeerSilenceMs;
  EXPECT_EQ(NodesThatHear(snapshot, EndpointOf("n1")), Expected{"n3"});
  EXPECT_EQ(NodesThatHear(snapshot, EndpointOf("n2")), Expected{});
  snapshot.nodes["n3"].connected = false;
  EXPECT_EQ(NodesThatHear(snapshot, EndpointOf("n1")), Expected{});
}

TEST(FindingTest, AMasterThatCannotWriteIsFound) {
  GroupSnapshot refuses = HealthyGroup();
  refuses.nodes["n1"].report->writes_refused = "the database has background errors";
  EXPECT_EQ(Codes(refuses), Expected{"MasterRefusesWrites n1"});
  GroupSnapshot read_only = HealthyGroup();
  read_only.nodes["n1"].report->disk = DiskReport{1ULL << 40, 1ULL << 40, true};
  EXPECT_EQ(Codes(read_only), Expected{"MasterRefusesWrites n1"});
}

TEST(FindingTest, AMasterThatIsAboutToBeStoppedIsFound) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].report->leaving = true;
  EXPECT_EQ(Codes(snapshot), Expected{"MasterLeaving n1"});
}

TEST(FindingTest, AReplicaThatIsAboutToBeStoppedIsLeftAlone) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n2"].report->leaving = true;
  EXPECT_EQ(Codes(snapshot), Expected{});
  snapshot.nodes["n2"].report->relay.state = RelayState::kParked;
  EXPECT_EQ(Codes(snapshot), Expected{"NodeWaiting n2"});
}

std::string PlacesOf(const GroupSnapshot& snapshot) {
  std::string places;
  for (const auto& [name, view] : snapshot.nodes) {
    const auto place = PlaceOf(snapshot, view);
    places += (places.empty() ? "" : ", ") + name + " " + std::string(place ? ToString(*place) : "as it was");
  }
  return places;
}

TEST(PlaceTest, MasterAndReplicasOfAHealthyGroup) {
  EXPECT_EQ(PlacesOf(HealthyGroup()), "n1 master, n2 replica, n3 replica");
  EXPECT_EQ(PlacesOf(NewGroup()), "n1 parked, n2 parked, n3 parked");
}

TEST(PlaceTest, OfASilentAgentNothingNewIsKnown) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].connected = false;
  snapshot.nodes["n2"].report->process = ProcessState::kHung;
  EXPECT_EQ(PlacesOf(snapshot), "n1 as it was, n2 as it was, n3 replica");
  snapshot.seen_replica.emplace();
  EXPECT_EQ(PlacesOf(snapshot), "n1 parked, n2 as it was, n3 replica");
}

TEST(PlaceTest, ServerThatIsDownOrLoadingServesNobody) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].report->process = ProcessState::kDown;
  snapshot.nodes["n2"].report->loading = true;
  EXPECT_EQ(PlacesOf(snapshot), "n1 parked, n2 parked, n3 replica");
}

TEST(PlaceTest, SecondMasterIsNone) {
  GroupSnapshot snapshot = HealthyGroup();
  ApplyPromotion(snapshot.state, "n2", 2, Sequence(100));
  EXPECT_EQ(*PlaceOf(snapshot, *snapshot.Find("n1")), Place::kParked);
}

TEST(PlaceTest, NodeWhoseKeysAreStillComparedServesNobody) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n2"].rejoining = true;
  EXPECT_EQ(PlacesOf(snapshot), "n1 master, n2 parked, n3 replica");
}

TEST(FindingTest, AReplicaThatStandsStillBehindItsMasterIsStuck) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n2"].durations.stuck_ms = snapshot.settings.stuck_feed_ms - 1;
  EXPECT_EQ(Codes(snapshot), Expected{});
  snapshot.nodes["n2"].durations.stuck_ms = snapshot.settings.stuck_feed_ms;
  EXPECT_EQ(Codes(snapshot), Expected{"FeedStuck n2"});
}

TEST(FindingTest, LoadingForTooLongIsAFindingOfItsOwn) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n3"].report->loading = true;
  snapshot.nodes["n3"].durations.loading_ms = snapshot.settings.loading_ms;
  EXPECT_EQ(Codes(snapshot), Expected{"NodeLoadingLong n3"});
}

TEST(FindingTest, WhatWillBeTroubleSoonIsToldInTime) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n2"].resume_left_ms = snapshot.settings.purge_warning_ms - 1;
  snapshot.nodes["n3"].report->disk = DiskReport{snapshot.settings.disk_low_bytes - 1, 1ULL << 40, false};
  const Expected both{"ResumePointEndangered n2", "DiskLow n3"};
  EXPECT_EQ(Codes(snapshot), both);
}

TEST(FindingTest, OfANodeThatIsAwayItIsToldHowLongThereIsTimeToStartIt) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n2"].report->process = ProcessState::kDown;
  snapshot.nodes["n2"].resume_left_ms = 120000;
  snapshot.nodes["n3"].connected = false;
  snapshot.nodes["n3"].resume_left_ms = 0;
  const Expected all{"NodeDown n2", "NodeUnreachable n3", "ResumePointEndangered n2",
                     "ResumePointEndangered n3"};
  EXPECT_EQ(Codes(snapshot), all);
  const auto findings = FindIn(snapshot);
  EXPECT_NE(findings[2].sentence.find("in 120 s"), std::string::npos) << findings[2].sentence;
  EXPECT_NE(findings[2].sentence.find("start it before"), std::string::npos) << findings[2].sentence;
  EXPECT_NE(findings[3].sentence.find("no longer in the WAL of n1"), std::string::npos)
      << findings[3].sentence;
}

TEST(FindingTest, AMasterThatNobodyMadeOneIsFoundWithoutALivingMasterToo) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].report->process = ProcessState::kDown;
  snapshot.nodes["n2"].report->role = Role::kMaster;
  const Expected both{"MasterProcessDown n1", "SecondMaster n2"};
  EXPECT_EQ(Codes(snapshot), both);
  snapshot.state.suspects["n2"] = {2, Sequence(100), 0};  // it is recognised or waited out instead
  EXPECT_EQ(Codes(snapshot), Expected{"MasterProcessDown n1"});
}

TEST(FindingTest, ANodeThatFollowsButNeverJoinedIsNotInService) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.state.nodes.erase("n3");
  EXPECT_FALSE(InService(snapshot, snapshot.nodes["n3"]));
  EXPECT_EQ(Codes(snapshot), Expected{"NodeToRejoin n3"});
}

}  // namespace
}  // namespace walstitch::core
