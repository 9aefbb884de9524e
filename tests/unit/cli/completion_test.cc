// The completions, run by the shells that they are for. A program in the place of walstitch gives the names.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/unit/cli/run_program.h"

namespace walstitch::cli {
namespace {

namespace fs = std::filesystem;

const std::string kDrivers = WALSTITCH_SOURCE_DIR "/tests/unit/cli/completion/";

bool IsHere(const std::string& program) {
  return std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0;
}

class CompletionTest : public testing::Test {
 protected:
  CompletionTest() {
    directory_ =
        testing::TempDir() + "/completion_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(directory_);
    fs::create_directories(directory_ + "/bin");
    std::ofstream(directory_ + "/bin/walstitch") << "#!/bin/sh\necho \"$@\" >> '" << directory_ << "/asked'\n"
                                                 << R"(case "$1 $2 $3" in
  "names groups "*) echo shop; echo store; cat more 2>/dev/null ;;
  "names nodes shop") echo first-of-shop; cat more 2>/dev/null ;;
  "names nodes "*) echo of-all ;;
esac
)";
    fs::permissions(directory_ + "/bin/walstitch", fs::perms::owner_all);
  }
  ~CompletionTest() override { fs::remove_all(directory_); }

  // What the driver says of each line.
  std::vector<std::string> Complete(const std::string& shell, const std::string& driver,
                                    const std::string& script, const std::vector<std::string>& lines) {
    std::string command = "cd '" + directory_ + "' && PATH='" + directory_ + "/bin':\"$PATH\" TERM=dumb " +
                          shell + " '" + kDrivers + driver + "' '" + script + "'";
    for (const auto& line : lines) command += " '" + line + "'";
    command += " >'" + directory_ + "/out' 2>'" + directory_ + "/err' </dev/null";
    const int status = std::system(command.c_str());
    EXPECT_EQ(status, 0) << Slurp(directory_ + "/err");
    std::vector<std::string> said;
    std::ifstream out(directory_ + "/out");
    for (std::string line; std::getline(out, line);) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      said.push_back(line);
    }
    return said;
  }

  std::string Bash(const std::string& line) {
    const std::string script = directory_ + "/walstitch.bash";
    std::ofstream(script) << RunProgram("completion bash").out;
    const auto said = Complete("bash --norc", "bash_driver.bash", script, {line});
    return said.size() == 1 ? said.front() : "(nothing was said)";
  }

  std::string directory_;
};

TEST_F(CompletionTest, BashOffersCommandsOptionsAndWords) {
  EXPECT_EQ(Bash("walstitch st"), "status");
  EXPECT_EQ(Bash("walstitch wal "), "info locate batches records stat verify diff");
  EXPECT_EQ(Bash("walstitch status --wa"), "--watch");
  EXPECT_EQ(Bash("walstitch status --out"), "--output");
  EXPECT_EQ(Bash("walstitch -o "), "table json");
  EXPECT_EQ(Bash("walstitch status --color=al"), "always");
  EXPECT_EQ(Bash("walstitch maintenance shop n1 of"), "off");
  EXPECT_EQ(Bash("walstitch decisions show l"), "latest");
  EXPECT_EQ(Bash("walstitch status shop "), "");
  EXPECT_EQ(Bash("walstitch --timeout "), "");
  EXPECT_EQ(Bash("walstitch na"), "");
}

TEST_F(CompletionTest, BashOffersFilesWhereTheyAreTaken) {
  std::ofstream(directory_ + "/policy.yaml") << "";
  fs::create_directory(directory_ + "/data");
  EXPECT_EQ(Bash("walstitch policy check pol"), "policy.yaml");
  EXPECT_EQ(Bash("walstitch policy check a b pol"), "policy.yaml");
  EXPECT_EQ(Bash("walstitch --token-file pol"), "policy.yaml");
  EXPECT_EQ(Bash("walstitch wal info d"), "data");
  EXPECT_EQ(Bash("walstitch wal info pol"), "");
}

TEST_F(CompletionTest, BashAsksTheControllerThatIsNamed) {
  EXPECT_EQ(Bash("walstitch --controller http://a:1 status s"), "shop store");
  EXPECT_EQ(Bash("walstitch status --token-file=/t "), "shop store");
  EXPECT_EQ(Bash("walstitch maintenance shop "), "first-of-shop");
  EXPECT_EQ(Bash("walstitch failover shop --to f"), "first-of-shop");
  EXPECT_EQ(Bash("walstitch decisions list --node "), "of-all");
  EXPECT_EQ(Slurp(directory_ + "/asked"),
            "names groups --timeout 1s --controller http://a:1\nnames groups --timeout 1s --token-file=/t\n"
            "names nodes shop --timeout 1s\nnames nodes shop --timeout 1s\nnames nodes --timeout 1s\n");
}

// What an answer in the controller's place could hold.
constexpr const char* kCommands =
    "shut$(touch pwned)\nshut`touch pwned`\nshut;touch pwned\nshut ${x:=$(touch pwned)}\n--to=$(touch "
    "pwned)\n"
    "-shut\nshut'down\nshut*\n";

TEST_F(CompletionTest, BashNeitherRunsNorOffersWhatIsNoName) {
  std::ofstream(directory_ + "/more") << kCommands;
  EXPECT_EQ(Bash("walstitch status "), "shop store");
  EXPECT_EQ(Bash("walstitch status shu"), "");
  EXPECT_EQ(Bash("walstitch status -o json --"), Bash("walstitch status --"));
  EXPECT_EQ(Bash("walstitch maintenance shop "), "first-of-shop");
  EXPECT_EQ(Bash("walstitch failover shop --to "), "first-of-shop");
  EXPECT_FALSE(fs::exists(directory_ + "/pwned"));
}

TEST_F(CompletionTest, ZshNeitherRunsNorOffersWhatIsNoName) {
  if (!IsHere("zsh")) GTEST_SKIP() << "no zsh here";
  std::ofstream(directory_ + "/_walstitch") << RunProgram("completion zsh").out;
  std::ofstream(directory_ + "/more") << kCommands;
  EXPECT_EQ(Complete("timeout 60 zsh -f", "zsh_driver.zsh", directory_,
                     {"walstitch status shu", "walstitch status sh", "walstitch maintenance shop "}),
            (std::vector<std::string>{"<walstitch status shu>", "<walstitch status shop >",
                                      "<walstitch maintenance shop first-of-shop >"}));
  EXPECT_FALSE(fs::exists(directory_ + "/pwned"));
}

TEST_F(CompletionTest, ZshCompletesTheSame) {
  if (!IsHere("zsh")) GTEST_SKIP() << "no zsh here";
  std::ofstream(directory_ + "/_walstitch") << RunProgram("completion zsh").out;
  std::ofstream(directory_ + "/policy.yaml") << "";
  const std::vector<std::pair<std::string, std::string>> lines = {
      {"walstitch stat", "<walstitch status >"},
      {"walstitch wal inf", "<walstitch wal info >"},
      {"walstitch status --wat", "<walstitch status --watch >"},
      {"walstitch status --color=al", "<walstitch status --color=always >"},
      {"walstitch -o js", "<walstitch -o json >"},
      {"walstitch maintenance shop n1 of", "<walstitch maintenance shop n1 off >"},
      {"walstitch policy check pol", "<walstitch policy check policy.yaml >"},
      {"walstitch decisions show l", "<walstitch decisions show latest >"},
      {"walstitch status sh", "<walstitch status shop >"},
      {"walstitch --controller http://a:1 status st", "<walstitch --controller http://a:1 status store >"},
      {"walstitch maintenance shop ", "<walstitch maintenance shop first-of-shop >"},
      {"walstitch failover shop --to ", "<walstitch failover shop --to first-of-shop >"},
      {"walstitch decisions list --node of", "<walstitch decisions list --node of-all >"},
      {"walstitch nam", "<walstitch nam>"},
  };
  std::vector<std::string> typed;
  std::vector<std::string> expected;
  for (const auto& [line, completed] : lines) {
    typed.push_back(line);
    expected.push_back(completed);
  }
  EXPECT_EQ(Complete("timeout 60 zsh -f", "zsh_driver.zsh", directory_, typed), expected);
  EXPECT_NE(Slurp(directory_ + "/asked").find("names groups --timeout 1s --controller http://a:1\n"),
            std::string::npos);
}

}  // namespace
}  // namespace walstitch::cli
