#include "agents/wal/verify.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

std::string Batch(std::uint64_t first, int records = 1) {
  BatchText batch(first);
  for (int i = 0; i < records; ++i) batch.Put(1, MetadataKey("ns", "key"), "value");
  return batch.Bytes();
}

// Logs of batches of one record each, in memory.
class VerifyTest : public ::testing::Test {
 protected:
  // The log with the sequences [from, to), and its text to go on with.
  static LogText Text(std::uint64_t from, std::uint64_t to) {
    LogText text;
    for (std::uint64_t sequence = from; sequence < to; ++sequence) text.Add(Batch(sequence));
    return text;
  }
  void Log(std::uint64_t number, std::optional<std::uint64_t> first, const std::string& bytes) {
    LogInfo log;
    log.number = number;
    log.path = "db/" + std::to_string(number) + ".log";
    log.bytes = bytes.size();
    if (first) log.first = Sequence(*first);
    logs_.push_back(log);
    bytes_[number] = bytes;
  }
  void Log(std::uint64_t number, std::uint64_t from, std::uint64_t to) {
    Log(number, from, Text(from, to).Bytes());
  }

  VerifyReport Verify() {
    return VerifyLogs(
        logs_,
        [this](const LogInfo& log) -> Result<std::unique_ptr<LogFile>> {
          if (errors_.contains(log.number)) return Fail(errors_.at(log.number));
          return std::unique_ptr<LogFile>(new StringLogFile(log.path, bytes_.at(log.number)));
        },
        [this](std::uint64_t done) { done_.push_back(done); });
  }

  static std::vector<FindingKind> Kinds(const VerifyReport& report) {
    std::vector<FindingKind> kinds;
    for (const auto& finding : report.findings) kinds.push_back(finding.kind);
    return kinds;
  }

  std::vector<LogInfo> logs_;
  std::map<std::uint64_t, std::string> bytes_;
  std::map<std::uint64_t, Error> errors_;
  std::vector<std::uint64_t> done_;
};

using Kind = FindingKind;

TEST_F(VerifyTest, AWholeWalIsCounted) {
  Log(1, 10, 20);
  Log(2, 20, LogText().Add(Batch(20, 3)).Bytes());
  const VerifyReport report = Verify();
  EXPECT_TRUE(report.Whole());
  EXPECT_TRUE(report.findings.empty());
  EXPECT_EQ(report.logs, 2U);
  EXPECT_EQ(report.batches, 11U);
  EXPECT_EQ(report.records, 13U);
  EXPECT_EQ(report.first, Sequence(10));
  EXPECT_EQ(report.end, Sequence(23));
  EXPECT_EQ(report.bytes, bytes_[1].size() + bytes_[2].size());
  ASSERT_FALSE(done_.empty());
  EXPECT_EQ(done_.back(), report.bytes);
}

TEST_F(VerifyTest, NothingAtAllIsWhole) {
  EXPECT_TRUE(Verify().Whole());
  Log(1, std::nullopt, "");
  EXPECT_TRUE(Verify().Whole());
}

TEST_F(VerifyTest, DamageHasFileAndOffsetAndTheNextLogIsReadAllTheSame) {
  const std::uint64_t good = Text(1, 5).Size();
  std::string bytes = Text(1, 9).Bytes();
  bytes[good + 20] ^= 1;
  Log(1, 1, bytes);
  Log(2, 9, 12);
  const VerifyReport report = Verify();
  ASSERT_EQ(Kinds(report), (std::vector{Kind::kDamage}));
  EXPECT_EQ(report.findings[0].file, "db/1.log");
  EXPECT_EQ(report.findings[0].offset, good);
  EXPECT_NE(report.findings[0].what.find("; the sequences [5, 9) cannot be read"), std::string::npos)
      << report.findings[0].what;
  EXPECT_EQ(report.faults, 1U);
  EXPECT_EQ(report.records, 4U + 3U);
  EXPECT_EQ(report.end, Sequence(12));
}

TEST_F(VerifyTest, ATornTailAtTheEndIsNoFault) {
  const std::uint64_t good = Text(1, 5).Size();
  Log(1, 1, Text(1, 6).Bytes().substr(0, good + 9));
  const VerifyReport report = Verify();
  EXPECT_TRUE(report.Whole());
  ASSERT_EQ(Kinds(report), (std::vector{Kind::kTornTail}));
  EXPECT_EQ(report.findings[0].offset, good);
  EXPECT_EQ(report.end, Sequence(5));
}

TEST_F(VerifyTest, ATornTailThatTheNextLogReplacesIsNoFault) {
  Log(1, 1, Text(1, 6).Bytes().substr(0, Text(1, 5).Size() + 9));
  Log(2, 5, 8);
  const VerifyReport report = Verify();
  EXPECT_TRUE(report.Whole());
  EXPECT_EQ(Kinds(report), (std::vector{Kind::kTornTail}));
  EXPECT_EQ(report.records, 7U);
}

TEST_F(VerifyTest, ATornTailWithSequencesMissingBehindItIsDamage) {
  Log(1, 1, Text(1, 6).Bytes().substr(0, Text(1, 5).Size() + 9));
  Log(2, 6, 8);
  const VerifyReport report = Verify();
  EXPECT_EQ(Kinds(report), (std::vector{Kind::kDamage}));
  EXPECT_EQ(report.faults, 1U);
}

TEST_F(VerifyTest, WhatStandsBehindTheNextLogsBeginningWasGivenUp) {
  std::string bytes = Text(1, 8).Bytes();
  bytes[Text(1, 6).Size() + 20] ^= 1;  // damage included
  Log(1, 1, bytes);
  Log(2, 5, 9);
  const VerifyReport report = Verify();
  EXPECT_TRUE(report.Whole());
  ASSERT_EQ(Kinds(report), (std::vector{Kind::kGivenUp}));
  EXPECT_EQ(report.findings[0].offset, Text(1, 5).Size());
  EXPECT_EQ(report.records, 8U);
}

TEST_F(VerifyTest, DamageRightWhereTheNextLogGoesOnWasGivenUp) {
  std::string bytes = Text(1, 8).Bytes();
  bytes[Text(1, 5).Size() + 20] ^= 1;
  Log(1, 1, bytes);
  Log(2, 5, 9);
  EXPECT_EQ(Kinds(Verify()), (std::vector{Kind::kGivenUp}));
}

TEST_F(VerifyTest, ALogGivenUpWholeIsNoFault) {
  Log(1, 1, 5);
  Log(2, std::nullopt, Text(5, 9).Bytes());
  Log(3, 5, 7);
  const VerifyReport report = Verify();
  EXPECT_EQ(Kinds(report), (std::vector{Kind::kGivenUp}));
  EXPECT_EQ(report.records, 6U);
}

TEST_F(VerifyTest, AGapInsideALogIsFound) {
  Log(1, 1, LogText().Add(Batch(1)).Add(Batch(5)).Bytes());
  const VerifyReport report = Verify();
  ASSERT_EQ(Kinds(report), (std::vector{Kind::kGap}));
  EXPECT_EQ(report.findings[0].what, "the sequences [2, 5) are in no batch");
  EXPECT_EQ(report.findings[0].offset, LogText().Add(Batch(1)).Size());
}

TEST_F(VerifyTest, AGapBetweenLogsIsFound) {
  Log(1, 1, 5);
  Log(3, 8, 9);
  const VerifyReport report = Verify();
  ASSERT_EQ(Kinds(report), (std::vector{Kind::kGap}));
  EXPECT_EQ(report.findings[0].file, "db/3.log");
  EXPECT_FALSE(report.Whole());
}

TEST_F(VerifyTest, SequencesThatGoBackAreDamage) {
  Log(1, 1, LogText().Add(Batch(5)).Add(Batch(4)).Bytes());
  EXPECT_EQ(Kinds(Verify()), (std::vector{Kind::kDamage}));
}

TEST_F(VerifyTest, ABatchThatReachesIntoTheNextLogIsDamage) {
  Log(1, 1, LogText().Add(Batch(1, 5)).Bytes());
  Log(2, 4, 9);
  EXPECT_EQ(Verify().findings.at(0).kind, Kind::kDamage);
}

TEST_F(VerifyTest, ACountThatIsNotTheNumberOfRecordsIsDamage) {
  std::string batch = Batch(1, 2);
  batch[8] = 3;
  Log(1, 1, LogText().Add(batch).Bytes());
  const VerifyReport report = Verify();
  ASSERT_EQ(Kinds(report), (std::vector{Kind::kDamage}));
  EXPECT_EQ(report.findings[0].offset, 0U);
  EXPECT_EQ(report.batches, 0U);
}

TEST_F(VerifyTest, ARecordThatIsNoBatchIsDamage) {
  Log(1, std::nullopt, LogText().Add("short").Bytes());
  EXPECT_EQ(Kinds(Verify()), (std::vector{Kind::kDamage}));
}

TEST_F(VerifyTest, ALogPurgedMeanwhileIsNoFaultAndNoGap) {
  Log(1, 1, 5);
  Log(2, 5, 9);
  Log(3, 9, 12);
  errors_.emplace(2, Error(ErrorCode::kNotFound, "db/2.log"));
  const VerifyReport report = Verify();
  EXPECT_TRUE(report.Whole());
  EXPECT_EQ(Kinds(report), (std::vector{Kind::kPurged}));
  EXPECT_EQ(report.logs, 2U);
}

TEST_F(VerifyTest, ADatabaseThatWasReplacedMeanwhileIsNotWhole) {
  Log(1, 1, 5);
  Log(2, 5, 9);
  errors_.emplace(1, Error(ErrorCode::kNotFound, "db/1.log"));
  errors_.emplace(2, Error(ErrorCode::kNotFound, "db/2.log"));
  const VerifyReport report = Verify();
  EXPECT_EQ(Kinds(report), (std::vector{Kind::kPurged, Kind::kUnreadable}));
  EXPECT_FALSE(report.Whole());
}

TEST_F(VerifyTest, ALogThatMayNotBeReadIsAFault) {
  Log(1, 1, 5);
  Log(2, 5, 9);
  errors_.emplace(1, Error(ErrorCode::kIo, "db/1.log"));
  const VerifyReport report = Verify();
  EXPECT_EQ(Kinds(report), (std::vector{Kind::kUnreadable}));
  EXPECT_FALSE(report.Whole());
  EXPECT_EQ(report.records, 4U);
}

TEST_F(VerifyTest, FaultsAreCountedBeyondTheOnesThatAreListed) {
  LogText text;
  for (std::uint64_t i = 0; i < kMaxFindings + 5; ++i) text.Add(Batch(1 + 2 * i));
  Log(1, 1, text.Bytes());
  const VerifyReport report = Verify();
  EXPECT_EQ(report.findings.size(), kMaxFindings);
  EXPECT_TRUE(report.more_findings);
  EXPECT_EQ(report.faults, kMaxFindings + 4);
}

}  // namespace
}  // namespace walstitch::wal
