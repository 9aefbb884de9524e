// `walstitch wal` on directories that RocksDB wrote: live (this test has the database open, and the program
// is another process), left behind, and copied.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <thread>

#include "agents/wal/wal_directory.h"
#include "policies/model/json.h"
#include "tests/unit/cli/run_program.h"
#include "tests/unit/wal/test_database.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::cli {
namespace {

namespace fs = std::filesystem;
using wal::BatchText;
using wal::MetadataKey;
using wal::MetadataValue;
using wal::TestDatabase;

std::string Set(const std::string& key, std::size_t bytes = 10) {
  return BatchText(0)
      .Put(1, MetadataKey("__namespace", key), MetadataValue(1, std::string(bytes, 'x')))
      .Bytes();
}

class WalProgramTest : public testing::Test {
 protected:
  // Two logs, the first one archived: sequences [1, 9), the last four in two batches of two.
  static void Fill(TestDatabase* database) {
    for (int i = 0; i < 4; ++i) database->Write(Set("page:" + std::to_string(i)));
    database->Flush();
    for (int i = 0; i < 2; ++i) {
      database->Write(BatchText(0)
                          .Put(1, MetadataKey("shop", "cart:1"), MetadataValue(1, "v"))
                          .Put(1, MetadataKey("shop", "cart:2"), MetadataValue(1, "v"))
                          .Bytes());
    }
  }
  void FillAndClose() {
    TestDatabase database(Data());
    Fill(&database);
  }
  fs::path Data() {
    fs::create_directories(directory_.Path() / "data");
    return directory_.Path() / "data";
  }
  [[nodiscard]] static std::string Quoted(const fs::path& path) { return " '" + path.string() + "'"; }
  Ran Run(const std::string& arguments) { return RunProgram("wal " + arguments); }
  boost::json::value RunJson(const std::string& arguments, int code = 0) {
    const Ran ran = Run(arguments + " --output json");
    EXPECT_EQ(ran.code, code) << ran.error;
    auto json = ParseJson(ran.out);
    EXPECT_TRUE(json) << ran.out;
    return json.value_or(boost::json::value());
  }
  // The file of the log with this sequence in it.
  fs::path LogOf(std::uint64_t first) {
    for (const fs::path& part : {Data() / "db", Data() / "db" / "archive"}) {
      for (const auto& entry : fs::directory_iterator(part)) {
        if (entry.path().extension() != ".log") continue;
        const std::string bytes = Slurp(entry.path().string());
        // A physical record's header, then the batch's first sequence.
        if (bytes.size() > 8 && static_cast<unsigned char>(bytes[7]) == first) return entry.path();
      }
    }
    ADD_FAILURE() << "no log begins with " << first;
    return {};
  }

  wal::TestDirectory directory_;
};

TEST_F(WalProgramTest, ADatabaseThatIsOpenIsLive) {
  TestDatabase database(Data());
  Fill(&database);
  const std::string live = Data().string() + ": live: held by process " + std::to_string(::getpid()) +
                           " (cli_program_tes); the answer is of this moment\n";
  for (const std::string command : {"info", "stat", "verify"}) {
    const Ran ran = Run(command + Quoted(Data()));
    EXPECT_TRUE(ran.out.starts_with(live)) << ran.out << ran.error;
  }
  const auto json = RunJson("locate" + Quoted(Data()) + " 1");
  EXPECT_EQ(json.at("state"), "live");
  EXPECT_EQ(json.at("process"), ::getpid());
}

TEST_F(WalProgramTest, ADatabaseThatWasClosedIsNotInUse) {
  FillAndClose();
  EXPECT_TRUE(Run("info" + Quoted(Data())).out.starts_with(Data().string() + ": not in use\n"));
}

TEST_F(WalProgramTest, ACopyWithoutTheLockFileIsACopy) {
  TestDatabase database(Data());
  Fill(&database);
  const fs::path copy = directory_.Path() / "copy";
  fs::copy(Data(), copy, fs::copy_options::recursive);
  fs::remove(copy / "db" / "LOCK");
  const auto json = RunJson("info" + Quoted(copy));
  EXPECT_EQ(json.at("state"), "copied");
  EXPECT_EQ(json.at("oldest"), 1);
  EXPECT_EQ(json.at("last"), 8);
}

TEST_F(WalProgramTest, InfoReadsTheRuleOfPurgingFromTheOptions) {
  FillAndClose();
  const auto json = RunJson("info" + Quoted(Data()));
  EXPECT_EQ(json.at("purge").at("ttl_seconds"), 10800);
  EXPECT_EQ(json.at("purge").at("oldest").at("cause"), "age");
}

TEST_F(WalProgramTest, LocateTakesDirectoryAndSequenceAsTheyStand) {
  FillAndClose();
  const Ran ran = Run("locate" + Quoted(Data()) + " 6");
  EXPECT_EQ(ran.code, 0) << ran.error;
  EXPECT_NE(ran.out.find("sequence 6 is the 2nd of 2 records in batch [5, 7)\n"), std::string::npos)
      << ran.out;
  EXPECT_NE(ran.out.find("the next boundary is 7, a pad of 1\n"), std::string::npos) << ran.out;
  EXPECT_EQ(Run("locate --sequence 6 --dir" + Quoted(Data())).code, 0);
  EXPECT_EQ(Run("locate 6 --dir" + Quoted(Data())).code, 0);
  EXPECT_EQ(Run("locate" + Quoted(Data()) + " 10").code, 1);
}

TEST_F(WalProgramTest, RecordsFindsKeysOfANamespace) {
  FillAndClose();
  const auto json = RunJson("records" + Quoted(Data()) + " --namespace shop --key '*:2'");
  ASSERT_EQ(json.at("records").as_array().size(), 2U);
  EXPECT_EQ(json.at("records").at(0).at("sequence"), 6);
}

TEST_F(WalProgramTest, StatCountsByPrefix) {
  FillAndClose();
  const auto json = RunJson("stat" + Quoted(Data()));
  EXPECT_EQ(json.at("complete"), true);
  EXPECT_EQ(json.at("total").at("records"), 8);
  const auto& rows = json.at("prefixes").at("rows").as_array();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].at("name"), "page:");
  EXPECT_EQ(rows[0].at("records"), 4);
  EXPECT_EQ(rows[1].at("namespace"), "shop");
  EXPECT_EQ(rows[1].at("batches"), 2);
}

TEST_F(WalProgramTest, DiffTakesTwoDirectoriesAsTheyStand) {
  FillAndClose();
  const fs::path other = directory_.Path() / "other";
  fs::copy(Data(), other, fs::copy_options::recursive);
  TestDatabase(Data()).Write(Set("mine"));
  TestDatabase(other).Write(Set("theirs"));
  const Ran ran = Run("diff" + Quoted(Data()) + Quoted(other));
  EXPECT_EQ(ran.code, 1) << ran.error;
  EXPECT_NE(ran.out.find("A, as rejoiner       1     9  " + Data().string()), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("fork: 8 ("), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("\nthe number fits: "), std::string::npos) << ran.out;
  EXPECT_EQ(Run("diff" + Quoted(Data()) + Quoted(Data())).code, 0);
}

TEST_F(WalProgramTest, ADirectoryThatIsTheWrongOneIsToldTheRightOne) {
  FillAndClose();
  const auto complaint = [&](const fs::path& path) {
    const Ran ran = Run("info" + Quoted(path));
    EXPECT_EQ(ran.code, 2);
    return ran.error;
  };
  const std::string data = Data().string();
  EXPECT_EQ(complaint(data + "/db"),
            "walstitch: " + data + "/db: is db/ itself: give the directory above it, " + data + "\n");
  EXPECT_EQ(complaint(data + "/db/archive"), "walstitch: " + data +
                                                 "/db/archive: contains no db/: give Kvrocks' `dir`, the "
                                                 "directory that contains db/\n");
  fs::rename(data + "/db", data + "/rocks");
  EXPECT_EQ(complaint(data + "/rocks"),
            "walstitch: " + data +
                "/rocks: is a database itself, and not named db: give a directory "
                "in which it is, or is linked as, db/\n");
}

TEST_F(WalProgramTest, AnEmptyWalIsSaid) {
  fs::create_directories(Data() / "db");
  const Ran info = Run("info" + Quoted(Data()));
  EXPECT_EQ(info.code, 0) << info.error;
  EXPECT_NE(info.out.find("the WAL is empty\n"), std::string::npos) << info.out;
  EXPECT_EQ(Run("verify" + Quoted(Data())).code, 0);
  EXPECT_EQ(Run("stat" + Quoted(Data())).error, "walstitch: " + Data().string() + ": the WAL is empty\n");
}

TEST_F(WalProgramTest, StatOfADamagedWalCountsTheRestAndIsNo) {
  FillAndClose();
  fs::resize_file(LogOf(1), fs::file_size(LogOf(1)) - 5);
  const Ran ran = Run("stat" + Quoted(Data()));
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.out.find("[1, 9): 7 records"), std::string::npos) << ran.out;
  EXPECT_TRUE(ran.error.starts_with("walstitch: " + Data().string() + ": incomplete, without [4, 5): "))
      << ran.error;
}

TEST_F(WalProgramTest, RecordsThatCannotBeReadSayWhereTheNextLogBegins) {
  FillAndClose();
  fs::resize_file(LogOf(1), fs::file_size(LogOf(1)) - 5);
  const Ran ran = Run("records" + Quoted(Data()));
  EXPECT_EQ(ran.code, 1);
  EXPECT_TRUE(ran.error.ends_with(" (the next log begins with --from 5)\n")) << ran.error;
  EXPECT_EQ(Run("records" + Quoted(Data()) + " --from 5").code, 0);
}

// What hangs on WalDirectory::Logs() and Locate() telling all that their header promises.
TEST_F(WalProgramTest, BatchesAreFollowedAsTheyAreWritten) {
  TestDatabase database(Data());
  Fill(&database);
  std::thread writer([&] {
    for (int i = 0; i < 3; ++i) database.Write(Set("later"));
  });
  const Ran ran = Run("batches" + Quoted(Data()) + " --follow --from 1 --limit 9");
  writer.join();
  EXPECT_EQ(ran.code, 0) << ran.error;
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 9) << ran.out;
  EXPECT_TRUE(ran.out.starts_with("[1, 2)  1 record  ")) << ran.out;
  EXPECT_NE(ran.out.find("\n[11, 12)  1 record  "), std::string::npos) << ran.out;
}

class WalFilesProgramTest : public WalProgramTest {
 protected:
  void SetUp() override { FillAndClose(); }
};

TEST_F(WalFilesProgramTest, InfoListsTheLogsWhereTheyAre) {
  const auto json = RunJson("info" + Quoted(Data()) + " --sequence 6");
  const auto& logs = json.at("logs").as_array();
  ASSERT_GE(logs.size(), 2U);
  EXPECT_EQ(logs[0].at("path"), LogOf(1).c_str());
  EXPECT_EQ(logs[0].at("archived"), true);
  EXPECT_EQ(logs[0].at("bytes"), fs::file_size(LogOf(1)));
  EXPECT_EQ(logs[0].at("first"), 1);
  EXPECT_EQ(logs[0].at("end"), 5);
  EXPECT_EQ(json.at("gaps").as_array().size(), 0U);
  EXPECT_EQ(json.at("purge").at("sequence").at("sequence"), 6);
}

TEST_F(WalFilesProgramTest, LocateNamesTheFile) {
  EXPECT_EQ(RunJson("locate" + Quoted(Data()) + " 6").at("file"), LogOf(5).c_str());
}

TEST_F(WalFilesProgramTest, VerifyOfAWholeWalIsZero) {
  const auto json = RunJson("verify" + Quoted(Data()));
  EXPECT_EQ(json.at("whole"), true);
  EXPECT_EQ(json.at("records"), 8);
  EXPECT_EQ(json.at("end"), 9);
}

TEST_F(WalFilesProgramTest, VerifyNamesTheDamageGoesOnAndIsOne) {
  const std::string damaged = LogOf(1).string();
  std::string bytes = Slurp(damaged);
  bytes[20] ^= 1;  // in the first record of several
  std::ofstream(damaged, std::ios::binary) << bytes;
  const auto json = RunJson("verify" + Quoted(Data()), 1);
  EXPECT_EQ(json.at("whole"), false);
  ASSERT_EQ(json.at("findings").as_array().size(), 1U);
  EXPECT_EQ(json.at("findings").at(0).at("kind"), "damage");
  EXPECT_EQ(json.at("findings").at(0).at("file"), damaged.c_str());
  EXPECT_EQ(json.at("findings").at(0).at("offset"), 0);
  EXPECT_EQ(json.at("records"), 4);  // of the next log
}

TEST_F(WalFilesProgramTest, VerifyFindsALogThatIsGone) {
  TestDatabase(Data()).Write(Set("more"));
  fs::remove(LogOf(5));
  const auto json = RunJson("verify" + Quoted(Data()), 1);
  EXPECT_EQ(json.at("findings").at(0).at("kind"), "gap");
}

}  // namespace
}  // namespace walstitch::cli
