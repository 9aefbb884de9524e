#include "agents/agent/lease_keeper.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "policies/model/json.h"

namespace walstitch::agent {
namespace {

constexpr std::int64_t kNow = 1000000;

const LeaseTerms kTerms{3000, 10, 300};
const std::int64_t kHeld = HolderDeadline(0, kTerms);
const std::int64_t kGranted = GrantorDeadline(0, kTerms);

LeaseKeeper Keeper() { return {"n1", "shop", "boot-1"}; }

LeaseGrant GrantAt(std::int64_t anchor_ms, std::uint64_t epoch = 7) {
  LeaseGrant grant;
  grant.group = "shop";
  grant.node = "n1";
  grant.epoch = epoch;
  grant.boot_id = "boot-1";
  grant.anchor_ms = anchor_ms;
  grant.terms = kTerms;
  grant.others = {{"n2", "http://n2:7667"}, {"n3", "http://n3:7667"}};
  return grant;
}

LeaseKeeper Holder() {
  LeaseKeeper keeper = Keeper();
  EXPECT_TRUE(keeper.Grant(GrantAt(kNow), 7, kNow));
  return keeper;
}

LeaseKeeper Again(const LeaseKeeper& keeper, const std::string& boot_id = "boot-1") {
  auto restored = LeaseKeeper::Restore(keeper.Save(), "n1", "shop", boot_id);
  EXPECT_TRUE(restored) << restored.error().Message();
  return *restored;
}

PromiseRequest Request(std::uint64_t epoch = 7) { return {"shop", "n9", "n1", epoch, kTerms}; }

using Heard = LeaseKeeper::Heard;

// ---- holder

TEST(LeaseKeeper, NodeThatWasNeverLeasedIsLeftAlone) {
  LeaseKeeper keeper = Keeper();
  EXPECT_FALSE(keeper.Leased());
  EXPECT_FALSE(keeper.MustPark(true, kNow));
  EXPECT_FALSE(keeper.ParkAt());
  EXPECT_FALSE(keeper.AskAt());
  keeper.FirstLook(true, kNow);
  EXPECT_FALSE(keeper.MustPark(true, kNow + 10000));
}

TEST(LeaseKeeper, LeaseIsCountedFromItsAnchor) {
  LeaseKeeper keeper = Keeper();
  ASSERT_TRUE(keeper.Grant(GrantAt(kNow - 100), 7, kNow));
  EXPECT_TRUE(keeper.Leased());
  EXPECT_EQ(keeper.LeftMs(kNow), kHeld - 100);
  EXPECT_FALSE(keeper.MustPark(true, kNow + kHeld - 101));
  EXPECT_TRUE(keeper.MustPark(true, kNow + kHeld - 100));
  EXPECT_FALSE(keeper.MustPark(false, kNow + kHeld));
  EXPECT_EQ(keeper.ParkAt(), kNow + kHeld - 100);
}

TEST(LeaseKeeper, GrantThatWasOvertakenTakesNothingAway) {
  LeaseKeeper keeper = Holder();
  ASSERT_TRUE(keeper.Grant(GrantAt(kNow - 500), 7, kNow + 10));
  EXPECT_EQ(keeper.LeftMs(kNow + 10), kHeld - 10);
}

TEST(LeaseKeeper, GrantsThatAreNotForThisNodeAndBootAreRefused) {
  LeaseKeeper keeper = Keeper();
  LeaseGrant grant = GrantAt(kNow);
  grant.node = "n2";
  EXPECT_EQ(keeper.Grant(grant, 7, kNow).error().Code(), ErrorCode::kConflict);
  grant = GrantAt(kNow);
  grant.group = "cart";
  EXPECT_EQ(keeper.Grant(grant, 7, kNow).error().Code(), ErrorCode::kConflict);
  grant = GrantAt(kNow);
  grant.boot_id = "boot-0";
  EXPECT_EQ(keeper.Grant(grant, 7, kNow).error().Code(), ErrorCode::kConflict);
  EXPECT_EQ(keeper.Grant(GrantAt(kNow + 1), 7, kNow).error().Code(), ErrorCode::kConflict);
  EXPECT_EQ(keeper.Grant(GrantAt(kNow), 8, kNow).error().Code(), ErrorCode::kStale);
  grant = GrantAt(kNow);
  grant.terms.duration_ms = 10;
  EXPECT_EQ(keeper.Grant(grant, 7, kNow).error().Code(), ErrorCode::kInvalid);
  EXPECT_FALSE(keeper.Leased());
}

TEST(LeaseKeeper, LeaseThatHasEndedDoesNotComeBackByALateGrant) {
  LeaseKeeper keeper = Holder();
  keeper.End(kNow + 100);
  EXPECT_TRUE(keeper.MustPark(true, kNow + 100));
  EXPECT_FALSE(keeper.Grant(GrantAt(kNow + 90), 7, kNow + 120));
  EXPECT_TRUE(keeper.MustPark(true, kNow + 120));
  EXPECT_TRUE(keeper.Grant(GrantAt(kNow + 110), 7, kNow + 130));
  EXPECT_FALSE(keeper.MustPark(true, kNow + 130));
}

TEST(LeaseKeeper, ReleasedNodeIsLeftAlone) {
  LeaseKeeper keeper = Holder();
  keeper.Forget();
  EXPECT_FALSE(keeper.MustPark(true, kNow + 2 * kHeld));
  EXPECT_FALSE(Again(keeper).Leased());
}

TEST(LeaseKeeper, RestartOnTheSameBootKeepsTheDeadline) {
  LeaseKeeper keeper = Again(Holder());
  keeper.Start(kNow + 1000);
  keeper.FirstLook(true, kNow + 1000);
  EXPECT_EQ(keeper.LeftMs(kNow + 1000), kHeld - 1000);
  EXPECT_TRUE(keeper.MustPark(true, kNow + kHeld));
}

TEST(LeaseKeeper, LeaseOfAnotherBootIsVoid) {
  LeaseKeeper keeper = Again(Holder(), "boot-2");
  EXPECT_TRUE(keeper.Leased());
  EXPECT_FALSE(keeper.LeftMs(kNow + 10));
  EXPECT_TRUE(keeper.MustPark(true, kNow + 10));
}

TEST(LeaseKeeper, StateOfAnotherNodeOrNoStateIsRefused) {
  const std::string text = Holder().Save();
  EXPECT_EQ(LeaseKeeper::Restore(text, "n2", "shop", "boot-1").error().Code(), ErrorCode::kConflict);
  EXPECT_EQ(LeaseKeeper::Restore(text.substr(0, 20), "n1", "shop", "boot-1").error().Code(),
            ErrorCode::kDamaged);
  EXPECT_EQ(LeaseKeeper::Restore("[]", "n1", "shop", "boot-1").error().Code(), ErrorCode::kDamaged);
  EXPECT_EQ(LeaseKeeper::Restore("{\"version\":1}", "n1", "shop", "boot-1").error().Code(),
            ErrorCode::kDamaged);
}

TEST(LeaseKeeper, WhatIsSavedIsRestored) {
  LeaseKeeper keeper = Holder();
  keeper.Start(kNow);
  keeper.End(kNow + 5);
  ASSERT_TRUE(keeper.Promise(Request(), 7, false, false, kNow + 10).promised);
  EXPECT_EQ(Again(keeper).Save(), keeper.Save());
}

// ---- asking

TEST(LeaseKeeper, HolderAsksWhenTwoRenewalsHaveNotCome) {
  LeaseKeeper keeper = Holder();
  const std::int64_t renew = RenewInterval(kTerms);
  ASSERT_TRUE(keeper.AskAt());
  EXPECT_GT(*keeper.AskAt(), kNow + renew);
  EXPECT_LT(*keeper.AskAt(), kNow + 2 * renew);
  const std::int64_t asked = *keeper.AskAt();
  auto round = keeper.BeginRound(asked);
  ASSERT_EQ(round.questions.size(), 2U);
  EXPECT_EQ(round.questions[0].member.agent, "http://n2:7667");
  EXPECT_EQ(round.questions[0].request, (PromiseRequest{"shop", "n1", "n2", 7, kTerms}));
  EXPECT_LT(round.timeout_ms, renew);
  EXPECT_EQ(keeper.AskAt(), asked + renew);
}

TEST(LeaseKeeper, AllPromisesExtendTheLeaseFromBeforeTheyWereAsked) {
  LeaseKeeper keeper = Holder();
  auto round = keeper.BeginRound(kNow + 1500);
  EXPECT_FALSE(keeper.Answer(round.number, "n2", Heard::kPromised, 7, kNow + 1600));
  EXPECT_EQ(keeper.LeftMs(kNow + 1600), kHeld - 1600);
  EXPECT_TRUE(keeper.Answer(round.number, "n3", Heard::kRefusedByMachine, 0, kNow + 1600));
  EXPECT_EQ(keeper.LeftMs(kNow + 1600), kHeld - 100);
}

// Under it, there may be another pod by now, while the agent that is asked runs elsewhere.
TEST(LeaseKeeper, RefusedConnectionAtAnAddressThatIsNotItsOwnSaysNothing) {
  LeaseKeeper keeper = Keeper();
  LeaseGrant grant = GrantAt(kNow);
  for (GroupMember& member : grant.others) member.own_address = false;
  ASSERT_TRUE(keeper.Grant(grant, 7, kNow));
  for (LeaseKeeper& each : std::vector<LeaseKeeper>{keeper, Again(keeper)}) {
    auto round = each.BeginRound(kNow + 1500);
    EXPECT_FALSE(each.Answer(round.number, "n2", Heard::kPromised, 7, kNow + 1600));
    EXPECT_FALSE(each.Answer(round.number, "n3", Heard::kRefusedByMachine, 0, kNow + 1600));
    EXPECT_EQ(each.LeftMs(kNow + 1600), kHeld - 1600);
  }
}

TEST(LeaseKeeper, OneThatDoesNotPromiseIsEnough) {
  LeaseKeeper keeper = Holder();
  auto round = keeper.BeginRound(kNow + 1500);
  EXPECT_FALSE(keeper.Answer(round.number, "n2", Heard::kNothing, 0, kNow + 1510));
  EXPECT_FALSE(keeper.Answer(round.number, "n3", Heard::kPromised, 7, kNow + 1520));
  EXPECT_FALSE(keeper.Answer(round.number, "n2", Heard::kPromised, 7, kNow + 1530));
  EXPECT_EQ(keeper.LeftMs(kNow + 1600), kHeld - 1600);
}

TEST(LeaseKeeper, AnswersOfAnEarlierRoundDoNotCount) {
  LeaseKeeper keeper = Holder();
  auto first = keeper.BeginRound(kNow + 1000);
  auto second = keeper.BeginRound(kNow + 1500);
  EXPECT_FALSE(keeper.Answer(first.number, "n2", Heard::kPromised, 7, kNow + 1510));
  EXPECT_FALSE(keeper.Answer(second.number, "n3", Heard::kPromised, 7, kNow + 1510));
  EXPECT_EQ(keeper.LeftMs(kNow + 1510), kHeld - 1510);
}

TEST(LeaseKeeper, HigherEpochEndsTheLeaseAtOnce) {
  LeaseKeeper keeper = Holder();
  auto round = keeper.BeginRound(kNow + 1500);
  EXPECT_TRUE(keeper.Answer(round.number, "n2", Heard::kNothing, 8, kNow + 1510));
  EXPECT_TRUE(keeper.MustPark(true, kNow + 1510));
  EXPECT_EQ(keeper.Grant(GrantAt(kNow + 1520), 7, kNow + 1530).error().Code(), ErrorCode::kStale);
  EXPECT_FALSE(Again(keeper).Grant(GrantAt(kNow + 1520), 7, kNow + 1530));
}

TEST(LeaseKeeper, LoneNodeGoesOnByItself) {
  LeaseKeeper keeper = Keeper();
  LeaseGrant grant = GrantAt(kNow);
  grant.others.clear();
  ASSERT_TRUE(keeper.Grant(grant, 7, kNow));
  std::int64_t now = kNow;
  for (int i = 0; i < 10; ++i) {
    now = *keeper.AskAt();
    EXPECT_FALSE(keeper.MustPark(true, now));
    EXPECT_TRUE(keeper.BeginRound(now).questions.empty());
    EXPECT_EQ(keeper.LeftMs(now), kHeld);
  }
}

TEST(LeaseKeeper, MasterWhoseAgentWasAwayTooLongAsksOnceBeforeItParks) {
  LeaseKeeper keeper = Again(Holder());
  const std::int64_t now = kNow + 60000;
  keeper.Start(now);
  keeper.FirstLook(true, now);
  EXPECT_FALSE(keeper.MustPark(true, now));
  EXPECT_EQ(keeper.AskAt(), now);
  auto round = keeper.BeginRound(now);
  EXPECT_EQ(round.questions.size(), 2U);
  EXPECT_LE(round.timeout_ms, LeaseKeeper::kFirstRoundMs);
  EXPECT_FALSE(keeper.AskAt());
  LeaseKeeper other = keeper;
  EXPECT_TRUE(other.MustPark(true, now + LeaseKeeper::kFirstRoundMs));
  EXPECT_FALSE(keeper.Answer(round.number, "n2", Heard::kPromised, 7, now + 5));
  EXPECT_TRUE(keeper.Answer(round.number, "n3", Heard::kPromised, 7, now + 5));
  EXPECT_FALSE(keeper.MustPark(true, now + LeaseKeeper::kFirstRoundMs));
  EXPECT_EQ(keeper.LeftMs(now), kHeld);
}

TEST(LeaseKeeper, BehindALeaseThatRanOutARefusedConnectionSaysNothing) {
  LeaseKeeper keeper = Again(Holder());
  const std::int64_t now = kNow + 60000;
  keeper.Start(now);
  keeper.FirstLook(true, now);
  auto round = keeper.BeginRound(now);
  EXPECT_FALSE(keeper.Answer(round.number, "n2", Heard::kPromised, 7, now + 5));
  EXPECT_FALSE(keeper.Answer(round.number, "n3", Heard::kRefusedByMachine, 0, now + 5));
  EXPECT_TRUE(keeper.MustPark(true, now + LeaseKeeper::kFirstRoundMs));
}

// ---- promising

TEST(LeaseKeeper, PromiseForbidsPromotionForAGrantorsDuration) {
  LeaseKeeper keeper = Keeper();
  auto answer = keeper.Promise(Request(), 5, false, false, kNow);
  EXPECT_TRUE(answer.promised) << answer.reason;
  EXPECT_EQ(keeper.PromisedLeftMs(kNow), kGranted);
  auto may = keeper.MayPromote(PromoteAction{}, 8, kNow + kGranted - 1);
  ASSERT_FALSE(may);
  EXPECT_EQ(may.error().Code(), ErrorCode::kConflict);
  EXPECT_NE(may.error().Message().find("n9"), std::string::npos) << may.error().Message();
  EXPECT_TRUE(keeper.MayPromote(PromoteAction{}, 8, kNow + kGranted));
  EXPECT_FALSE(keeper.PromisedLeftMs(kNow + kGranted));
}

TEST(LeaseKeeper, PromisesAreVoidWhenTheHolderIsFenced) {
  LeaseKeeper keeper = Keeper();
  keeper.Start(kNow);
  ASSERT_TRUE(keeper.Promise(Request(), 5, false, false, kNow).promised);
  PromoteAction action;
  action.holder_fenced = true;
  EXPECT_TRUE(keeper.MayPromote(action, 8, kNow + 1));
}

TEST(LeaseKeeper, NoPromiseOfAMasterNorOfOneThatIsBeingPromotedNorToALowerEpoch) {
  LeaseKeeper keeper = Keeper();
  EXPECT_FALSE(keeper.Promise(Request(), 7, true, false, kNow).promised);
  EXPECT_FALSE(keeper.Promise(Request(), 7, false, true, kNow).promised);
  auto answer = keeper.Promise(Request(6), 7, false, false, kNow);
  EXPECT_FALSE(answer.promised);
  EXPECT_EQ(answer.epoch, 7U);
  PromiseRequest other = Request();
  other.group = "cart";
  answer = keeper.Promise(other, 7, false, false, kNow);
  EXPECT_FALSE(answer.promised);
  EXPECT_EQ(answer.epoch, 0U);
  EXPECT_TRUE(keeper.MayPromote(PromoteAction{}, 8, kNow));
}

TEST(LeaseKeeper, PromiseOutlivesARestart) {
  LeaseKeeper keeper = Keeper();
  ASSERT_TRUE(keeper.Promise(Request(), 7, false, false, kNow).promised);
  LeaseKeeper same = Again(keeper);
  EXPECT_FALSE(same.MayPromote(PromoteAction{}, 8, kNow + 1000));
  LeaseKeeper other = Again(keeper, "boot-2");
  other.Start(500);
  EXPECT_FALSE(other.MayPromote(PromoteAction{}, 8, 500 + kGranted - 1));
  EXPECT_TRUE(other.MayPromote(PromoteAction{}, 8, 500 + kGranted));
}

TEST(LeaseKeeper, PromisesToAnotherMasterThanTheFencedOneStand) {
  LeaseKeeper keeper = Keeper();
  keeper.Start(kNow);
  ASSERT_TRUE(keeper.Promise(Request(), 5, false, false, kNow).promised);
  PromoteAction action;
  action.holder_fenced = true;
  action.replaces = "n8";
  EXPECT_FALSE(keeper.MayPromote(action, 8, kNow + 1));
}

TEST(LeaseKeeper, AgentThatHasJustStartedPromotesNobody) {
  LeaseKeeper keeper = Keeper();
  keeper.Start(kNow);
  EXPECT_TRUE(keeper.MayPromote(PromoteAction{}, 8, kNow));  // nobody ever spoke of leases
  PromoteAction action;
  action.lease = GrantAt(kNow, 8);
  auto may = keeper.MayPromote(action, 8, kNow + 1);
  ASSERT_FALSE(may);
  EXPECT_NE(may.error().Message().find("just started"), std::string::npos) << may.error().Message();
  action.lease = GrantAt(kNow + kGranted, 8);
  EXPECT_TRUE(keeper.MayPromote(action, 8, kNow + kGranted));
}

// ---- commands

TEST(LeaseKeeper, PromotionThatWasTooLongUnderWayIsRefused) {
  LeaseKeeper keeper = Keeper();
  PromoteAction action;
  action.holder_fenced = true;
  action.lease = GrantAt(kNow, 8);
  EXPECT_TRUE(keeper.MayPromote(action, 8, kNow + kHeld - RenewInterval(kTerms)));
  EXPECT_FALSE(keeper.MayPromote(action, 8, kNow + kHeld - RenewInterval(kTerms) + 1));
  EXPECT_FALSE(keeper.MayPromote(action, 8, kNow + kHeld));
  action.lease->boot_id = "boot-0";
  EXPECT_FALSE(keeper.MayPromote(action, 8, kNow));
}

TEST(LeaseKeeper, PromotionBeginsALeaseAndOneWithoutEndsThemAll) {
  LeaseKeeper keeper = Keeper();
  PromoteAction action;
  action.lease = GrantAt(kNow, 8);
  keeper.Promoting(action, kNow + 100);
  EXPECT_EQ(keeper.LeftMs(kNow + 100), kHeld - 100);
  keeper.Promoting(PromoteAction{}, kNow + 200);
  EXPECT_FALSE(keeper.Leased());
  EXPECT_FALSE(keeper.MustPark(true, kNow + 10 * kHeld));
}

TEST(LeaseKeeper, AdoptedMasterHoldsTheLeaseOfTheCommand) {
  LeaseKeeper keeper = Keeper();
  AdoptMasterAction action;
  action.lease = GrantAt(kNow);
  ASSERT_TRUE(keeper.MayAdopt(action, 7, kNow + 10));
  keeper.Adopting(action, kNow + 10);
  EXPECT_EQ(keeper.LeftMs(kNow + 10), kHeld - 10);
  EXPECT_FALSE(keeper.MayAdopt(action, 7, kNow + kHeld));
}

// ---- a group

// Three agents and a controller, each with a clock of its own rate, messages that are late or lost, agents
// that crash and come back, a controller that is silent at times. At no instant do two nodes take writes.
// A server outlives its agent here, but is parked when its agent's rules say so: an agent that is away for
// longer than its lease is outside of what leases can do, so crashes are shorter than that, or the controller
// knows the node to be fenced.
class Group {
 public:
  static constexpr int kNodes = 3;
  static constexpr std::int64_t kStep = 10;  // of true time, ms

  explicit Group(std::uint64_t seed) : seed_(seed) {
    for (int i = 0; i < kNodes; ++i) {
      Node& node = nodes_[Index(i)];
      node.name = "n" + std::to_string(i);
      node.rate_permille = 1000 + Between(-kDrift, kDrift);
      node.keeper = std::make_unique<LeaseKeeper>(node.name, "shop", "boot");
      node.keeper->Start(Clock(node));
    }
    controller_rate_permille_ = 1000 + Between(-kDrift, kDrift);
    Promote(0, true);
  }

  // The names of the nodes that take writes.
  [[nodiscard]] std::vector<std::string> Masters() const {
    std::vector<std::string> masters;
    for (const Node& node : nodes_) {
      if (node.writes) masters.push_back(node.name);
    }
    return masters;
  }

  void Step() {
    now_ += kStep;
    if (OneIn(controller_silent_ ? 150 : 400)) controller_silent_ = !controller_silent_;
    for (int i = 0; i < kNodes; ++i) {
      Node& node = nodes_[Index(i)];
      if (OneIn(node.cut ? 100 : 400)) node.cut = !node.cut;
      if (node.keeper && OneIn(400)) {
        node.saved = node.keeper->Save();
        node.keeper.reset();
        node.back_at = now_ + Between(10, 1000);
      } else if (!node.keeper && now_ >= node.back_at) {
        node.keeper =
            std::make_unique<LeaseKeeper>(*LeaseKeeper::Restore(node.saved, node.name, "shop", "boot"));
        node.keeper->Start(Clock(node));
        node.keeper->FirstLook(node.writes, Clock(node));
      }
      if (node.keeper) Tick(i);
      // While it is away nobody parks it: its server is stopped in time, as the assumption of this test.
      if (!node.keeper && node.writes && now_ >= node.dies_at) node.writes = false;
    }
    Deliver();
    if (!controller_silent_) Control();
  }

 private:
  static constexpr std::int64_t kDrift = 10;

  struct Node {
    std::string name;
    std::int64_t rate_permille = 1000;
    std::unique_ptr<LeaseKeeper> keeper;  // none: its agent is away
    std::string saved;
    std::int64_t back_at = 0;
    std::int64_t dies_at = 0;
    bool writes = false;
    bool cut = false;  // from the controller
    std::uint64_t epoch = 0;
    std::int64_t reported_at = 0;  // its own clock
  };
  struct Message {
    std::int64_t at = 0;
    int to = 0;
    enum class Kind { kReport, kGrant, kQuestion, kAnswer } kind = Kind::kReport;
    LeaseGrant grant{};
    LeaseKeeper::Question question{};
    std::uint64_t round = 0;
    int from = 0;
    LeaseKeeper::Heard heard = LeaseKeeper::Heard::kNothing;
    std::uint64_t epoch = 0;
    std::int64_t anchor = 0;
    bool master = false;
  };

  static std::size_t Index(int i) { return static_cast<std::size_t>(i); }
  std::uint32_t Draw() {  // splitmix64
    std::uint64_t mixed = seed_ += 0x9e3779b97f4a7c15ULL;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebULL;
    return static_cast<std::uint32_t>(mixed >> 32);
  }
  std::int64_t Between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(Draw() % static_cast<std::uint32_t>(high - low + 1));
  }
  bool OneIn(std::uint32_t n) { return Draw() % n == 0; }
  [[nodiscard]] std::int64_t Clock(const Node& node) const { return 5000 + now_ * node.rate_permille / 1000; }
  [[nodiscard]] std::int64_t ControllerClock() const { return now_ * controller_rate_permille_ / 1000; }

  LeaseGrant MakeGrant(int to, std::int64_t anchor) {
    LeaseGrant grant{"shop", nodes_[Index(to)].name, epoch_, "boot", anchor, kTerms, {}};
    for (int i = 0; i < kNodes; ++i) {
      if (i != to) grant.others.push_back({nodes_[Index(i)].name, std::to_string(i)});
    }
    return grant;
  }

  void Send(Message message, int sender) {
    const bool with_controller =
        message.kind == Message::Kind::kReport || message.kind == Message::Kind::kGrant;
    const Node& end = nodes_[Index(with_controller && sender >= 0 ? sender : message.to)];
    if ((with_controller && end.cut) || OneIn(20)) return;  // lost
    message.at = now_ + (OneIn(15) ? Between(0, 4000) : Between(0, 60));
    messages_.push_back(std::move(message));
  }

  void Tick(int i) {
    Node& node = nodes_[Index(i)];
    const std::int64_t clock = Clock(node);
    if (node.writes) {
      auto ask_at = node.keeper->AskAt();
      if (ask_at && *ask_at <= clock) {
        auto round = node.keeper->BeginRound(clock);
        for (const auto& question : round.questions) {
          Message message;
          message.kind = Message::Kind::kQuestion;
          message.to = question.member.agent[0] - '0';
          message.from = i;
          message.question = question;
          message.round = round.number;
          if (!nodes_[Index(message.to)].keeper) {
            // Refused by its machine, at once.
            Hear(node, round.number, question.member.node, LeaseKeeper::Heard::kRefusedByMachine, 0);
          } else {
            Send(std::move(message), -1);
          }
        }
      }
      if (node.keeper->MustPark(true, clock)) {
        node.keeper->End(clock);
        node.writes = false;
      }
      if (auto at = node.keeper->ParkAt()) node.dies_at = now_ + (*at - clock);
    }
    if (clock - node.reported_at >= RenewInterval(kTerms)) {
      node.reported_at = clock;
      Message message;
      message.kind = Message::Kind::kReport;
      message.from = i;
      message.anchor = clock;
      message.master = node.writes;
      Send(std::move(message), i);
    }
  }

  void Hear(Node& node, std::uint64_t round, const std::string& who, LeaseKeeper::Heard heard,
            std::uint64_t epoch) {
    node.keeper->Answer(round, who, heard, epoch, Clock(node));
  }

  void Deliver() {
    std::vector<Message> due;
    std::erase_if(messages_, [&](const Message& message) {
      if (message.at > now_) return false;
      due.push_back(message);
      return true;
    });
    for (Message& message : due) {
      Node& to = nodes_[Index(message.to)];
      switch (message.kind) {
        case Message::Kind::kReport:
          if (controller_silent_) break;
          if (message.from != master_ || !message.master) break;
          heard_at_ = ControllerClock();
          free_at_ = std::max(free_at_, GrantorDeadline(ControllerClock(), kTerms));
          {
            Message answer;
            answer.kind = Message::Kind::kGrant;
            answer.to = master_;
            answer.grant = MakeGrant(master_, message.anchor);
            Send(std::move(answer), -1);
          }
          break;
        case Message::Kind::kGrant:
          if (to.keeper) (void)to.keeper->Grant(message.grant, to.epoch, Clock(to));
          break;
        case Message::Kind::kQuestion: {
          if (!to.keeper) break;
          auto answer = to.keeper->Promise(message.question.request, to.epoch, to.writes, false, Clock(to));
          Message back;
          back.kind = Message::Kind::kAnswer;
          back.to = message.from;
          back.from = message.to;
          back.round = message.round;
          back.heard = answer.promised ? LeaseKeeper::Heard::kPromised : LeaseKeeper::Heard::kNothing;
          back.epoch = answer.epoch;
          Send(std::move(back), -1);
          break;
        }
        case Message::Kind::kAnswer:
          if (to.keeper)
            Hear(to, message.round, nodes_[Index(message.from)].name, message.heard, message.epoch);
          break;
      }
    }
  }

  void Control() {
    const Node& master = nodes_[Index(master_)];
    if (master.writes && ControllerClock() - heard_at_ < 2000) return;
    if (ControllerClock() < free_at_) return;
    const int candidate = static_cast<int>(Between(0, kNodes - 1));
    if (candidate == master_ || nodes_[Index(candidate)].cut) return;
    Promote(candidate, false);
  }

  void Promote(int i, bool fenced) {
    Node& node = nodes_[Index(i)];
    if (!node.keeper) return;
    PromoteAction action;
    action.holder_fenced = fenced;
    if (master_ >= 0) action.replaces = nodes_[Index(master_)].name;
    ++epoch_;
    action.lease = MakeGrant(i, Clock(node));
    node.epoch = epoch_;
    // Once the command is sent, the lease that it carries is given.
    free_at_ = std::max(free_at_, GrantorDeadline(ControllerClock(), kTerms));
    if (!node.keeper->MayPromote(action, node.epoch, Clock(node))) return;
    node.keeper->Promoting(action, Clock(node));
    node.writes = true;
    node.dies_at = now_ + kTerms.duration_ms / 2;
    master_ = i;
    heard_at_ = ControllerClock();
  }

  std::uint64_t seed_;
  std::int64_t now_ = 0;
  std::int64_t controller_rate_permille_ = 1000;
  bool controller_silent_ = false;
  std::array<Node, kNodes> nodes_;
  int master_ = 0;
  std::uint64_t epoch_ = 0;
  std::int64_t heard_at_ = 0;
  std::int64_t free_at_ = 0;
  std::deque<Message> messages_;
};

TEST(LeaseKeeperProperty, NoTwoNodesOfAGroupTakeWritesAtOnce) {
  EXPECT_TRUE(rc::check([] {
    Group group(*rc::gen::noShrink(rc::gen::arbitrary<std::uint64_t>()));
    for (int step = 0; step < 3000; ++step) {
      group.Step();
      const auto masters = group.Masters();
      RC_ASSERT(masters.size() <= 1U);
    }
  }));
}

TEST(LeaseKeeperProperty, RestoredKeeperIsAsTheOneThatWasSaved) {
  EXPECT_TRUE(rc::check([](std::uint32_t anchor, std::uint8_t epoch, bool end, bool promise) {
    LeaseKeeper keeper = Keeper();
    const std::int64_t now = std::int64_t{anchor} + 10;
    RC_ASSERT(keeper.Grant(GrantAt(anchor, epoch), epoch, now).has_value());
    if (end) keeper.End(now);
    if (promise && end) keeper.Promise(Request(epoch), epoch, false, false, now);
    auto again = LeaseKeeper::Restore(keeper.Save(), "n1", "shop", "boot-1");
    RC_ASSERT(again.has_value());
    RC_ASSERT(again->Save() == keeper.Save());
    RC_ASSERT(again->LeftMs(now) == keeper.LeftMs(now));
    RC_ASSERT(again->PromisedLeftMs(now) == keeper.PromisedLeftMs(now));
    RC_ASSERT(again->ParkAt() == keeper.ParkAt());
  }));
}

}  // namespace
}  // namespace walstitch::agent
