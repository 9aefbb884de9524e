// The splicer: batches in, batches out. Property-tested against a model of two nodes that count.
#include "agents/relay/splicer.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <vector>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/filler.h"
#include "agents/wal/marker.h"

namespace walstitch::relay {
namespace {

using wal::FillerMarker;

const std::string kMine = FillerMarker("MINE");

std::string Header(std::uint64_t first, std::uint64_t count) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(first >> (8 * i)));
  for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(count >> (8 * i)));
  return bytes;
}

std::string PutRecord(const std::string& key) {
  std::string record = "\x05\x01";
  wal::PutLengthPrefixed(&record, key);
  wal::PutLengthPrefixed(&record, "value");
  return record;
}

std::string LogData(const std::string& text) {
  std::string record = "\x03";
  wal::PutLengthPrefixed(&record, text);
  return record;
}

// One writer's part of a batch: how many records, and their bytes.
struct Part {
  std::uint64_t count = 0;
  std::string bytes;
  std::uint64_t of_filler = 0;
};

Part WriterPart(const std::vector<std::string>& keys, bool log = true) {
  Part part;
  if (log) part.bytes = LogData("1");
  for (const std::string& key : keys) part.bytes += PutRecord(key);
  part.count = keys.size();
  return part;
}

Part FillerPart(std::uint64_t count, const std::string& marker = kMine) {
  Part part;
  part.bytes = wal::MakePadBatches(Sequence(1), Sequence(1 + count), marker, "").front().substr(12);
  part.count = count;
  if (marker == kMine) part.of_filler = count;
  return part;
}

// As a master merges several writers' batches.
std::string Merged(std::uint64_t first, const std::vector<Part>& parts) {
  std::uint64_t count = 0;
  std::string bytes;
  for (const Part& part : parts) {
    count += part.count;
    bytes += part.bytes;
  }
  return Header(first, count) + bytes;
}

TEST(SplicerTest, ABatchIsRenumberedByTheShift) {
  Splicer splicer(Sequence(100), 5, kMine);
  EXPECT_EQ(splicer.NodeNext(), Sequence(106));
  const Part writer = WriterPart({"a", "b"});
  const auto taken = splicer.Take(Merged(101, {writer}));
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ(**taken, Merged(106, {writer}));
  EXPECT_EQ(splicer.UpstreamNext(), Sequence(103));
  EXPECT_EQ(splicer.NodeNext(), Sequence(108));
  EXPECT_FALSE(splicer.Met());
}

TEST(SplicerTest, TheFillerIsLeftOutAndThereTheNumbersMeet) {
  Splicer splicer(Sequence(100), 5, kMine);
  const auto taken = splicer.Take(Merged(101, {FillerPart(5)}));
  ASSERT_TRUE(taken);
  EXPECT_FALSE(*taken);
  EXPECT_TRUE(splicer.Met());
  EXPECT_EQ(splicer.NodeNext(), Sequence(106));
  EXPECT_EQ(splicer.UpstreamNext(), Sequence(106));
}

TEST(SplicerTest, OfAMergedBatchOnlyTheFillersOwnRecordsAreLeftOut) {
  Splicer splicer(Sequence(100), 7, kMine);
  const Part before = WriterPart({"a"});
  const Part behind = WriterPart({"b", "c"});
  const Part unlogged = WriterPart({"d"}, false);
  const Part published = {1, std::string("\x05\x03\x01x\x01y", 6), 0};
  const auto taken =
      splicer.Take(Merged(101, {before, FillerPart(3), unlogged, FillerPart(4), published, behind}));
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ(**taken, Merged(108, {before, unlogged, published, behind}));
  EXPECT_TRUE(splicer.Met());
  EXPECT_EQ(splicer.NodeNext(), Sequence(113));
}

TEST(SplicerTest, AnotherDecisionsFillerIsReplayedLikeAnyRecord) {
  Splicer splicer(Sequence(100), 4, kMine);
  const Part other = FillerPart(3, FillerMarker("OTHER"));
  const Part pad = FillerPart(2, "MINE");  // a pad's marker has no prefix
  const auto taken = splicer.Take(Merged(101, {other, FillerPart(1), other, pad}));
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ(**taken, Merged(105, {other, other, pad}));
  EXPECT_EQ(splicer.Remaining(), 3U);
}

TEST(SplicerTest, ABatchWithoutRecordsMovesNothing) {
  Splicer splicer(Sequence(100), 4, kMine);
  const auto taken = splicer.Take(Header(101, 0) + LogData("2"));
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ(**taken, Header(105, 0) + LogData("2"));
  EXPECT_EQ(splicer.NodeNext(), Sequence(105));
}

TEST(SplicerTest, WhatIsNotAsComputedIsRefused) {
  const auto refused = [](const std::string& batch) {
    Splicer splicer(Sequence(100), 4, kMine);
    return !splicer.Take(batch).has_value();
  };
  EXPECT_TRUE(refused(Merged(102, {WriterPart({"a"})}))) << "a gap";
  EXPECT_TRUE(refused(Merged(100, {WriterPart({"a"})}))) << "what was replayed before";
  EXPECT_TRUE(refused(Merged(101, {FillerPart(5)}))) << "more of the filler than the shift";
  EXPECT_TRUE(refused(Merged(101, {FillerPart(4), WriterPart({"a"}), FillerPart(1)}))) << "a second filler";
  EXPECT_TRUE(refused(Header(101, 9) + FillerPart(4).bytes)) << "a count that is off";
  EXPECT_TRUE(refused("short"));
  EXPECT_TRUE(refused(Header((std::uint64_t{1} << 56) - 1, 2)));
}

TEST(SplicerTest, AGreatBatchIsTakenByItsHeader) {
  Splicer splicer(Sequence(100), 4, kMine);
  EXPECT_EQ(splicer.TakeGreat(Sequence(101), 1000), Sequence(105));
  EXPECT_EQ(splicer.NodeNext(), Sequence(1105));
  EXPECT_FALSE(splicer.TakeGreat(Sequence(101), 1));
}

// Whatever stands between and around the pieces of the filler: each record of the others comes exactly once,
// in order, under consecutive numbers, and the two count alike behind the last piece.
TEST(SplicerProperty, EveryOtherRecordComesOnceAndTheNumbersMeet) {
  EXPECT_TRUE(rc::check([] {
    const auto number = [](std::uint64_t from, std::uint64_t to) {
      return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(from, to));
    };
    const std::uint64_t fork = number(0, 1000);
    // The parts in the order in which they are written; the filler's pieces add up to the shift.
    std::vector<Part> parts;
    std::uint64_t shift = 0;
    const std::uint64_t size = number(1, 12);
    for (std::uint64_t i = 0; i < size; ++i) {
      switch (number(0, 5)) {
        case 0:
          parts.push_back(FillerPart(number(1, 6)));
          shift += parts.back().count;
          break;
        case 1:
          parts.push_back(FillerPart(number(1, 6), FillerMarker("OTHER")));
          break;
        case 2:
          parts.push_back(Part{0, LogData("r 0123456789ABCDEF"), 0});
          break;
        default:
          parts.push_back(
              WriterPart(std::vector<std::string>(number(1, 4), "k" + std::to_string(i)), number(0, 2) == 0));
      }
    }
    parts.push_back(FillerPart(number(1, 6)));
    shift += parts.back().count;

    Splicer splicer(Sequence(fork), shift, kMine);
    std::uint64_t upstream = fork + 1;
    std::uint64_t node = fork + 1 + shift;
    std::string expected;
    std::string seen;
    for (std::size_t i = 0; i < parts.size();) {
      const std::size_t together = std::min<std::size_t>(number(1, 4), parts.size() - i);
      const std::vector<Part> merged(parts.begin() + static_cast<std::ptrdiff_t>(i),
                                     parts.begin() + static_cast<std::ptrdiff_t>(i + together));
      i += together;
      const std::string batch = Merged(upstream, merged);
      const auto taken = splicer.Take(batch);
      RC_ASSERT(taken.has_value());
      std::uint64_t others = 0;
      for (const Part& part : merged) {
        upstream += part.count;
        others += part.count - part.of_filler;
        if (part.of_filler == 0) expected += part.bytes;
      }
      if (*taken) {
        const auto header = wal::ParseBatchHeader(**taken);
        RC_ASSERT(header.has_value());
        RC_ASSERT(header->first == Sequence(node));
        RC_ASSERT(header->count == others);
        RC_ASSERT(wal::CountFiller(**taken, kMine).value() == 0U);
        seen += (*taken)->substr(12);
      } else {
        RC_ASSERT(others == 0U);
        // Marks without a record may go with the filler.
        for (const Part& part : merged) {
          if (part.of_filler == 0) expected.erase(expected.size() - part.bytes.size());
        }
      }
      node += others;
      RC_ASSERT(splicer.NodeNext() == Sequence(node));
      RC_ASSERT(splicer.UpstreamNext() == Sequence(upstream));
    }
    RC_ASSERT(seen == expected);
    RC_ASSERT(splicer.Met());
    RC_ASSERT(node == upstream);
  }));
}

}  // namespace
}  // namespace walstitch::relay
