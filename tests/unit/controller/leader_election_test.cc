#include "controller/shell/leader_election.h"

#include <gtest/gtest.h>

#include "tests/support/kubernetes/api_fixture.h"

namespace walstitch::shell {
namespace {

using kubernetes::Await;
using kubernetes::Object;
using kubernetes::RunUntil;
using std::chrono::milliseconds;
using test::ApiFault;

TEST(LeaseTest, RecordComesBackAsItWasWritten) {
  core::LeaderRecord record{"walstitch-0/abc", 15000, "2026-11-26T12:00:00.000000Z", 3,
                            "http://10.0.0.1:7700"};
  const Object lease = LeaseOf(kubernetes::MakeObject(kubernetes::Leases(), "walstitch"), record,
                               "2026-11-26T12:00:00.000000Z");
  EXPECT_EQ(RecordOfLease(lease), record);
}

TEST(LeaseTest, RenewalKeepsWhenTheLeaseWasAcquired) {
  core::LeaderRecord record{"a/1", 15000, "t1", 0, ""};
  const Object lease = LeaseOf(kubernetes::MakeObject(kubernetes::Leases(), "walstitch"), record, "t1");
  record.renewed = "t2";
  const Object renewed = LeaseOf(lease, record, "t2");
  EXPECT_EQ(kubernetes::TextAt(*kubernetes::ObjectAt(renewed, "spec"), "acquireTime"), "t1");
  record.holder = "b/1";
  const Object taken = LeaseOf(renewed, record, "t3");
  EXPECT_EQ(kubernetes::TextAt(*kubernetes::ObjectAt(taken, "spec"), "acquireTime"), "t3");
}

TEST(LeaseTest, LeaseThatIsGivenBackHasNoHolder) {
  core::LeaderRecord record{"a/1", 15000, "t1", 0, ""};
  Object lease = LeaseOf(kubernetes::MakeObject(kubernetes::Leases(), "walstitch"), record, "t1");
  record.holder.clear();
  lease = LeaseOf(lease, record, "t2");
  EXPECT_FALSE(kubernetes::ObjectAt(lease, "spec")->contains("holderIdentity"));
  EXPECT_EQ(RecordOfLease(lease).holder, "");
}

TEST(LeaseTest, WhatIsNoLeaseIsAFreeOne) {
  EXPECT_EQ(RecordOfLease(kubernetes::FromText(R"({"spec": {"leaseDurationSeconds": -5, "renewTime": 7}})")),
            core::LeaderRecord());
}

class LeaderElectionTest : public kubernetes::ApiTest {
 protected:
  struct Candidate {
    std::unique_ptr<LeaderElection> election;
    bool began = false;
    bool ended = false;
  };
  std::unique_ptr<Candidate> Make(const std::string& place, const std::string& run = "1") {
    auto candidate = std::make_unique<Candidate>();
    LeaderElectionOptions options{client_, "walstitch", place, run, "http://" + place + ":7700", {2000, 10}};
    Candidate* it = candidate.get();
    candidate->election = std::make_unique<LeaderElection>(
        context_.get_executor(), std::move(options), [it] { it->began = true; }, [it] { it->ended = true; });
    candidate->election->Start();
    return candidate;
  }
  void Refuse(ApiFault::Action action, int times) {
    ApiFault fault;
    fault.action = action;
    fault.resource = "leases";
    fault.times = times;
    server_.AddFault(fault);
  }

  kubernetes::ApiClient client_ = Admin();
};

TEST_F(LeaderElectionTest, OneOfTwoLeadsAndTheOtherKnowsWho) {
  auto a = Make("a");
  ASSERT_TRUE(RunUntil(context_, [&] { return a->began; }));
  auto b = Make("b");
  ASSERT_TRUE(RunUntil(context_, [&] { return !b->election->Holder().empty(); }));
  EXPECT_EQ(b->election->Holder(), "a/1");
  EXPECT_EQ(b->election->HoldersAddress(), "http://a:7700");
  EXPECT_TRUE(a->election->Leads());
  EXPECT_FALSE(b->election->Leads());
}

TEST_F(LeaderElectionTest, LeaderStaysOneForAsLongAsItRenews) {
  auto a = Make("a");
  auto b = Make("b");
  (void)RunUntil(
      context_, [] { return false; }, milliseconds(5000));
  EXPECT_NE(a->began, b->began);
  EXPECT_FALSE(a->ended || b->ended);
}

TEST_F(LeaderElectionTest, LeaderThatIsGoneIsFollowedByTheOther) {
  auto a = Make("a");
  ASSERT_TRUE(RunUntil(context_, [&] { return a->began; }));
  auto b = Make("b");
  ASSERT_TRUE(RunUntil(context_, [&] { return !b->election->Holder().empty(); }));
  a.reset();
  EXPECT_TRUE(RunUntil(
      context_, [&] { return b->began; }, milliseconds(6000)));
}

TEST_F(LeaderElectionTest, LeaderThatGivesTheLeaseBackIsFollowedAtOnce) {
  auto a = Make("a");
  ASSERT_TRUE(RunUntil(context_, [&] { return a->began; }));
  auto b = Make("b");
  ASSERT_TRUE(RunUntil(context_, [&] { return !b->election->Holder().empty(); }));
  bool given = false;
  boost::asio::co_spawn(context_, a->election->GiveBack(), [&](std::exception_ptr) { given = true; });
  ASSERT_TRUE(RunUntil(context_, [&] { return given; }));
  EXPECT_FALSE(a->election->Leads());
  EXPECT_TRUE(RunUntil(
      context_, [&] { return b->began; }, milliseconds(1900)));
}

TEST_F(LeaderElectionTest, LeaderThatCannotRenewEndsBeforeItsTimeIsOver) {
  auto a = Make("a");
  ASSERT_TRUE(RunUntil(context_, [&] { return a->began; }));
  server_.Stop();
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(RunUntil(
      context_, [&] { return a->ended; }, milliseconds(5000)));
  EXPECT_LT(std::chrono::steady_clock::now() - began, milliseconds(2300));
  EXPECT_FALSE(a->election->Leads());
  EXPECT_NE(a->election->Problem(), "");
  server_.Start();
}

TEST_F(LeaderElectionTest, FewRenewalsThatFailDoNoHarm) {
  auto a = Make("a");
  ASSERT_TRUE(RunUntil(context_, [&] { return a->began; }));
  Refuse(ApiFault::Action::kStatus, 2);
  (void)RunUntil(
      context_, [] { return false; }, milliseconds(4000));
  EXPECT_TRUE(a->election->Leads());
  EXPECT_FALSE(a->ended);
}

TEST_F(LeaderElectionTest, RenewalWhoseAnswerIsLostDoesNoHarm) {
  auto a = Make("a");
  ASSERT_TRUE(RunUntil(context_, [&] { return a->began; }));
  Refuse(ApiFault::Action::kCloseAfter, 1);
  (void)RunUntil(
      context_, [] { return false; }, milliseconds(4000));
  EXPECT_TRUE(a->election->Leads());
}

TEST_F(LeaderElectionTest, LeaseThatWasTakenByHandEndsTheLeader) {
  auto a = Make("a");
  ASSERT_TRUE(RunUntil(context_, [&] { return a->began; }));
  Object patch{{"spec", Object{{"holderIdentity", "somebody"}}}};
  ASSERT_TRUE(Await(
      context_, client_.Patch(kubernetes::Leases(), "walstitch", patch, kubernetes::PatchKind::kMerge, "")));
  EXPECT_TRUE(RunUntil(
      context_, [&] { return a->ended; }, milliseconds(2500)));
}

TEST_F(LeaderElectionTest, NextRunInTheSamePlaceNeedNotWait) {
  auto a = Make("a");
  ASSERT_TRUE(RunUntil(context_, [&] { return a->began; }));
  a.reset();
  auto again = Make("a", "2");
  EXPECT_TRUE(RunUntil(
      context_, [&] { return again->began; }, milliseconds(1000)));
}

}  // namespace
}  // namespace walstitch::shell
