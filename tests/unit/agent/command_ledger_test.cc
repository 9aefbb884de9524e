#include "agents/agent/command_ledger.h"

#include <gtest/gtest.h>

#include <string>

namespace walstitch::agent {
namespace {

using Admission = CommandLedger::Admission;

Command Park(const std::string& id, std::uint64_t epoch) {
  Command command;
  command.id = id;
  command.epoch = epoch;
  command.group = "shop";
  command.node = "n1";
  command.action = ParkAction{};
  return command;
}

CommandResult DoneResult(const std::string& id) {
  CommandResult result;
  result.id = id;
  result.outcome = Outcome::kDone;
  result.last = Sequence(7);
  return result;
}

void Carry(CommandLedger& ledger, const Command& command) {
  ASSERT_EQ(ledger.Admit(command).value(), Admission::kNew);
  ASSERT_TRUE(ledger.Begin(command));
  ledger.Finish(DoneResult(command.id));
}

class CommandLedgerTest : public ::testing::Test {
 protected:
  // As after a restart.
  static CommandLedger Restart(const CommandLedger& ledger) {
    auto restored = CommandLedger::Restore(ledger.Save(), "n1", "shop");
    EXPECT_TRUE(restored) << restored.error().Message();
    return *restored;
  }
  CommandLedger ledger_{"n1", "shop"};
};

TEST_F(CommandLedgerTest, LowerEpochIsRefused) {
  Carry(ledger_, Park("a", 5));
  EXPECT_EQ(ledger_.Admit(Park("b", 4)).error().Code(), ErrorCode::kStale);
  EXPECT_EQ(ledger_.Admit(Park("c", 5)).value(), Admission::kNew);
  EXPECT_EQ(ledger_.Admit(Park("d", 6)).value(), Admission::kNew);
}

TEST_F(CommandLedgerTest, EpochIsRaisedWhenACommandBegins) {
  ASSERT_TRUE(ledger_.Admit(Park("a", 5)));
  EXPECT_EQ(ledger_.Epoch(), 0U);
  ASSERT_TRUE(ledger_.Begin(Park("a", 5)));
  EXPECT_EQ(ledger_.Epoch(), 5U);
}

TEST_F(CommandLedgerTest, CommandThatWaitedBehindAHigherEpochIsRefusedAndForgotten) {
  ASSERT_TRUE(ledger_.Admit(Park("new", 5)));
  ASSERT_TRUE(ledger_.Admit(Park("old", 4)));
  ASSERT_TRUE(ledger_.Begin(Park("new", 5)));
  EXPECT_EQ(ledger_.Begin(Park("old", 4)).error().Code(), ErrorCode::kStale);
  EXPECT_EQ(ledger_.Admit(Park("old", 4)).error().Code(), ErrorCode::kStale);
}

TEST_F(CommandLedgerTest, RepeatedIdIsAnsweredWithTheFirstResult) {
  Carry(ledger_, Park("a", 5));
  Carry(ledger_, Park("b", 6));
  EXPECT_EQ(ledger_.Admit(Park("a", 5)).value(), Admission::kAnswered);  // although its epoch is stale now
  ASSERT_NE(ledger_.Find("a"), nullptr);
  EXPECT_EQ(ledger_.Find("a")->last, Sequence(7));
}

TEST_F(CommandLedgerTest, RepeatedIdOfACommandUnderWayWaits) {
  ASSERT_TRUE(ledger_.Admit(Park("a", 5)));
  EXPECT_EQ(ledger_.Admit(Park("a", 5)).value(), Admission::kUnderWay);
  ASSERT_TRUE(ledger_.Begin(Park("a", 5)));
  EXPECT_EQ(ledger_.Admit(Park("a", 5)).value(), Admission::kUnderWay);
  EXPECT_EQ(ledger_.Find("a"), nullptr);
}

TEST_F(CommandLedgerTest, IdIsNotUsedForTwoActions) {
  Carry(ledger_, Park("a", 5));
  Command other = Park("a", 5);
  other.action = PromoteAction{};
  EXPECT_EQ(ledger_.Admit(other).error().Code(), ErrorCode::kConflict);
}

TEST_F(CommandLedgerTest, PromotionThatIsRepeatedWithAnotherRequirementIsAnsweredWithTheFirstResult) {
  Command promote = Park("a", 5);
  promote.action = PromoteAction{Sequence(7)};
  Carry(ledger_, promote);
  promote.action = PromoteAction{Sequence(9)};
  EXPECT_EQ(ledger_.Admit(promote).value(), Admission::kAnswered);
}

TEST_F(CommandLedgerTest, OthersCommandsAreRefused) {
  Command command = Park("a", 5);
  command.node = "n2";
  EXPECT_EQ(ledger_.Admit(command).error().Code(), ErrorCode::kConflict);
  command = Park("a", 5);
  command.group = "cart";
  EXPECT_EQ(ledger_.Admit(command).error().Code(), ErrorCode::kConflict);
}

TEST_F(CommandLedgerTest, MalformedCommandsAreRefused) {
  for (std::string id : {std::string(), std::string("a b"), std::string("a\n"), std::string(129, 'a')}) {
    EXPECT_EQ(ledger_.Admit(Park(id, 5)).error().Code(), ErrorCode::kInvalid) << id;
  }
  for (std::int64_t deadline : {std::int64_t{0}, std::int64_t{-1}, INT64_MAX}) {
    Command command = Park("a", 5);
    command.deadline_ms = deadline;
    EXPECT_EQ(ledger_.Admit(command).error().Code(), ErrorCode::kInvalid) << deadline;
  }
}

TEST_F(CommandLedgerTest, OnlySoManyWait) {
  for (std::size_t i = 0; i < CommandLedger::kMaxQueued; ++i) {
    ASSERT_TRUE(ledger_.Admit(Park("w" + std::to_string(i), 5)));
  }
  EXPECT_EQ(ledger_.Admit(Park("more", 5)).error().Code(), ErrorCode::kUnavailable);
}

TEST_F(CommandLedgerTest, EpochAndResultsSurviveARestart) {
  Carry(ledger_, Park("a", 5));
  ledger_.SetDatabaseName("my.db");
  CommandLedger after = Restart(ledger_);
  EXPECT_EQ(after.Epoch(), 5U);
  EXPECT_EQ(after.DatabaseName(), "my.db");
  EXPECT_EQ(after.Admit(Park("b", 4)).error().Code(), ErrorCode::kStale);
  ASSERT_EQ(after.Admit(Park("a", 5)).value(), Admission::kAnswered);
  EXPECT_EQ(after.Find("a")->outcome, Outcome::kDone);
}

TEST_F(CommandLedgerTest, CommandThatARestartCutOffIsUnknown) {
  ASSERT_TRUE(ledger_.Admit(Park("a", 5)));
  ASSERT_TRUE(ledger_.Begin(Park("a", 5)));
  CommandLedger after = Restart(ledger_);
  ASSERT_EQ(after.Admit(Park("a", 5)).value(), Admission::kAnswered);
  EXPECT_EQ(after.Find("a")->outcome, Outcome::kUnknown);
  EXPECT_NE(after.Find("a")->error, "");
}

TEST_F(CommandLedgerTest, CommandThatOnlyWaitedMayComeAgainAfterARestart) {
  ASSERT_TRUE(ledger_.Admit(Park("a", 5)));
  CommandLedger after = Restart(ledger_);
  EXPECT_EQ(after.Epoch(), 0U);
  EXPECT_EQ(after.Admit(Park("a", 5)).value(), Admission::kNew);
}

TEST_F(CommandLedgerTest, OldestResultsAreForgotten) {
  for (std::size_t i = 0; i <= CommandLedger::kKept; ++i) Carry(ledger_, Park("c" + std::to_string(i), 5));
  EXPECT_EQ(ledger_.Find("c0"), nullptr);
  EXPECT_NE(ledger_.Find("c1"), nullptr);
  EXPECT_NE(Restart(ledger_).Find("c256"), nullptr);
}

TEST_F(CommandLedgerTest, StateOfAnotherNodeIsRefused) {
  EXPECT_EQ(CommandLedger::Restore(ledger_.Save(), "n2", "shop").error().Code(), ErrorCode::kConflict);
  EXPECT_EQ(CommandLedger::Restore(ledger_.Save(), "n1", "cart").error().Code(), ErrorCode::kConflict);
}

TEST_F(CommandLedgerTest, DamagedStateIsRefused) {
  Carry(ledger_, Park("a", 5));
  std::string good = ledger_.Save();
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(CommandLedger::Restore(good.substr(0, size), "n1", "shop")) << size;
  }
  for (std::string text :
       {"[]", "{}", "null", R"({"version":2})",
        R"({"version":1,"node":"n1","group":"shop","epoch":-1,"database_name":"","commands":[]})",
        R"({"version":1,"node":"n1","group":"shop","epoch":1,"database_name":"","commands":[7]})"}) {
    EXPECT_FALSE(CommandLedger::Restore(text, "n1", "shop")) << text;
  }
}

}  // namespace
}  // namespace walstitch::agent
