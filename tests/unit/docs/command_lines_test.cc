// What the pages tell people to type can be typed: every command line of walstitch in them has a command that
// there is, with no more arguments than it takes, and with its own options.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "controller/cli/app.h"
#include "tests/unit/docs/page_files.h"

namespace walstitch {
namespace {

namespace fs = std::filesystem;

// As a shell cuts a line: at blanks that no quotes enclose. What does not belong to the command any more,
// from a comment, a pipe or a redirection on, is left out.
std::vector<std::string> WordsOf(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool inside = false;  // of a word
  char quote = '\0';
  for (const char c : line) {
    if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      inside = true;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      if (inside) words.push_back(word);
      word.clear();
      inside = false;
    } else if (std::string_view("|&;<>)").find(c) != std::string_view::npos || (c == '#' && !inside)) {
      break;
    } else {
      word += c;
      inside = true;
    }
  }
  if (inside) words.push_back(word);
  return words;
}

const OptionWords* OptionIn(const CommandWords& command, const std::string& name) {
  for (const OptionWords& option : command.options) {
    if (std::find(option.names.begin(), option.names.end(), name) != option.names.end()) return &option;
  }
  return nullptr;
}

// GROUP, NODE, FILE: in the place of what people put there.
bool IsPlaceholder(const std::string& word) {
  return std::all_of(word.begin(), word.end(), [](unsigned char c) { return std::isupper(c) != 0; });
}

// What is wrong with the line behind `walstitch`, in one sentence. Prose may leave arguments out, and say "…"
// for any that follow.
std::optional<std::string> ProblemOf(const CommandWords& program, const std::string& line) {
  const CommandWords* command = &program;
  std::size_t given = 0;
  const std::vector<std::string> words = WordsOf(line);
  for (std::size_t at = 0; at < words.size(); ++at) {
    const std::string& word = words[at];
    if (word == "…" || word == "...") return std::nullopt;
    if (word.starts_with('-') && word != "-") {
      const std::string name = word.substr(0, word.find('='));
      const OptionWords* option = OptionIn(*command, name);
      if (option == nullptr) option = OptionIn(program, name);
      if (option == nullptr) return command->path + " has no option " + name;
      if (!option->takes.empty() && name == word) ++at;
      continue;
    }
    if (!command->commands.empty()) {
      if (word == "COMMAND") return std::nullopt;
      const auto next = std::find_if(command->commands.begin(), command->commands.end(),
                                     [&](const CommandWords& each) { return each.name == word; });
      if (next == command->commands.end()) return command->path + " has no command " + word;
      command = &*next;
      continue;
    }
    const bool more = !command->arguments.empty() && command->arguments.back().repeated;
    if (given >= command->arguments.size() && !more) {
      return command->path + " takes no argument more: " + word;
    }
    const OptionWords& argument = command->arguments[std::min(given, command->arguments.size() - 1)];
    ++given;
    const auto& choices = argument.choices;
    if (!choices.empty() && !IsPlaceholder(word) &&
        std::find(choices.begin(), choices.end(), word) == choices.end()) {
      return command->path + ": " + argument.names.front() + " is never " + word;
    }
  }
  return std::nullopt;
}

// The command lines of a page, without the program's name. `code`: all of it is as in a fence.
std::vector<std::string> CommandLinesOf(const std::string& page, bool code) {
  // At the beginning of a line, or behind what runs or introduces it; `ws` is the alias of helm/README.md.
  static const std::regex in_code(R"((?:^\s*|\$ |-- |\}\} |&& |; |\| |\(|: )(?:walstitch|ws) ([-a-z].*))");
  static const std::regex in_prose(R"(`walstitch ([^`]*)`)");
  std::vector<std::string> found;
  std::string prose;
  bool fenced = false;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      fenced = !fenced;
      continue;
    }
    if (!fenced) prose += line + " ";  // what stands in backticks may go on in the next line
    if (!fenced && !code) continue;
    std::smatch match;
    if (std::regex_search(line, match, in_code)) found.push_back(match[1]);
  }
  for (std::sregex_iterator at(prose.begin(), prose.end(), in_prose), end; at != end; ++at) {
    found.push_back((*at)[1]);
  }
  return found;
}

std::vector<fs::path> Pages() {
  std::vector<fs::path> pages = {kRoot / "README.md"};
  for (const char* folder : {"docs", "policies", "agents", "controller", "helm"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      if (entry.path().extension() == ".md") pages.push_back(entry.path());
    }
  }
  return pages;
}

TEST(CommandLines, OfThePagesCanBeTyped) {
  const CommandWords program = cli::DescribeCommandLine();
  std::size_t count = 0;
  for (const fs::path& page : Pages()) {
    for (const std::string& line : CommandLinesOf(Slurp(page), false)) {
      ++count;
      const auto problem = ProblemOf(program, line);
      EXPECT_FALSE(problem) << page << ": walstitch " << line << ": " << problem.value_or("");
    }
  }
  EXPECT_GT(count, 100U) << "the pages were not understood";
}

TEST(CommandLines, OfTheChartCanBeTyped) {
  const CommandWords program = cli::DescribeCommandLine();
  for (const char* file : {"helm/walstitch/files/alerts.yaml", "helm/walstitch/templates/NOTES.txt"}) {
    for (const std::string& line : CommandLinesOf(Slurp(kRoot / file), true)) {
      const auto problem = ProblemOf(program, line);
      EXPECT_FALSE(problem) << file << ": walstitch " << line << ": " << problem.value_or("");
    }
  }
}

void ExpectGoodExamples(const CommandWords& program, const CommandWords& command) {
  for (const std::string& line : CommandLinesOf(command.footer, true)) {
    const auto problem = ProblemOf(program, line);
    EXPECT_FALSE(problem) << command.path << " --help: walstitch " << line << ": " << problem.value_or("");
  }
  for (const CommandWords& each : command.commands) ExpectGoodExamples(program, each);
}

TEST(CommandLines, OfTheHelpCanBeTyped) {
  const CommandWords program = cli::DescribeCommandLine();
  ExpectGoodExamples(program, program);
}

// The checker itself: what it lets pass is not checked.
TEST(CommandLines, WhatCannotBeTypedIsFound) {
  const CommandWords program = cli::DescribeCommandLine();
  const auto problem = [&](const std::string& line) { return ProblemOf(program, line).value_or("none"); };
  EXPECT_EQ(problem("explain 01JD"), "walstitch has no command explain");
  EXPECT_EQ(problem("decisions list --group shop"), "walstitch decisions list has no option --group");
  EXPECT_EQ(problem("decisions list shop n1"), "walstitch decisions list takes no argument more: n1");
  EXPECT_EQ(problem("maintenance shop n1 of"), "walstitch maintenance: on|off is never of");
  EXPECT_EQ(problem("maintenance GROUP NODE off"), "none");
  EXPECT_EQ(problem("-o json decisions list shop --node=n1 | jq --slurp"), "none");
  EXPECT_EQ(problem("salvage replay latest --key 'a b' --dry-run   # --and this"), "none");
  EXPECT_EQ(problem("policy check a b c"), "none");
  EXPECT_EQ(problem("wal …"), "none");
}

TEST(CommandLines, OfAPageAreSeenInFencesAndInBackticks) {
  EXPECT_EQ(
      CommandLinesOf("Say `walstitch plan\nGROUP`, not walstitch plain.\n```\n$ walstitch status  # all\n"
                     "x -- walstitch decisions list\n  walstitch (CLI)\nhelm install walstitch here\n```\n"
                     "`walstitch wal`\n",
                     false),
      (std::vector<std::string>{"status  # all", "decisions list", "plan GROUP", "wal"}));
}

}  // namespace
}  // namespace walstitch
