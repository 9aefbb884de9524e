#include "agents/agent/leave.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/unit/agent/scratch_directory.h"

namespace walstitch::agent {
namespace {

namespace fs = std::filesystem;

LeaveFacts LeasedMaster() {
  LeaveFacts facts;
  facts.role_known = facts.master = facts.leased = true;
  return facts;
}

LeaveFacts Replica() {
  LeaveFacts facts = LeasedMaster();
  facts.master = false;
  return facts;
}

LeaveFacts Down() {
  LeaveFacts facts;
  facts.down = true;
  return facts;
}

TEST(Leave, MasterWaitsForAnotherToTakeOver) { EXPECT_FALSE(MayStop(LeasedMaster())); }

TEST(Leave, ReplicaMayStopAtOnce) { EXPECT_TRUE(MayStop(Replica())); }

TEST(Leave, MasterThatNobodyCouldReplaceMayStopAtOnce) {
  LeaveFacts facts = LeasedMaster();
  facts.alone = true;
  EXPECT_TRUE(MayStop(facts));
  facts = LeasedMaster();
  facts.leased = false;
  EXPECT_TRUE(MayStop(facts));
}

TEST(Leave, ServerOfWhichNothingIsKnownWaits) {
  EXPECT_FALSE(MayStop(LeaveFacts{}));
  EXPECT_TRUE(MayStop(Down()));
}

class LeaveFilesTest : public testing::Test {
 protected:
  [[nodiscard]] bool Answered() const { return fs::exists(fs::path(scratch_.Path()) / "left"); }
  void Ask() const { std::ofstream(fs::path(scratch_.Path()) / "leave").flush(); }

  tests::ScratchDirectory scratch_;
  LeaveFiles files_{scratch_.Path()};
};

TEST_F(LeaveFilesTest, NobodyAskedNothingIsAnswered) {
  EXPECT_FALSE(files_.Look(Replica()));
  EXPECT_FALSE(Answered());
}

TEST_F(LeaveFilesTest, AnswerComesWhenTheNodeIsNoMasterAnyMore) {
  Ask();
  EXPECT_TRUE(files_.Look(LeasedMaster()));
  EXPECT_FALSE(Answered());
  EXPECT_TRUE(files_.Look(Replica()));
  EXPECT_TRUE(Answered());
}

TEST_F(LeaveFilesTest, NextServerHasNotAsked) {
  Ask();
  (void)files_.Look(Replica());
  EXPECT_FALSE(files_.Look(Down()));
  EXPECT_FALSE(Answered());
  EXPECT_FALSE(files_.Look(LeasedMaster()));
}

TEST_F(LeaveFilesTest, OldAnswerIsNoneToTheNextQuestion) {
  std::ofstream(fs::path(scratch_.Path()) / "left").flush();
  EXPECT_FALSE(files_.Look(LeasedMaster()));
  EXPECT_FALSE(Answered());
}

TEST_F(LeaveFilesTest, QuestionThatNobodyWaitsForAnyMoreIsForgotten) {
  Ask();
  const fs::path asked = fs::path(scratch_.Path()) / "leave";
  fs::last_write_time(asked, fs::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_FALSE(files_.Look(LeasedMaster()));
  EXPECT_FALSE(fs::exists(asked));
}

TEST_F(LeaveFilesTest, AnswerThatCannotBeMadeIsASentence) {
  LeaveFiles nowhere("/no/such/place");
  EXPECT_FALSE(nowhere.Look(Replica()));
  Ask();
  fs::create_directory(fs::path(scratch_.Path()) / "left");
  EXPECT_TRUE(files_.Look(Replica()));  // a directory of that name answers as well
  EXPECT_EQ(files_.Problem(), "");
}

TEST_F(LeaveFilesTest, WithoutADirectoryNobodyEverAsks) {
  LeaveFiles none("");
  EXPECT_FALSE(none.Look(Replica()));
}

}  // namespace
}  // namespace walstitch::agent
