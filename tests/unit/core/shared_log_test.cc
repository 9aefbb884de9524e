#include "controller/core/shared_log.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace walstitch::core {
namespace {

using Fate = LogJournal::Fate;

SharedLog Taken() {
  SharedLog log;
  log.holder = "a/1";
  log.term = 3;
  return log;
}

LogHead HeadOf(std::uint64_t index) { return {index, "hash of " + std::to_string(index)}; }

SharedEntry Entry(std::uint64_t index, std::size_t bytes = 10) {
  SharedEntry entry;
  entry.index = index;
  entry.decision = "D" + std::to_string(index);
  entry.line = std::string(bytes, 'x');
  return entry;
}

std::vector<std::uint64_t> Indexes(const std::vector<SharedEntry>& entries) {
  std::vector<std::uint64_t> indexes;
  for (const auto& entry : entries) indexes.push_back(entry.index);
  return indexes;
}

using Expected = std::vector<std::uint64_t>;

class LogJournalTest : public testing::Test {
 protected:
  void Append(std::uint64_t index, std::size_t bytes = 10) {
    journal_.Append(Entry(index, bytes), HeadOf(index));
  }
  // Writes what there is to write, well.
  void Write() {
    ASSERT_TRUE(journal_.Next());
    journal_.Wrote();
  }

  LogJournal journal_{Taken()};
};

TEST_F(LogJournalTest, NothingAppendedNothingIsWritten) { EXPECT_FALSE(journal_.Next()); }

TEST_F(LogJournalTest, AllThatWaitsGoesInOneWrite) {
  Append(1);
  Append(2);
  const auto next = journal_.Next();
  ASSERT_TRUE(next);
  EXPECT_EQ(Indexes(next->pending), (Expected{1, 2}));
  EXPECT_EQ(next->head, HeadOf(2));
  EXPECT_EQ(journal_.Durable(), 0U);
  journal_.Wrote();
  EXPECT_EQ(journal_.Durable(), 2U);
}

TEST_F(LogJournalTest, OneWriteIsUnderWayAtATime) {
  Append(1);
  ASSERT_TRUE(journal_.Next());
  Append(2);
  EXPECT_FALSE(journal_.Next());
  journal_.Wrote();
  EXPECT_EQ(Indexes(journal_.Next()->pending), (Expected{1, 2}));
}

TEST_F(LogJournalTest, WhatWasCertainlyNotWrittenIsWrittenAgain) {
  Append(1);
  ASSERT_TRUE(journal_.Next());
  journal_.NotWritten();
  EXPECT_EQ(Indexes(journal_.Next()->pending), Expected{1});
}

TEST_F(LogJournalTest, AWriteOfUnknownFateIsKnownByTheLogAsItStands) {
  Append(1);
  const auto next = journal_.Next();
  EXPECT_EQ(journal_.Saw(*next), Fate::kWritten);
  EXPECT_EQ(journal_.Durable(), 1U);
  Append(2);
  const SharedLog before = *next;
  ASSERT_TRUE(journal_.Next());
  EXPECT_EQ(journal_.Saw(before), Fate::kNotWritten);
  EXPECT_EQ(journal_.Durable(), 1U);
  EXPECT_EQ(Indexes(journal_.Next()->pending), (Expected{1, 2}));
}

TEST_F(LogJournalTest, ASuccessorsNameInTheLogEndsIt) {
  Append(1);
  ASSERT_TRUE(journal_.Next());
  SharedLog taken_over = Taken();
  taken_over.holder = "b/1";
  taken_over.term = 4;
  EXPECT_EQ(journal_.Saw(taken_over), Fate::kFenced);
  EXPECT_FALSE(journal_.Next());
  EXPECT_EQ(journal_.Durable(), 0U);
}

// Its own name is no proof: the process before it in the same place may have written, or a person.
TEST_F(LogJournalTest, ALogThatIsNotAsItWasWrittenEndsIt) {
  Append(1);
  SharedLog next = *journal_.Next();
  next.head = HeadOf(9);
  EXPECT_EQ(journal_.Saw(next), Fate::kFenced);
}

TEST_F(LogJournalTest, WhatWasSpreadLeavesTheLogWithTheNextWrite) {
  Append(1);
  Append(2);
  Write();
  EXPECT_EQ(Indexes(journal_.ToSpread()), (Expected{1, 2}));
  journal_.Spread(1);
  EXPECT_EQ(Indexes(journal_.ToSpread()), Expected{2});
  Append(3);
  EXPECT_EQ(Indexes(journal_.Next()->pending), (Expected{2, 3}));
}

TEST_F(LogJournalTest, ASpreadLogIsWrittenOnceMoreAndThenNotAgain) {
  Append(1);
  Write();
  journal_.Spread(1);
  EXPECT_EQ(Indexes(journal_.Next()->pending), Expected{});
  journal_.Wrote();
  EXPECT_FALSE(journal_.Next());
}

TEST_F(LogJournalTest, WhatIsNotDurableIsNotSpread) {
  Append(1);
  EXPECT_EQ(Indexes(journal_.ToSpread()), Expected{});
  ASSERT_TRUE(journal_.Next());
  EXPECT_EQ(Indexes(journal_.ToSpread()), Expected{});
  journal_.Spread(5);
  journal_.Wrote();
  EXPECT_EQ(Indexes(journal_.ToSpread()), Expected{1});
}

TEST_F(LogJournalTest, TheLogStaysSmallEnoughToBeWritten) {
  for (std::uint64_t index = 1; index <= 5; ++index) Append(index, 300 << 10);
  EXPECT_EQ(Indexes(journal_.Next()->pending), (Expected{1, 2}));
  journal_.Wrote();
  EXPECT_FALSE(journal_.Next());
  journal_.Spread(2);
  EXPECT_EQ(Indexes(journal_.Next()->pending), (Expected{3, 4}));
}

TEST_F(LogJournalTest, TheLongestEntryIsWrittenAlone) {
  Append(1, kMaxSharedEntryBytes);
  Append(2, kMaxSharedEntryBytes);
  EXPECT_EQ(Indexes(journal_.Next()->pending), Expected{1});
}

TEST_F(LogJournalTest, WhoTakesOverSpreadsWhatItsPredecessorDidNot) {
  SharedLog taken = Taken();
  taken.head = HeadOf(9);
  taken.pending = {Entry(8), Entry(9)};
  LogJournal journal(taken);
  EXPECT_EQ(journal.Durable(), 9U);
  EXPECT_EQ(Indexes(journal.ToSpread()), (Expected{8, 9}));
}

TEST_F(LogJournalTest, WhatIsForgottenIsWrittenFirst) {
  journal_.Trim(HeadOf(4));
  EXPECT_EQ(journal_.Next()->trimmed, HeadOf(4));
  journal_.Wrote();
  EXPECT_FALSE(journal_.Next());
}

TEST(SharedLogTest, ItIsReadAsItWasWritten) {
  SharedLog log = Taken();
  log.head = HeadOf(2);
  log.trimmed = HeadOf(1);
  log.pending = {Entry(2)};
  log.pending[0].group = "shop";
  log.pending[0].state = boost::json::value{{"epoch", 4}};
  const auto again = SharedLogFromJson(boost::json::parse(boost::json::serialize(ToJson(log))));
  ASSERT_TRUE(again) << again.error().Message();
  EXPECT_EQ(boost::json::serialize(ToJson(*again)), boost::json::serialize(ToJson(log)));
}

TEST(SharedLogTest, AnythingElseIsRefusedWithWhatIsWrong) {
  EXPECT_FALSE(SharedLogFromJson(boost::json::value(7)));
  boost::json::value json = ToJson(Taken());
  json.as_object()["term"] = "3";
  const auto read = SharedLogFromJson(json);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().Message(), "the shared decision log: term is missing or of a wrong type");
}

}  // namespace
}  // namespace walstitch::core
