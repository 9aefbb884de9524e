// The manual pages of the three programs say what --help says, and man has nothing to complain of.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <regex>
#include <set>

#include "tests/unit/cli/run_program.h"

namespace walstitch::cli {
namespace {

std::string OutputOf(const std::string& command) {
  std::string out;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr) << command;
  if (pipe == nullptr) return out;
  std::array<char, 4096> part{};
  while (const std::size_t read = std::fread(part.data(), 1, part.size(), pipe))
    out.append(part.data(), read);
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return out;
}

std::string Program(const std::string& name) { return std::string(WALSTITCH_BIN_DIR) + "/" + name; }

// The words of help that begin a line of options, and the commands that it lists.
std::set<std::string> Options(const std::string& help) {
  std::set<std::string> options;
  const std::regex line("\n  ((-[^ ,]+(, )?)+)");
  for (std::sregex_iterator at(help.begin(), help.end(), line), end; at != end; ++at) {
    const std::string names = (*at)[1];
    const std::regex word("-[^ ,]+");
    for (std::sregex_iterator each(names.begin(), names.end(), word); each != end; ++each) {
      options.insert(each->str());
    }
  }
  return options;
}

std::vector<std::string> Commands(const std::string& help) {
  std::vector<std::string> commands;
  const auto from = help.find("\nCommands:\n");
  if (from == std::string::npos) return commands;
  const std::string part = help.substr(from + 10, help.find("\n\n", from + 11) - from - 10);
  const std::regex line("\n  ([a-z]+) ");
  for (std::sregex_iterator at(part.begin(), part.end(), line), end; at != end; ++at) {
    commands.push_back((*at)[1]);
  }
  return commands;
}

// Every help, from the program's own down.
void ReadAll(const std::string& program, const std::string& path, std::set<std::string>* options,
             std::set<std::string>* commands) {
  const std::string help = OutputOf("'" + Program(program) + "' " + path + " --help");
  options->merge(Options(help));
  for (const auto& command : Commands(help)) {
    const std::string below = path.empty() ? command : path + " " + command;
    commands->insert(below);
    ReadAll(program, below, options, commands);
  }
  EXPECT_LE(std::count(help.begin(), help.end(), '\t'), 0) << path;
}

class ManualTest : public testing::TestWithParam<const char*> {};

TEST_P(ManualTest, SaysWhatHelpSays) {
  const std::string page = OutputOf("'" + Program(GetParam()) + "' --manual");
  std::set<std::string> options;
  std::set<std::string> commands;
  ReadAll(GetParam(), "", &options, &commands);
  EXPECT_GE(options.size(), 5U);
  for (const std::string& option : options) {
    std::string as_troff = "\\fB";
    for (const char c : option) as_troff += c == '-' ? std::string("\\-") : std::string(1, c);
    EXPECT_NE(page.find(as_troff + "\\fR"), std::string::npos) << option << " is not in the manual";
  }
  for (const std::string& command : commands) {
    EXPECT_NE(page.find("\n.SS " + command + "\n"), std::string::npos) << command;
  }
  EXPECT_TRUE(page.starts_with(".TH ")) << page.substr(0, 100);
}

TEST_P(ManualTest, PleasesMan) {
  if (std::system("command -v man >/dev/null 2>&1 && command -v groff >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "no man here";
  }
  EXPECT_EQ(OutputOf("'" + Program(GetParam()) +
                     "' --manual | LC_ALL=C.UTF-8 MANROFFSEQ= man --warnings -E UTF-8 -l - 2>&1 >/dev/null"),
            "");
}

INSTANTIATE_TEST_SUITE_P(Programs, ManualTest,
                         testing::Values("walstitch", "walstitch-agent", "walstitch-controller"),
                         [](const auto& program) {
                           std::string name = program.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Manual, NamesEveryVariableOfTheEnvironment) {
  const std::string page = OutputOf("'" + Program("walstitch") + "' --manual");
  const std::string part = page.substr(page.find(".SH ENVIRONMENT"));
  for (const char* name :
       {"WALSTITCH_CONTROLLER", "WALSTITCH_TOKEN_FILE", "WALSTITCH_CA_FILE", "WALSTITCH_CERTIFICATE_FILE",
        "WALSTITCH_KEY_FILE", "WALSTITCH_SERVER_NAME", "WALSTITCH_NODE_PASSWORD_FILE", "NO_COLOR"}) {
    EXPECT_NE(part.find(name), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace walstitch::cli
