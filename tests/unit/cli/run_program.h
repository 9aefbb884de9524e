// Runs the program as a shell does.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace walstitch::cli {

struct Ran {
  int code = -1;
  std::string out;
  std::string error;
};

inline std::string Slurp(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

inline Ran RunProgram(const std::string& arguments) {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  const std::string base =
      testing::TempDir() + "/cli_program_" + test->test_suite_name() + "_" + test->name();
  const std::string command =
      std::string("'" WALSTITCH_PROGRAM "' ") + arguments + " >'" + base + ".out' 2>'" + base + ".err'";
  const int status = std::system(command.c_str());
  Ran ran{WIFEXITED(status) ? WEXITSTATUS(status) : -1, Slurp(base + ".out"), Slurp(base + ".err")};
  std::filesystem::remove(base + ".out");
  std::filesystem::remove(base + ".err");
  return ran;
}

}  // namespace walstitch::cli
