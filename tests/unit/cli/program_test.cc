// The program as a shell sees it: exit code, stdout, stderr.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace walstitch::cli {
namespace {

struct Ran {
  int code = -1;
  std::string out;
  std::string error;
};

std::string Slurp(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

Ran RunProgram(const std::string& arguments) {
  const std::string base =
      testing::TempDir() + "/cli_program_" + testing::UnitTest::GetInstance()->current_test_info()->name();
  const std::string command =
      std::string("'" WALSTITCH_PROGRAM "' ") + arguments + " >'" + base + ".out' 2>'" + base + ".err'";
  const int status = std::system(command.c_str());
  Ran ran{WIFEXITED(status) ? WEXITSTATUS(status) : -1, Slurp(base + ".out"), Slurp(base + ".err")};
  std::filesystem::remove(base + ".out");
  std::filesystem::remove(base + ".err");
  return ran;
}

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
  for (const char* arguments : {"", "bogus", "failover", "status --output xml", "wal info --dir /nonexistent",
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

TEST(Program, AFullDiskUnderStdoutIsNotSuccess) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const int status = std::system("'" WALSTITCH_PROGRAM "' --help >/dev/full 2>/dev/null");
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

}  // namespace
}  // namespace walstitch::cli
