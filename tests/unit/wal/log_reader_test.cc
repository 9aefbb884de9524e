#include "agents/wal/log_reader.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

struct Outcome {
  std::vector<std::string> records;
  std::vector<std::uint64_t> offsets;
  std::string tail;
  std::string damage;
};

Outcome Read(const std::string& bytes, LogReaderOptions options = {}) {
  LogReader reader(std::make_unique<StringLogFile>("000007.log", bytes), options);
  Outcome outcome;
  for (;;) {
    Result<bool> next = reader.Next();
    if (!next) {
      EXPECT_EQ(next.error().Code(), ErrorCode::kDamaged);
      outcome.damage = next.error().Message();
      EXPECT_FALSE(reader.Next()) << "an error is for ever";
      return outcome;
    }
    if (!*next) {
      outcome.tail = reader.TailNote();
      EXPECT_FALSE(*reader.Next()) << "the end is for ever";
      return outcome;
    }
    outcome.records.emplace_back(reader.Record());
    outcome.offsets.push_back(reader.RecordOffset());
  }
}

void ExpectClean(const Outcome& outcome, const std::vector<std::string>& records) {
  EXPECT_EQ(outcome.damage, "");
  EXPECT_EQ(outcome.tail, "");
  EXPECT_TRUE(outcome.records == records) << outcome.records.size() << " records";
}

void ExpectTorn(const Outcome& outcome, std::size_t records) {
  EXPECT_EQ(outcome.damage, "");
  EXPECT_NE(outcome.tail, "");
  EXPECT_EQ(outcome.records.size(), records);
}

void ExpectDamage(const Outcome& outcome, std::size_t records, const std::string& text) {
  EXPECT_NE(outcome.damage.find(text), std::string::npos) << outcome.damage << " | " << outcome.tail;
  EXPECT_EQ(outcome.damage.rfind("000007.log: offset ", 0), 0U) << outcome.damage;
  EXPECT_EQ(outcome.records.size(), records);
}

TEST(LogReaderTest, AnEmptyFileHasNoRecords) { ExpectClean(Read(""), {}); }

TEST(LogReaderTest, RecordsComeInOrderWithTheirOffsets) {
  const Outcome outcome = Read(LogText().Add("one").Add("").Add("three").Bytes());
  ExpectClean(outcome, {"one", "", "three"});
  EXPECT_EQ(outcome.offsets, (std::vector<std::uint64_t>{0, 10, 17}));
}

TEST(LogReaderTest, ARecordOfManyBlocksIsPutTogether) {
  const std::string big(100000, 'b');
  const Outcome outcome = Read(LogText().Add("a").Add(big).Add("c").Bytes());
  ExpectClean(outcome, {"a", big, "c"});
  EXPECT_EQ(outcome.offsets[1], 8U);
}

TEST(LogReaderTest, EveryPositionNearABlocksEndIsRead) {
  for (std::size_t size = 32740; size < 32790; ++size) {
    const std::string first(size, 'x');
    const std::string second(5, 'y');
    ExpectClean(Read(LogText().Add(first).Add(second).Add("z").Bytes()), {first, second, "z"});
    ExpectClean(Read(LogText(true, 7).Add(first).Add(second).Add("z").Bytes(), {.log_number = 7}),
                {first, second, "z"});
  }
}

TEST(LogReaderTest, RecordsBeyondTheReadBufferAreRead) {
  std::vector<std::string> records;
  LogText text;
  for (int i = 0; i < 300; ++i) {
    records.emplace_back(static_cast<std::size_t>(i * 17 % 9000), static_cast<char>('a' + i % 26));
    text.Add(records.back());
  }
  ExpectClean(Read(text.Bytes()), records);
}

TEST(LogReaderTest, TornTailIsNotDamage) {
  const std::string good = LogText().Add("one").Bytes();
  const std::string all = LogText().Add("one").Add(std::string(70000, 't')).Bytes();
  for (std::size_t length = good.size() + 1; length < all.size();
       length += length < 40 || length > 65400 ? 1 : 997) {
    const Outcome outcome = Read(all.substr(0, length));
    EXPECT_EQ(outcome.damage, "") << length;
    EXPECT_EQ(outcome.records.size(), 1U) << length;
    EXPECT_NE(outcome.tail, "") << length;
  }
}

TEST(LogReaderTest, ZeroesToTheEndAreATornTail) {
  for (const std::size_t zeroes : {1U, 6U, 7U, 100U, 32768U, 400000U}) {
    ExpectTorn(Read(LogText().Add("one").Raw(std::string(zeroes, '\0')).Bytes()), 1);
  }
}

TEST(LogReaderTest, ZeroesToTheEndInsideARecordAreATornTail) {
  std::string bytes = LogText().Add("one").Add(std::string(70000, 't')).Bytes();
  std::fill(bytes.begin() + 40000, bytes.end(), '\0');
  ExpectTorn(Read(bytes), 1);
}

TEST(LogReaderTest, AZeroFilledBlockEndIsSkipped) {
  LogText text;
  text.Add("one");
  text.Raw(std::string(32768 - text.Size(), '\0'));
  text.Add("two");
  ExpectClean(Read(text.Bytes()), {"one", "two"});
}

TEST(LogReaderTest, AHoleOfZeroesInsideARecordIsDamage) {
  std::string bytes = LogText().Add("one").Add(std::string(100000, 't')).Add("two").Bytes();
  std::fill(bytes.begin() + 32768, bytes.begin() + 65536, '\0');
  ExpectDamage(Read(bytes), 1, "zeroes");
}

TEST(LogReaderTest, ZeroesInTheMiddleOfABlockAreDamage) {
  LogText text;
  text.Add("one").Raw(std::string(64, '\0')).Add("two");
  ExpectDamage(Read(text.Bytes()), 1, "zeroes");
}

TEST(LogReaderTest, AFlippedBitInTheMiddleIsDamage) {
  const std::string good = LogText().Add("one").Add("second").Add("third").Bytes();
  // Checksum, length, type and payload of the second record.
  for (const std::size_t at : {10U, 13U, 14U, 16U, 17U, 22U}) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
    const Outcome outcome = Read(bytes);
    EXPECT_NE(outcome.damage, "") << at;
    EXPECT_EQ(outcome.records.size(), 1U) << at;
  }
}

// 1. A bit flips in a record's length, so that it reaches beyond the file. 2. It looks like a torn tail.
// 3. The acknowledged records behind it would silently be lost.
TEST(LogReaderTest, ALengthBeyondTheFileIsDamageIfGoodRecordsFollow) {
  std::string bytes = LogText().Add("one").Add("second").Add("third").Bytes();
  bytes[10 + 5] = 0x10;
  ExpectDamage(Read(bytes), 1, "good records follow");
}

TEST(LogReaderTest, AWrongChecksumAtTheVeryEndIsATornTail) {
  std::string bytes = LogText().Add("one").Add("second").Bytes();
  bytes.back() = 'X';
  ExpectTorn(Read(bytes), 1);
  ExpectTorn(Read(bytes + std::string(50000, '\0')), 1);
}

TEST(LogReaderTest, AFlippedBitInAnEarlierBlockIsDamage) {
  std::string bytes = LogText().Add(std::string(100000, 'x')).Bytes();
  bytes[40000] = 'y';
  ExpectDamage(Read(bytes), 0, "fails its checksum");
}

TEST(LogReaderTest, ARecordWithoutABeginningIsDamage) {
  ExpectDamage(Read(LogText().Add("one").AddPhysical(3, "x").Bytes()), 1, "no beginning");
  ExpectDamage(Read(LogText().Add("one").AddPhysical(4, "x").Bytes()), 1, "no beginning");
}

TEST(LogReaderTest, ARecordWithoutAnEndIsDamageIfAnotherFollows) {
  ExpectDamage(Read(LogText().AddPhysical(2, "x").Add("one").Bytes()), 0, "no end");
  ExpectDamage(Read(LogText().AddPhysical(2, "x").AddPhysical(2, "y").AddPhysical(4, "z").Bytes()), 0,
               "no end");
}

TEST(LogReaderTest, ARecordWithoutAnEndAtTheEndOfTheFileIsATornTail) {
  ExpectTorn(Read(LogText().Add("one").AddPhysical(2, "x").Bytes()), 1);
  ExpectTorn(Read(LogText().Add("one").AddPhysical(2, "x").AddPhysical(3, "y").Bytes()), 1);
}

TEST(LogReaderTest, AnEmptyBeginningOfAnOldWriterLosesNothing) {
  ExpectClean(Read(LogText().AddPhysical(2, "").Add("one").Bytes()), {"one"});
}

TEST(LogReaderTest, ATypeThatMayBeIgnoredIsIgnored) {
  ExpectClean(
      Read(LogText().Add("one").AddPhysical(130, "predecessor").AddPhysical(200, "later").Add("two").Bytes()),
      {"one", "two"});
  ExpectClean(Read(LogText(true, 7).Add("one").AddPhysical(131, "x").AddPhysical(201, "y").Add("two").Bytes(),
                   {.log_number = 7}),
              {"one", "two"});
}

TEST(LogReaderTest, TimestampSizesAreIgnored) {
  ExpectClean(Read(LogText().AddPhysical(10, "123456").Add("one").Bytes()), {"one"});
}

TEST(LogReaderTest, AnUnknownTypeIsDamage) {
  ExpectDamage(Read(LogText().Add("one").AddPhysical(12, "x").Add("two").Bytes()), 1,
               "unknown record type 12");
}

TEST(LogReaderTest, ARecycledLogEndsWhereItsEarlierUseBegins) {
  std::string old = LogText(true, 5).Add(std::string(500, 'o')).Add("old").Bytes();
  const std::string fresh = LogText(true, 7).Add("one").Add("two").Bytes();
  // Exactly at an old record's beginning, and in the middle of one.
  const Outcome aligned = Read(fresh + old, {.log_number = 7});
  EXPECT_EQ(aligned.damage, "");
  EXPECT_EQ(aligned.records, (std::vector<std::string>{"one", "two"}));
  std::copy(fresh.begin(), fresh.end(), old.begin());
  const Outcome inside = Read(old, {.log_number = 7});
  EXPECT_EQ(inside.damage, "");
  EXPECT_EQ(inside.records, (std::vector<std::string>{"one", "two"}));
}

TEST(LogReaderTest, ARecycledRecordInAnOrdinaryLogIsDamage) {
  ExpectDamage(Read(LogText().Add("one").Raw(LogText(true, 0).Add("two").Bytes()).Bytes()), 1, "recycled");
}

TEST(LogReaderTest, ACompressionThatIsNotKnownIsDamage) {
  ExpectDamage(Read(LogText().AddPhysical(9, Fixed(4, 4)).Add("x").Bytes()), 0, "method 4");
  ExpectDamage(Read(LogText().AddPhysical(9, "xy").Bytes()), 0, "malformed");
}

TEST(LogReaderTest, ACompressionSetLateIsDamage) {
  ExpectDamage(Read(LogText().Add("one").AddPhysical(9, Fixed(7, 4)).Bytes()), 1, "not by the first record");
  ExpectDamage(Read(LogText().AddPhysical(9, Fixed(7, 4)).AddPhysical(9, Fixed(7, 4)).Bytes()), 0,
               "not by the first record");
}

TEST(LogReaderTest, NoCompressionMayBeSaidAloud) {
  ExpectClean(Read(LogText().AddPhysical(9, Fixed(0, 4)).Add("x").Bytes()), {"x"});
}

TEST(LogReaderTest, BytesThatAreNoZstdAreDamage) {
  ExpectDamage(Read(LogText().AddPhysical(9, Fixed(7, 4)).Add("this is no frame").Bytes()), 0, "ZSTD");
}

TEST(LogReaderTest, ARecordLongerThanTheLimitIsDamage) {
  ExpectDamage(Read(LogText().Add(std::string(100000, 'x')).Bytes(), {.max_record_bytes = 99999}), 0,
               "longer than 99999 bytes");
  EXPECT_EQ(
      Read(LogText().Add(std::string(100000, 'x')).Bytes(), {.max_record_bytes = 100000}).records.size(), 1U);
}

// A header needs 7 bytes; a file may end behind any of them.
TEST(LogReaderTest, AHeaderCutOffByTheEndOfTheFileIsATornTail) {
  const std::string good = LogText().Add("one").Bytes();
  const std::string next = LogText().Add("two").Bytes();
  for (std::size_t length = 1; length < 7; ++length) ExpectTorn(Read(good + next.substr(0, length)), 1);
}

TEST(LogReaderTest, ALengthAcrossTheEndOfABlockIsDamage) {
  LogText text;
  text.Add("one").Add("two");
  while (text.Size() < 40000) text.Add(std::string(1000, 'x'));
  std::string bytes = text.Bytes();
  bytes[10 + 5] = static_cast<char>(0xff);
  ExpectDamage(Read(bytes), 1, "crosses the end of a block");
}

TEST(LogReaderTest, DamageIsSaidWithTheOffsetOfTheRecordThatIsWrong) {
  std::string bytes = LogText().Add("one").Add("second").Add("third").Bytes();
  bytes[18] = 'X';
  ExpectDamage(Read(bytes), 1, "000007.log: offset 10: ");
}

TEST(LogReaderTest, FragmentsOutOfOrderAreDamage) {
  const auto fragments = [](const std::vector<std::uint8_t>& types) {
    LogText text;
    text.Add("one");
    for (const std::uint8_t type : types) text.AddPhysical(type, "part");
    return Read(text.Add("last").Bytes());
  };
  ExpectDamage(fragments({3}), 1, "no beginning");
  ExpectDamage(fragments({4}), 1, "no beginning");
  ExpectDamage(fragments({2, 4, 4}), 2, "no beginning");
  ExpectDamage(fragments({2}), 1, "no end");
  ExpectDamage(fragments({2, 2, 4}), 1, "no end");
  ExpectDamage(fragments({2, 1, 4}), 1, "no end");
  ExpectDamage(fragments({2, 3, 1}), 1, "no end");
}

TEST(LogReaderTest, ARecordThatIsNoFragmentInsideAFragmentedOneIsDamage) {
  for (const std::uint8_t type : {9, 10, 130, 200}) {
    const std::string payload = type == 9 ? Fixed(7, 4) : "x";
    const Outcome outcome =
        Read(LogText().Add("one").AddPhysical(2, "a").AddPhysical(type, payload).AddPhysical(4, "b").Bytes());
    EXPECT_NE(outcome.damage, "") << int{type};
    EXPECT_EQ(outcome.records.size(), 1U) << int{type};
  }
}

// What later versions may write. The lowest bit tells which header a type has.
TEST(LogReaderTest, OfUnknownTypesOnlyThoseThatMayBeIgnoredAre) {
  for (int type = 12; type < 256; ++type) {
    const bool recycled = type % 2 == 1;
    const Outcome outcome = Read(LogText(recycled, 7)
                                     .Add("one")
                                     .AddPhysical(static_cast<std::uint8_t>(type), "of later")
                                     .Add("two")
                                     .Bytes(),
                                 {.log_number = 7});
    if (type >= 128) {
      ExpectClean(outcome, {"one", "two"});
    } else {
      ExpectDamage(outcome, 1, "unknown record type " + std::to_string(type));
    }
  }
}

TEST(LogReaderTest, AFlippedBitInARecordThatMayBeIgnoredIsDamage) {
  std::string bytes = LogText().Add("one").AddPhysical(200, "later").Add("two").Bytes();
  bytes[10 + 8] = 'X';
  ExpectDamage(Read(bytes), 1, "fails its checksum");
}

TEST(LogReaderTest, ACompressedRecordExpandsToTheLimitAndNoFurther) {
  const std::string bytes = LogText().Compress().Add("one").Add(std::string(100000, 'x')).Bytes();
  EXPECT_EQ(Read(bytes, {.max_record_bytes = 100000}).records.size(), 2U);
  ExpectDamage(Read(bytes, {.max_record_bytes = 99999}), 1, "99999 bytes");
}

TEST(LogReaderTest, AFrameThatIsCutOffOrFollowedByMoreIsDamage) {
  const std::string whole = LogText().Compress().Add("a compressed record").Bytes();
  const std::string frame = whole.substr(11 + 7);
  const auto with = [](const std::string& payload) {
    return Read(LogText().AddPhysical(9, Fixed(7, 4)).AddPhysical(1, payload).Bytes());
  };
  ExpectClean(with(frame), {"a compressed record"});
  ExpectDamage(with(frame.substr(0, frame.size() - 1)), 0, "ZSTD");
  ExpectDamage(with(frame + "x"), 0, "ZSTD");
}

RC_GTEST_PROP(LogReaderProperty, RandomBytesNeverCrash, (const std::string& bytes)) { (void)Read(bytes); }

RC_GTEST_PROP(LogReaderProperty, WhatWasWrittenIsRead,
              (const std::vector<std::uint16_t>& sizes, bool recycled)) {
  LogText text(recycled, 7);
  std::vector<std::string> records;
  for (const std::uint16_t size : sizes) {
    records.emplace_back(size, static_cast<char>(size % 251));
    text.Add(records.back());
  }
  const Outcome outcome = Read(text.Bytes(), {.log_number = 7});
  RC_ASSERT(outcome.damage.empty() && outcome.tail.empty());
  RC_ASSERT(outcome.records == records);
}

// A file cut anywhere gives a beginning of its records, and never damage; one with a byte changed gives a
// beginning of its records, and then whatever, but no record that was never written.
RC_GTEST_PROP(LogReaderProperty, ACutOrChangedFileNeverGivesAFalseRecord,
              (const std::vector<std::uint16_t>& sizes, std::uint32_t cut, std::uint32_t at,
               std::uint8_t by)) {
  LogText text;
  std::vector<std::string> records;
  for (const std::uint16_t size : sizes) {
    records.emplace_back(size % 5000, static_cast<char>(1 + records.size() % 250));
    text.Add(records.back());
  }
  const auto is_beginning = [&](const Outcome& outcome) {
    return outcome.records.size() <= records.size() &&
           std::equal(outcome.records.begin(), outcome.records.end(), records.begin());
  };
  std::string bytes = text.Bytes();
  const Outcome shorter = Read(bytes.substr(0, cut % (bytes.size() + 1)));
  RC_ASSERT(shorter.damage.empty());
  RC_ASSERT(is_beginning(shorter));
  if (bytes.empty()) return;
  bytes[at % bytes.size()] = static_cast<char>(bytes[at % bytes.size()] ^ by);
  RC_ASSERT(is_beginning(Read(bytes)));
}

}  // namespace
}  // namespace walstitch::wal
