#include "agents/agent/salvage_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "agents/agent/salvage_maker.h"
#include "agents/wal/batch_decoder.h"
#include "tests/unit/agent/scratch_directory.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::agent {
namespace {

namespace fs = std::filesystem;
using wal::BatchText;
using wal::MetadataKey;
using wal::MetadataValue;

const std::string kFirst = "01JD3Z6Q7R8S9T0V1W2X3Y4Z51";
const std::string kSecond = "01JD3Z6Q7R8S9T0V1W2X3Y4Z52";

// Batches in memory, of which some cannot be read any more.
class Wal : public wal::WalSource {
 public:
  explicit Wal(std::vector<std::string> batches) : batches_(std::move(batches)) {}
  Result<WalExtent> Extent() override {
    WalExtent extent;
    extent.oldest = oldest;
    return extent;
  }
  Result<void> ForEachBatch(SequenceRange range, const wal::BatchVisitor& visit) override {
    ++reads;
    if (range.from < oldest) return Fail(ErrorCode::kNotFound, "purged");
    for (const std::string& bytes : batches_) {
      const auto header = wal::ParseBatchHeader(bytes);
      const wal::BatchView view{header->first, header->count, bytes};
      if (view.first >= range.to) break;
      if (view.End() <= range.from) continue;
      if (damaged.contains(view.first.Value())) return Fail(ErrorCode::kDamaged, "a checksum differs");
      if (unreadable) return Fail(ErrorCode::kIo, "the disk says no");
      if (!visit(view)) break;
    }
    return {};
  }

  Sequence oldest{1};
  std::map<std::uint64_t, bool> damaged;
  bool unreadable = false;
  int reads = 0;

 private:
  std::vector<std::string> batches_;
};

std::string Set(std::uint64_t sequence, const std::string& key) {
  return BatchText(sequence).Log("1").Put(1, MetadataKey("__namespace", key), MetadataValue(1, "v")).Bytes();
}

class SalvageStoreTest : public ::testing::Test {
 protected:
  SalvageStoreTest() {
    limits_.disk_floor = 0;
    limits_.keep_at_least_ms = 0;
  }

  Result<SalvageManifest> Make(Wal& wal, const std::string& id = kFirst, std::int64_t now_ms = 1000) {
    SalvageStore store(scratch_.Path(), limits_);
    SalvageOrder order;
    order.action = {{Sequence(101), Sequence(105)}, Sequence(100), id, "n2", required_};
    order.group = "shop";
    order.node = "n1";
    order.now_ms = now_ms;
    return MakeSalvage(
        wal, store, order,
        [this](const std::vector<UserKeyName>& keys) -> Result<std::vector<SalvagedValue>> {
          if (server_error_) return Fail(*server_error_);
          std::vector<SalvagedValue> values;
          for (const UserKeyName& name : keys) {
            asked_.push_back(name.key);
            SalvagedValue value;
            value.key.name_space = name.name_space;
            value.key.key = name.key;
            value.key.type = "string";
            value.key.kept = KeptAs::kValue;
            value.elements = {"value of " + name.key};
            values.push_back(std::move(value));
          }
          return values;
        },
        [this]() -> Result<void> {
          if (go_on_error_) return Fail(*go_on_error_);
          return {};
        },
        [this] { return time_is_left_; });
  }

  [[nodiscard]] std::string FileOf(const std::string& id, std::string_view name) const {
    return scratch_.Path() + "/salvage/" + id + "/" + std::string(name);
  }
  [[nodiscard]] std::vector<std::string> Entries() const {
    std::vector<std::string> names;
    if (!fs::exists(scratch_.Path() + "/salvage")) return names;
    for (const auto& entry : fs::directory_iterator(scratch_.Path() + "/salvage")) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }
  static Wal FourBatches() {
    return Wal({Set(100, "common"), Set(101, "b"), Set(102, "a"), Set(103, "b"), Set(104, "c")});
  }

  tests::ScratchDirectory scratch_;
  SalvageLimits limits_;
  std::optional<Error> server_error_;
  std::optional<Error> go_on_error_;
  bool time_is_left_ = true;
  bool required_ = true;
  std::vector<std::string> asked_;
};

TEST_F(SalvageStoreTest, EveryRecordAndEveryKeyOfTheTailIsKept) {
  Wal wal = FourBatches();
  const auto manifest = Make(wal);
  ASSERT_TRUE(manifest) << manifest.error().Message();
  EXPECT_EQ(manifest->records, 4U);
  EXPECT_EQ(manifest->batches, 4U);
  EXPECT_EQ(manifest->keys, 3U);
  EXPECT_EQ(manifest->values, 3U);
  EXPECT_EQ(manifest->lacks, "");
  EXPECT_EQ(asked_, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(Entries(), std::vector<std::string>{kFirst});

  SalvageStore store(scratch_.Path(), limits_);
  const auto checked = store.ReadChecked(kFirst);
  ASSERT_TRUE(checked) << checked.error().Message();
  EXPECT_EQ(*checked, *manifest);
  const auto records = store.ReadLines(kFirst, kRecordsFile, 0, 100, 1 << 20);
  ASSERT_TRUE(records) << records.error().Message();
  EXPECT_EQ(records->lines.size(), 8U);  // each with its command's LogData
  EXPECT_FALSE(records->next);
  // The raw file holds the batches as they stand in the WAL.
  std::ifstream file(FileOf(kFirst, kBatchesFile), std::ios::binary);
  const std::string raw{std::istreambuf_iterator<char>(file), {}};
  const std::string first = Set(101, "b");
  EXPECT_EQ(FrameLength(raw.substr(0, 4)), first.size());
  EXPECT_EQ(raw.substr(4, first.size()), first);
}

TEST_F(SalvageStoreTest, PagesOfLinesFollowEachOther) {
  Wal wal = FourBatches();
  ASSERT_TRUE(Make(wal));
  SalvageStore store(scratch_.Path(), limits_);
  std::vector<std::string> keys;
  std::optional<std::uint64_t> after = 0;
  while (after) {
    const auto page = store.ReadLines(kFirst, kValuesFile, *after, 1, 1);
    ASSERT_TRUE(page) << page.error().Message();
    ASSERT_EQ(page->lines.size(), 1U);
    keys.push_back(ParseValueLine(page->lines.front())->key.key);
    EXPECT_EQ(page->at.front(), *after);
    after = page->next;
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"a", "b", "c"}));
  const auto within = store.ReadLines(kFirst, kValuesFile, 3, 1, 1);
  ASSERT_FALSE(within);
  EXPECT_EQ(within.error().Code(), ErrorCode::kInvalid);
  EXPECT_FALSE(store.ReadLines(kFirst, kValuesFile, 1ULL << 40, 1, 1));
}

TEST_F(SalvageStoreTest, AChangedFileIsDamaged) {
  Wal wal = FourBatches();
  ASSERT_TRUE(Make(wal));
  SalvageStore store(scratch_.Path(), limits_);
  ASSERT_TRUE(store.ReadChecked(kFirst));
  {
    std::fstream file(FileOf(kFirst, kRecordsFile), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(10);
    file.put('!');
  }
  fs::last_write_time(FileOf(kFirst, kRecordsFile),
                      fs::file_time_type::clock::now() + std::chrono::seconds(1));
  auto read = store.ReadLines(kFirst, kRecordsFile, 0, 100, 1 << 20);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().Code(), ErrorCode::kDamaged) << read.error().Message();
  fs::remove(FileOf(kFirst, kRecordsFile));
  EXPECT_EQ(store.ReadChecked(kFirst).error().Code(), ErrorCode::kDamaged);
  fs::remove(FileOf(kFirst, kManifestFile));
  EXPECT_EQ(store.List().damaged.size(), 1U);
  EXPECT_EQ(store.Read(kSecond).error().Code(), ErrorCode::kNotFound);
}

TEST_F(SalvageStoreTest, ACommandThatIsRepeatedIsDoneAlready) {
  Wal wal = FourBatches();
  const auto first = Make(wal, kFirst, 1000);
  asked_.clear();
  const auto again = Make(wal, kFirst, 2000);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *first);
  EXPECT_TRUE(asked_.empty());
}

TEST_F(SalvageStoreTest, ADamagedOneIsMadeAnew) {
  Wal wal = FourBatches();
  ASSERT_TRUE(Make(wal));
  fs::remove(FileOf(kFirst, kValuesFile));
  const auto again = Make(wal, kFirst, 2000);
  ASSERT_TRUE(again) << again.error().Message();
  EXPECT_EQ(again->time_ms, 2000);
  SalvageStore store(scratch_.Path(), limits_);
  EXPECT_TRUE(store.ReadChecked(kFirst));
  EXPECT_EQ(Entries(), std::vector<std::string>{kFirst});
}

TEST_F(SalvageStoreTest, TheSameTailIsNotKeptTwice) {
  Wal wal = FourBatches();
  ASSERT_TRUE(Make(wal, kFirst));
  const auto second = Make(wal, kSecond);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->id, kFirst);
  // Another tail of the same numbers is another one.
  Wal other({Set(101, "x"), Set(102, "a"), Set(103, "b"), Set(104, "c")});
  const auto third = Make(other, kSecond);
  ASSERT_TRUE(third);
  EXPECT_EQ(third->id, kSecond);
}

TEST_F(SalvageStoreTest, WhatIsPurgedOrDamagedIsNamedAndTheRestIsKept) {
  Wal purged = FourBatches();
  purged.oldest = Sequence(103);
  auto manifest = Make(purged, kFirst);
  ASSERT_TRUE(manifest) << manifest.error().Message();
  EXPECT_EQ(manifest->records, 2U);
  EXPECT_EQ(manifest->lacks, "[101, 103): purged");

  Wal damaged = FourBatches();
  damaged.damaged[102] = true;
  manifest = Make(damaged, kSecond);
  ASSERT_TRUE(manifest) << manifest.error().Message();
  EXPECT_EQ(manifest->records, 3U);
  EXPECT_EQ(manifest->lacks, "[102, 103): a checksum differs");
}

TEST_F(SalvageStoreTest, WhatLacksTheSameIsNotMadeAgain) {
  Wal damaged = FourBatches();
  damaged.damaged[102] = true;
  ASSERT_TRUE(Make(damaged, kFirst));
  const auto again = Make(damaged, kSecond);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->id, kFirst);
  damaged.damaged[103] = true;
  const auto more = Make(damaged, kSecond);
  ASSERT_TRUE(more);
  EXPECT_EQ(more->id, kSecond);
}

TEST_F(SalvageStoreTest, ValuesForWhichThereIsNoTimeAreNamedAndTheirRecordsAreKept) {
  Wal wal = FourBatches();
  time_is_left_ = false;
  const auto manifest = Make(wal);
  ASSERT_TRUE(manifest) << manifest.error().Message();
  EXPECT_EQ(manifest->records, 4U);
  EXPECT_EQ(manifest->values, 0U);
  EXPECT_NE(manifest->lacks.find("no time to read the values"), std::string::npos) << manifest->lacks;
}

TEST_F(SalvageStoreTest, WhereNoSalvageIsRequiredWhatCannotBeReadIsLeftOut) {
  Wal wal = FourBatches();
  wal.unreadable = true;
  required_ = false;
  const auto manifest = Make(wal);
  ASSERT_TRUE(manifest) << manifest.error().Message();
  EXPECT_EQ(manifest->lacks, "[101, 105): the disk says no");
}

TEST_F(SalvageStoreTest, ATailOfWhichNothingIsLeftIsSaidToBeLost) {
  Wal wal = FourBatches();
  for (const std::uint64_t each : {101, 102, 103, 104}) wal.damaged[each] = true;
  const auto manifest = Make(wal);
  ASSERT_TRUE(manifest) << manifest.error().Message();
  EXPECT_EQ(manifest->records, 0U);
  EXPECT_EQ(manifest->lacks, "[101, 105): a checksum differs");
}

TEST_F(SalvageStoreTest, WhatMayPassIsAnErrorAndLeavesNothingBehind) {
  Wal wal = FourBatches();
  wal.unreadable = true;
  ASSERT_FALSE(Make(wal));
  EXPECT_TRUE(Entries().empty());
  wal.unreadable = false;
  server_error_ = Error(ErrorCode::kUnavailable, "connection refused");
  auto failed = Make(wal);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().Message().find("the values of its keys: connection refused"), std::string::npos);
  EXPECT_TRUE(Entries().empty());
  server_error_.reset();
  go_on_error_ = Error(ErrorCode::kUnavailable, "another command waits");
  ASSERT_FALSE(Make(wal));
  EXPECT_TRUE(Entries().empty());
  go_on_error_.reset();
  EXPECT_TRUE(Make(wal));
}

TEST_F(SalvageStoreTest, TooLittleSpaceIsRefusedWithWhatToDo) {
  limits_.disk_floor = 1ULL << 60;
  Wal wal = FourBatches();
  const auto refused = Make(wal);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().Message().find("salvage.diskFloor"), std::string::npos)
      << refused.error().Message();
  EXPECT_NE(refused.error().Message().find("free some space"), std::string::npos);
  EXPECT_TRUE(Entries().empty());
}

TEST_F(SalvageStoreTest, ADirectoryThatCannotBeMadeIsAnError) {
  std::ofstream(scratch_.Path() + "/salvage") << "in the way";
  Wal wal = FourBatches();
  const auto refused = Make(wal);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().Message().find(scratch_.Path() + "/salvage"), std::string::npos);
  SalvageStore store(scratch_.Path(), limits_);
  store.CleanUp();
  EXPECT_TRUE(store.List().salvages.empty());
}

TEST_F(SalvageStoreTest, WhatACrashLeftIsRemoved) {
  Wal wal = FourBatches();
  ASSERT_TRUE(Make(wal));
  fs::create_directories(scratch_.Path() + "/salvage/.new-" + kSecond);
  std::ofstream(scratch_.Path() + "/salvage/.new-" + kSecond + "/records.jsonl") << "half";
  fs::create_directories(scratch_.Path() + "/salvage/.gone-" + kSecond);
  SalvageStore store(scratch_.Path(), limits_);
  EXPECT_EQ(store.List().salvages.size(), 1U);
  store.CleanUp();
  EXPECT_EQ(Entries(), std::vector<std::string>{kFirst});
}

SalvageManifest Of(const std::string& id, std::int64_t time_ms, std::uint64_t bytes) {
  SalvageManifest manifest;
  manifest.id = id;
  manifest.time_ms = time_ms;
  manifest.files = {{"records.jsonl", bytes, ""}};
  return manifest;
}

TEST(SalvageRetentionTest, OldOnesGoFirstAndTheNewestNever) {
  SalvageLimits limits;
  limits.keep_for_ms = 1000;
  limits.keep_bytes = 100;
  limits.keep_at_least_ms = 50;
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ToRetire({Of("c", 5000, 10), Of("b", 4500, 10), Of("a", 100, 10)}, limits, 5000, ""), (Ids{"a"}));
  EXPECT_EQ(ToRetire({Of("c", 5000, 60), Of("b", 4500, 30), Of("a", 4400, 30)}, limits, 5000, ""),
            (Ids{"a"}));
  EXPECT_EQ(ToRetire({Of("c", 5000, 500), Of("b", 4900, 30)}, limits, 5000, ""), (Ids{"b"}));
  EXPECT_EQ(ToRetire({Of("c", 100, 500)}, limits, 500000, ""), Ids{});
  // One that a rejoin under way rests on stays, too.
  EXPECT_EQ(ToRetire({Of("c", 5000, 10), Of("b", 100, 10), Of("a", 100, 10)}, limits, 500000, "a"),
            (Ids{"b"}));
  // Nobody may have looked at it yet.
  EXPECT_EQ(ToRetire({Of("c", 5000, 500), Of("b", 4990, 30)}, limits, 5000, ""), Ids{});
}

TEST_F(SalvageStoreTest, ADamagedOneIsRemovedWhenItIsOld) {
  const std::string path = scratch_.Path() + "/salvage/" + kFirst;
  fs::create_directories(path);
  limits_.keep_for_ms = 1000;
  SalvageStore store(scratch_.Path(), limits_);
  ASSERT_EQ(store.List().damaged.size(), 1U);
  EXPECT_TRUE(store.Retire(1000, "").empty());
  const std::int64_t far_ahead_ms = std::int64_t{1} << 42;
  EXPECT_EQ(store.Retire(far_ahead_ms, ""), std::vector<std::string>{kFirst});
  EXPECT_TRUE(Entries().empty());
}

TEST_F(SalvageStoreTest, RetiringRemovesTheFiles) {
  Wal wal = FourBatches();
  ASSERT_TRUE(Make(wal, kFirst, 1000));
  Wal other({Set(101, "x"), Set(102, "a"), Set(103, "b"), Set(104, "c")});
  ASSERT_TRUE(Make(other, kSecond, 2000));
  limits_.keep_bytes = 1;
  SalvageStore store(scratch_.Path(), limits_);
  EXPECT_EQ(store.Retire(2000, kSecond), std::vector<std::string>{kFirst});
  EXPECT_EQ(Entries(), std::vector<std::string>{kSecond});
}

}  // namespace
}  // namespace walstitch::agent
