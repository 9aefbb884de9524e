#include "controller/core/log_memory.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "policies/model/json.h"

namespace walstitch::core {
namespace {

boost::json::value DecisionBody(const std::string& id) {
  Decision decision;
  decision.id = id;
  decision.group = "shop";
  return ToJson(decision);
}

boost::json::value StepBody() {
  StepRecord step;
  step.node = "n2";
  return ToJson(step);
}

class LogMemoryTest : public testing::Test {
 protected:
  void Decide(const std::string& id) {
    lines_.push_back(log_.Append(EntryKind::kDecision, id, 1, DecisionBody(id)));
  }
  void Step(const std::string& id) { lines_.push_back(log_.Append(EntryKind::kStep, id, 2, StepBody())); }
  void Close(const std::string& id) {
    lines_.push_back(log_.Append(EntryKind::kOutcome, id, 3, ToJson(OutcomeRecord{})));
  }
  // Another memory that is given these lines.
  LogMemory Again(const std::vector<std::string>& lines, std::vector<std::string>* problems) const {
    LogMemory again(log_.Trimmed(), log_.Head());
    for (const auto& line : lines) {
      if (auto loaded = again.Load(line); !loaded) problems->push_back(loaded.error().Message());
    }
    for (auto& problem : again.Loaded()) problems->push_back(std::move(problem));
    return again;
  }

  LogMemory log_;
  std::vector<std::string> lines_;
};

TEST_F(LogMemoryTest, LinesMakeAChain) {
  Decide("AAAA");
  Step("AAAA");
  Close("AAAA");
  ChainVerifier verifier;
  for (const auto& line : log_.Lines(1, 100)) ASSERT_TRUE(verifier.Add(line));
  EXPECT_TRUE(verifier.Finish(log_.Head()));
}

TEST_F(LogMemoryTest, ADecisionIsOpenUntilItsOutcome) {
  Decide("AAAA");
  EXPECT_TRUE(log_.Open().contains("AAAA"));
  Close("AAAA");
  EXPECT_FALSE(log_.Open().contains("AAAA"));
  EXPECT_TRUE(log_.Find("AAAA")->outcome.has_value());
}

TEST_F(LogMemoryTest, WhatIsLoadedInAnyOrderAndTwiceIsTheSame) {
  Decide("AAAA");
  Decide("BBBB");
  Step("AAAA");
  Close("BBBB");
  std::vector<std::string> problems;
  const LogMemory again = Again({lines_[3], lines_[0], lines_[2], lines_[2], lines_[1]}, &problems);
  EXPECT_EQ(problems, std::vector<std::string>{});
  EXPECT_EQ(again.Lines(1, 100), lines_);
  EXPECT_EQ(again.Open(), log_.Open());
  EXPECT_EQ(again.Find("AAAA")->steps.size(), 1U);
}

TEST_F(LogMemoryTest, WhatIsMissingIsNamed) {
  Decide("AAAA");
  Step("AAAA");
  Close("AAAA");
  std::vector<std::string> problems;
  (void)Again({lines_[0], lines_[2]}, &problems);
  EXPECT_EQ(problems, std::vector<std::string>{"decision log: entries 2 to 2 are missing"});
  problems.clear();
  (void)Again({lines_[0], lines_[1]}, &problems);
  EXPECT_EQ(problems, std::vector<std::string>{"decision log: entries 3 to 3 are missing"});
}

TEST_F(LogMemoryTest, LinesBehindTheHeadWereNeverCommitted) {
  Decide("AAAA");
  const LogHead head = log_.Head();
  Close("AAAA");
  LogMemory again({}, head);
  for (const auto& line : lines_) ASSERT_TRUE(again.Load(line));
  EXPECT_EQ(again.Loaded(), std::vector<std::string>{});
  EXPECT_TRUE(again.Open().contains("AAAA"));
}

TEST_F(LogMemoryTest, TheOldestClosedDecisionsMayBeForgotten) {
  for (const std::string id : {"AAAA", "BBBB", "CCCC"}) {
    Decide(id);
    Close(id);
  }
  EXPECT_FALSE(log_.Excess(3));
  const auto excess = log_.Excess(1);
  ASSERT_TRUE(excess);
  EXPECT_EQ(excess->decisions, (std::vector<std::string>{"AAAA", "BBBB"}));
  EXPECT_EQ(excess->trimmed.index, 4U);
  log_.Trim(*excess);
  EXPECT_EQ(log_.Find("AAAA"), nullptr);
  ChainVerifier verifier(log_.Trimmed());
  for (const auto& line : log_.Lines(1, 100)) ASSERT_TRUE(verifier.Add(line));
  EXPECT_TRUE(verifier.Finish(log_.Head()));
}

TEST_F(LogMemoryTest, AnOpenDecisionIsNeverForgottenNorWhatCameBehindIt) {
  Decide("AAAA");
  Close("AAAA");
  Decide("BBBB");
  Decide("CCCC");
  Close("CCCC");
  Decide("DDDD");
  Close("DDDD");
  const auto excess = log_.Excess(1);
  ASSERT_TRUE(excess);
  EXPECT_EQ(excess->decisions, std::vector<std::string>{"AAAA"});
}

// AAAA reaches into what stays by its last entry, and BBBB into AAAA.
TEST_F(LogMemoryTest, WhatReachesIntoWhatStaysIsKeptWhole) {
  Decide("ZZZZ");
  Close("ZZZZ");
  Decide("BBBB");
  Decide("AAAA");
  Close("BBBB");
  Decide("YYYY");
  Close("AAAA");
  Close("YYYY");
  const auto excess = log_.Excess(2);  // ZZZZ and YYYY are the newest by their ids
  EXPECT_FALSE(excess);
}

TEST_F(LogMemoryTest, EndsAreKnownByTheLinesAlone) {
  for (const std::string id : {"AAAA", "BBBB"}) {
    Decide(id);
    Close(id);
  }
  const LogEnds all = EndsOf({lines_[2], lines_[0], lines_[3], lines_[1]});
  EXPECT_EQ(all.head, log_.Head());
  EXPECT_EQ(all.trimmed, LogHead());
  log_.Trim(*log_.Excess(1));
  const LogEnds rest = EndsOf({lines_[2], lines_[3]});
  EXPECT_EQ(rest.head, log_.Head());
  EXPECT_EQ(rest.trimmed, log_.Trimmed());
  EXPECT_EQ(EndsOf({"no line"}).head.index, 0U);
}

TEST(ResolveDecisionTest, APartIsTakenIfItIsUnique) {
  const std::vector<std::string> ids = {"01AAAA", "01BBBB", "01AAAC"};
  EXPECT_EQ(*ResolveDecision(ids, "BBBB"), "01BBBB");
  EXPECT_EQ(*ResolveDecision(ids, "01BB"), "01BBBB");
  EXPECT_EQ(ResolveDecision(ids, "01AAA").error().Code(), ErrorCode::kInvalid);
  EXPECT_EQ(ResolveDecision(ids, "BBB").error().Code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace walstitch::core
