#include "controller/core/notice.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "policies/model/json.h"

namespace walstitch::core {
namespace {

boost::json::value Read(const Notice& notice) { return ParseJson(notice.body).value(); }

Decision Rejoin() {
  Decision decision;
  decision.id = "01REJOIN";
  decision.group = "shop";
  decision.kind = DecisionKind::kRejoin;
  decision.node = "n1";
  decision.survivor = "n2";
  decision.finding = "secret-key is named here";
  decision.verdict.emplace();
  decision.verdict->verdict = Verdict::kPadded;
  decision.verdict->reasons = {{"not-repairable", "secret-key cannot be repaired"}};
  KeyspaceFinding keyspace;
  keyspace.keyspace = "sessions";
  keyspace.rule = "/etc/policy.yaml:3:4";
  keyspace.keys = 7;
  decision.verdict->keyspaces.push_back(keyspace);
  PlanStep step;
  step.node = "n1";
  step.action = ParkAction{};
  step.why = "secret-key";
  decision.plan.push_back(step);
  return decision;
}

GroupLook Look(std::int64_t at_ms, std::vector<Finding> findings = {}) {
  GroupLook look;
  look.managed = true;
  look.epoch = 4;
  look.master = "n1";
  look.findings = std::move(findings);
  look.now_ms = at_ms;
  look.unix_ms = 1700000000000 + at_ms;
  return look;
}

const Finding kDown{FindingCode::kMasterProcessDown, "n1", "the server process of master n1 is down"};
const Finding kFull{FindingCode::kDiskLow, "n2", "n2 has 3 MiB left"};

TEST(NoticeTest, DecisionSaysWhatAboutWhomAndWhy) {
  Decision decision;
  decision.id = "01FAILOVER";
  decision.time_ms = 5;
  decision.group = "shop";
  decision.epoch = 3;
  decision.kind = DecisionKind::kFailover;
  decision.node = "n2";
  decision.survivor = "n1";
  decision.finding = "the server process of master n1 is down";
  decision.reasons = {{"master-down", "it is down"}};
  const Notice notice = NoticeOfDecision(decision);
  EXPECT_EQ(notice.id, "01FAILOVER/decision");
  const auto body = Read(notice);
  EXPECT_EQ(body.at("event").as_string(), "decision");
  EXPECT_EQ(body.at("group").as_string(), "shop");
  EXPECT_EQ(body.at("text").as_string(),
            "shop: failover to n2 was decided: the server process of master n1 is down");
  EXPECT_EQ(body.at("decision").at("kind").as_string(), "failover");
  EXPECT_EQ(body.at("decision").at("reasons").at(0).at("sentence").as_string(), "it is down");
}

TEST(NoticeTest, OfARejoinNoSentenceThatMayNameAKeyIsTold) {
  DecisionRecord record;
  record.decision = Rejoin();
  record.outcome.emplace();
  record.outcome->outcome = Outcome::kFailed;
  record.outcome->sentence = "secret-key could not be rewritten";
  record.outcome->keys.emplace();
  record.outcome->keys->before.differ = 2;
  record.outcome->keys->before.differing = {{"__namespace", "secret-key"}};
  for (const Notice& notice : {NoticeOfDecision(record.decision), NoticeOfOutcome(record)}) {
    EXPECT_EQ(notice.body.find("secret-key"), std::string::npos) << notice.body;
    EXPECT_NE(notice.body.find("not-repairable"), std::string::npos);
    EXPECT_NE(notice.body.find("sessions"), std::string::npos);
    EXPECT_EQ(notice.body.find("/etc/"), std::string::npos);
  }
  EXPECT_EQ(Read(NoticeOfOutcome(record)).at("outcome").at("keys").at("before").at("differ").to_number<int>(),
            2);
}

TEST(NoticeTest, OfAReplayNoSentenceThatMayNameAKeyIsTold) {
  DecisionRecord record;
  record.decision.kind = DecisionKind::kReplay;
  record.decision.finding = "keys secret-key of a salvage";
  record.outcome.emplace();
  record.outcome->sentence = "secret-key was written";
  EXPECT_EQ(NoticeOfOutcome(record).body.find("secret-key"), std::string::npos);
}

TEST(NoticeTest, WhatWasMadeLatelyIsToldAgainInItsOrder) {
  DecisionRecord old;
  old.decision.id = "01OLD";
  old.decision.time_ms = 100;
  old.outcome.emplace();
  old.outcome->time_ms = 5000;
  DecisionRecord fresh;
  fresh.decision.id = "01NEW";
  fresh.decision.time_ms = 4000;
  const auto notices = NoticesSince({fresh, old}, 6000, 3000);
  ASSERT_EQ(notices.size(), 2U);
  EXPECT_EQ(notices[0].id, "01NEW/decision");
  EXPECT_EQ(notices[1].id, "01OLD/outcome");
}

TEST(GroupWatchTest, FirstMasterThatARunSeesIsTold) {
  GroupWatch watch("shop");
  const auto notices = watch.Look(Look(0));
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_EQ(Read(notices[0]).at("state").as_string(), "end");
  EXPECT_EQ(Read(notices[0]).at("master").as_string(), "n1");
  EXPECT_TRUE(watch.Look(Look(200)).empty());
}

TEST(GroupWatchTest, GroupWithoutMasterIsToldWhenItLastsAndWhenItIsOver) {
  GroupWatch watch("shop");
  watch.Look(Look(0));
  EXPECT_TRUE(watch.Look(Look(1000, {kDown})).empty());
  EXPECT_TRUE(watch.Look(Look(1900, {kDown})).empty());
  const auto begin = watch.Look(Look(2000, {kDown}));
  ASSERT_EQ(begin.size(), 1U);
  EXPECT_EQ(begin[0].kind, NoticeKind::kWithoutMaster);
  EXPECT_EQ(Read(begin[0]).at("state").as_string(), "begin");
  EXPECT_EQ(Read(begin[0]).at("finding").at("code").as_string(), "MasterProcessDown");
  EXPECT_TRUE(watch.Look(Look(2200, {kDown})).empty());
  const auto end = watch.Look(Look(4000));
  ASSERT_EQ(end.size(), 1U);
  EXPECT_EQ(Read(end[0]).at("state").as_string(), "end");
  EXPECT_EQ(Read(end[0]).at("lasted_ms").to_number<int>(), 3000);
  EXPECT_NE(begin[0].id, end[0].id);
}

TEST(GroupWatchTest, FailoverThatIsOverInAMomentIsNoGroupWithoutMaster) {
  GroupWatch watch("shop");
  watch.Look(Look(0));
  EXPECT_TRUE(watch.Look(Look(1000, {kDown})).empty());
  EXPECT_TRUE(watch.Look(Look(1400)).empty());
}

TEST(GroupWatchTest, AtTheBeginningAgentsAreGivenTimeToBeHeard) {
  GroupWatch watch("shop");
  EXPECT_TRUE(watch.Look(Look(0, {kDown})).empty());
  EXPECT_TRUE(watch.Look(Look(4900, {kDown})).empty());
  EXPECT_EQ(watch.Look(Look(5000, {kDown})).size(), 2U);  // that, and the finding
}

TEST(GroupWatchTest, MasterOutOfSightIsAMaster) {
  GroupWatch watch("shop");
  watch.Look(Look(0));
  for (std::int64_t at = 200; at < 4000; at += 200) {
    EXPECT_TRUE(watch.Look(Look(at, {{FindingCode::kMasterOutOfSight, "n1", "others see it"}})).empty());
  }
}

TEST(GroupWatchTest, GroupThatIsNotManagedIsNotTold) {
  GroupWatch watch("shop");
  GroupLook look = Look(0, {kDown});
  look.managed = false;
  EXPECT_TRUE(watch.Look(look).empty());
}

TEST(GroupWatchTest, FindingIsToldWhenItLastsAndWhenItIsOver) {
  GroupWatch watch("shop");
  watch.Look(Look(0));
  EXPECT_TRUE(watch.Look(Look(1000, {kFull})).empty());
  const auto begin = watch.Look(Look(6000, {kFull}));
  ASSERT_EQ(begin.size(), 1U);
  EXPECT_EQ(begin[0].kind, NoticeKind::kFinding);
  EXPECT_EQ(begin[0].severity, Severity::kWarning);
  EXPECT_TRUE(watch.Look(Look(8000)).empty());
  EXPECT_TRUE(watch.Look(Look(9000, {kFull})).empty());  // it was away for a moment
  EXPECT_TRUE(watch.Look(Look(13900)).empty());
  const auto end = watch.Look(Look(14000));
  ASSERT_EQ(end.size(), 1U);
  EXPECT_EQ(Read(end[0]).at("state").as_string(), "end");
}

TEST(GroupWatchTest, FindingOfAMomentIsForgotten) {
  GroupWatch watch("shop");
  watch.Look(Look(0));
  watch.Look(Look(1000, {kFull}));
  watch.Look(Look(1200));
  EXPECT_TRUE(watch.Look(Look(6500, {kFull})).empty());
}

}  // namespace
}  // namespace walstitch::core
