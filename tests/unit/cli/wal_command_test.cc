// The WAL commands over a WAL that is a list of batches.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "agents/wal/batch_decoder.h"
#include "controller/cli/wal_commands.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

// A string's metadata record in CF 1: flags, expiry, value.
std::string Put(const std::string& key, const std::string& value) {
  std::string record("\x05\x01", 2);
  wal::PutLengthPrefixed(&record, "\x0b__namespace" + key);
  wal::PutLengthPrefixed(&record, std::string("\x01\0\0\0\0\0\0\0\0", 9) + value);
  return record;
}

class FakeWal : public wal::WalSource {
 public:
  FakeWal& Batch(std::initializer_list<std::string> records) {
    const std::uint64_t first = next_;
    std::string bytes;
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(first >> (8 * i) & 0xff));
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(records.size() >> (8 * i) & 0xff));
    for (const auto& record : records) bytes += record;
    batches_.push_back({first, static_cast<std::uint32_t>(records.size()), bytes});
    next_ += records.size();
    return *this;
  }
  FakeWal& StartAt(std::uint64_t next) {
    next_ = next;
    return *this;
  }

  Result<WalExtent> Extent() override {
    WalExtent extent;
    extent.source = "files";
    if (batches_.empty()) return extent;
    extent.oldest = Sequence(batches_.front().first);
    extent.last = Sequence(next_ - 1);
    extent.files = 1;
    extent.bytes = 2048;
    return extent;
  }
  Result<void> ForEachBatch(SequenceRange range, const wal::BatchVisitor& visit) override {
    if (batches_.empty() || range.from < Sequence(batches_.front().first) || range.from > Sequence(next_)) {
      return Fail(ErrorCode::kNotFound, range.from.ToString() + " is not held");
    }
    for (const auto& batch : batches_) {
      const Sequence first(batch.first);
      if (first + batch.count <= range.from || first >= range.to) continue;
      if (!visit({first, batch.count, batch.bytes})) break;
    }
    return {};
  }

 private:
  struct Stored {
    std::uint64_t first;
    std::uint32_t count;
    std::string bytes;
  };
  std::vector<Stored> batches_;
  std::uint64_t next_ = 1;
};

class WalCommandTest : public testing::Test {
 protected:
  static NamedSource Named(const std::string& name, const FakeWal& wal) {
    return {name, std::make_unique<FakeWal>(wal), nullptr};
  }
  static FakeWal Common() {
    FakeWal wal;
    wal.Batch({Put("a", "1"), Put("b", "1")}).Batch({Put("c", "1")});
    return wal;
  }

  std::ostringstream out_;
  std::ostringstream error_;
  Console console_{out_, error_, false};
  Console json_{out_, error_, true};
};

TEST_F(WalCommandTest, InfoTellsFromWhereToWhere) {
  auto wal = Named("/data", Common());
  EXPECT_EQ(WalInfoCommand(console_, wal, {}), ExitCode::kDone);
  EXPECT_EQ(out_.str(),
            "/data\n  oldest  1\n  last    3\n  next    4\n  holds   3 sequences\n  files   1, 2 KiB\n  read "
            "by files\n");
}

TEST_F(WalCommandTest, InfoOfAnEmptyWalSaysNone) {
  auto wal = Named("/data", FakeWal());
  EXPECT_EQ(WalInfoCommand(console_, wal, {}), ExitCode::kDone);
  EXPECT_EQ(out_.str(), "/data\n  oldest  none\n  last    none\n  read by files\n");
}

TEST_F(WalCommandTest, LocateTellsABoundaryFromTheInsideOfABatch) {
  auto wal = Named("/data", Common());
  EXPECT_EQ(WalLocateCommand(console_, wal, 3), ExitCode::kDone);
  EXPECT_NE(out_.str().find("it is a boundary: a replica may resume here\n"), std::string::npos)
      << out_.str();
  out_.str("");
  EXPECT_EQ(WalLocateCommand(console_, wal, 2), ExitCode::kDone);
  EXPECT_NE(out_.str().find("sequence 2 is the 2nd of 2 records in batch [1, 3)\n"), std::string::npos)
      << out_.str();
  EXPECT_NE(out_.str().find("the next boundary is 3, a pad of 1\n"), std::string::npos) << out_.str();
}

TEST_F(WalCommandTest, LocateOfTheNextSequenceIsNoError) {
  auto wal = Named("/data", Common());
  EXPECT_EQ(WalLocateCommand(console_, wal, 4), ExitCode::kDone);
  EXPECT_TRUE(out_.str().starts_with("sequence 4 is the next to be written\n")) << out_.str();
}

TEST_F(WalCommandTest, LocateOfWhatIsPurgedOrBeyondIsNo) {
  FakeWal purged;
  purged.StartAt(10).Batch({Put("a", "1")});
  auto wal = Named("/data", purged);
  EXPECT_EQ(WalLocateCommand(console_, wal, 9), ExitCode::kNo);
  EXPECT_EQ(WalLocateCommand(console_, wal, 12), ExitCode::kNo);
  EXPECT_TRUE(error_.str().starts_with("walstitch: /data: ")) << error_.str();
  EXPECT_EQ(out_.str(), "");
}

TEST_F(WalCommandTest, BatchesSayWhereToGoOn) {
  auto wal = Named("/data", Common());
  WalRange range;
  range.limit = 1;
  EXPECT_EQ(WalBatchesCommand(console_, wal, range), ExitCode::kDone);
  EXPECT_TRUE(out_.str().starts_with("FIRST  COUNT  LAST  BYTES  DIGEST\n    1      2     2 ")) << out_.str();
  EXPECT_TRUE(out_.str().ends_with("cut off after 1 batch (--limit); goes on with --from 3\n")) << out_.str();
}

TEST_F(WalCommandTest, RecordsAreDecoded) {
  auto wal = Named("/data", Common());
  WalRange range;
  range.from = 2;
  range.to = 3;
  EXPECT_EQ(WalRecordsCommand(console_, wal, range, {}), ExitCode::kDone) << error_.str();
  EXPECT_EQ(out_.str(),
            "SEQUENCE  FAMILY    OPERATION  NAMESPACE  KEY  TYPE    VALUE BYTES\n"
            "       2  metadata  Put        default    b    string           10\n");
}

// One key of each of a few kinds: sequences 1 to 6.
FakeWal Mixed() {
  std::string publish("\x05\x03", 2);
  wal::PutLengthPrefixed(&publish, "channel");
  wal::PutLengthPrefixed(&publish, "message");
  std::string remove("\x04\x01", 2);
  wal::PutLengthPrefixed(&remove, "\x0b__namespacepage:1");
  FakeWal wal;
  wal.Batch({Put("page:1", "1"), Put("page:2", "22")})
      .Batch({publish})
      .Batch({remove})
      .Batch({Put("order:1", "333"), Put("plain", "4444")});
  return wal;
}

TEST_F(WalCommandTest, RecordsAreFilteredByKeyNamespaceAndType) {
  const auto listed = [this](WalRecordFilter filter) {
    out_.str("");
    auto wal = Named("/data", Mixed());
    EXPECT_EQ(WalRecordsCommand(json_, wal, {}, filter), ExitCode::kDone) << error_.str();
    std::vector<std::int64_t> sequences;
    const auto json = ParseJson(out_.str()).value();
    for (const auto& record : json.at("records").as_array()) {
      sequences.push_back(record.at("sequence").as_int64());
    }
    return sequences;
  };
  using Sequences = std::vector<std::int64_t>;
  EXPECT_EQ(listed({}), (Sequences{1, 2, 3, 4, 5, 6}));
  WalRecordFilter filter;
  filter.key = "page:*";
  EXPECT_EQ(listed(filter), (Sequences{1, 2, 4}));
  filter.type = "string";  // the delete does not tell its type
  EXPECT_EQ(listed(filter), (Sequences{1, 2}));
  filter.name_space = "default";
  EXPECT_EQ(listed(filter), (Sequences{1, 2}));
  filter.name_space = "shop";
  EXPECT_EQ(listed(filter), (Sequences{}));
}

class PolicyFile {
 public:
  PolicyFile()
      : path_(testing::TempDir() + "/wal_command_" +
              testing::UnitTest::GetInstance()->current_test_info()->name() + ".yaml") {
    std::ofstream(path_) << "apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: shop}\nspec:\n"
                            "  keyspaces:\n    - name: pages\n      match: {keys: ['page:*']}\n"
                            "      onDivergence: ignore\n";
  }
  ~PolicyFile() { std::filesystem::remove(path_); }
  PolicyFile(const PolicyFile&) = delete;
  PolicyFile& operator=(const PolicyFile&) = delete;
  [[nodiscard]] const std::string& Path() const { return path_; }

 private:
  std::string path_;
};

TEST_F(WalCommandTest, RecordsOfAKeyspaceAreThoseThatThePolicyPutsThere) {
  const PolicyFile policy;
  WalRecordFilter filter;
  filter.policy_paths = {policy.Path()};
  const std::pair<const char*, const char*> cases[] = {
      {"pages", "page:1"}, {"default", "order:1"}, {"internal/pubsub", "channel"}};
  for (const auto& [keyspace, key] : cases) {
    filter.keyspace = keyspace;
    out_.str("");
    auto wal = Named("/data", Mixed());
    EXPECT_EQ(WalRecordsCommand(console_, wal, {}, filter), ExitCode::kDone) << error_.str();
    EXPECT_NE(out_.str().find(key), std::string::npos) << keyspace << "\n" << out_.str();
    EXPECT_EQ(out_.str().find("page:") != std::string::npos, std::string(keyspace) == "pages");
  }
}

TEST_F(WalCommandTest, AKeyspaceThatIsNotInThePolicyIsRefusedWithThoseThatAre) {
  const PolicyFile policy;
  WalRecordFilter filter;
  filter.policy_paths = {policy.Path()};
  filter.keyspace = "orders";
  auto wal = Named("/data", Mixed());
  EXPECT_EQ(WalRecordsCommand(console_, wal, {}, filter), ExitCode::kUsage);
  EXPECT_EQ(
      error_.str(),
      "walstitch: --keyspace 'orders' is not in the policy; there are: pages, default, and internal/pubsub "
      "and the like\n");
}

TEST_F(WalCommandTest, RecordsThatAreCutOffSayWhereToGoOn) {
  auto wal = Named("/data", Mixed());
  WalRange range;
  range.limit = 4;
  EXPECT_EQ(WalRecordsCommand(console_, wal, range, {}), ExitCode::kDone);
  EXPECT_TRUE(out_.str().ends_with("cut off after 4 records (--limit); goes on with --from 5\n"))
      << out_.str();
}

TEST_F(WalCommandTest, StatTellsWhoWritesHowMuch) {
  auto wal = Named("/data", Mixed());
  WalStatOptions options;
  options.top = 1;
  EXPECT_EQ(WalStatCommand(console_, wal, options), ExitCode::kDone) << error_.str();
  EXPECT_EQ(out_.str(),
            "/data\n"
            "[1, 7): 6 records, 150 B of keys and values, in 4 batches of 221 B\n"
            "\n"
            "NAMESPACE    RECORDS  BYTES  SHARE  BATCHES\n"
            "default            5  136 B  90.7%        3\n"
            "(others: 1)        1   14 B   9.3%        -\n"
            "\n"
            "NAMESPACE  PREFIX       RECORDS  BYTES  SHARE  BATCHES\n"
            "default    page:*             3   75 B  50.0%        2\n"
            "-          (others: 3)        3   75 B  50.0%        -\n"
            "\n"
            "TYPE         RECORDS  BYTES  SHARE  BATCHES\n"
            "string             4  118 B  78.7%        2\n"
            "(others: 2)        2   32 B  21.3%        -\n"
            "\n"
            "FAMILY       RECORDS  BYTES  SHARE  BATCHES\n"
            "metadata           5  136 B  90.7%        3\n"
            "(others: 1)        1   14 B   9.3%        -\n");
}

TEST_F(WalCommandTest, VerifyOfAServerIsRefused) {
  auto wal = Named("h:1", Mixed());
  EXPECT_EQ(WalVerifyCommand(console_, wal), ExitCode::kUsage);
}

TEST_F(WalCommandTest, DivergentKeysComeByNamespaceOrByThePolicysKeyspaces) {
  const PolicyFile policy;
  // B's last batch is what a partial sync brings: it is not missed.
  auto a = Named("/a", Common().Batch({Put("page:1", "1"), Put("order:1", "1")}));
  auto b = Named("/b", Common().Batch({Put("page:1", "2"), Put("page:2", "2")}).Batch({Put("page:3", "3")}));
  EXPECT_EQ(WalDiffCommand(console_, a, b, {}), ExitCode::kNo) << error_.str();
  EXPECT_TRUE(
      out_.str().ends_with("\ndivergent keys, should A follow B from there\n"
                           "  NAMESPACE  TAIL RECORDS  MISSED RECORDS  KEYS  BYTES\n"
                           "  default               2               2     3  113 B\n"))
      << out_.str();
  out_.str("");
  WalDiffOptions options;
  options.policy_paths = {policy.Path()};
  EXPECT_EQ(WalDiffCommand(json_, a, b, options), ExitCode::kNo) << error_.str();
  const auto json = ParseJson(out_.str()).value();
  EXPECT_EQ(json.at("divergent").at("by"), "keyspace");
  const auto& rows = json.at("divergent").at("rows").as_array();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].at("keyspace"), "pages");
  EXPECT_EQ(rows[0].at("on_divergence"), "ignore");
  EXPECT_EQ(rows[0].at("keys"), 2);
  EXPECT_EQ(rows[1].at("on_divergence"), "fullsync");
  EXPECT_EQ(rows[1].at("keys"), 1);
}

TEST_F(WalCommandTest, ARangeThatIsNoneIsRefused) {
  auto wal = Named("/data", Common());
  WalRange range;
  range.from = 3;
  range.to = 3;
  EXPECT_EQ(WalRecordsCommand(console_, wal, range, {}), ExitCode::kUsage);
  range.to.reset();
  range.from = 100;
  EXPECT_EQ(WalRecordsCommand(console_, wal, range, {}), ExitCode::kNo);
  EXPECT_NE(error_.str().find("/data: the WAL ends at 3, before 100\n"), std::string::npos) << error_.str();
}

TEST_F(WalCommandTest, DiffOfEqualHistoriesIsZero) {
  auto a = Named("/a", Common());
  auto b = Named("/b", Common());
  EXPECT_EQ(WalDiffCommand(console_, a, b, {}), ExitCode::kDone) << error_.str();
  EXPECT_NE(out_.str().find("the histories are the same\n"), std::string::npos) << out_.str();
}

TEST_F(WalCommandTest, DiffOfOneThatIsBehindIsZero) {
  auto a = Named("/a", Common());
  auto b = Named("/b", Common().Batch({Put("d", "1")}));
  EXPECT_EQ(WalDiffCommand(console_, a, b, {}), ExitCode::kDone) << error_.str();
  EXPECT_NE(out_.str().find("the histories agree: A is behind B\n"), std::string::npos) << out_.str();
}

TEST_F(WalCommandTest, DiffListsTheKeysThatEachSideTouchedAfterTheFork) {
  auto a = Named("/a", Common().Batch({Put("tail", "1")}));
  auto b = Named("/b", Common().Batch({Put("missed", "1"), Put("tail", "2"), Put("x", "3")}));
  EXPECT_EQ(WalDiffCommand(console_, a, b, {}), ExitCode::kNo) << error_.str();
  const std::string text = out_.str();
  for (const char* part :
       {"fork: 3 (", "the histories differ: both went on by themselves after 3\n",
        "after the fork, A: [4, 5), 1 record on 1 key, ", "after the fork, B: [4, 7), 3 records on 3 keys",
        "  default    missed  string        1  ",
        "A's next is 5, B's first boundary at or after it is 7: a pad of 2\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  out_.str("");
  EXPECT_EQ(WalDiffCommand(json_, a, b, {}), ExitCode::kNo);
  auto json = ParseJson(out_.str());
  ASSERT_TRUE(json);
  EXPECT_EQ(json->at("fork"), 3);
  EXPECT_EQ(json->at("differ"), true);
  EXPECT_EQ(json->at("b").at("after_fork").at("records"), 3);
}

TEST_F(WalCommandTest, DiffWithoutACommonPartIsUnknown) {
  FakeWal far;
  far.StartAt(1000).Batch({Put("a", "1")});
  auto a = Named("/a", Common());
  auto b = Named("/b", far);
  EXPECT_EQ(WalDiffCommand(console_, a, b, {}), ExitCode::kUnknown);
  EXPECT_NE(out_.str().find("fork: unknown ("), std::string::npos) << out_.str();
}

}  // namespace
}  // namespace walstitch::cli
