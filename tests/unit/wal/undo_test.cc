#include "agents/wal/undo.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/kvrocks_keys.h"
#include "agents/wal/marker.h"
#include "agents/wal/wal_directory.h"
#include "tests/unit/wal/test_database.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

using namespace std::string_literals;

constexpr int kHash = 2;
constexpr int kListType = 3;
constexpr int kZset = 5;
constexpr int kStreamType = 8;

std::string BigEndian(std::uint64_t value) {
  std::string bytes = Fixed(value, 8);
  std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

std::string Key(std::string_view key) { return MetadataKey("n", key); }
std::string Sub(std::string_view key, std::uint64_t version, std::string_view rest) {
  return SubkeyKey("n", key, version, rest);
}
std::string Text(std::string_view value, std::uint64_t expire_ms = 0) {
  return "\x81" + BigEndian(expire_ms) + std::string(value);
}
std::string Meta(int type, std::uint64_t version, std::uint64_t size, std::uint64_t expire_ms = 0,
                 std::string_view own = "") {
  return std::string(1, static_cast<char>(0x80 | type)) + BigEndian(expire_ms) + BigEndian(version) +
         BigEndian(size) + std::string(own);
}

// A WAL that is written batch by batch, each of which is passed a BatchText to fill.
class History {
 public:
  explicit History(std::uint64_t first = 1) : next_(first) {}

  template <typename Fill>
  History& Write(Fill fill) {
    BatchText text(next_);
    fill(text);
    batches_.push_back(text.Bytes());
    next_ = ParseBatchHeader(batches_.back()).value().first.Value() +
            ParseBatchHeader(batches_.back()).value().count;
    return *this;
  }
  History& Put(std::uint32_t family, std::string_view key, std::string_view value) {
    return Write([&](BatchText& batch) { batch.Put(family, key, value); });
  }
  History& Delete(std::uint32_t family, std::string_view key) {
    return Write([&](BatchText& batch) { batch.Delete(family, key); });
  }
  // HSET of one field that is new: of a hash that has `size` of them then.
  History& AddField(std::string_view key, std::uint64_t version, std::string_view field,
                    std::string_view value, std::uint64_t size) {
    return Write([&](BatchText& batch) {
      batch.Log("2").Put(0, Sub(key, version, field), value).Put(1, Key(key), Meta(kHash, version, size));
    });
  }
  History& Fork() {
    fork_ = next_ - 1;
    return *this;
  }
  // Forgets the batches before this place.
  History& PurgeHere() {
    batches_.clear();
    return *this;
  }
  void Append(const std::vector<std::string>& batches) {
    for (const std::string& batch : batches) {
      batches_.push_back(batch);
      next_ = (ParseBatchHeader(batch).value().first + ParseBatchHeader(batch).value().count).Value();
    }
  }

  [[nodiscard]] const std::vector<std::string>& Batches() const { return batches_; }
  [[nodiscard]] Sequence ForkSequence() const { return Sequence(fork_); }
  [[nodiscard]] Sequence Last() const { return Sequence(next_ - 1); }

 private:
  std::vector<std::string> batches_;
  std::uint64_t next_;
  std::uint64_t fork_ = 0;
};

Result<UndoPlan> TryPlan(const History& history, const UndoOptions& options = {}) {
  ListSource source(history.Batches());
  return PlanUndo(source, history.ForkSequence(), history.Last(), options);
}

UndoPlan Plan(const History& history, const UndoOptions& options = {}) {
  auto plan = TryPlan(history, options);
  EXPECT_TRUE(plan) << plan.error().Message();
  return plan ? *plan : UndoPlan{};
}

UndoRecord PutBack(std::uint32_t family, std::string key, std::string value) {
  return {{family, std::move(key)}, std::move(value)};
}
UndoRecord DeleteAgain(std::uint32_t family, std::string key) {
  return {{family, std::move(key)}, std::nullopt};
}

using Records = std::vector<UndoRecord>;

// The reason that the only user key is left for.
std::string DoubtOf(const UndoPlan& plan) {
  EXPECT_EQ(plan.left.size(), 1U);
  EXPECT_TRUE(plan.records.empty());
  return plan.left.empty() ? "" : std::string(ToString(plan.left.front().doubt));
}

// --- what a raw key held at the fork ---

TEST(UndoTest, AStringGoesBackToItsValueAtTheFork) {
  History history(100);
  history.Put(1, Key("a"), Text("old")).Fork().Put(1, Key("a"), Text("new"));
  const UndoPlan plan = Plan(history);
  EXPECT_EQ(plan.records, Records{PutBack(1, Key("a"), Text("old"))});
  EXPECT_TRUE(plan.Whole());
}

TEST(UndoTest, OfSeveralValuesTheLastBeforeTheForkCounts) {
  History history(100);
  history.Put(1, Key("a"), Text("1"))
      .Write([](BatchText& batch) { batch.Put(1, Key("a"), Text("2")).Put(1, Key("a"), Text("3")); })
      .Fork()
      .Put(1, Key("a"), Text("4"))
      .Put(1, Key("a"), Text("5"));
  EXPECT_EQ(Plan(history).records, Records{PutBack(1, Key("a"), Text("3"))});
}

TEST(UndoTest, AKeyThatWasDeletedBeforeTheForkIsDeletedAgain) {
  History history(100);
  history.Put(1, Key("a"), Text("1")).Delete(1, Key("a")).Fork().Put(1, Key("a"), Text("2"));
  EXPECT_EQ(Plan(history).records, Records{DeleteAgain(1, Key("a"))});
}

TEST(UndoTest, ASingleDeleteIsADelete) {
  History history(100);
  history.Write([](BatchText& batch) { batch.Raw("\x08\x01" + std::string(1, '\x03') + Key("a"), 1); })
      .Fork()
      .Put(1, Key("a"), Text("2"));
  EXPECT_EQ(Plan(history).records, Records{DeleteAgain(1, Key("a"))});
}

TEST(UndoTest, ADeleteRangeBeforeTheForkDeletesWhatItCovers) {
  History history(100);
  history.Put(1, Key("b"), Text("1"))
      .Write([](BatchText& batch) { batch.DeleteRange(1, Key("b"), Key("c")); })
      .Fork()
      .Put(1, Key("b"), Text("2"));
  EXPECT_EQ(Plan(history).records, Records{DeleteAgain(1, Key("b"))});
}

TEST(UndoTest, ADeleteRangeDoesNotReachItsEndNorAnotherFamily) {
  History history(100);
  history.Put(1, Key("b"), Text("1"))
      .Write([](BatchText& batch) {
        batch.DeleteRange(1, Key("a"), Key("b")).DeleteRange(0, Key("a"), Key("c"));
      })
      .Fork()
      .Put(1, Key("b"), Text("2"));
  EXPECT_EQ(Plan(history).records, Records{PutBack(1, Key("b"), Text("1"))});
}

TEST(UndoTest, AValueBehindADeleteRangeIsNotDeleted) {
  History history(100);
  history.Write([](BatchText& batch) { batch.DeleteRange(1, Key("a"), Key("z")); })
      .Put(1, Key("b"), Text("1"))
      .Fork()
      .Put(1, Key("b"), Text("2"));
  EXPECT_EQ(Plan(history).records, Records{PutBack(1, Key("b"), Text("1"))});
}

TEST(UndoTest, AMergeTellsNoValue) {
  History history(100);
  history.Put(1, Key("a"), Text("1"))
      .Write([](BatchText& batch) { batch.Raw("\x06\x01\x03" + Key("a") + "\x01x", 1); })
      .Fork()
      .Put(1, Key("a"), Text("2"));
  EXPECT_EQ(DoubtOf(Plan(history)), "not_invertible");
}

TEST(UndoTest, WhatTheWholeHistoryNeverWroteWasNotThere) {
  History history(1);
  history.Put(1, Key("b"), Text("1")).Fork().Put(1, Key("a"), Text("2"));
  const UndoPlan plan = Plan(history);
  EXPECT_EQ(plan.records, Records{DeleteAgain(1, Key("a"))});
  EXPECT_EQ(plan.scan.end, UndoScanEnd::kComplete);
}

TEST(UndoTest, WhatAPurgedWalDoesNotTellIsUnknown) {
  History history(2);
  history.Put(1, Key("b"), Text("1")).Fork().Put(1, Key("a"), Text("2"));
  const UndoPlan plan = Plan(history);
  EXPECT_EQ(DoubtOf(plan), "not_found");
  EXPECT_EQ(plan.scan.end, UndoScanEnd::kPurged);
}

TEST(UndoTest, HistoriesThatShareNothingBeginWithNothing) {
  History history(1);
  history.Fork().Put(1, Key("a"), Text("1"));
  EXPECT_EQ(Plan(history).records, Records{DeleteAgain(1, Key("a"))});
}

TEST(UndoTest, AnEmptyTailNeedsNoUndo) {
  History history(50);
  history.Put(1, Key("a"), Text("1")).Fork();
  const UndoPlan plan = Plan(history);
  EXPECT_TRUE(plan.records.empty());
  EXPECT_TRUE(plan.Whole());
}

TEST(UndoTest, AForkInsideABatchIsTakenByItsRecords) {
  History history(100);
  history.Put(1, Key("a"), Text("1")).Write([](BatchText& batch) {
    batch.Put(1, Key("a"), Text("2")).Put(1, Key("a"), Text("3")).Put(1, Key("a"), Text("4"));
  });
  ListSource source(history.Batches());
  const auto plan = PlanUndo(source, Sequence(101), Sequence(102), {});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->records, Records{PutBack(1, Key("a"), Text("2"))});
  EXPECT_EQ(plan->tail_records, 1U);
}

TEST(UndoTest, InClusterModeTheSlotBelongsToTheKey) {
  const std::string metadata = "\x01n\x12\x34h"s;
  const std::string field = "\x01n\x12\x34\x00\x00\x00\x01h"s + BigEndian(7) + "f";
  History history(100);
  history.Put(0, field, "old").Put(1, metadata, Meta(kHash, 7, 1)).Fork().Write([&](BatchText& batch) {
    batch.Put(0, field, "new").Put(1, metadata, Meta(kHash, 7, 2));
  });
  const UndoPlan plan = Plan(history, {.slot_encoded = true});
  EXPECT_EQ(plan.records, (Records{PutBack(1, metadata, Meta(kHash, 7, 1)), PutBack(0, field, "old")}));
  EXPECT_EQ(plan.undone, (std::vector<UserKeyName>{{"n", "h"}}));
}

// --- keys with subkeys ---

TEST(UndoTest, AFieldGoesBackWithoutItsMetadata) {
  History history(100);
  history.Put(0, Sub("h", 7, "f"), "old").Fork().Put(0, Sub("h", 7, "f"), "new");
  EXPECT_EQ(Plan(history).records, Records{PutBack(0, Sub("h", 7, "f"), "old")});
}

TEST(UndoTest, MetadataComesBackFirst) {
  History history(1);
  history.AddField("h", 7, "f", "1", 1).Fork().Write([](BatchText& batch) {
    batch.Delete(0, Sub("h", 7, "f")).Put(0, Sub("h", 7, "g"), "2").Put(1, Key("h"), Meta(kHash, 7, 1));
  });
  EXPECT_EQ(Plan(history).records,
            (Records{PutBack(1, Key("h"), Meta(kHash, 7, 1)), PutBack(0, Sub("h", 7, "f"), "1"),
                     DeleteAgain(0, Sub("h", 7, "g"))}));
}

// 1. The fork's size of a hash is put back. 2. A field of the tail stays. 3. The size lies.
TEST(UndoTest, OneUnknownFieldKeepsAllOfItsHashBack) {
  History history(100);
  history.AddField("h", 7, "f", "1", 5).Fork().AddField("h", 7, "g", "2", 6);
  const UndoPlan plan = Plan(history);
  EXPECT_TRUE(plan.records.empty());
  ASSERT_EQ(plan.left.size(), 1U);
  const UndoLeft& left = plan.left[0];
  EXPECT_EQ(left.name, (UserKeyName{"n", "h"}));
  EXPECT_EQ(left.types, std::vector<std::string>{"hash"});
  EXPECT_EQ(left.records, 2U);
  EXPECT_EQ(left.metadata, (RawKey{1, Key("h")}));
  EXPECT_EQ(left.unknown, (std::vector<UndoUnknown>{{{0, Sub("h", 7, "g")}, UndoDoubt::kNotFound, true}}));
  EXPECT_EQ(left.withheld, Records{PutBack(1, Key("h"), Meta(kHash, 7, 5))});
  EXPECT_EQ(left.written, (std::vector<RawKey>{{0, Sub("h", 7, "g")}, {1, Key("h")}}));
}

TEST(UndoTest, AFieldOfAVersionThatTheWalSawBeingMadeWasNotThere) {
  History history(100);
  history.Delete(1, Key("h")).AddField("h", 7, "f", "1", 1).Fork().AddField("h", 7, "g", "2", 2);
  EXPECT_EQ(Plan(history).records,
            (Records{PutBack(1, Key("h"), Meta(kHash, 7, 1)), DeleteAgain(0, Sub("h", 7, "g"))}));
}

TEST(UndoTest, AnotherVersionBeforeItShowsThatAVersionIsNew) {
  History history(100);
  history.Put(1, Key("h"), Meta(kHash, 6, 3, 1000))
      .AddField("h", 7, "f", "1", 1)
      .Fork()
      .Put(0, Sub("h", 7, "g"), "2");
  EXPECT_EQ(Plan(history).records, Records{DeleteAgain(0, Sub("h", 7, "g"))});
}

TEST(UndoTest, AFlushBeforeItShowsThatAVersionIsNew) {
  History history(100);
  history.Write([](BatchText& batch) { batch.DeleteRange(1, Key(""), Key("\xff")); })
      .AddField("h", 7, "f", "1", 1)
      .AddField("h", 7, "e", "1", 2)
      .Fork()
      .Put(0, Sub("h", 7, "g"), "2");
  EXPECT_EQ(Plan(history).records, Records{DeleteAgain(0, Sub("h", 7, "g"))});
}

TEST(UndoTest, AVersionThatIsThereWhenTheWalBeginsMayBeOld) {
  History history(100);
  history.AddField("h", 7, "f", "1", 1).Fork().Put(0, Sub("h", 7, "g"), "2");
  EXPECT_EQ(DoubtOf(Plan(history)), "not_found");
}

// RENAME there and back: 1. h of version 7 has the field g. 2. RENAME h i, HDEL i g, RENAME i h, and the WAL
// begins somewhere in between. 3. n's h of version 7 has not had its first record here.
TEST(UndoTest, AVersionThatCameByRenameMayBeOld) {
  History history(100);
  history.Delete(1, Key("h"))
      .Write([](BatchText& batch) {
        batch.Delete(1, Key("i")).Put(1, Key("h"), Meta(kHash, 7, 1)).Put(0, Sub("h", 7, "f"), "1");
      })
      .Fork()
      .Put(0, Sub("h", 7, "g"), "2");
  EXPECT_EQ(DoubtOf(Plan(history)), "not_found");
}

TEST(UndoTest, ASubkeyBeforeTheDeleteDoesNotMakeAVersionNew) {
  History history(100);
  history
      .Write([](BatchText& batch) {
        batch.Put(0, Sub("h", 7, "f"), "1").Delete(1, Key("h")).Put(1, Key("h"), Meta(kHash, 7, 1));
      })
      .Fork()
      .Put(0, Sub("h", 7, "g"), "2");
  EXPECT_EQ(DoubtOf(Plan(history)), "not_found");
}

TEST(UndoTest, AMakingIsSeenThoughItsRecordsAreFarApart) {
  const std::string much(300, 'x');
  History history(100);
  history.Delete(1, Key("h"));
  for (int i = 0; i < 50; ++i) history.Put(1, Key("other"), Text(much));
  history.AddField("h", 7, "f", "1", 1);
  for (int i = 0; i < 50; ++i) history.Put(1, Key("other"), Text(much));
  history.Fork().Put(0, Sub("h", 7, "g"), "2");
  const UndoPlan plan = Plan(history, {.first_window_bytes = 1});
  EXPECT_EQ(plan.records, Records{DeleteAgain(0, Sub("h", 7, "g"))});
  EXPECT_EQ(plan.scan.from, Sequence(100));
}

// As a counter of a leaderboard goes: the score's record is new each time.
TEST(UndoTest, AScoreFollowsFromItsMember) {
  const std::string one = BigEndian(1);
  const std::string two = BigEndian(2);
  History history(100);
  history.Put(0, Sub("z", 7, "m"), one).Fork().Write([&](BatchText& batch) {
    batch.Delete(2, Sub("z", 7, one + "m")).Put(0, Sub("z", 7, "m"), two).Put(2, Sub("z", 7, two + "m"), "");
  });
  EXPECT_EQ(Plan(history).records,
            (Records{PutBack(0, Sub("z", 7, "m"), one), PutBack(2, Sub("z", 7, one + "m"), ""),
                     DeleteAgain(2, Sub("z", 7, two + "m"))}));
}

TEST(UndoTest, AMemberThatIsNoScoreTellsNothing) {
  History history(100);
  history.Put(0, Sub("z", 7, "m"), "short").Fork().Write([&](BatchText& batch) {
    batch.Put(0, Sub("z", 7, "m"), BigEndian(2)).Put(2, Sub("z", 7, BigEndian(2) + "m"), "");
  });
  EXPECT_EQ(DoubtOf(Plan(history)), "not_found");
}

TEST(UndoTest, AnElementOutsideOfAListsBoundsWasNotThere) {
  const auto meta = [](std::uint64_t head, std::uint64_t tail) {
    return Meta(kListType, 7, tail - head, 0, BigEndian(head) + BigEndian(tail));
  };
  History history(100);
  history.Put(1, Key("l"), meta(50, 60)).Fork().Write([&](BatchText& batch) {
    batch.Put(0, Sub("l", 7, BigEndian(60)), "x").Put(1, Key("l"), meta(50, 61));
  });
  EXPECT_EQ(Plan(history).records,
            (Records{PutBack(1, Key("l"), meta(50, 60)), DeleteAgain(0, Sub("l", 7, BigEndian(60)))}));
  history.Put(0, Sub("l", 7, BigEndian(59)), "y");
  EXPECT_EQ(DoubtOf(Plan(history)), "not_found");
}

TEST(UndoTest, AStreamsEntryBehindItsLastIdWasNotThere) {
  const auto meta = [](std::uint64_t size, std::uint64_t last_ms) {
    return Meta(kStreamType, 7, size, 0, BigEndian(last_ms) + BigEndian(5) + std::string(80, 'x'));
  };
  const std::string entry = BigEndian(9) + BigEndian(6);
  History history(100);
  history.Put(1, Key("t"), meta(1, 9)).Fork().Write([&](BatchText& batch) {
    batch.Put(5, Sub("t", 7, entry), "x").Put(1, Key("t"), meta(2, 9));
  });
  EXPECT_EQ(Plan(history).records,
            (Records{PutBack(1, Key("t"), meta(1, 9)), DeleteAgain(5, Sub("t", 7, entry))}));
  history.Delete(5, Sub("t", 7, BigEndian(9) + BigEndian(5)));
  EXPECT_EQ(DoubtOf(Plan(history)), "not_found");
}

TEST(UndoTest, AStreamsGroupIsNoEntryBehindItsLastId) {
  const std::string group = std::string(8, '\xff') + "12345678";
  History history(100);
  history.Put(1, Key("t"), Meta(kStreamType, 7, 1, 0, std::string(96, '\0')))
      .Fork()
      .Write([&](BatchText& batch) {
        batch.Put(5, Sub("t", 7, group), "x")
            .Put(1, Key("t"), Meta(kStreamType, 7, 2, 0, std::string(96, '\0')));
      });
  EXPECT_EQ(DoubtOf(Plan(history)), "not_found");
}

TEST(UndoTest, SubkeysOfAKeyThatWasNotThereAreDeleted) {
  History history(100);
  history.Delete(1, Key("h")).Fork().AddField("h", 7, "f", "1", 1).Delete(1, Key("h"));
  EXPECT_EQ(Plan(history).records, (Records{DeleteAgain(1, Key("h")), DeleteAgain(0, Sub("h", 7, "f"))}));
}

TEST(UndoTest, SubkeysOfAKeyThatWasAStringAreDeleted) {
  History history(100);
  history.Put(1, Key("h"), Text("1")).Fork().Delete(1, Key("h")).AddField("h", 7, "f", "1", 1);
  EXPECT_EQ(Plan(history).records,
            (Records{PutBack(1, Key("h"), Text("1")), DeleteAgain(0, Sub("h", 7, "f"))}));
}

TEST(UndoTest, AHashThatHadNoFieldWasNotThere) {
  History history(100);
  history.Put(1, Key("h"), Meta(kHash, 6, 0)).Fork().AddField("h", 7, "f", "1", 1);
  EXPECT_EQ(Plan(history).records,
            (Records{PutBack(1, Key("h"), Meta(kHash, 6, 0)), DeleteAgain(0, Sub("h", 7, "f"))}));
}

// --- the guard ---

class UndoGuardTest : public ::testing::Test {
 protected:
  // With all that could be undone, as the plan without the guard shows.
  static void ExpectGuarded(const History& history, std::string_view doubt) {
    const UndoPlan plan = Plan(history);
    EXPECT_EQ(DoubtOf(plan), doubt);
    ASSERT_EQ(plan.left.size(), 1U);
    EXPECT_TRUE(plan.left[0].unknown.empty());
    EXPECT_TRUE(plan.left[0].withheld.empty());
    ListSource source(history.Batches());
    const auto without = internal::PlanUndoWithoutGuard(source, history.ForkSequence(), history.Last(), {});
    ASSERT_TRUE(without);
    EXPECT_TRUE(without->Whole());
  }
};

TEST_F(UndoGuardTest, AHashThatTheTailDeletesIsLeft) {
  History history(100);
  history.AddField("h", 7, "f", "1", 1).Fork().Delete(1, Key("h"));
  ExpectGuarded(history, "deleted");
}

TEST_F(UndoGuardTest, AHashThatTheTailGivesANewVersionIsLeft) {
  History history(100);
  history.AddField("h", 7, "f", "1", 1).Fork().AddField("h", 8, "g", "1", 1);
  ExpectGuarded(history, "new_version");
}

TEST_F(UndoGuardTest, AHashThatTheTailMakesAStringIsLeft) {
  History history(100);
  history.AddField("h", 7, "f", "1", 1).Fork().Put(1, Key("h"), Text("1"));
  ExpectGuarded(history, "new_version");
}

TEST_F(UndoGuardTest, AHashThatHasItsVersionAgainAtTheEndIsLeft) {
  History history(100);
  history.AddField("h", 7, "f", "1", 1)
      .Fork()
      .Put(1, Key("h"), Meta(kHash, 7, 1))
      .Put(1, Key("h"), Meta(kHash, 8, 1));
  history.Put(1, Key("h"), Meta(kHash, 7, 1));
  ExpectGuarded(history, "new_version");
}

TEST_F(UndoGuardTest, AHashWithAnExpiryAtTheForkIsLeft) {
  History history(100);
  history.Put(1, Key("h"), Meta(kHash, 7, 1, 5000)).Fork().Put(1, Key("h"), Meta(kHash, 7, 1));
  ExpectGuarded(history, "expiry");
}

TEST_F(UndoGuardTest, AHashWithAnExpiryInTheTailIsLeft) {
  History history(100);
  history.Put(1, Key("h"), Meta(kHash, 7, 1))
      .Fork()
      .Put(1, Key("h"), Meta(kHash, 7, 1, 5000))
      .Put(1, Key("h"), Meta(kHash, 7, 1));
  ExpectGuarded(history, "expiry");
}

TEST_F(UndoGuardTest, AHashThatTheTailEmptiesIsLeft) {
  History history(100);
  history.AddField("h", 7, "f", "1", 1).Fork().Write([](BatchText& batch) {
    batch.Delete(0, Sub("h", 7, "f")).Put(1, Key("h"), Meta(kHash, 7, 0));
  });
  ExpectGuarded(history, "emptied");
}

TEST_F(UndoGuardTest, AStreamWithoutEntriesIsStillThere) {
  const std::string own(96, '\0');
  History history(100);
  history.Put(1, Key("t"), Meta(kStreamType, 7, 1, 0, own))
      .Fork()
      .Put(1, Key("t"), Meta(kStreamType, 7, 0, 0, own));
  EXPECT_TRUE(Plan(history).Whole());
}

TEST_F(UndoGuardTest, AKeyOfATypeThatNobodyKnowsIsLeft) {
  History history(100);
  history.Put(1, Key("k"), Meta(13, 7, 1)).Fork().Put(1, Key("k"), Meta(13, 7, 2));
  EXPECT_EQ(DoubtOf(Plan(history)), "unknown_type");
}

TEST_F(UndoGuardTest, AStringMayBeDeletedChangedAndExpire) {
  History history(100);
  history.Put(1, Key("a"), Text("1", 5000)).Fork().Put(1, Key("a"), Text("2", 6000)).Delete(1, Key("a"));
  EXPECT_EQ(Plan(history).records, Records{PutBack(1, Key("a"), Text("1", 5000))});
}

TEST_F(UndoGuardTest, JsonIsASingleRecordToo) {
  History history(100);
  const std::string json = MetadataValue(10, "\x01{}");
  history.Put(1, Key("j"), json).Fork().Delete(1, Key("j"));
  EXPECT_EQ(Plan(history).records, Records{PutBack(1, Key("j"), json)});
}

TEST_F(UndoGuardTest, AFieldThatChangesInAHashWithAnUnknownExpiryIsUndone) {
  History history(100);
  history.Put(0, Sub("h", 7, "f"), "1").Fork().Put(0, Sub("h", 7, "f"), "2");
  EXPECT_TRUE(Plan(history).Whole());
}

// --- what the tail may hold besides ---

TEST(UndoTest, ADeletedRangeInTheTailAllowsNoPlan) {
  History history(1);
  history.Put(1, Key("a"), Text("1")).Fork().Put(1, Key("a"), Text("2")).Write([](BatchText& batch) {
    batch.DeleteRange(1, Key(""), Key("\xff"));
  });
  const UndoPlan plan = Plan(history);
  EXPECT_EQ(ToString(plan.refusal), "range_delete");
  EXPECT_EQ(plan.range_deletes, 1U);
  EXPECT_FALSE(plan.Whole());
  EXPECT_TRUE(plan.records.empty());
}

TEST(UndoTest, PubsubAndTheReplicationIdNeedNoUndo) {
  History history(100);
  history.Put(1, Key("a"), Text("1")).Fork().Put(3, "channel", "message");
  history.Append(MakePadBatches(Sequence(102), Sequence(105), "decision", ""));
  history.Put(4, "replication_id_", "0123456789ABCDEF");
  const UndoPlan plan = Plan(history);
  EXPECT_TRUE(plan.Whole());
  EXPECT_EQ(plan.needless, 5U);
  EXPECT_EQ(plan.tail_records, 5U);
}

TEST(UndoTest, RecordsOfNoUserKeyAreLeft) {
  History history(100);
  history.Put(1, Key("a"), Text("1")).Fork().Put(4, "lua_f_1", "code").Put(6, "index", "x").Put(7, "x", "x");
  history.Put(1, "", "").Write([](BatchText& batch) { batch.DeleteRange(4, "a", "b"); });
  const UndoPlan plan = Plan(history);
  ASSERT_EQ(plan.left.size(), 3U);
  EXPECT_EQ(plan.left[0].internal, "propagate");
  EXPECT_EQ(plan.left[0].records, 2U);
  EXPECT_EQ(plan.left[1].internal, "search");
  EXPECT_EQ(plan.left[2].internal, "unknown");
  EXPECT_EQ(plan.left[2].records, 2U);
  EXPECT_EQ(plan.refusal, UndoRefusal::kNone);
}

// --- bounds and bad bytes ---

TEST(UndoTest, MoreKeysThanTheLimitAllowNoPlan) {
  History history(1);
  history.Fork().Put(1, Key("a"), Text("1")).Put(1, Key("b"), Text("1")).Put(1, Key("b"), Text("2"));
  EXPECT_EQ(ToString(Plan(history, {.max_keys = 1}).refusal), "too_many_keys");
  EXPECT_TRUE(Plan(history, {.max_keys = 2}).Whole());
}

TEST(UndoTest, KeysThatAreTooLongAllowNoPlan) {
  History history(1);
  history.Fork().Put(1, Key(std::string(1000, 'a')), Text("1"));
  EXPECT_EQ(ToString(Plan(history, {.max_held_bytes = 500}).refusal), "too_many_bytes");
}

TEST(UndoTest, AValueThatDoesNotFitLeavesItsKey) {
  History history(1);
  history.Put(1, Key("a"), Text(std::string(1000, 'x'))).Put(1, Key("b"), Text("1")).Fork();
  history.Put(1, Key("a"), Text("2")).Put(1, Key("b"), Text("2"));
  const UndoPlan plan = Plan(history, {.max_held_bytes = 500});
  EXPECT_EQ(plan.records, Records{PutBack(1, Key("b"), Text("1"))});
  ASSERT_EQ(plan.left.size(), 1U);
  EXPECT_EQ(ToString(plan.left[0].doubt), "too_large");
}

TEST(UndoTest, AHugeValueLeavesItsKeyAndNoOther) {
  History history(1);
  history.Put(1, Key("b"), Text("1")).Put(1, Key("a"), std::string(kMaxUndoValueBytes + 1, 'x')).Fork();
  history.Put(1, Key("a"), Text("2")).Put(1, Key("b"), Text("2"));
  const UndoPlan plan = Plan(history);
  EXPECT_EQ(plan.records, Records{PutBack(1, Key("b"), Text("1"))});
  ASSERT_EQ(plan.left.size(), 1U);
  EXPECT_EQ(ToString(plan.left[0].doubt), "too_large");
}

// Twenty values of 5 MiB, all in one window: only a part of it fits into memory at a time.
TEST(UndoTest, AWindowThatDoesNotFitIsReadInSmallerOnes) {
  const std::string value = Text(std::string(5U << 20, 'x'));
  History history(1);
  history.Put(1, Key("b"), Text("1"));
  for (int i = 0; i < 20; ++i) history.Put(1, Key("a"), value);
  history.Fork().Put(1, Key("a"), Text("2")).Put(1, Key("b"), Text("2"));
  const UndoPlan plan = Plan(history);
  EXPECT_EQ(plan.records, (Records{PutBack(1, Key("a"), value), PutBack(1, Key("b"), Text("1"))}));
}

TEST(UndoTest, ABatchThatDoesNotFitEndsTheScan) {
  const std::string value = Text(std::string(15U << 20, 'x'));
  History history(1);
  history.Put(1, Key("b"), Text("1")).Write([&](BatchText& batch) {
    for (int i = 0; i < 5; ++i) batch.Put(1, Key("a"), value);
  });
  history.Fork().Put(1, Key("a"), Text("2")).Put(1, Key("b"), Text("2"));
  const UndoPlan plan = Plan(history);
  EXPECT_EQ(plan.left.size(), 2U);
  EXPECT_EQ(ToString(plan.scan.end), "unreadable");
  EXPECT_NE(plan.scan.note.find("too much of the batch"), std::string::npos) << plan.scan.note;
}

TEST(UndoTest, TheScanEndsAtItsLimit) {
  History history(1);
  history.Put(1, Key("a"), Text("1"));
  for (int i = 0; i < 100; ++i) history.Put(1, Key("b"), Text(std::string(100, 'x')));
  history.Fork().Put(1, Key("a"), Text("2"));
  const UndoPlan plan = Plan(history, {.max_scan_bytes = 5000, .first_window_bytes = 200});
  EXPECT_EQ(DoubtOf(plan), "not_found");
  EXPECT_EQ(ToString(plan.scan.end), "limit");
  EXPECT_LT(plan.scan.bytes, 5200U);
  EXPECT_GT(plan.scan.from, Sequence(40));
}

TEST(UndoTest, TheScanEndsWhenNothingIsOpen) {
  History history(1);
  for (int i = 0; i < 100; ++i) history.Put(1, Key("b"), Text("1"));
  history.Put(1, Key("a"), Text("1")).Fork().Put(1, Key("a"), Text("2"));
  const UndoPlan plan = Plan(history, {.first_window_bytes = 1});
  EXPECT_EQ(ToString(plan.scan.end), "settled");
  EXPECT_EQ(plan.scan.from, Sequence(101));
}

TEST(UndoTest, DamageBeforeTheForkOnlyEndsTheScan) {
  History history(1);
  history.Put(1, Key("b"), Text("1")).Write([](BatchText& batch) { batch.Raw("\x14", 1); });
  for (int i = 0; i < 10; ++i) history.Put(1, Key("c"), Text("1"));
  history.Put(1, Key("a"), Text("1")).Fork().Put(1, Key("a"), Text("2")).Put(1, Key("b"), Text("2"));
  const UndoPlan plan = Plan(history);
  EXPECT_EQ(plan.records, Records{PutBack(1, Key("a"), Text("1"))});
  EXPECT_EQ(ToString(plan.scan.end), "unreadable");
  EXPECT_EQ(plan.scan.from, Sequence(3));
  EXPECT_NE(plan.scan.note.find("unknown tag 20"), std::string::npos) << plan.scan.note;
}

TEST(UndoTest, AHoleBeforeTheForkIsNotSkipped) {
  History history(1);
  history.Put(1, Key("a"), Text("1"));
  History later(3);
  later.Put(1, Key("b"), Text("1")).Fork().Put(1, Key("a"), Text("2"));
  std::vector<std::string> batches = history.Batches();
  batches.insert(batches.end(), later.Batches().begin(), later.Batches().end());
  ListSource source(batches);
  const auto plan = PlanUndo(source, Sequence(3), Sequence(4), {});
  ASSERT_TRUE(plan);
  EXPECT_EQ(DoubtOf(*plan), "not_found");
  EXPECT_EQ(plan->scan.from, Sequence(3));
}

TEST(UndoTest, DamageInTheTailIsAnError) {
  History history(1);
  history.Put(1, Key("a"), Text("1")).Fork().Write([](BatchText& batch) { batch.Raw("\x14", 1); });
  const auto plan = TryPlan(history);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().Code(), ErrorCode::kDamaged);
}

TEST(UndoTest, ATailThatTheWalDoesNotHoldIsAnError) {
  History history(10);
  history.Put(1, Key("a"), Text("1"));
  ListSource source(history.Batches());
  EXPECT_EQ(PlanUndo(source, Sequence(10), Sequence(11), {}).error().Code(), ErrorCode::kNotFound);
  EXPECT_EQ(PlanUndo(source, Sequence(8), Sequence(10), {}).error().Code(), ErrorCode::kNotFound);
  EXPECT_EQ(PlanUndo(source, Sequence(11), Sequence(10), {}).error().Code(), ErrorCode::kInvalid);
}

TEST(UndoTest, APlanOfATailThatWasUndoneAlreadyComesToTheSame) {
  History history(1);
  history.AddField("h", 7, "f", "1", 1).Put(1, Key("a"), Text("1")).Fork();
  history.AddField("h", 7, "g", "2", 2).Put(1, Key("a"), Text("2")).Put(1, Key("b"), Text("2"));
  const UndoPlan plan = Plan(history);
  history.Append(MakeUndoBatches(plan.records, history.Last() + 1, "decision"));
  EXPECT_EQ(Plan(history).records, plan.records);
}

// --- what the survivor says ---

UndoPlan PlanOfAGrownHash() {
  History history(100);
  history.AddField("h", 7, "f", "1", 5).Fork().AddField("h", 7, "g", "2", 6);
  return Plan(history);
}

TEST(UndoSettleTest, AFieldThatTheSurvivorWroteNeedsNoUndo) {
  const UndoPlan plan = Settle(PlanOfAGrownHash(), {{{{0, Sub("h", 7, "g")}}, {}}, {}});
  EXPECT_TRUE(plan.Whole());
  EXPECT_EQ(plan.records, Records{PutBack(1, Key("h"), Meta(kHash, 7, 5))});
  EXPECT_EQ(plan.undone, (std::vector<UserKeyName>{{"n", "h"}}));
}

TEST(UndoSettleTest, AKeyThatTheSurvivorLacksIsDeleted) {
  const UndoPlan plan = Settle(PlanOfAGrownHash(), {{}, {{"n", "h"}}});
  EXPECT_TRUE(plan.Whole());
  EXPECT_EQ(plan.records, (Records{DeleteAgain(1, Key("h")), DeleteAgain(0, Sub("h", 7, "g"))}));
}

TEST(UndoSettleTest, AKeyThatTheSurvivorRenewedIsDeleted) {
  const UndoPlan plan = Settle(PlanOfAGrownHash(), {{{{1, Key("h")}}, {{1, Key("h")}}}, {}});
  EXPECT_TRUE(plan.Whole());
  EXPECT_EQ(plan.records.size(), 2U);
}

TEST(UndoSettleTest, WhatIsGuardedIsSettledByLackingOnly) {
  History history(100);
  history.AddField("h", 7, "f", "1", 1).Fork().Delete(1, Key("h"));
  const UndoPlan plan = Plan(history);
  EXPECT_FALSE(Settle(plan, {{{{1, Key("h")}}, {}}, {}}).Whole());
  EXPECT_EQ(Settle(plan, {{}, {{"n", "h"}}}).records, Records{DeleteAgain(1, Key("h"))});
}

// 1. h was a hash of version 7 at the fork; the WAL does not tell. 2. The tail makes h a string: compaction
// on the rejoiner drops the fields. 3. The survivor adds a field: the replay brings the metadata of
// version 7.
TEST(UndoSettleTest, UnknownMetadataIsNotSettledByAWrite) {
  History history(100);
  history.Put(1, Key("b"), Text("1")).Fork().Put(1, Key("h"), Text("1"));
  const UndoPlan plan = Settle(Plan(history), {{{{1, Key("h")}}, {}}, {}});
  EXPECT_EQ(DoubtOf(plan), "not_found");
  EXPECT_FALSE(plan.left.at(0).unknown.at(0).settled_by_write);
}

TEST(UndoSettleTest, AnotherKeysAnswerSettlesNothing) {
  const UndoPlan plan = PlanOfAGrownHash();
  EXPECT_FALSE(
      Settle(plan, {{{{2, Sub("h", 7, "g")}, {1, Key("h")}}, {}}, {{"m", "h"}, {"n", "i"}}}).Whole());
}

TEST(UndoSettleTest, RecordsOfNoUserKeyStayLeft) {
  History history(1);
  history.Fork().Put(4, "lua_f_1", "code");
  EXPECT_FALSE(Settle(Plan(history), {{{{4, "lua_f_1"}}, {}}, {{"", ""}}}).Whole());
}

TEST(UndoSettleTest, TheQuestionsAreTheUnknownKeysAndTheMetadata) {
  EXPECT_EQ(KeysToAsk(PlanOfAGrownHash()), (std::vector<RawKey>{{0, Sub("h", 7, "g")}, {1, Key("h")}}));
}

TEST(FindWritesTest, PutsDeletesAndRangesAreWrites) {
  ListSource source(
      {BatchText(5).Put(0, "a", "").Delete(0, "b").DeleteRange(0, "c", "e").Put(2, "x", "").Bytes()});
  const auto writes = FindWrites(source, {Sequence(5), Sequence(9)},
                                 {{0, "x"}, {0, "e"}, {0, "d"}, {0, "c"}, {0, "b"}, {0, "a"}, {0, "a"}});
  ASSERT_TRUE(writes);
  EXPECT_EQ(writes->wrote, (std::set<RawKey>{{0, "a"}, {0, "b"}, {0, "c"}, {0, "d"}}));
  EXPECT_TRUE(writes->renewed.empty());
}

TEST(FindWritesTest, OnlyTheRangeCounts) {
  ListSource source({BatchText(5).Put(0, "a", "").Put(0, "b", "").Put(0, "c", "").Bytes()});
  const auto writes = FindWrites(source, {Sequence(6), Sequence(7)}, {{0, "a"}, {0, "b"}, {0, "c"}});
  EXPECT_EQ(writes->wrote, (std::set<RawKey>{{0, "b"}}));
}

TEST(FindWritesTest, MetadataThatIsDeletedOrASingleRecordIsRenewed) {
  ListSource source({BatchText(5)
                         .Put(1, Key("string"), Text("1"))
                         .Put(1, Key("json"), MetadataValue(10, "\x01{}"))
                         .Put(1, Key("hash"), Meta(kHash, 7, 1))
                         .Delete(1, Key("deleted"))
                         .Put(1, Key("deleted"), Meta(kHash, 8, 1))
                         .Put(1, Key("flushed"), Meta(kHash, 8, 1))
                         .DeleteRange(1, Key("f"), Key("g"))
                         .Delete(0, Key("field"))
                         .Bytes()});
  const auto writes = FindWrites(source, {Sequence(5), Sequence(13)},
                                 {{1, Key("string")},
                                  {1, Key("json")},
                                  {1, Key("hash")},
                                  {1, Key("deleted")},
                                  {1, Key("flushed")},
                                  {0, Key("field")}});
  ASSERT_TRUE(writes);
  EXPECT_EQ(writes->wrote.size(), 6U);
  EXPECT_EQ(
      writes->renewed,
      (std::set<RawKey>{{1, Key("string")}, {1, Key("json")}, {1, Key("deleted")}, {1, Key("flushed")}}));
}

TEST(FindWritesTest, ABatchThatDoesNotDecodeIsDamage) {
  ListSource source({BatchText(5).Raw("\x14", 1).Bytes()});
  EXPECT_EQ(FindWrites(source, {Sequence(5), Sequence(6)}, {}).error().Code(), ErrorCode::kDamaged);
}

// --- digest and batches ---

TEST(UndoDigestTest, TheSamePlanHasTheSameDigest) {
  EXPECT_EQ(DigestOf(PlanOfAGrownHash()), DigestOf(PlanOfAGrownHash()));
}

TEST(UndoDigestTest, WhatThePlanDoesOrLeavesIsInTheDigest) {
  const UndoPlan plan = PlanOfAGrownHash();
  const UndoPlan settled = Settle(plan, {{}, {{"n", "h"}}});
  EXPECT_NE(DigestOf(plan), DigestOf(settled));
  UndoPlan other = settled;
  other.records[0].value = "";
  EXPECT_NE(DigestOf(other), DigestOf(settled));
  other = settled;
  other.tail.to = other.tail.to + 1;
  EXPECT_NE(DigestOf(other), DigestOf(settled));
  other = plan;
  other.left[0].doubt = UndoDoubt::kDeleted;
  EXPECT_NE(DigestOf(other), DigestOf(plan));
}

TEST(UndoDigestTest, HowMuchWasReadIsNotInTheDigest) {
  UndoPlan plan = PlanOfAGrownHash();
  const BatchDigest digest = DigestOf(plan);
  plan.scan.bytes += 1000;
  EXPECT_EQ(DigestOf(plan), digest);
}

const Records kFour = {PutBack(1, "m", "v"), DeleteAgain(1, "n"), PutBack(0, "s", ""), DeleteAgain(0, "t")};

TEST(UndoBatchesTest, RocksDbReadsTheRecordsThatWerePlanned) {
  const std::vector<std::string> batches = MakeUndoBatches(kFour, Sequence(500), "01DECISION");
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_EQ(ParseBatchHeader(batches[0])->first, Sequence(500));
  const std::vector<DatabaseRecord> records = TestDatabase::RecordsOf(batches[0]);
  ASSERT_EQ(records.size(), 5U);
  EXPECT_EQ(ParseMarker(records[0].value), "01DECISION");
  EXPECT_EQ(records[1].operation + records[1].key + records[1].value, "Putmv");
  EXPECT_EQ(records[1].column_family, 1U);
  EXPECT_EQ(records[2].operation + records[2].key, "Deleten");
  EXPECT_EQ(records[3].operation + records[3].key + records[3].value, "Puts");
  EXPECT_EQ(records[3].column_family, 0U);
  EXPECT_EQ(records[4].operation + records[4].key, "Deletet");
}

TEST(UndoBatchesTest, ManyRecordsAreSpreadOverBatchesThatFollowEachOther) {
  const std::vector<std::string> batches = MakeUndoBatches(kFour, Sequence(500), "D", 3);
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(ParseBatchHeader(batches[0])->count, 3U);
  EXPECT_EQ(ParseBatchHeader(batches[1])->first, Sequence(503));
  EXPECT_EQ(ParseBatchHeader(batches[1])->count, 1U);
  EXPECT_EQ(ParseMarker(TestDatabase::RecordsOf(batches[1])[0].value), "D");
}

TEST(UndoBatchesTest, NoBatchIsLongerThanTheLimitButForASingleRecord) {
  const Records records = {PutBack(1, "a", std::string(50, 'x')), PutBack(1, "b", std::string(500, 'x')),
                           PutBack(1, "c", std::string(50, 'x')), PutBack(1, "d", std::string(50, 'x'))};
  const std::vector<std::string> batches = MakeUndoBatches(records, Sequence(1), "D", 100, 160);
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_LE(batches[0].size(), 160U);
  EXPECT_EQ(ParseBatchHeader(batches[1])->count, 1U);
  EXPECT_EQ(ParseBatchHeader(batches[2])->count, 2U);
  EXPECT_LE(batches[2].size(), 160U);
}

TEST(UndoBatchesTest, NoRecordsMakeNoBatch) { EXPECT_TRUE(MakeUndoBatches({}, Sequence(1), "D").empty()); }

// --- with a real database ---

TEST(UndoDatabaseTest, AnUndoneTailLeavesTheDatabaseAsItWas) {
  History history(1);
  const std::string one = BigEndian(1);
  const std::string two = BigEndian(2);
  history.AddField("h", 7, "f", "1", 1).AddField("h", 7, "g", "1", 2).Put(1, Key("a"), Text("1", 5000));
  history.Write([&](BatchText& batch) {
    batch.Put(0, Sub("z", 8, "m"), one)
        .Put(2, Sub("z", 8, one + "m"), "")
        .Put(1, Key("z"), Meta(kZset, 8, 1));
  });
  history.Put(1, Key("gone"), Text("1")).Write([](BatchText& batch) {
    batch.DeleteRange(1, Key("go"), Key("gp"));
  });
  history.Fork();
  history.AddField("h", 7, "x", "2", 3).Put(0, Sub("h", 7, "f"), "2");
  history.Write(
      [](BatchText& batch) { batch.Delete(0, Sub("h", 7, "g")).Put(1, Key("h"), Meta(kHash, 7, 2)); });
  history.Write([&](BatchText& batch) {
    batch.Delete(2, Sub("z", 8, one + "m")).Put(0, Sub("z", 8, "m"), two).Put(2, Sub("z", 8, two + "m"), "");
  });
  history.Delete(1, Key("a")).AddField("gone", 9, "f", "1", 1).Put(1, Key("new"), Text("2"));

  TestDirectory directory;
  TestDatabase database(directory.Path());
  std::set<RawKey> keys;
  std::map<RawKey, std::optional<std::string>> at_the_fork;
  const auto look = [&] {
    std::map<RawKey, std::optional<std::string>> state;
    for (const RawKey& key : keys) state[key] = database.Get(key.column_family, key.key);
    return state;
  };
  for (const std::string& batch : history.Batches()) {
    for (const DatabaseRecord& record : TestDatabase::RecordsOf(batch)) {
      if (record.operation == "Put" || record.operation == "Delete") {
        keys.insert({record.column_family, record.key});
      }
    }
  }
  for (const std::string& batch : history.Batches()) {
    if (ParseBatchHeader(batch)->first == history.ForkSequence() + 1) at_the_fork = look();
    database.Write(batch);
  }
  database.Flush();
  ASSERT_EQ(database.Latest(), history.Last().Value());
  ASSERT_NE(look(), at_the_fork);

  WalDirectory wal(directory.Path().string());
  const auto plan = PlanUndo(wal, history.ForkSequence(), history.Last(), {});
  ASSERT_TRUE(plan) << plan.error().Message();
  EXPECT_TRUE(plan->Whole());
  for (const std::string& batch : MakeUndoBatches(plan->records, history.Last() + 1, "D", 3)) {
    database.Write(batch);
  }
  EXPECT_EQ(look(), at_the_fork);
  EXPECT_EQ(database.Latest(), history.Last().Value() + plan->records.size());
}

}  // namespace
}  // namespace walstitch::wal
