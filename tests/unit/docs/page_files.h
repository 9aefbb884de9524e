// The files that the pages are, as these tests read them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace walstitch {

inline const std::filesystem::path kRoot = WALSTITCH_SOURCE_DIR;

inline std::string Slurp(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace walstitch
