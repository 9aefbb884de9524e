// The program as a shell sees it: exit code, stdout, stderr.
#include <gtest/gtest.h>

#include "tests/unit/cli/run_program.h"

namespace walstitch::cli {
namespace {

TEST(Program, HelpGoesToStdoutAndIsZero) {
  auto ran = RunProgram("--help");
  EXPECT_EQ(ran.code, 0);
  EXPECT_NE(ran.out.find("Exit codes:"), std::string::npos);
  EXPECT_EQ(ran.error, "");
}

TEST(Program, VersionIsOneLine) {
  auto ran = RunProgram("--version");
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, "walstitch 0.1.0\n");
}

TEST(Program, WrongUsageIsTwoAndOneLineOnStderr) {
  for (const char* arguments : {"", "bogus", "failover", "status --output xml", "wal info /nonexistent",
                                "policy check /nonexistent", "decisions verify --file /nonexistent"}) {
    auto ran = RunProgram(arguments);
    EXPECT_EQ(ran.code, 2) << arguments;
    EXPECT_EQ(ran.out, "") << arguments;
    EXPECT_TRUE(ran.error.starts_with("walstitch: ")) << ran.error;
    EXPECT_EQ(ran.error.find('\n'), ran.error.size() - 1) << ran.error;
  }
}

TEST(Program, NoControllerIsThree) {
  // Port 1 on loopback: nobody listens there.
  auto ran = RunProgram("--controller http://127.0.0.1:1 --timeout 2s status");
  EXPECT_EQ(ran.code, 3);
  EXPECT_EQ(ran.out, "");
  EXPECT_TRUE(ran.error.starts_with("walstitch: the controller at http://127.0.0.1:1 did not answer: "))
      << ran.error;
}

TEST(Program, NoServerIsThree) {
  auto ran = RunProgram("wal info --server 127.0.0.1:1 --timeout 2s");
  EXPECT_EQ(ran.code, 3);
  EXPECT_TRUE(ran.error.starts_with("walstitch: 127.0.0.1:1: ")) << ran.error;
}

TEST(Program, DamageIsOne) {
  const std::string path = testing::TempDir() + "/cli_program_damaged.log";
  std::ofstream(path) << "{\"index\":1}\n";
  auto ran = RunProgram("decisions verify --file '" + path + "'");
  std::filesystem::remove(path);
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.error.find("entry 1"), std::string::npos) << ran.error;
}

// The controller is away, so nothing is written that could fail.
TEST(Program, AWatchThatNobodyReadsEnds) {
  const std::string path = testing::TempDir() + "/cli_program_watch.code";
  const int status =
      std::system(("( timeout 60 '" WALSTITCH_PROGRAM
                   "' --controller http://127.0.0.1:1 status --watch --interval 1h 2>/dev/null; "
                   "echo $? >'" +
                   path + "' ) | true")
                      .c_str());
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(Slurp(path), "1\n");
  std::filesystem::remove(path);
}

TEST(Program, AFullDiskUnderStdoutIsNotSuccess) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const int status = std::system("'" WALSTITCH_PROGRAM "' --help >/dev/full 2>/dev/null");
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

}  // namespace
}  // namespace walstitch::cli
